"""Messages, progress and data in; text on the terminal out. Nothing else in the package prints."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

import typer

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import STATUSES
from olmix_evalscript.report import Report
from olmix_evalscript.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress

    from olmix_evalscript.tables import Table

FIRST_LINE = 1.0  # seconds until progress is said where no line can move
NEXT_LINE = 10.0  # seconds between two such lines
#: Colours of the statuses in a table; those on their way are cyan, and so are shades.
COLOURS = {"succeeded": "green", "ok": "green", "failed": "red", "canceled": "yellow"}
CLEARED = "\r\x1b[2K\x1b[?25h"  # the line erased, the cursor shown
COLOURED = rf"\b(?:ok|{'|'.join(STATUSES)})\b|[░▒▓█]+"


@dataclass(frozen=True)
class Bar:
    """Progress that can be seen."""

    status: Callable[[str], None]  # what is being done
    step: Callable[[], None]  # one of the steps is over


@dataclass
class Console:
    """Data goes to stdout, all else to stderr."""

    verbose: bool = False
    quiet: bool = False
    _bar: Bar | None = field(default=None, init=False)
    _progress: Progress | None = field(default=None, init=False)  # what shows the bar
    _has_moved: bool = field(default=False, init=False)  # whether there was a bar

    def data(self, text: str) -> None:
        """Print what was asked for, as it is, in UTF-8.

        Raises:
            InvalidInputError: As `writing_to_stdout`.
        """
        with self._without_bar(), writing_to_stdout():
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()

    @property
    def is_terminal(self) -> bool:
        """Whether data go to a person's screen."""
        return sys.stdout.isatty()

    @property
    def width(self) -> int:
        """The characters of a line of the terminal."""
        from rich.console import Console as RichConsole

        return RichConsole().width

    def table(self, table: Table) -> None:
        """Print a table on a terminal, a line for each row, whatever its width."""
        from rich.console import Console as RichConsole
        from rich.style import Style
        from rich.text import Text

        from olmix_evalscript.tables import GAP, fitted

        def coloured(text: str) -> Text:
            line = Text(visible(text))
            line.highlight_regex(COLOURED, lambda word: COLOURS.get(word, "cyan"))
            return line

        rich = RichConsole(highlight=False)
        table = fitted(table, rich.width)
        heads = Text(style="bold")
        rows = [Text() for _ in table.columns[0].cells]
        for column in table.columns:
            width = 0 if column is table.columns[-1] else column.width + GAP
            heads.append(visible(column.head).ljust(width))
            for number, row in enumerate(rows):
                cell = column.cells[number]
                text = coloured(cell) if column.is_coloured else Text(visible(cell))
                if column.urls:
                    text.stylize(Style(link=visible(column.urls[number])))
                row.append_text(text).append(" " * (width - len(cell)))
        above = [Text(visible(line)) for line in table.above]
        below = [coloured(line) for line in table.below]
        if len(rows) > rich.height:
            below.insert(0, heads)  # the first ones are out of sight
        with rich.capture() as capture:
            for line in (*above, heads, *rows, *below):
                rich.print(line, no_wrap=True, overflow="ellipsis")
        self.data(capture.get())

    def note(self, text: str) -> None:
        """Say what was done; not with --quiet."""
        if not self.quiet:
            self._message("", None, text)

    def hint(self, *lines: str) -> None:
        """Say what to do next, to somebody at a terminal; not with --quiet."""
        if sys.stderr.isatty():
            for line in lines:
                self.note(line)

    def warn(self, text: str) -> None:
        """Say what to look into."""
        self._message("warning: ", "yellow", text)

    def error(self, error: Exception) -> None:
        """Say why it could not be done."""
        self._message("error: ", "red", str(error))

    def _message(self, prefix: str, colour: str | None, text: str) -> None:
        if colour and sys.stderr.isatty() and not os.environ.get("NO_COLOR"):
            prefix = typer.style(prefix, fg=colour, bold=True)
        try:
            print(f"{prefix}{visible(text)}", file=sys.stderr, flush=True)
        except OSError:
            _discard(sys.stderr)

    @contextmanager
    def bar(self, total: int | None = None) -> Iterator[Bar]:
        """Show a moving bar meanwhile, on a terminal; a bar within another is the other.

        Args:
            total: How many steps there are; None where nobody knows.
        """
        if self._bar is not None:
            yield self._bar
        elif self.quiet or self.verbose or not sys.stderr.isatty():
            yield Bar(_ignore if self.quiet else self._now_and_then(), _nothing)
        else:
            self._has_moved = True
            with _progress() as progress:
                self._progress = progress
                task = progress.add_task("Asking Beaker", total=total)
                self._bar = Bar(
                    status=lambda text: progress.update(task, description=text),
                    step=lambda: progress.advance(task),
                )
                try:
                    yield self._bar
                finally:
                    self._bar = self._progress = None

    @contextmanager
    def _without_bar(self) -> Iterator[None]:
        """Take the bar off the screen meanwhile."""
        if self._progress is None or not self.is_terminal:
            yield
            return
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    @contextmanager
    def report(self) -> Iterator[Report]:
        """Show what a slow step does meanwhile."""
        with self.bar() as bar:
            yield Report(status=bar.status, detail=self.note if self.verbose else _ignore)

    def clear(self) -> None:
        """Take the bar off the screen for good, whatever its own threads and locks are at."""
        if not self._has_moved:
            return
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
    """Open the streams that whoever started this process closed, and let them show any text.

    Otherwise the next file opened would get the number of one, and with it what is meant for
    that stream. What is meant for a closed stderr is lost; writing to a closed stdout fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # the number is free, and the lowest that is: open takes it
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
    """Let what is done meanwhile write to stdout.

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
    """Lose what is left to write, lest Python try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _ignore(text: str) -> None:
    """Say nothing."""


def _nothing() -> None:
    """Do nothing."""


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
