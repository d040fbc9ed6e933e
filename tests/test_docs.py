"""The documentation: what README shows is run, and what the pages name exists.

A ``console`` block is a terminal: a line that begins with ``$`` is run by bash, and the lines below
it must be among what it prints, in their order, where a line ``...`` stands for any others.
"""

from __future__ import annotations

import ast
import html
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from olmix_evalscript import snapshot
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from tests.conftest import FIXTURES, Run, Serve
from tests.factories import result_line
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations
from tests.storage import Bucket

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
SWARM = "verify-tokens-140m-58362402"

#: Commands that install, or belong to another project.
NOT_RUN = r"(pipx install git\+|olmix launch|make ).*"


def workloads() -> Iterator[FakeWorkload]:
    """The experiments of all fixtures, and a swarm's evaluations."""
    for path in sorted(FIXTURES.glob("*.yaml")):
        group_id = yaml.safe_load(path.read_text())["group_id"]
        for experiment in snapshot.load(path, group_id):
            tasks = [{"arguments": list(task.words)} for task in experiment.tasks]
            yield FakeWorkload(
                name=experiment.name,
                spec=yaml.safe_dump({"version": "v2", "tasks": tasks}),
                created=experiment.created,
                status=experiment.status,
                id=experiment.id,
            )
    yield from evaluations(16)


def results_of(run_name: str) -> str:
    """The lines of all default tasks, as oe-eval leaves them."""
    lines = []
    for number, task in enumerate(OLMO3_OFFLINE_TASKS):
        bpb = 0.8 + hash((run_name, number)) % 1000 / 1e4
        only: dict[str, object] | None = {"ppl_token": 9.0} if "masked_ppl" in task else None
        lines.append(result_line(run_name, task, bpb, step=22100, metrics=only))
    return "".join(lines)


@pytest.fixture
def demo_s3(s3: Bucket) -> Bucket:
    """The demo swarm's checkpoints and evaluation results."""
    for number in range(8):
        run = f"{SWARM}-{number:04d}"
        for file in ("train/rank0.pt", "model_and_optim/.metadata", ".metadata.json"):
            s3.put(f"checkpoints/kylel/{run}/step22100/{file}")
        folder = f"evaluation/olmix-58362402/{run}_step22100/tasks"
        s3.put(f"{folder}/task-metrics-all.jsonl", contents=results_of(run))
    return s3


