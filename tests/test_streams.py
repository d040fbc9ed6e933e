"""Streams that are closed, full or of another encoding, odd arguments, and Ctrl-C at any time."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FIXTURES, Run
from tests.desk import LONG, until

DEMO = str(FIXTURES / "58362402.yaml")
GENERATE = f"generate 58362402 --snapshot '{DEMO}'"
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Shell:
    """Run `olmix-evalscript` with these words of shell behind it."""

    def run(words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", f"olmix-evalscript {words}"],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_no_note_gets_into_a_script_when_stderr_is_closed(shell: Shell) -> None:
    done = shell(f"{GENERATE} -o - 2>&-")

    assert done.returncode == 0
    assert done.stdout.startswith("#!/bin/bash\n")


def test_no_note_gets_into_a_file_when_stderr_is_closed(shell: Shell, tmp_path: Path) -> None:
    done = shell(f"{GENERATE} -o script.sh <&- 2>&-")

    assert done.returncode == 0
    assert (tmp_path / "script.sh").read_text() == shell(f"{GENERATE} -o -").stdout


@pytest.mark.parametrize(
    "words",
    ["--help", "--version", "tasks", f"show 58362402 --snapshot '{DEMO}'", f"{GENERATE} -o -"],
)
@pytest.mark.parametrize(
    ("where", "reason"),
    [(">&-", "Bad file descriptor"), (">/dev/full", "No space left on device")],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_data_that_nobody_gets_are_an_error(
    shell: Shell, words: str, where: str, reason: str, unbuffered: str
) -> None:
    done = shell(f"{words} {where}", PYTHONUNBUFFERED=unbuffered)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"error: cannot write to stdout: {reason}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_a_note_that_nobody_gets_is_no_error(shell: Shell, where: str) -> None:
    assert shell(f"{GENERATE} -o - {where}").returncode == 0


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_an_error_that_nobody_gets_is_one(shell: Shell, where: str) -> None:
    assert shell(f"generate 58362402 --snapshot missing.yaml {where}").returncode == 1


@pytest.mark.parametrize("words", ["generate --nope", "generate no-id", "collect", "nope"])
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full"])
def test_wrong_usage_that_nobody_is_told_of_is_wrong_usage(
    shell: Shell, words: str, where: str
) -> None:
    assert shell(f"{words} {where}").returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        "generate $'\\xff'",
        f"{GENERATE} -o $'\\xff'",
        f"{GENERATE} -- $'\\xff'",
        f"{GENERATE} --dashboard $'\\xff'",
        "$'\\xff'",
    ],
)
def test_an_argument_that_is_not_text_is_wrong_usage(shell: Shell, words: str) -> None:
    done = shell(words)

    assert done.returncode == 2
    assert done.stderr == "error: the argument b'\\xff' is not UTF-8\n"


def test_a_path_is_printed_as_it_is_whatever_the_encoding(shell: Shell, tmp_path: Path) -> None:
    done = shell(f"{GENERATE} -q -o schlüssel.sh", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stdout) == (0, "schlüssel.sh\n")


def test_help_can_be_read_in_ascii(shell: Shell) -> None:
    done = shell("generate --help", PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert "--dashboard" in done.stdout


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1e9d"]
)
def test_a_date_out_of_range_is_wrong_usage(run: Run, since: str) -> None:
    done = run("list", "--since", since)

    assert done.returncode == 2
    assert "is not a date" in done.stderr


@pytest.mark.parametrize("module", ["typer", "shlex"])
def test_ctrl_c_while_modules_load_ends_without_a_word(
    module: str, environment: dict[str, str], tmp_path: Path
) -> None:
    started = tmp_path / "started"
    slow = f"import time\nopen({str(started)!r}, 'w').close()\ntime.sleep(600)\n"
    (tmp_path / f"{module}.py").write_text(slow)
    own = {name: value for name, value in environment.items() if not name.startswith("COV")}
    process = subprocess.Popen(  # coverage would load shlex before the command does
        ["olmix-evalscript", "generate", "--help"],
        env={**own, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    until(started.exists)

    process.send_signal(signal.SIGINT)

    assert process.communicate(timeout=LONG) == (b"", b"")
    assert process.returncode == 130
