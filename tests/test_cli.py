"""The command line: what goes to stdout and stderr, exit statuses, and messages with a way out."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from olmix_evalscript import __version__
from olmix_evalscript.tasks import OFFLINE_BPB_TASKS, OLMO3_OFFLINE_TASKS
from tests.conftest import FIXTURES, Run
from tests.desk import LONG, until
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations, spec, variants

Serve = Callable[[FakeBeaker], FakeBeaker]
DEMO = str(FIXTURES / "58362402.yaml")
LONG_NAME = "x" * 300  # for any file system
COMMANDS = ("generate", "collect", "show", "list", "snapshot", "tasks")
SCRIPT = Path("output/eval_scripts/olmix-58362402.sh")


def settings(script: str, name: str) -> list[str]:
    """The values of one of the script's settings."""
    block = re.search(rf"^{name}=(\(.*?^\)|'.*?'$|\(\)$)", script, re.M | re.S)
    assert block is not None
    return re.findall(r"'(.*?)'", block[1])


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").stdout == f"olmix-evalscript {__version__}\n"


def test_the_module_runs_too(run: Run, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["python", "-m", "olmix_evalscript", "--version"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == f"olmix-evalscript {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(run: Run, command: str) -> None:
    assert f"olmix-evalscript {command}" in run(command, "--help").stdout.partition("Examples")[2]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns(run: Run, command: str) -> None:
    lines = run(*command.split(), "--help").stdout.splitlines()

    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(("command", "output"), [("generate", "Output"), ("collect", "Fit")])
def test_help_shows_options_in_panels(run: Run, command: str, output: str) -> None:
    panels = re.findall(r"^╭─ (\w+) ─", run(command, "--help").stdout, flags=re.M)

    assert panels == ["Evaluation", "Finding", "Variants", output, "Safety", "General"]


def test_help_says_what_an_option_means_to_its_command(run: Run) -> None:
    assert "Evaluate on this task" in run("generate", "--help").stdout
    assert "Expect results of this task" in run("collect", "--help").stdout


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_no_type_behind_flags_and_arguments(run: Run, command: str) -> None:
    assert not re.search(r"[<{]", run(*command.split(), "--help").stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate"],
        ["show", "58362402", "6cf425be"],
        ["generate", "58362402", "--nonsense"],
        ["generate", "58362402", "--since", "yesterday"],
        ["generate", "58362402", "--since", "-1d"],
        ["generate", "58362402", "--status", "splendid"],
        ["generate", "58362402", "-w", "no-slash"],
        ["generate", "58362402", "--snapshot", DEMO, "--scan"],
        ["generate", "58362402", "6cf425be", "-o", "x.sh"],
        ["generate", "58362402", "--timeout", "0"],
        ["generate", "58362402", "--timeout", "soon"],
        ["generate", "58362402", "--timeout", "nan"],
        ["generate", "58362402", "-o", "x.sh", "--output-dir", "here"],
        ["generate", "58362402", "--snapshot", DEMO, "--task-set", ""],
        ["generate", "58362402", "--snapshot", DEMO, "--dashboard="],
        ["collect", "58362402", "--snapshot", DEMO, "--results", ""],
        ["show", "58362402", "--", "--priority", "high"],
    ],
)
def test_wrong_usage_exits_2(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_wrong_usage_is_said_in_a_line_that_names_the_help(run: Run) -> None:
    result = run("show", "58362402", "--nonsense")

    assert result.stderr == (
        "error: No such option: --nonsense. Try `olmix-evalscript show --help`.\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "58362402", "--snapshot", DEMO, "-o", LONG_NAME],
        ["collect", "58362402", "--snapshot", DEMO, "-o", LONG_NAME],
        ["collect", "58362402", "--snapshot", DEMO, "--results", f"{LONG_NAME}.results"],
    ],
)
def test_a_path_that_cannot_be_is_an_error(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: cannot ")


def test_several_task_sets_add_up(run: Run) -> None:
    result = run(
        *("generate", "58362402", "--snapshot", DEMO, "-o", "-"),
        *("--task-set", "olmo3-offline", "--task-set", "offline-bpb"),
    )  # fmt: skip

    assert {*OLMO3_OFFLINE_TASKS, *OFFLINE_BPB_TASKS} <= set(result.stdout.replace("'", "").split())


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["generate", "5836240"], 2),
        (["show", "5836240"], 2),
        (["generate", "58362402", "-t", "a;b"], 2),
        (["generate", "58362402", "--task-set", "olmo4"], 2),
        (["collect", "58362402", "--task-set", "olmo4"], 2),
        (["tasks", "olmo4"], 2),
        (["generate", "58362402", "-t", "olmo3-offline"], 2),
        (["generate", "58362402", "--model-backend", "tgi"], 2),
        (["generate", "58362402", "--dashboard", "a b"], 2),
        (["generate", "58362402", "--eval-cluster", "a;b"], 2),
        (["generate", "58362402", "--checkpoint-root", "/tmp/x"], 2),
        (["generate", "58362402", "--", "--help"], 2),
        (["generate", "58362402", "--config", "missing.yaml"], 1),
        (["generate", "58362402", "--snapshot", "missing.yaml"], 1),
    ],
)
def test_what_cannot_be_meant_or_read_is_refused_before_beaker_is_asked(
    run: Run, beaker_of: Serve, arguments: list[str], status: int
) -> None:
    beaker = beaker_of(FakeBeaker(variants(1)))

    result = run(*arguments)

    assert result.returncode == status
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) <= 2
    assert sum(beaker.calls.values()) == 0


