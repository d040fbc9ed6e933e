"""Tables in, what of them fits a terminal, or all of them as tab-separated text, out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from olmix_evalscript.text import visible

GAP = 2  # blanks between columns
LEAST = 12  # characters that are left of a cell when it is cut


@dataclass(frozen=True)
class Column:
    """A column of a table for a terminal."""

    head: str
    cells: tuple[str, ...]  # one for each row
    urls: tuple[str, ...] = ()  # what each cell links to; empty if nothing
    is_key: bool = False  # stays, even if all cells are the same
    is_coloured: bool = False  # holds statuses or shades, which are never cut

    @property
    def width(self) -> int:
        """The characters of its widest cell or its head."""
        return max(map(len, (self.head, *self.cells)))


@dataclass(frozen=True)
class Table:
    """What a terminal is to show; the columns that matter most come first."""

    noun: str  # what a row is, such as "variant"
    columns: tuple[Column, ...]
    above: tuple[str, ...] = ()  # lines
    below: tuple[str, ...] = ()


def fitted(table: Table, width: int) -> Table:
    """The table as it fits a terminal.

    Columns whose cells are all the same become a line above the table. If the others are too
    wide, "succeeded" becomes "ok", long text loses its middle, and the last columns go, in this
    order; a line below names the columns that went.

    Args:
        table: All there is to show.
        width: The characters of a line.
    """
    shared = [c for c in table.columns if not c.is_key and len(set(c.cells)) == 1]
    columns = [column for column in table.columns if column not in shared]
    said = [f"  {column.head}: {column.cells[0]}" for column in shared if column.cells[0]]
    if said:
        said = [f"All {table.noun}s:", *said, ""]
    if _width(columns) > width:
        columns = [_abbreviated(column) for column in columns]
    left_out: list[str] = []
    while not columns[-1].is_key and _width(columns, LEAST) > width:
        left_out.insert(0, columns.pop().head)
    longest = max(column.width for column in columns)
    limit = next((n for n in range(longest, LEAST, -1) if _width(columns, n) <= width), LEAST)
    note = (f"Not shown at this width: {', '.join(left_out)}",) if left_out else ()
    return replace(
        table,
        columns=tuple(_cut(column, limit) for column in columns),
        above=(*table.above, *said),
        below=(*table.below, *note),
    )


def _width(columns: Sequence[Column], limit: int | None = None) -> int:
    """How wide columns are if all that may be cut is cut to a limit."""
    widths = (
        column.width if limit is None or column.is_coloured else min(column.width, limit)
        for column in columns
    )
    return sum(widths) + GAP * (len(columns) - 1)


def _abbreviated(column: Column) -> Column:
    if not column.is_coloured:
        return column
    return replace(column, cells=tuple(cell.replace("succeeded", "ok") for cell in column.cells))


def _cut(column: Column, limit: int) -> Column:
    if column.is_coloured or column.width <= limit:
        return column
    start = (limit - 1) // 2
    end = limit - 1 - start
    return replace(
        column,
        cells=tuple(
            cell if len(cell) <= limit else f"{cell[:start]}…{cell[-end:]}" for cell in column.cells
        ),
    )


def tab_separated(rows: Iterable[Sequence[object]]) -> str:
    """Rows as text for other programs: a line each, with a tab between cells."""
    return "".join("\t".join(visible(str(cell)) for cell in row) + "\n" for row in rows)
