"""Show messages, progress and data; nothing else in the package prints."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from olmix_evalscript.model import Report
from olmix_evalscript.text import printable

if TYPE_CHECKING:
    from rich.text import Text

    from olmix_evalscript.tables import Table

FIRST_LINE = 1.0  # seconds until progress is a line, where no spinner can move
NEXT_LINE = 10.0  # seconds between two such lines
COLOURS = {"succeeded": "green", "failed": "red", "canceled": "yellow"}
COLOURED = rf"(?<![\w-])(?:{'|'.join(COLOURS)})(?![\w-])"  # in no name


@dataclass
class Console:
    """Data goes to stdout, everything else to stderr."""

    verbose: bool = False
    quiet: bool = False

    def data(self, text: str) -> None:
        """Print the result, as it is, in UTF-8."""
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()

    def table(self, table: Table[Any]) -> None:
        """Print a table: on a terminal a line for each row, which loses the ends of its longest
        cells if it is too long; tab-separated text elsewhere."""
        if not sys.stdout.isatty():
            self.data(table.tab_separated())
            return
        from rich.console import Console as RichConsole
        from rich.console import Group
        from rich.table import Table as RichTable

        columns = [c for c in table.columns if c.head and any(map(c.cell_of, table.rows))]
        grid = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for column in columns:
            grid.add_column(_line(column.head))
        for row in table.rows:
            grid.add_row(*(_line(column.cell_of(row)) for column in columns))
        rich = RichConsole(highlight=False)
        with rich.capture() as capture:
            rich.print(Group(*map(_line, table.above), grid, *map(_line, table.below)))
        self.data(capture.get())

    def note(self, text: str) -> None:
        """Say what was done; not with --quiet."""
        if not self.quiet:
            self._message("", None, text)

    def warn(self, text: str) -> None:
        """Say what a reader should look into."""
        self._message("warning: ", "yellow", text)

    def error(self, error: object) -> None:
        """Say why the command failed."""
        self._message("error: ", "red", str(error))

    def _message(self, prefix: str, colour: str | None, text: str) -> None:
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            prefix = typer.style(prefix, fg=colour, bold=True)
        print(f"{prefix}{printable(text)}\n", end="", file=sys.stderr, flush=True)

    @contextmanager
    def report(self) -> Iterator[Report]:
        """Show what a slow step does: on a terminal beside a spinner, elsewhere now and then."""
        detail = self.note if self.verbose else lambda text: None
        if self.quiet or self.verbose or not sys.stderr.isatty():
            yield Report(self._now_and_then(), detail)
            return
        from rich.console import Console as RichConsole

        with RichConsole(stderr=True).status("Asking Beaker") as status:
            yield Report(lambda text: status.update(_line(text)), detail)

    def _now_and_then(self) -> Callable[[str], None]:
        next_line = time.monotonic() + FIRST_LINE

        def status(text: str) -> None:
            nonlocal next_line
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + NEXT_LINE
                self.note(text)

        return status


def open_streams() -> None:
    """Drop what goes to a standard stream that is closed, and let the others show any text."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _line(text: str) -> Text:
    """A line that a terminal cuts instead of wrapping it, with its statuses in colour."""
    from rich.text import Text

    line = Text(printable(text), no_wrap=True, overflow="ellipsis")
    line.highlight_regex(COLOURED, COLOURS.__getitem__)
    return line