def test_a_run_name_in_place_of_its_group_is_understood(run: Run) -> None:
    result = run("generate", "verify-tokens-140m-58362402-0003", "--snapshot", DEMO)

    assert result.returncode == 2
    assert "is not a group ID: did you mean 58362402?" in result.stderr


def test_a_snapshot_of_another_group_names_that_group(run: Run) -> None:
    result = run("generate", "6cf425be", "--snapshot", DEMO)

    assert result.returncode == 1
    assert "it holds group 58362402" in result.stderr


def test_only_evaluations_are_said_to_be_no_swarm(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(evaluations(3)))

    result = run("generate", "58362402")

    assert result.returncode == 1
    assert "3 experiments carry the ID 58362402, but none trains a run" in result.stderr


def test_flags_beat_the_config_and_the_config_beats_the_defaults(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / "c.yaml").write_text(
        "eval_tasks: [piqa]\neval_cluster: h100\neval_model_backend: hf\n"
    )

    script = run(
        "generate", "58362402", "--snapshot", DEMO, "-o", "-", "--config", "c.yaml",
        "--eval-cluster", "80g",
    ).stdout  # fmt: skip

    assert settings(script, "TASKS") == ["piqa"]
    assert settings(script, "CLUSTER") == ["80g"]
    assert settings(script, "MODEL_BACKEND") == ["hf"]


def test_tasks_by_flag_replace_those_of_the_config(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / "c.yaml").write_text("eval_tasks: [piqa]\n")

    script = run(
        "generate", "58362402", "--snapshot", DEMO, "-o", "-", "--config", "c.yaml", "-t", "lambada"
    ).stdout

    assert settings(script, "TASKS") == ["lambada"]


def test_a_set_and_tasks_are_added_up(run: Run) -> None:
    script = run(
        "generate", "58362402", "--snapshot", DEMO, "-o", "-", "--task-set", "offline-bpb",
        "-t", "lambada",
    ).stdout  # fmt: skip

    assert len(settings(script, "TASKS")) == 17


def test_the_defaults_are_106_tasks_on_aus_by_olmo_core(run: Run) -> None:
    script = run("generate", "58362402", "--snapshot", DEMO, "-o", "-").stdout

    assert len(settings(script, "TASKS")) == 106
    assert settings(script, "CLUSTER") == ["aus"]
    assert settings(script, "MODEL_BACKEND") == ["olmo_core"]
    assert settings(script, "DASHBOARD") == ["olmix-58362402"]


def test_the_script_knows_with_which_options_collect_expects_the_same_tasks(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "work" / "c.yaml").write_text("eval_cluster: h100\n")
    options = ["--config", "c.yaml", "--task-set", "offline-bpb", "--task", "lambada"]

    script = run("generate", "58362402", "--snapshot", DEMO, "-o", "-", *options).stdout

    assert settings(script, "COLLECT_OPTIONS") == options


