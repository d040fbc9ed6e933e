"""Streams that are closed, full or of another encoding, and Ctrl-C while the command starts."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FIXTURES
from tests.desk import LONG, until

DEMO = str(FIXTURES / "58362402.yaml")
GENERATE = f"generate 58362402 --snapshot '{DEMO}'"
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> Shell:
    """Run `olmix-evalscript` with the rest of a bash command line."""

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


def test_no_note_gets_into_a_file_when_stderr_is_closed(shell: Shell, tmp_path: Path) -> None:
    done = shell(f"{GENERATE} -o script.sh <&- 2>&-")

    assert done.returncode == 0
    assert (tmp_path / "script.sh").read_text() == shell(f"{GENERATE} -o -").stdout


@pytest.mark.parametrize("words", ["--help", f"{GENERATE} -o -"])
def test_a_result_that_cannot_be_written_is_an_error(shell: Shell, words: str) -> None:
    done = shell(f"{words} >/dev/full")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: cannot write to stdout: No space left on device"
    )
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(shell: Shell) -> None:
    assert shell(f"{GENERATE} -q -o - | true").stderr == ""


@pytest.mark.parametrize(
    ("words", "status"), [("tasks --nope", 2), ("show 58362402 --snapshot missing.yaml", 1)]
)
def test_the_exit_status_holds_even_if_stderr_is_closed(
    shell: Shell, words: str, status: int
) -> None:
    assert shell(f"{words} 2>&-").returncode == status


def test_an_argument_that_is_not_utf_8_is_wrong_usage(shell: Shell) -> None:
    done = shell("tasks $'\\xff'")

    assert done.returncode == 2
    assert done.stderr == "error: the argument '\\udcff' has a character that cannot be printed\n"


def test_a_path_is_printed_in_utf_8_under_any_encoding(shell: Shell, tmp_path: Path) -> None:
    done = shell(f"{GENERATE} -q -o schlüssel.sh", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stdout) == (0, "schlüssel.sh\n")


def test_help_can_be_read_in_ascii(shell: Shell) -> None:
    done = shell("generate --help", PYTHONIOENCODING="ascii")

    assert done.returncode == 0
    assert "--dashboard" in done.stdout


@pytest.mark.parametrize("module", ["typer", "shlex"])
def test_ctrl_c_while_modules_load_ends_silently(
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