def squeezed(text: str) -> list[str]:
    """The lines of a text with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_readme_shows_what_its_commands_do(
    tmp_path: Path, environment: dict[str, str], beaker_of: Serve, demo_s3: Bucket
) -> None:
    beaker_of(FakeBeaker(list(workloads())))
    tools = tmp_path / "tools"
    tools.mkdir()
    stand_in = f'#!/bin/sh\nexec "{sys.executable}" "{ROOT}/tests/olmo_cookbook_eval.py" "$@"\n'
    for name, text in (("olmo-cookbook-eval", stand_in), ("less", "#!/bin/sh\ncat\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tmp_path / "GENERATION.yaml").symlink_to(FIXTURES / "58362402-results" / "priors.yaml")
    environment |= {**demo_s3.environment, "COOKBOOK_CALLS": str(tmp_path / "calls")}
    environment |= {"NO_PROXY": "localhost,127.0.0.1", "PATH": f"{tools}:{environment['PATH']}"}

    blocks = re.findall(r"^```console\n(.*?)^```$", README.read_text(), flags=re.M | re.S)
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", "".join(blocks), re.M):
        if re.fullmatch(NOT_RUN, command):
            continue
        # The list is another one through a pipe; script is a program that gives it a terminal.
        at_terminal = ["script", "-qec", command, "/dev/null"]
        done = subprocess.run(
            at_terminal if "--list" in command else ["bash", "-c", command],
            stdin=subprocess.DEVNULL,
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        printed = iter(squeezed(done.stdout))
        for line in squeezed(shown):
            assert line == "..." or line in printed, f"{line!r} of $ {command}\n{done.stdout}"


def test_the_readme_can_be_read_at_once() -> None:
    assert len(README.read_text().splitlines()) <= 120


#: What olmix's `launch run` has at hand when it has submitted the demo swarm.
LAUNCHER = """
import logging
from types import SimpleNamespace
logger = logging.getLogger("olmix")
group_uuid, beaker_user = "58362402", "KYLEL"
infra = SimpleNamespace(cluster="ai2/neptune-cirrascale", weka=False)
configs = [
    SimpleNamespace(name=f"verify-tokens-140m-58362402-{number:04}", infra=infra)
    for number in range(8)
]
"""


def test_the_python_examples_write_the_bytes_of_the_command(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker_of(FakeBeaker(list(workloads())))
    page = (DOCS / "library.md").read_text()
    scripts = []
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)):
        folder = tmp_path / f"example-{number}"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", LAUNCHER + code],
            cwd=folder,
            env={"SOURCE_DATE_EPOCH": "1767225600", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        scripts += [path.read_text() for path in folder.rglob("olmix-58362402.sh")]
    later = run("generate", "58362402", "-o", "-").stdout

    assert scripts == [later, later]


def test_the_options_page_is_what_the_help_says(tmp_path: Path) -> None:
    new = tmp_path / "options.md"

    subprocess.run([sys.executable, ROOT / "tools" / "options_page.py", new], check=True)

    page = ROOT / "docs" / "options.md"
    assert page.read_text() == new.read_text(), "write it again with `make options`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_something(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if heading:
            anchors = {
                re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"^#+ (.+)$", file.read_text(), flags=re.M)
            }
            assert heading in anchors, target


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", page.read_text(), flags=re.M)[1]
    section = re.split(r"^#", section, flags=re.M)[0]
    lines = re.findall(r"^\| (.+) \|$", section, flags=re.M)
    return [re.split(r" (?<!\\)\| ", line) for line in lines[1:] if not line.startswith("-")]


def messages() -> list[str]:
    """All texts in the package's code, with an ellipsis for what is filled in."""
    texts = [(ROOT / "olmix_evalscript" / "templates" / "eval_script.sh").read_text()]
    for path in sorted((ROOT / "olmix_evalscript").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            if isinstance(node, ast.JoinedStr):
                parts = (getattr(part, "value", "") for part in node.values)
                texts.append("".join(p if isinstance(p, str) else "…" for p in parts))
    return texts


def test_every_message_of_the_troubleshooting_table_is_one_that_is_given() -> None:
    known = messages()
    table = rows(DOCS / "troubleshooting.md", "Troubleshooting")

    for message in (span for row in table for span in re.findall(r"`([^`]+)`", row[0])):
        pieces = [piece.strip() for piece in message.split("…") if len(piece.strip()) > 3]
        assert any(all(piece in text for piece in pieces) for text in known), message


def test_the_picture_shows_what_the_demo_prints_now(tmp_path: Path) -> None:
    new = tmp_path / "terminal.svg"
    subprocess.run(
        [sys.executable, ROOT / "tools" / "terminal_svg.py", new],
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )

    texts = [
        html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", path.read_text(), flags=re.S))
        for path in (DOCS / "terminal.svg", new)
    ]
    assert texts[0].split() == texts[1].split(), "draw it again with `make picture`"


def places(data: Any, prefix: str = "") -> set[str]:
    """The places of all values in JSON data, as docs/formats.md names them."""
    if isinstance(data, list):
        return set().union(*(places(item, f"{prefix}[]") for item in data), set())
    found = set()
    for key, value in data.items() if isinstance(data, dict) else ():
        place = f"{prefix}.{key}"
        counts = place in ("[].variants", "[].evaluations")
        found |= {place} | (set() if counts else places(value, place))
    return found


@pytest.mark.parametrize(
    ("heading", "arguments"),
    [
        ("show", ["show", "58362402", "--json"]),
        ("list", ["list", "--json", "--since", "2024-01-01"]),
    ],
)
def test_the_schema_has_each_key_of_the_json_and_no_other(
    heading: str, arguments: list[str], run: Run, beaker_of: Serve
) -> None:
    beaker_of(FakeBeaker(list(workloads())))
    fields = rows(DOCS / "formats.md", heading)

    described = {field for cells in fields for field in re.findall("`([^`]+)`", cells[0])}
    assert places(json.loads(run(*arguments).stdout)) == described


def test_the_snapshot_shown_is_one(run: Run, tmp_path: Path) -> None:
    page = (DOCS / "formats.md").read_text()
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", page, flags=re.M | re.S)
    (tmp_path / "shown.yaml").write_text(text)

    result = run("show", "58362402", "--snapshot", str(tmp_path / "shown.yaml"))

    assert result.returncode == 0, result.stderr
