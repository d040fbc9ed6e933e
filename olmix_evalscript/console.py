"""Show messages, progress and data; nothing else in the package prints."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import typer

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import STATUSES
from olmix_evalscript.report import Report
from olmix_evalscript.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.text import Text

    from olmix_evalscript.tables import Table

FIRST_LINE = 1.0  # seconds until progress is a line, where no bar can move
NEXT_LINE = 10.0  # seconds between two such lines
#: Colours of the statuses in a table; other statuses and shades are cyan.
COLOURS = {"succeeded": "green", "ok": "green", "failed": "red", "canceled": "yellow"}
COLOURED = rf"\b(?:ok|{'|'.join(STATUSES)})\b|[░▒▓█]+"
CLEARED = "\r\x1b[2K\x1b[?25h"  # the line erased, the cursor shown


@dataclass
class Console:
    """Data goes to stdout, everything else to stderr."""

    verbose: bool = False
    quiet: bool = False
    _report: Report | None = field(default=None, init=False)  # that of the bar on the screen
    _progress: Progress | None = field(default=None, init=False)  # the bar on the screen
    _had_bar: bool = field(default=False, init=False)

    def data(self, text: str) -> None:
        """Print the result, as it is, in UTF-8.

        Raises:
            InvalidInputError: As `writing_to_stdout`.
        """
        with self._without_bar(), writing_to_stdout():
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()

    def table(self, table: Table[Any]) -> None:
        """Print a table: a line for each row on a terminal, tab-separated text elsewhere."""
        if not sys.stdout.isatty():
            self.data(table.tab_separated())
            return
        from rich.console import Console as RichConsole
        from rich.table import Table as RichTable
        from rich.text import Text

        rich = RichConsole(highlight=False)
        layout = table.fitted(rich.width)
        rows = list(zip(*(column.cells for column in layout.columns), strict=True))
        grid = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        grid.show_footer = len(rows) > rich.height  # the heads are out of sight
        for column in layout.columns:
            head = Text(visible(column.head), "bold")
            grid.add_column(head, head, no_wrap=True)
        for number, row in enumerate(rows):
            texts = []
            for column, cell in zip(layout.columns, row, strict=True):
                text = _coloured(cell) if column.is_coloured else Text(visible(cell))
                if column.urls:
                    text.stylize(f"link {visible(column.urls[number])}")
                texts.append(text)
            grid.add_row(*texts)
        with rich.capture() as capture:
            for line in layout.above:
                rich.print(Text(visible(line)), no_wrap=True, overflow="ellipsis")
            rich.print(grid)
            for line in layout.below:
                rich.print(_coloured(line), no_wrap=True, overflow="ellipsis")
        self.data(capture.get())

    def note(self, text: str) -> None:
        """Say what was done; not with --quiet."""
        if not self.quiet:
            self._message("", None, text)

    def hint(self, *lines: str) -> None:
        """Say what to do next, to a person at a terminal; not with --quiet."""
        if sys.stderr.isatty():
            for line in lines:
                self.note(line)

    def warn(self, text: str) -> None:
        """Say what a reader should look into."""
        self._message("warning: ", "yellow", text)

    def error(self, error: Exception) -> None:
        """Say why the command failed."""
        self._message("error: ", "red", str(error))

    def _message(self, prefix: str, colour: str | None, text: str) -> None:
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            prefix = typer.style(prefix, fg=colour, bold=True)
        try:
            print(f"{prefix}{visible(text)}\n", end="", file=sys.stderr, flush=True)
        except OSError:
            _discard(sys.stderr)

    @contextmanager
    def report(self, total: int | None = None) -> Iterator[Report]:
        """Show the progress of a slow step: on a terminal a bar, elsewhere a line now and then.

        A step within another shows its status on the bar of the other.

        Args:
            total: How many steps there are; None if that is not known.
        """
        detail = self.note if self.verbose else _ignore
        if self._report is not None:
            yield self._report
        elif self.quiet or self.verbose or not sys.stderr.isatty():
            yield Report(_ignore if self.quiet else self._now_and_then(), detail)
        else:
            self._had_bar = True
            with _progress() as progress:
                self._progress = progress
                task = progress.add_task("Asking Beaker", total=total)
                self._report = Report(
                    status=lambda text: progress.update(task, description=text),
                    detail=detail,
                    step=lambda: progress.advance(task),
                )
                try:
                    yield self._report
                finally:
                    self._report = self._progress = None

    @contextmanager
    def _without_bar(self) -> Iterator[None]:
        """Take the bar off the screen meanwhile."""
        if self._progress is None or not sys.stdout.isatty():
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def clear(self) -> None:
        """Take the bar off the screen for good, without waiting for its thread."""
        if self._had_bar:
            with suppress(OSError):
                os.write(sys.stderr.fileno(), CLEARED.encode())

    def _now_and_then(self) -> Callable[[str], None]:
        next_line = time.monotonic() + FIRST_LINE

        def status(text: str) -> None:
            nonlocal next_line
            if time.monotonic() >= next_line:
                next_line = time.monotonic() + NEXT_LINE
                self.note(text)

        return status


def open_streams() -> None:
    """Open the standard streams that are closed, and let them show any text.

    Otherwise the next file opened would get the number of a closed stream, and whatever is printed
    to that stream. What is printed to a closed stderr is lost; writing to a closed stdout fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # open takes the lowest free number, which is this one
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def writing_to_stdout() -> Iterator[None]:
    """Turn a failure to write to stdout into an error message.

    Raises:
        InvalidInputError: If stdout cannot be written; a reader that went away is no error.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:
            raise
        _discard(sys.stdout)
        raise InvalidInputError(f"cannot write to stdout: {error.strerror}") from None


def _discard(stream: TextIO) -> None:
    """Drop what is still to be written: Python would try again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _ignore(text: str) -> None:
    """Say nothing."""


def _coloured(text: str) -> Text:
    from rich.text import Text

    line = Text(visible(text))
    line.highlight_regex(COLOURED, lambda word: COLOURS.get(word, "cyan"))
    return line


def _progress() -> Progress:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=RichConsole(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
