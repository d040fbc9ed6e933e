"""The documentation: what it shows is run, what it names is there, and what is there is named.

A ``console`` block is a terminal: a line that begins with ``$`` is run by bash, and the lines below
it must be among what it prints, in their order, where a line ``...`` stands for any others. A
command must succeed, unless ``$ echo $?`` comes next. All blocks of a page are one session, in a
folder that holds the fixtures, beside a Beaker that has the swarms of the fixtures.
"""

from __future__ import annotations

import ast
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from olmix_evalscript import snapshot
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from tests.conftest import FIXTURES, Run
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations
from tests.storage import Bucket, need, s3_server

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("CONTRIBUTING.md"))]
COMMANDS = ("generate", "collect", "show", "list", "snapshot", "tasks")

#: Commands that are not run, since they install or belong to another project: by their form.
ONLY_BY_FORM = (
    r"(pipx|uv tool|pip) install (git\+https://github\.com/allenai/olmix-evalscript|\.|-e \.)",
    r"git clone https://github\.com/allenai/olmix-evalscript",
    r"cd olmix-evalscript",
    r"olmix launch run --variants \S+",
    r"olmix fit --config \S+ --output-dir \S+",
)

#: Stand-ins for what the docs run beside olmix-evalscript.
TOOLS = {
    "olmo-cookbook-eval": """
        import os, runpy, sys
        sys.argv[0] = os.environ["COOKBOOK"]
        runpy.run_path(sys.argv[0], run_name="__main__")
    """,
    # Writes the demo swarm's priors, whatever the config.
    "olmix": """
        import shutil, sys
        shutil.copy("fixtures/58362402-results/priors.yaml", sys.argv[-1])
    """,
    "less": """
        import shutil, sys
        shutil.copyfileobj(sys.stdin, sys.stdout)
    """,
}


@dataclass
class Command:
    line: str
    output: list[str] = field(default_factory=list)
    may_fail: bool = False


def blocks(page: Path, language: str) -> list[str]:
    """The text of a page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), flags=re.M | re.S)


def commands(page: Path) -> list[Command]:
    found: list[Command] = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            if line == "$ echo $?":
                found[-1].may_fail = True
            found.append(Command(line[2:]))
        else:
            found[-1].output.append(line)
    return found


def is_run(command: Command) -> bool:
    form = "|".join(ONLY_BY_FORM)
    return not command.line.startswith("make ") and not re.fullmatch(form, command.line)


def workloads() -> Iterator[FakeWorkload]:
    """The experiments of all fixtures, and a swarm's evaluations."""
    for path in sorted(FIXTURES.glob("*.yaml")):
        group_id = yaml.safe_load(path.read_text())["group_id"]
        for experiment in snapshot.load(path, group_id):
            tasks = [
                {"arguments": list(task.words), "constraints": {"cluster": list(task.clusters)}}
                for task in experiment.tasks
            ]
            yield FakeWorkload(
                name=experiment.name,
                spec=yaml.safe_dump({"version": "v2", "tasks": tasks}),
                author=experiment.author,
                workspace=experiment.workspace,
                created=experiment.created,
                status=experiment.status,
                id=experiment.id,
            )
    yield from evaluations(16)


SAVED = ("train/rank0.pt", "model_and_optim/.metadata", ".metadata.json")
SWARM = "verify-tokens-140m-58362402"


def checkpoints(name: str, count: int) -> Iterator[str]:
    """The files of a swarm's checkpoints."""
    for number in range(count):
        for step in (0, 22000, 22100):
            yield from (f"{name}-{number:04d}/step{step}/{file}" for file in SAVED)


def put_on_weka(folder: Path) -> None:
    """Lay out what the swarms of the fixtures saved there."""
    moved = (("oe-data-default", SWARM, 8), ("oe-training-default", "dense-140m-b20e93f1", 4))
    for bucket, name, count in moved:
        for file in checkpoints(name, count):
            path = folder / bucket / "ai2-llm" / "checkpoints" / "kylel" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def results_of(model: str) -> str:
    """The lines of all default tasks, as olmo-cookbook leaves them."""
    lines = []
    for task in OLMO3_OFFLINE_TASKS:
        has_alias = "masked_ppl" not in task
        lines.append(
            {
                "task_name": task.partition(":")[0],
                "task_config": {"metadata": {"alias": task} if has_alias else {}},
                "metrics": {"bits_per_byte_corr": 0.8} if has_alias else {"ppl_token": 9.0},
                "model_config": {"model": model},
                "current_date": "2026-03-08 00:00:00 UTC",
            }
        )
    return "".join(f"{json.dumps(line)}\n" for line in lines)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """The demo swarm's checkpoints and evaluation results."""
    need("aws")
    with s3_server(tmp_path_factory.mktemp("s3"), "ai2-llm") as bucket:
        bucket.put(*(f"checkpoints/kylel/{file}" for file in checkpoints(SWARM, 8)))
        for number in range(8):
            model = f"{SWARM}-{number:04d}_step22100"
            folder = f"evaluation/olmix-58362402/{model}/tasks"
            bucket.put(f"{folder}/task-metrics-all.jsonl", contents=results_of(model))
        yield bucket