def test_an_inloop_block_in_the_config_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / "c.yaml").write_text(
        "eval_cluster: h100\neval: {type: inloop, tasks: {math: {gsm8k: x}}}\n"
    )

    result = run("generate", "58362402", "--snapshot", DEMO, "-o", "-", "--config", "c.yaml")

    assert "ignored its inloop eval block, which is about training" in result.stderr
    assert len(settings(result.stdout, "TASKS")) == 106


def test_an_unknown_task_is_let_through_with_a_suggestion(run: Run) -> None:
    result = run("generate", "58362402", "--snapshot", DEMO, "-o", "-", "-t", "arc_easy:rc::olmes")

    assert "did you mean arc_easy:rc::olmes:full?" in result.stderr
    assert settings(result.stdout, "TASKS") == ["arc_easy:rc::olmes"]


def test_unknown_tasks_are_let_through_with_a_warning(run: Run) -> None:
    result = run(
        "generate", "58362402", "--snapshot", DEMO, "-o", "-", "-t", "zebra", "-t", "quagga"
    )

    assert "warning: unknown tasks, used as written: zebra, quagga" in result.stderr
    assert settings(result.stdout, "TASKS") == ["zebra", "quagga"]


@pytest.mark.parametrize(
    ("cluster", "hint"),
    [("foo", "; passed on unchanged"), ("jupiter", ": did you mean ai2/jupiter")],
)
def test_an_unknown_cluster_is_let_through_with_a_warning(
    run: Run, cluster: str, hint: str
) -> None:
    result = run("generate", "58362402", "--snapshot", DEMO, "-o", "-", "--eval-cluster", cluster)

    assert f"warning: unknown cluster {cluster}{hint}" in result.stderr
    assert f"# - unknown cluster {cluster}{hint}" in result.stdout
    assert settings(result.stdout, "CLUSTER") == [cluster]


def test_what_stands_after_two_dashes_goes_to_the_cookbook(run: Run) -> None:
    script = run(
        "generate", "58362402", "--snapshot", DEMO, "-o", "-", "--", "--priority", "high", "-g"
    ).stdout

    assert settings(script, "EXTRA_ARGS") == ["--priority", "high", "-g"]


def test_arguments_that_are_not_after_two_dashes_are_said_to_belong_there(run: Run) -> None:
    hint = "Options of olmo-cookbook-eval go after --."

    of_generate, of_show = (run(c, "58362402", "--priority", "high") for c in ("generate", "show"))

    assert of_generate.returncode == 2
    assert hint in " ".join(of_generate.stderr.replace("│", " ").split())
    assert "after --" not in of_show.stderr


def test_strict_takes_a_doubt_for_an_error(run: Run, tmp_path: Path) -> None:
    fixture = str(FIXTURES / "olmix-relaunched-with-gaps.yaml")

    result = run("generate", "e6f1a2b3", "--snapshot", fixture, "--strict")

    assert result.returncode == 1
    assert "no experiment was found for variants 3-4" in result.stderr
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("command", ["generate", "collect"])
def test_strict_takes_an_unknown_task_for_an_error(run: Run, tmp_path: Path, command: str) -> None:
    result = run(command, "58362402", "--snapshot", DEMO, "-t", "arc_eazy", "--strict")

    assert result.returncode == 1
    assert "unknown task arc_eazy: did you mean arc_easy:rc::olmes:full?" in result.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_a_status_leaves_the_others_out(run: Run) -> None:
    fixture = str(FIXTURES / "olmix-relaunched-with-gaps.yaml")

    result = run("generate", "e6f1a2b3", "--snapshot", fixture, "--status", "succeeded", "-o", "-")

    assert result.stdout.count("\n  variant ") == 3
    assert "1 variant of another status" in result.stderr


def test_a_status_that_no_variant_has_is_an_error(run: Run) -> None:
    result = run("generate", "58362402", "--snapshot", DEMO, "--status", "failed")

    assert result.returncode == 1
    assert "none of the 8 variants of 58362402 is failed (8 succeeded)" in result.stderr


def test_quiet_tells_nothing_where_nothing_is_wrong(run: Run) -> None:
    assert run("generate", "58362402", "--snapshot", DEMO, "-q").stderr == ""


def test_quiet_may_stand_before_the_command(run: Run) -> None:
    assert run("-q", "generate", "58362402", "--snapshot", DEMO).stderr == ""


