# make demo    the demo swarm's script and its files for the fit, from Python and this checkout alone
# make check   the fast half of the tests: lint, format, types, shell, the rooms without processes
# make test    all tests, under the Python of .venv
# make pythons the tests that need no other program, under every other Python
# make shuffle all tests, in an order that is new each time
# make bench   timings, as ratios measured side by side
# make picture docs/terminal.svg, from the tool's own output

export COVERAGE_FILE := $(CURDIR)/.coverage

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_VENV := .demo-venv
DEMO_DATE := 1767225600# 2026-01-01, so that the demo is the same every day
FAST := tests/test_command.py tests/test_trainers.py tests/test_swarm.py tests/test_script.py \
	tests/test_scriptfile.py tests/test_options.py tests/test_programs.py \
	tests/test_tasks.py tests/test_config.py tests/test_snapshot.py tests/test_files.py \
	tests/test_results.py tests/test_fit.py tests/test_yamltext.py
# What these run is bash, the storage tools and their servers: nothing whose coverage counts.
SCRIPTS := tests/test_script_run.py tests/test_script_submission.py tests/test_script_results.py \
	tests/test_docs.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo lint check test pythons shuffle bench picture clean

demo: $(DEMO_VENV)/installed
	@PATH="$(CURDIR)/$(DEMO_VENV)/bin:$$PATH" SOURCE_DATE_EPOCH=$(DEMO_DATE) \
		bash tools/demo.sh "$$(mktemp -d)"

$(DEMO_VENV)/installed: pyproject.toml
	@$(PYTHON) -m venv $(DEMO_VENV)
	@$(DEMO_VENV)/bin/pip install --quiet --editable . >&2
	@touch $@

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[dev]'
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck olmix_evalscript/templates/eval_script.sh tools/demo.sh .ci/run

check: lint
	$(BIN)/python -m pytest -q $(FAST)

test: lint
	$(BIN)/coverage erase
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/coverage run -m pytest -n 2 $(SCRIPTS:%=--ignore=%)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 $(SCRIPTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

pythons: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.interpreters

shuffle: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n 2 -p randomly

bench: $(VENV)/installed
	$(BIN)/uv pip install --quiet --python $(BIN)/python beaker-gantry
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m bench

picture: $(VENV)/installed
	$(BIN)/python tools/terminal_svg.py

clean:
	rm -rf $(VENV) $(DEMO_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage* dist
