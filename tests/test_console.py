"""The console: what goes to which stream, and what a terminal shows."""

from __future__ import annotations

import os
import pty
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from olmix_evalscript.console import Console
from olmix_evalscript.errors import InvalidInputError
from tests.conftest import FIXTURES


def lines(shown: str) -> list[str]:
    """The lines that are left on a terminal that got this text."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown.rpartition("\x1b[2K")[2])
    return [line.rstrip() for line in text.splitlines()]


def at_a_terminal(
    code: str,
    cwd: Path,
    environment: Mapping[str, str] = {},
    *,
    meanwhile: Callable[[int], None] = lambda process: None,
    status: int = 0,
) -> str:
    """What a terminal of 80 columns gets of Python code, which ends with this status."""
    code = "from olmix_evalscript.console import Console\n" + textwrap.dedent(code)
    environment = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", **environment}
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(cwd)
            os.execve(sys.executable, [sys.executable, "-c", code], environment)
        finally:
            os._exit(127)
    meanwhile(pid)
    shown = b""
    try:
        while more := os.read(terminal, 65536):
            shown += more
    except OSError:
        pass  # how Linux says that nobody has the terminal open any more
    os.close(terminal)
    _, ended = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(ended) == status, shown
    return shown.decode()


def test_a_spinner_is_gone_when_the_step_is_done(tmp_path: Path) -> None:
    shown = at_a_terminal(
        """
        console = Console()
        with console.report() as report:
            report.status("Asking Beaker: 3 found")
        console.note("found 3")
        console.data("one.sh\\n")
        """,
        tmp_path,
    )

    assert "Asking Beaker: 3 found" in shown
    assert lines(shown) == ["found 3", "one.sh"]


TABLE = """
    from olmix_evalscript.tables import Column, Table
    rows = (
        ("a-rather-long-succeeded-0001", "succeeded"),
        ("\\x1b[2Jfailed-0002", "failed"),
    )
    columns = (
        Column("run_name", lambda row: row[0], head="run name"),
        Column("status", lambda row: row[1], head="status"),
        Column("user", lambda row: "kylel"),
    )
    Console().table(Table(columns, rows, ["user: kylel"], ["1 succeeded, 1 failed"]))
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a terminal gets of a table."""
    return at_a_terminal(TABLE, tmp_path_factory.mktemp("table"))


def test_a_table_has_a_line_for_each_row_and_only_the_columns_with_heads(table: str) -> None:
    assert lines(table) == [
        "user: kylel",
        "run name                      status",
        "a-rather-long-succeeded-0001  succeeded",
        "?[2Jfailed-0002               failed",
        "1 succeeded, 1 failed",
    ]


def test_the_longest_cells_lose_their_ends_where_the_terminal_is_narrow(tmp_path: Path) -> None:
    shown = at_a_terminal(TABLE, tmp_path, {"COLUMNS": "24"})

    assert lines(shown)[2:] == [
        "a-rather-lon…  succeeded",
        "?[2Jfailed-0…  failed",
        "1 succeeded, 1 failed",
    ]


def test_statuses_are_coloured_and_names_are_not(table: str) -> None:
    assert table.count("\x1b[32msucceeded\x1b[0m") == 2
    assert table.count("\x1b[31mfailed\x1b[0m") == 2


def test_no_color_takes_the_colours(tmp_path: Path) -> None:
    shown = at_a_terminal(TABLE, tmp_path, {"NO_COLOR": "1"})

    assert not re.search(r"\x1b\[3\dm", shown)


def test_a_dumb_terminal_gets_text_alone(tmp_path: Path) -> None:
    assert "\x1b" not in at_a_terminal(TABLE, tmp_path, {"TERM": "dumb"})


def test_every_swarm_is_a_line_a_variant_at_80_columns(tmp_path: Path) -> None:
    shown = at_a_terminal(
        f"""
        from pathlib import Path
        import yaml
        from olmix_evalscript.mixtures import mixtures
        from olmix_evalscript.snapshot import load
        from olmix_evalscript.swarm import build_swarm
        from olmix_evalscript.tables import SWARM_COLUMNS, Table, mixture_table, variant_table
        swarms, lines = [], 0
        for path in Path({str(FIXTURES)!r}).glob("*.yaml"):
            group_id = yaml.safe_load(path.read_text())["group_id"]
            swarms.append(build_swarm(group_id, load(path, group_id)))
        tables = [variant_table(swarm) for swarm in swarms]
        tables += [mixture_table(swarm, mixtures(swarm)) for swarm in swarms]
        tables.append(Table(SWARM_COLUMNS, swarms))
        for table in tables:
            Console().table(table)
            lines += len(table.rows) + 1 + len(table.above) + len(table.below)
        print(lines)
        """,
        tmp_path,
    )

    *printed, count = lines(shown)
    assert len(printed) == int(count)
    assert max(map(len, printed)) <= 80


def test_notes_and_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    console.note("found")
    console.warn("odd")
    console.error(InvalidInputError("bad"))

    assert capsys.readouterr() == ("", "found\nwarning: odd\nerror: bad\n")


def test_quiet_leaves_out_notes_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)

    console.note("found")
    console.warn("odd")

    assert capsys.readouterr().err == "warning: odd\n"


def test_data_are_printed_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Console().data("a\tb \x1b[1m ü\n")

    assert capfdbinary.readouterr().out == "a\tb \x1b[1m ü\n".encode()


def test_a_message_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    Console().warn("a\x1b[2J\rb\nc")

    assert capsys.readouterr().err == "warning: a?[2J?b?c\n"


@pytest.mark.parametrize(("quiet", "said"), [(False, "at 2.0\nat 13.0\n"), (True, "")])
def test_without_a_spinner_progress_is_a_line_now_and_then_unless_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quiet: bool, said: str
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Console(quiet=quiet).report() as report:
        for now[0] in (0.5, 2.0, 3.0, 13.0):
            report.status(f"at {now[0]}")

    assert capsys.readouterr().err == said