def test_an_edited_script_is_replaced_only_by_force(run: Run, tmp_path: Path) -> None:
    run("generate", "58362402", "--snapshot", DEMO)
    path = tmp_path / "work" / SCRIPT
    written = path.read_text()
    path.write_text(f"{written}# by hand\n")

    refused = run("generate", "58362402", "--snapshot", DEMO)
    kept = path.read_text()
    forced = run("generate", "58362402", "--snapshot", DEMO, "--force")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{SCRIPT} was edited" in refused.stderr
    assert "# by hand" in kept
    assert (forced.returncode, path.read_text()) == (0, written)


def test_a_file_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "work" / "output").write_text("a file")

    result = run("generate", "58362402", "--snapshot", DEMO)

    assert result.returncode == 1
    assert "cannot write" in result.stderr


def test_a_full_disk_behind_stdout_is_no_traceback(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ["olmix-evalscript", "generate", "58362402", "--snapshot", DEMO, "-o", "-", "-q"],
            cwd=tmp_path,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "error: cannot write to stdout: No space left on device\n"


def test_a_wrong_source_date_is_named(run: Run) -> None:
    result = run("generate", "58362402", "--snapshot", DEMO, SOURCE_DATE_EPOCH="today")

    assert result.returncode == 1
    assert "SOURCE_DATE_EPOCH is 'today'" in result.stderr


def test_tasks_prints_the_names_of_a_set(run: Run) -> None:
    assert len(run("tasks", "offline-bpb").stdout.splitlines()) == 16


def test_tasks_lists_the_sets_with_their_sizes(run: Run) -> None:
    assert "olmo3-offline: 106 tasks" in run("tasks").stdout


def test_show_as_data_has_each_variant_and_its_directory(run: Run) -> None:
    data = json.loads(run("show", "58362402", "--snapshot", DEMO, "--json").stdout)

    assert [variant["number"] for variant in data["variants"]] == list(range(8))
    first = data["variants"][0]
    assert first["checkpoint_dir"] == (
        "s3://ai2-llm/checkpoints/kylel/verify-tokens-140m-58362402-0000"
    )
    assert first["experiments"][0]["url"].startswith("https://beaker.org/ex/01J")


def test_show_elsewhere_is_tab_separated_with_a_line_for_each_variant(run: Run) -> None:
    heads, *rows = run("show", "58362402", "--snapshot", DEMO).stdout.splitlines()

    assert heads.split("\t")[:3] == ["variant", "run name", "status"]
    assert [row.split("\t")[1] for row in rows] == [
        f"verify-tokens-140m-58362402-{number:04d}" for number in range(8)
    ]


def test_mixtures_elsewhere_are_tab_separated_in_full_precision(run: Run) -> None:
    lines = run("show", "58362402", "--snapshot", DEMO, "--mixtures").stdout.splitlines()

    assert lines[0].split("\t") == ["variant", "run name", "arxiv", "dclm:adult_content", "wiki"]
    assert lines[1] == "0\tverify-tokens-140m-58362402-0000\t0.6229\t0.1189\t0.2582"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [("0.7229,", "sum to 1.1"), ("0.6229+,", "cannot be read")],
)
def test_mixtures_that_are_none_are_not_drawn(
    run: Run, tmp_path: Path, wrong: str, problem: str
) -> None:
    snapshot = tmp_path / "wrong.yaml"
    snapshot.write_text(Path(DEMO).read_text().replace("0.6229,", wrong))

    result = run("show", "58362402", "--snapshot", str(snapshot), "--mixtures")

    assert (result.returncode, result.stdout) == (1, "")
    assert "variant 0" in result.stderr
    assert problem in result.stderr


def test_mixtures_cannot_be_combined_with_json(run: Run) -> None:
    result = run("show", "58362402", "--snapshot", DEMO, "--mixtures", "--json")

    assert result.returncode == 2
    assert "--mixtures" in result.stderr


@pytest.mark.parametrize(
    ("fixture", "group_id", "note"),
    [
        ("olmix-relaunched-with-gaps", "e6f1a2b3", "launched 2 times"),
        ("regmixer-lost-to-tmp", "1f2e3d4c", "checkpoints lost (saved to the node's /tmp)"),
    ],
)
def test_show_notes_what_is_odd(run: Run, fixture: str, group_id: str, note: str) -> None:
    result = run("show", group_id, "--snapshot", str(FIXTURES / f"{fixture}.yaml"))

    assert note in result.stdout


