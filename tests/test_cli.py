"""The command line: what goes to stdout and stderr, exit statuses, and what each message says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from olmix_evalscript import __version__
from olmix_evalscript.cli import COMMANDS
from tests.conftest import FIXTURES, Run, Serve
from tests.desk import LONG, until
from tests.factories import settings
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations, variants
from tests.test_console import at_a_terminal

SNAPSHOT = str(FIXTURES / "58362402.yaml")
GAPS = str(FIXTURES / "olmix-relaunched-with-gaps.yaml")
SCRIPT = Path("output/eval_scripts/olmix-58362402.sh")
G = ("generate", "58362402")
DEMO = (*G, "--snapshot", SNAPSHOT)


# --- help and usage -----------------------------------------------------------------------


@pytest.mark.parametrize("words", [["olmix-evalscript"], ["python", "-m", "olmix_evalscript"]])
def test_the_version_is_the_packages(words: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run([*words, "--version"], env=environment, stdout=-1, text=True, check=True)

    assert done.stdout == f"olmix-evalscript {__version__}\n"


@pytest.mark.parametrize(("command", "output"), [("generate", "Output"), ("collect", "Fit")])
def test_help_shows_options_in_panels(run: Run, command: str, output: str) -> None:
    panels = re.findall(r"^╭─ (\w+) ─", run(command, "--help").stdout, flags=re.M)

    assert panels == ["Evaluation", "Finding", "Variants", output, "Safety", "General"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns_has_examples_and_shows_no_types(run: Run, command: str) -> None:
    text = run(*command.split(), "--help").stdout

    assert max(map(len, text.splitlines())) <= 80
    assert re.search(rf"Examples:.*olmix-evalscript {command}", text, flags=re.S)
    assert "<" not in text


def test_the_overview_says_of_each_command_how_its_own_help_begins(
    run: Run, environment: dict[str, str]
) -> None:
    words = ["olmix-evalscript", "--help"]
    wide = {**environment, "COLUMNS": "200"}
    text = subprocess.run(words, env=wide, stdout=-1, text=True, check=True).stdout

    assert dict(re.findall(r"^│ (\w+) +(\w.*?) +│$", text, flags=re.M)) == COMMANDS
    for command, summary in COMMANDS.items():
        assert f"\n {summary} " in run(command, "--help", COLUMNS="200").stdout


def test_values_are_read_without_pydantic(environment: dict[str, str]) -> None:
    code = "import sys\nfrom olmix_evalscript.cli import main\nsys.argv = ['x', *sys.argv[1:]]\n"
    code += "try:\n    main()\nfinally:\n    print('pydantic' in sys.modules)\n"
    arguments = ["generate", "58362402", "--snapshot", "missing.yaml", "--timeout", "9", "--strict"]

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, stdout=-1, text=True, check=False
    )

    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate"], "'GROUP_ID'. Try `olmix-evalscript generate --help`."),
        (["generate", "58362402", "5836240"], "5836240 is not a group ID"),
        (
            ["show", "verify-tokens-140m-58362402-0003"],
            "is not a group ID: did you mean 58362402?",
        ),
        (["show", "58362402", "--nonsense"], "--nonsense. Try `olmix-evalscript show --help`."),
        ([*G, "--priority", "high"], "Options of the evaluator go after --."),
        ([*G, "-t", "lambada:bpb"], "launches nothing for lambada:bpb"),
        (["show", "58362402", "--", "--priority", "high"], "only generate takes arguments after"),
        ([*G, "--since", "yesterday"], "--since: 'yesterday' is not a date"),
        ([*G, "--timeout", "0"], "--timeout: '0' is not a number of seconds"),
        ([*G, "--status", "splendid"], "--status: 'splendid' is not a status"),
        ([*G, "-w", "no-slash"], "--workspace: 'no-slash' is not OWNER/NAME"),
        ([*G, "-w", "ai2/"], "--workspace: 'ai2/' is not OWNER/NAME"),
        ([*G, "-w", "/oe-data"], "--workspace: '/oe-data' is not OWNER/NAME"),
        ([*G, "-w", "ai2/oe/data"], "--workspace: 'ai2/oe/data' is not OWNER/NAME"),
        ([*G, "--checkpoint-root", "/tmp/x"], "'/tmp/x' is not a checkpoint root"),
        ([*DEMO, "--scan"], "--snapshot cannot be combined with"),
        ([*DEMO, "-w", "ai2/oe-data"], "--snapshot cannot be combined with"),
        ([*DEMO, "--author", "kylel"], "--snapshot cannot be combined with"),
        ([*DEMO, "--since", "30d"], "--snapshot cannot be combined with"),
        ([*G, "6cf425be", "-o", "x.sh"], "--output cannot be combined with several group IDs"),
        ([*G, "-o", "x.sh", "--output-dir", "here"], "--output cannot be combined with"),
        ([*G, "--task-set", ""], "an argument is empty"),
        ([*G, "--dashboard="], "an argument is empty"),
        ([*G, "--dashboard", "a\x1b[2J"], r"'a\x1b[2J' has a character that cannot be printed"),
        (["tasks", "olmo4"], "task set: expected olmo3-offline or offline-bpb"),
        ([*G, "-t", "olmo3-offline"], "use --task-set olmo3-offline"),
        ([*G, "-t", "a;b"], "is not a task name"),
        ([*G, "--model-backend", "tgi"], "is not a model backend"),
        ([*G, "--dashboard", "a b"], "dashboard 'a b' is not accepted"),
        ([*G, "--eval-cluster", "a;b"], "evaluation cluster 'a;b' is not accepted"),
    ],
)
def test_wrong_usage_is_one_line_and_exits_2_before_beaker_is_asked(
    run: Run, arguments: list[str], message: str
) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*G, "--config", "missing.yaml"], "missing.yaml"),
        ([*G, "--snapshot", "missing.yaml"], "missing.yaml"),
        (["show", "6cf425be", "--snapshot", SNAPSHOT], "it holds group 58362402"),
        ([*DEMO, "-o", "x" * 300], "cannot read"),
        ([*DEMO, "--status", "failed"], "is failed (8 succeeded)"),
        (["generate", "e6f1a2b3", "--snapshot", GAPS, "--strict"], "(--strict)"),
        ([*DEMO, "-t", "arc_eazy", "--strict"], "(--strict)"),
    ],
)
def test_a_failure_exits_1_and_writes_nothing(
    run: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr.splitlines()[-1]
    assert not list((tmp_path / "work").iterdir())


# --- generate -----------------------------------------------------------------------------


def test_flags_beat_the_config_and_the_config_beats_the_defaults(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work/c.yaml").write_text("eval_tasks: [piqa]\neval_cluster: h100\n")

    script = run(*DEMO, "-o", "-", "--config", "c.yaml", "--eval-cluster", "80g").stdout

    assert settings(script, "TASKS") == ["piqa"]
    assert settings(script, "CLUSTER") == ["80g"]
    assert settings(script, "MODEL_BACKEND") == ["olmo_core"]


def test_tasks_and_sets_on_the_command_line_add_up_in_place_of_the_configs(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "work/c.yaml").write_text("eval_tasks: [piqa]\n")
    options = ("--config", "c.yaml", "--task-set", "offline-bpb", "-t", "lambada", "-t", "zebra")

    tasks = settings(run(*DEMO, "-o", "-", *options).stdout, "TASKS")

    assert (len(tasks), tasks[-2:]) == (18, ["lambada", "zebra"])


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (["-t", "arc_easy:rc::olmes"], "did you mean arc_easy:rc::olmes:full?"),
        (["--eval-cluster", "jupiter"], "unknown cluster jupiter; olmo-cookbook-eval knows aus"),
    ],
)
def test_unknown_names_are_used_with_a_warning(run: Run, options: list[str], warning: str) -> None:
    done = run(*DEMO, "-o", "-", *options)

    assert done.returncode == 0
    assert re.search(rf"^warning: .*{re.escape(warning)}", done.stderr, re.M)
    assert warning in done.stdout


def test_arguments_after_two_dashes_go_into_the_script(run: Run) -> None:
    script = run(*DEMO, "-o", "-", "--", "--priority", "high", "-g").stdout

    assert settings(script, "PRIORITY") == ["high"]
    assert settings(script, "EVAL_ARGS") == ["--use-gantry"]


@pytest.mark.parametrize("arguments", [[*DEMO, "-q"], ["-q", *DEMO]])
def test_quiet_says_nothing_if_nothing_is_wrong(run: Run, arguments: list[str]) -> None:
    done = run(*arguments)

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{SCRIPT}\n", "")


# --- tasks, show and list -----------------------------------------------------------------


def test_tasks_lists_the_sets_or_the_names_of_one(run: Run) -> None:
    assert "olmo3-offline: 106 tasks" in run("tasks").stdout
    assert len(run("tasks", "offline-bpb").stdout.splitlines()) == 16


@pytest.mark.parametrize(
    ("options", "head"),
    [([], ["number", "run_name", "status"]), (["--mixtures"], ["number", "run_name", "arxiv"])],
)
def test_show_prints_tab_separated_text_into_a_pipe(
    run: Run, options: list[str], head: list[str]
) -> None:
    heads, *rows = run("show", "58362402", "--snapshot", SNAPSHOT, *options).stdout.splitlines()

    assert heads.split("\t")[:3] == head
    assert [int(row.split("\t")[0]) for row in rows] == list(range(8))


def recent(workloads: list[FakeWorkload], days: float) -> list[FakeWorkload]:
    """The same workloads, launched that many days ago."""
    for workload in workloads:
        workload.created = datetime.now(timezone.utc) - timedelta(days=days)
    return workloads


def test_list_has_the_callers_swarms_newest_first(run: Run, beaker_of: Serve) -> None:
    theirs = recent(variants(2, "11111111"), 1)
    for workload in theirs:
        workload.author = "mayeec"
    swarms = [*recent(variants(3, "22222222", "old"), 9), *recent(variants(2, "33333333"), 2)]
    beaker_of(FakeBeaker([*swarms, *recent(variants(2, "44444444"), 40), *theirs]))
    data = json.loads(run("list", "--json").stdout)

    assert [(swarm["group_id"], swarm["variants"]) for swarm in data] == [
        ("33333333", {"succeeded": 2}),
        ("22222222", {"succeeded": 3}),
    ]


def test_an_empty_list_says_where_else_to_look(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(recent(evaluations(1), 1)))

    done = run("list")

    assert (done.returncode, done.stdout) == (0, "")
    assert "--since" in done.stderr


# --- where to look ------------------------------------------------------------------------


def test_a_search_that_finds_nothing_says_what_narrowed_it_and_what_to_try(
    run: Run, beaker_of: Serve
) -> None:
    beaker_of(FakeBeaker(variants(1, "6cf425be")))

    done = run("collect", "58362402", "--author", "kylel")

    assert "no experiment carries the ID 58362402" in done.stderr
    assert "try again with `--scan -w OWNER/NAME --since 30d`" in done.stderr


def test_verbose_alone_shows_each_call_and_its_time(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(1)))
    call = r"^ListWorkloads: \d+ ms$"

    assert re.search(call, run(*G, "-v").stderr, re.M)
    assert not re.search(call, run(*G).stderr, re.M)


# --- at a terminal ------------------------------------------------------------------------

CODE = "import sys\nfrom olmix_evalscript.__main__ import main\nsys.argv = ['x', *{}]\nmain()"


def test_an_interrupt_leaves_no_spinner_and_shows_the_cursor(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(60), lists_commands=False))
    beaker.hooks["GetExperimentYamlSpec"] = lambda request: beaker.closing.wait(LONG) and None

    def interrupt(process: int) -> None:
        until(lambda: beaker.calls["GetExperimentYamlSpec"])
        os.kill(process, signal.SIGINT)

    shown = at_a_terminal(CODE.format([*G]), tmp_path, environment, meanwhile=interrupt, status=130)

    assert shown.endswith("\r\x1b[2K\x1b[?25h")


@pytest.mark.parametrize(("flags", "says"), [([], True), (["-q"], False), (["-o", "-"], False)])
def test_generate_says_what_to_do_next(
    environment: dict[str, str], tmp_path: Path, flags: list[str], says: bool
) -> None:
    shown = at_a_terminal(CODE.format([*DEMO, *flags]), tmp_path, environment)

    assert (f"bash {SCRIPT} --list" in shown) is says


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_errors_are_coloured_unless_no_color_is_set(
    environment: dict[str, str], tmp_path: Path, no_color: str, coloured: bool
) -> None:
    shown = at_a_terminal(
        CODE.format(["generate", "0"]), tmp_path, {**environment, "NO_COLOR": no_color}, status=2
    )

    assert ("\x1b[" in shown) is coloured


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ge", "generate"),
        ("generate --model-b", "--model-backend"),
    ],
)
def test_the_shell_completes(run: Run, words: str, expected: str) -> None:
    done = run(
        _OLMIX_EVALSCRIPT_COMPLETE="complete_bash",
        COMP_WORDS=f"olmix-evalscript {words}",
        COMP_CWORD=str(len(words.split())),
    )

    assert expected in done.stdout.split()
