# make demo    a demo swarm from its snapshot to the files for the fit, in seconds
# make check   lint, types and the tests that start no other program
# make test    lint, types and all tests, under the Python of .venv; with coverage where CI is set
# make pythons the tests that need no other program, under Python 3.10 and 3.13
# make bench   timings, as ratios measured side by side
# make loop    the loop for real, with tiny models: trained, evaluated and fitted
# make options docs/options.md, from the help
# make picture docs/terminal.svg, from what make demo prints

export COVERAGE_FILE := $(CURDIR)/.coverage

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOOP_VENV := .loop-venv
DEMO_DATE := 1767225600# 2026-01-01, so that the demo is the same every day
# What these run is bash, the storage tools and their servers: nothing whose coverage counts.
SCRIPTS := tests/test_script_run.py tests/test_docs.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo lint check test tests coverage pythons bench loop options picture clean

demo: $(VENV)/runtime
	@PATH="$(CURDIR)/$(BIN):$$PATH" SOURCE_DATE_EPOCH=$(DEMO_DATE) \
		bash tools/demo.sh "$$(mktemp -d)"

$(VENV)/runtime: pyproject.toml
	@echo "Installing into $(VENV), once" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet uv >&2
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --editable . >&2
	@touch $@

$(VENV)/installed: $(VENV)/runtime
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck --exclude=SC2329 olmix_evalscript/templates/eval_script.sh # each has its caller
	$(BIN)/shellcheck tools/demo.sh tools/loop/run.sh .ci/run

check: lint
	$(BIN)/python -m pytest -q -n 2 $(SCRIPTS:%=--ignore=%)

test: lint $(if $(CI),coverage,tests)

tests: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2

coverage: $(VENV)/installed
	$(BIN)/coverage erase
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/coverage run -m pytest -n 2 $(SCRIPTS:%=--ignore=%)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 $(SCRIPTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

pythons: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.interpreters

bench: $(VENV)/installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python beaker-gantry
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench

loop:
	@$(PYTHON) -m venv $(LOOP_VENV)
	@bash tools/loop/run.sh "$(CURDIR)/$(LOOP_VENV)" "$$(mktemp -d)"

options: $(VENV)/installed
	$(BIN)/python tools/options_page.py

picture: $(VENV)/installed
	$(BIN)/python tools/terminal_svg.py

clean:
	rm -rf $(VENV) $(LOOP_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* dist