def test_hostile_names_cannot_move_the_terminals_cursor(run: Run, beaker_of: Serve) -> None:
    evil = FakeWorkload("58362402-\x1b[2J\x07", spec(["echo", "olmix/launch/train.py", "train"]))
    beaker_of(FakeBeaker([*variants(1), evil]))

    result = run("show", "58362402")

    assert "\x1b" not in result.stdout + result.stderr
    assert "\x07" not in result.stdout + result.stderr


def recent(workloads: list[FakeWorkload], days: float) -> list[FakeWorkload]:
    """The same workloads, launched that many days ago."""
    for workload in workloads:
        workload.created = datetime.now(timezone.utc) - timedelta(days=days)
    return workloads


def test_list_has_the_callers_swarms_newest_first(run: Run, beaker_of: Serve) -> None:
    theirs = recent(variants(2, "11111111"), 1)
    for workload in theirs:
        workload.author = "mayeec"
    beaker_of(
        FakeBeaker(
            [
                *recent(variants(3, "22222222", "old"), 9),
                *recent(variants(2, "33333333", "new"), 2),
                *recent(variants(2, "44444444"), 40),
                *recent(evaluations(60, "22222222"), 1),
                *theirs,
            ],
        )
    )

    data = json.loads(run("list", "--json").stdout)

    assert [(swarm["group_id"], swarm["name"], swarm["variants"]) for swarm in data] == [
        ("33333333", "new", {"succeeded": 2}),
        ("22222222", "old", {"succeeded": 3}),
    ]


def test_list_counts_a_relaunched_variant_once(run: Run, beaker_of: Serve) -> None:
    first, again = recent([*variants(1), *variants(1)], 3)
    first.status, again.name = "failed", f"{again.name}-3f9c"
    beaker_of(FakeBeaker([first, again]))

    (swarm,) = json.loads(run("list", "--json").stdout)

    assert swarm["variants"] == {"succeeded": 1}


def test_list_tells_whether_a_script_is_here(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(recent(variants(1), 1)))
    run("generate", "58362402")

    (swarm,) = json.loads(run("list", "--json").stdout)

    assert swarm["script"] == str(SCRIPT)


def test_list_counts_each_workload_of_several_pages_once(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(recent(variants(120), 1)))

    (swarm,) = json.loads(run("list", "--json").stdout)

    assert swarm["variants"] == {"succeeded": 120}


def test_list_reads_specs_where_the_listing_has_no_commands(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(recent(variants(3), 1), lists_commands=False))

    (swarm,) = json.loads(run("list", "--json").stdout)

    assert swarm["variants"] == {"succeeded": 3}


def test_list_of_a_workspace_has_everybodys_swarms(run: Run, beaker_of: Serve) -> None:
    theirs = recent(variants(1), 1)
    theirs[0].author = "mayeec"
    beaker_of(FakeBeaker(theirs))

    result = run("list", "-w", "ai2/oe-data")

    assert "58362402" in result.stdout


def test_an_empty_list_says_where_else_to_look(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(recent(evaluations(1), 1)))

    result = run("list")

    assert (result.returncode, result.stdout) == (0, "")
    assert "--since" in result.stderr


def test_verbose_shows_each_call_and_its_time(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(1)))

    assert re.search(r"^ListWorkloads: \d+ ms$", run("generate", "58362402", "-v").stderr, re.M)