@pytest.fixture
def session(
    tmp_path: Path,
    environment: dict[str, str],
    beaker_of: Callable[[FakeBeaker], FakeBeaker],
    s3: Bucket,
) -> Callable[[list[Command]], list[tuple[int, str]]]:
    """Run commands in one bash; gives the status and the output of each."""
    beaker_of(FakeBeaker(list(workloads())))
    put_on_weka(tmp_path / "weka")
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, code in TOOLS.items():
        indent = len(code) - len(code.lstrip())
        lines = [line[indent - 1 :] for line in code.strip("\n").splitlines()]
        (tools / name).write_text("\n".join([f"#!{sys.executable}", *lines]) + "\n")
        (tools / name).chmod(0o755)
    folder = tmp_path / "docs-session"
    folder.mkdir()
    (folder / "fixtures").symlink_to(FIXTURES)
    (folder / "GENERATION.yaml").symlink_to(FIXTURES / "58362402-results" / "priors.yaml")
    environment.update(
        NO_PROXY="localhost,127.0.0.1",
        PATH=f"{tools}:{environment['PATH']}",
        **s3.environment,
        WEKA_MOUNT=str(tmp_path / "weka"),
        COOKBOOK=str(ROOT / "tests" / "olmo_cookbook_eval.py"),
        COOKBOOK_CALLS=str(tmp_path / "calls"),
    )

    def run(lines: list[Command]) -> list[tuple[int, str]]:
        mark = "@@ end of a command @@"
        script = ["last() { return $1; }"]
        for command in lines:
            script += [command.line, f'status=$?; echo "{mark} $status"; last $status']
        (tmp_path / "session.sh").write_text("\n".join(script) + "\n")
        done = subprocess.run(
            ["bash", tmp_path / "session.sh"],
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        parts = re.split(rf"{mark} (\d+)\n", done.stdout)
        assert len(parts) == 2 * len(lines) + 1, done.stdout
        return list(zip(map(int, parts[1::2]), parts[0::2], strict=False))

    return run


def squeezed(text: str) -> list[str]:
    """The lines of a text with single blanks."""
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_what_its_commands_do(
    page: Path, session: Callable[[list[Command]], list[tuple[int, str]]]
) -> None:
    lines = [command for command in commands(page) if is_run(command)]

    for command, (status, output) in zip(lines, session(lines), strict=True):
        assert command.may_fail or status == 0, f"$ {command.line}\n{output}"
        printed = iter(squeezed(output))
        for line in squeezed("\n".join(command.output)):
            assert line == "..." or line in printed, f"{line!r} of $ {command.line}\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_run_has_a_known_form(page: Path) -> None:
    targets = [c.line.split()[1] for c in commands(page) if c.line.startswith("make ")]

    for target in targets:
        done = subprocess.run(
            ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert not re.search(r"^```(bash|sh|shell|zsh)$", page.read_text(), flags=re.M)


def test_the_python_examples_run_and_give_the_command_s_bytes(
    run: Run, beaker_of: Callable[[FakeBeaker], FakeBeaker], tmp_path: Path
) -> None:
    beaker_of(FakeBeaker(list(workloads())))
    scripts = []
    for number, code in enumerate(blocks(ROOT / "docs" / "library.md", "python")):
        folder = tmp_path / f"example-{number}"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", LAUNCHER + code],
            cwd=folder,
            env={"SOURCE_DATE_EPOCH": "1767225600"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        scripts += [path.read_text() for path in folder.rglob("olmix-58362402.sh")]
    later = run("generate", "58362402", "-o", "-").stdout

    assert scripts == [later, later]


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


# --- options ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def helps() -> dict[str, str]:
    """The help text of each command, and of the command itself under ''."""

    def text(*words: str) -> str:
        return subprocess.run(
            [Path(sys.executable).parent / "olmix-evalscript", *words, "--help"],
            env={"COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    return {"": text(), **{command: text(command) for command in COMMANDS}}


def options_of(help_text: str) -> set[str]:
    """Both spellings of each option in a help text's table."""
    rows = re.findall(r"^│[* ]{1,4}(--[a-z-]+)(?: +(-[a-z])\b)?", help_text, flags=re.M)
    return {option for row in rows for option in row if option}


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", page.read_text(), flags=re.M)[1]
    section = re.split(r"^#", section, flags=re.M)[0]
    lines = re.findall(r"^\| (.+) \|$", section, flags=re.M)
    return [re.split(r" (?<!\\)\| ", line) for line in lines[1:] if not line.startswith("-")]


def documented(heading: str) -> dict[str, set[str]]:
    """Option to the commands that the README says have it."""
    found: dict[str, set[str]] = {}
    for options, of, *_ in rows(README, heading):
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", options):
            found[option] = {"" if name == "olmix-evalscript" else name for name in of.split(", ")}
    return found


def test_the_readme_has_each_option_of_each_command_and_no_other(helps: dict[str, str]) -> None:
    by_option = documented("Options of the commands")
    in_readme = {
        command: {option for option, of in by_option.items() if command in of or "all" in of}
        for command in helps
    }

    assert in_readme == {command: options_of(text) for command, text in helps.items()}


def test_the_readme_has_each_option_of_the_script_and_no_other(run: Run) -> None:
    script = run(
        "generate", "58362402", "--snapshot", str(FIXTURES / "58362402.yaml"), "-o", "-"
    ).stdout
    usage = subprocess.run(
        ["bash", "-s", "--", "--help"], input=script, capture_output=True, text=True, check=True
    ).stdout
    told = {cells[0].split()[0].strip("`") for cells in rows(README, "Options of the script")}

    assert told == {*re.findall(r"^ +(--[a-z-]+)", usage, flags=re.M), "--"}


def test_each_help_fits_80_columns_and_has_examples(helps: dict[str, str]) -> None:
    for command, text in helps.items():
        assert max(map(len, text.splitlines())) <= 80, command
        assert re.search(rf"Examples:.*olmix-evalscript {command}", text, flags=re.S), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_named_in_the_text_have_the_options_named_with_them(
    page: Path, helps: dict[str, str]
) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for span in re.findall(
        r"`(?:olmix-evalscript )?((?:generate|collect|show|list|snapshot) -[^`]*)`", prose
    ):
        words = span.split(" -- ")[0]
        command = words.split()[0]
        options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words))
        assert options <= options_of(helps[command]), span


# --- what else can be wrong with a page ------------------------------------------------------


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


def messages() -> list[str]:
    """All texts in the package's code, with an ellipsis for what is filled in."""
    texts = []
    for path in sorted((ROOT / "olmix_evalscript").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
            if isinstance(node, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in node.values
                ]
                texts.append("".join(parts))
    template = ROOT / "olmix_evalscript" / "templates" / "eval_script.sh"
    return [*texts, template.read_text()]


def test_every_message_of_the_troubleshooting_table_is_one_that_is_given() -> None:
    known = messages()
    told = [
        re.findall(r"`([^`]+)`", row[0])
        for row in rows(ROOT / "docs" / "troubleshooting.md", "Troubleshooting")
    ]

    assert len(told) > 10
    for message in (span for spans in told for span in spans):
        pieces = [piece.strip() for piece in message.split("…") if len(piece.strip()) > 3]
        assert pieces
        assert any(all(piece in text for piece in pieces) for text in known), message


def test_the_picture_shows_what_the_commands_print_now(tmp_path: Path) -> None:
    new = tmp_path / "terminal.svg"
    subprocess.run(
        [sys.executable, ROOT / "tools" / "terminal_svg.py", new],
        env={"PATH": "/usr/bin:/bin"},
        check=True,
    )

    texts = [
        html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", "", path.read_text(), flags=re.S))
        for path in (ROOT / "docs" / "terminal.svg", new)
    ]
    assert texts[0].split() == texts[1].split(), "draw it again with `make picture`"


def paths(data: Any, prefix: str = "") -> set[str]:
    """The places of all values in JSON data, as docs/formats.md names them."""
    if isinstance(data, list):
        return set().union(*(paths(item, f"{prefix}[]") for item in data), set())
    if isinstance(data, dict):
        found = set()
        for key, value in data.items():
            place = f"{prefix}.{key}"
            counts = place in ("[].variants", "[].evaluations")
            found |= {place} | (set() if counts else paths(value, place))
        return found
    return set()


@pytest.mark.parametrize(
    ("heading", "arguments"),
    [
        ("show", ["show", "58362402", "--json"]),
        ("list", ["list", "--json", "--since", "2024-01-01"]),
    ],
)
def test_the_schema_has_each_key_of_the_json_and_no_other(
    heading: str,
    arguments: list[str],
    run: Run,
    beaker_of: Callable[[FakeBeaker], FakeBeaker],
) -> None:
    beaker_of(FakeBeaker(list(workloads())))
    table = rows(ROOT / "docs" / "formats.md", heading)
    told = {field for cells in table for field in re.findall("`([^`]+)`", cells[0])}

    assert paths(json.loads(run(*arguments).stdout)) == told


def test_the_snapshot_shown_is_one(run: Run, tmp_path: Path) -> None:
    (text,) = blocks(ROOT / "docs" / "formats.md", "yaml")
    (tmp_path / "shown.yaml").write_text(text)

    result = run("show", "58362402", "--snapshot", str(tmp_path / "shown.yaml"))

    assert result.returncode == 0, result.stderr