def on_a_terminal(
    arguments: list[str],
    cwd: Path,
    environment: dict[str, str],
    meanwhile: Callable[[subprocess.Popen[bytes]], None] = lambda process: None,
) -> str:
    """What the command shows on a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["olmix-evalscript", *arguments], cwd=cwd, env=environment, stdout=slave, stderr=slave
    )
    os.close(slave)
    meanwhile(process)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    process.wait(timeout=30)
    os.close(master)
    return shown.decode()


def lines_of(shown: str) -> list[str]:
    """The lines of what a terminal shows, without colours and links."""
    return re.sub(r"\x1b\]8;.*?\x1b\\|\x1b\[[0-9;]*m", "", shown).splitlines()


def test_show_on_a_terminal_says_once_what_all_variants_share(
    environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = ["show", "58362402", "--snapshot", DEMO]

    shown = on_a_terminal(arguments, tmp_path, {**environment, "TERM": "xterm"})

    assert "  checkpoint root: s3://ai2-llm/checkpoints/kylel" in lines_of(shown)
    assert shown.count("ai2/neptune-cirrascale") == 1


@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_table_on_a_terminal_fits_its_width(
    environment: dict[str, str], tmp_path: Path, fixture: Path
) -> None:
    group_id = re.search(r"group_id: '?(\w+)", fixture.read_text())
    assert group_id is not None
    terminal = {**environment, "TERM": "xterm", "COLUMNS": "80"}

    arguments = ["show", group_id[1], "--snapshot", str(fixture), "-q"]
    shown = [
        line
        for line in lines_of(on_a_terminal(arguments, tmp_path, terminal))
        if not line.startswith("warning: ")
    ]

    assert max(map(len, shown)) <= 80
    assert any(re.match(r"\d+ variants?: ", line) for line in shown)


def test_mixtures_on_a_terminal_are_shades(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["show", "58362402", "--snapshot", DEMO, "--mixtures", "-q"]

    shown = on_a_terminal(arguments, tmp_path, {**environment, "TERM": "xterm", "NO_COLOR": "1"})

    assert lines_of(shown)[:2] == [
        "#    A      B      C",
        "0   62██   12▒▒   26▓▓",
    ]


def test_list_fits_a_terminal(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    swarms = [
        *recent(variants(2, "11111111", "a-name-of-a-swarm-that-is-rather-long"), 2),
        *recent(variants(1, "22222222"), 1),
    ]
    swarms[0].status = "failed"
    beaker_of(FakeBeaker(swarms))

    shown = on_a_terminal(["list"], tmp_path, {**environment, "TERM": "xterm"})

    lines = lines_of(shown.rpartition("\x1b[2K")[2])
    assert max(map(len, lines)) <= 80
    assert lines[-2:] == ["2 swarms", "3 variants: 2 succeeded, 1 failed"]


def test_a_slow_search_shows_its_progress_on_a_terminal(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    beaker_of(FakeBeaker(variants(60), lists_commands=False, latency=0.2))

    shown = on_a_terminal(["generate", "58362402"], tmp_path, {**environment, "TERM": "xterm"})

    assert "60 experiments" in shown


def test_an_interrupt_leaves_no_bar_and_shows_the_cursor(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(60), lists_commands=False))
    beaker.hooks["GetExperimentYamlSpec"] = lambda request: beaker.closing.wait(LONG) and None

    def interrupt(process: subprocess.Popen[bytes]) -> None:
        until(lambda: beaker.calls["GetExperimentYamlSpec"])
        process.send_signal(signal.SIGINT)

    terminal = {**environment, "TERM": "xterm"}
    shown = on_a_terminal(["generate", "58362402"], tmp_path, terminal, interrupt)

    assert shown.endswith("\r\x1b[2K\x1b[?25h")


def test_a_slow_search_tells_a_line_elsewhere(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(60), lists_commands=False, latency=0.5))

    assert re.search(
        r"^Asking Beaker: \d+ experiments found$", run("generate", "58362402").stderr, re.M
    )


def test_several_groups_share_one_bar_on_a_terminal(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    swarms = [*variants(2), *variants(2, "6cf425be")]
    beaker_of(FakeBeaker(swarms, lists_commands=False, latency=0.2))

    shown = on_a_terminal(
        ["generate", "58362402", "6cf425be"], tmp_path, {**environment, "TERM": "xterm"}
    )

    assert "2 of 2 groups done" in shown
    assert "olmix-6cf425be.sh" in shown


@pytest.mark.parametrize(("flags", "says"), [([], True), (["-q"], False), (["-o", "-"], False)])
def test_what_to_do_next_is_said_at_a_terminal(
    environment: dict[str, str], tmp_path: Path, flags: list[str], says: bool
) -> None:
    arguments = ["generate", "58362402", "--snapshot", DEMO, *flags]

    shown = on_a_terminal(arguments, tmp_path, {**environment, "TERM": "xterm"})

    assert (f"bash {SCRIPT} --list" in shown) is says


def test_what_to_do_next_is_said_nowhere_else(run: Run) -> None:
    assert "--list" not in run("generate", "58362402", "--snapshot", DEMO).stderr


ASSUMED = "Looking only in ai2/oe-data (OLMIX_EVALSCRIPT_WORKSPACE)"


@pytest.mark.parametrize("command", ["generate", "show", "snapshot", "list"])
def test_the_environment_may_name_the_workspace(run: Run, beaker_of: Serve, command: str) -> None:
    here, elsewhere = recent([*variants(1), *variants(2)[1:]], 1)
    elsewhere.workspace = "ai2/other"
    beaker_of(FakeBeaker([here, elsewhere]))
    words = [command] if command == "list" else [command, "58362402"]

    result = run(*words, OLMIX_EVALSCRIPT_WORKSPACE="ai2/oe-data")

    assert result.returncode == 0
    assert ASSUMED in result.stderr
    assert "2 variants" not in result.stderr


def test_an_option_beats_the_environment(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(1)))

    result = run("show", "58362402", "-w", "ai2/oe-data", OLMIX_EVALSCRIPT_WORKSPACE="ai2/nowhere")

    assert result.returncode == 0
    assert "Looking only" not in result.stderr


def test_a_wrong_workspace_in_the_environment_is_named(run: Run) -> None:
    result = run("show", "58362402", OLMIX_EVALSCRIPT_WORKSPACE="oe-data")

    assert result.returncode == 2
    assert "OLMIX_EVALSCRIPT_WORKSPACE" in result.stderr


def test_a_snapshot_goes_with_a_workspace_in_the_environment(run: Run) -> None:
    result = run("show", "58362402", "--snapshot", DEMO, OLMIX_EVALSCRIPT_WORKSPACE="ai2/oe-data")

    assert result.returncode == 0
    assert "Looking only" not in result.stderr


def test_a_scan_is_suggested_of_beakers_default_workspace(
    run: Run, beaker_of: Serve, environment: dict[str, str]
) -> None:
    beaker_of(FakeBeaker([]))
    with Path(environment["BEAKER_CONFIG"]).open("a") as config:
        config.write("default_workspace: ai2/mine\n")

    assert "try again with `--scan -w ai2/mine --since 30d`" in run("collect", "58362402").stderr


def test_a_narrowed_search_that_finds_nothing_says_what_narrowed_it(
    run: Run, beaker_of: Serve
) -> None:
    beaker_of(FakeBeaker(variants(1, "6cf425be")))

    result = run("show", "58362402", "-w", "ai2/oe-data", "--since", "1d")

    assert (
        "no experiment on Beaker carries the ID 58362402 (searched with --workspace, --since)"
    ) in result.stderr
    assert "try again with `--scan`" in result.stderr


def test_colour_is_for_terminals_that_want_it(environment: dict[str, str], tmp_path: Path) -> None:
    arguments = ["generate", "0", "--snapshot", DEMO]

    colour = on_a_terminal(arguments, tmp_path, {**environment, "TERM": "xterm"})
    plain = on_a_terminal(arguments, tmp_path, {**environment, "TERM": "xterm", "NO_COLOR": "1"})

    assert "\x1b[" in colour
    assert "\x1b[" not in plain


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("olmix-evalscript ge", "generate"),
        ("olmix-evalscript tasks o", "offline-bpb"),
        ("olmix-evalscript generate --task-set o", "olmo3-offline"),
        ("olmix-evalscript generate --model-b", "--model-backend"),
        ("olmix-evalscript show --status suc", "succeeded"),
        ("olmix-evalscript generate -t arc_e", "arc_easy:rc::olmes:full"),
        ("olmix-evalscript generate --eval-cluster aus8", "aus80g"),
        ("olmix-evalscript generate --eval-cluster ai2/jup", "ai2/jupiter-cirrascale-2"),
    ],
)
def test_the_shell_completes(environment: dict[str, str], words: str, expected: str) -> None:
    done = subprocess.run(
        ["olmix-evalscript"],
        env={
            **environment,
            "_OLMIX_EVALSCRIPT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert expected in done.stdout.split()


def test_a_swarm_of_a_thousand_comes_out_of_a_snapshot(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(1024)))
    run("snapshot", "58362402", "-o", "s.yaml")

    result = run("generate", "58362402", "--snapshot", "s.yaml", "-o", "-")

    assert result.stdout.count("\n  variant ") == 1024
