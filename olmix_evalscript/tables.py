"""Lay out what is known of swarms: on a terminal, as tab-separated text and as JSON.

A table is one list of columns, which gives all three forms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from string import ascii_uppercase
from typing import Any, Generic, TypeVar

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.mixtures import Mixtures
from olmix_evalscript.model import EvaluationJob, Experiment, Swarm, Variant
from olmix_evalscript.text import counted, visible

GAP = 2  # blanks between columns
LEAST = 12  # characters that are left of a cell when it is cut
#: Shades of a weight, and the per cent from which each holds.
SHADES = ((40, "█"), (15, "▓"), (5, "▒"), (0, "░"))
SCALE = "░ below 5 %, ▒ from 5 %, ▓ from 15 %, █ from 40 %"

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """Something that is known of each row."""

    field: str  # its name for programs; empty: not for them
    head: str  # its name on a terminal; empty: not shown there
    value: Callable[[Row], Any]  # as in JSON
    text: Callable[[Row], str] | None = None  # in tab-separated text, where the value is no text
    cell: Callable[[Row], str] | None = None  # on a terminal, where that is another text
    url: Callable[[Row], str] | None = None  # what a cell links to on a terminal
    is_key: bool = False  # shown on a terminal even if all cells are the same
    is_coloured: bool = False  # holds statuses or shades, which are never cut

    def text_of(self, row: Row) -> str:
        """Its cell in tab-separated text."""
        return self.text(row) if self.text else _as_text(self.value(row))


@dataclass(frozen=True)
class Cells:
    """A column as a terminal shows it."""

    head: str
    cells: tuple[str, ...]  # one for each row
    urls: tuple[str, ...] = ()  # what each cell links to; empty if nothing
    is_key: bool = False
    is_coloured: bool = False

    @property
    def width(self) -> int:
        """The characters of its widest cell or its head."""
        return max(map(len, (self.head, *self.cells)))


@dataclass(frozen=True)
class Layout:
    """A table as a terminal shows it."""

    columns: tuple[Cells, ...]
    above: tuple[str, ...] = ()  # lines
    below: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table(Generic[Row]):
    """Rows of a kind; the columns that matter most come first."""

    noun: str  # what a row is, such as "variant"
    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    below: tuple[str, ...] = ()  # lines, such as totals

    def data(self) -> list[dict[str, Any]]:
        """The rows as JSON has them; docs/formats.md is the schema."""
        return [{c.field: c.value(row) for c in self.columns if c.field} for row in self.rows]

    def tab_separated(self) -> str:
        """The rows as text for other programs: a line each, heads first, a tab between cells."""
        columns = [column for column in self.columns if column.field]
        lines = [[column.field for column in columns]]
        lines += ([column.text_of(row) for column in columns] for row in self.rows)
        return "".join("\t".join(map(visible, line)) + "\n" for line in lines)

    def fitted(self, width: int) -> Layout:
        """The table as it fits a terminal.

        Columns whose cells are all the same become a line above the table. If the others are too
        wide, "succeeded" becomes "ok", long text loses its middle, and the last columns go, in this
        order; a line below names the columns that went.

        Args:
            width: The characters of a line.
        """
        columns = [_cells(column, self.rows) for column in self.columns if column.head]
        shared = [c for c in columns if not c.is_key and len(set(c.cells)) == 1]
        columns = [column for column in columns if column not in shared]
        above = [f"  {column.head}: {column.cells[0]}" for column in shared if column.cells[0]]
        if above:
            above = [f"All {self.noun}s:", *above, ""]
        if _width(columns) > width:
            columns = [_abbreviated(column) for column in columns]
        hidden: list[str] = []
        while len(columns) > 1 and _width(columns, LEAST) > width:
            hidden.insert(0, columns.pop().head)
        longest = max(column.width for column in columns)
        limit = next((n for n in range(longest, LEAST, -1) if _width(columns, n) <= width), LEAST)
        note = (f"Not shown at this width: {', '.join(map(str.strip, hidden))}",) if hidden else ()
        cut = tuple(_cut(column, limit) for column in columns)
        return Layout(cut, tuple(above), (*self.below, *note))


def _cells(column: Column[Row], rows: Sequence[Row]) -> Cells:
    cells = [(column.cell or column.text_of)(row) for row in rows]
    if all(isinstance(column.value(row), int) for row in rows):
        widest = max(map(len, cells), default=0)
        cells = [cell.rjust(widest) for cell in cells]
    urls = tuple(map(column.url, rows)) if column.url else ()
    return Cells(column.head, tuple(cells), urls, column.is_key, column.is_coloured)


def _width(columns: Sequence[Cells], limit: int | None = None) -> int:
    """How wide columns are if all that may be cut is cut to a limit."""
    widths = (
        column.width if limit is None or column.is_coloured else min(column.width, limit)
        for column in columns
    )
    return sum(widths) + GAP * (len(columns) - 1)


def _abbreviated(column: Cells) -> Cells:
    if not column.is_coloured:
        return column
    return replace(column, cells=tuple(cell.replace("succeeded", "ok") for cell in column.cells))


def _cut(column: Cells, limit: int) -> Cells:
    if column.is_coloured or column.width <= limit:
        return column
    start = (limit - 1) // 2
    end = limit - 1 - start
    cells = (c if len(c) <= limit else f"{c[:start]}…{c[-end:]}" for c in column.cells)
    return replace(column, cells=tuple(cells))


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return in_words(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


# --- variants -----------------------------------------------------------------------------


def variant_table(swarm: Swarm) -> Table[Variant]:
    """The variants; on a terminal, each run name links to the experiment that counts."""
    return Table("variant", VARIANT_COLUMNS, swarm.variants, _totals([swarm]))


def swarm_data(swarm: Swarm) -> dict[str, Any]:
    """A swarm as JSON has it; docs/formats.md is the schema."""
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "variants": variant_table(swarm).data(),
        "warnings": list(swarm.warnings),
        "unreadable": list(swarm.unreadable),
    }


def _sources(variant: Variant) -> list[dict[str, Any]] | None:
    try:
        return [asdict(source) for source in variant.run.sources]
    except TrainerCommandError:
        return None


def _notes(variant: Variant) -> list[str]:
    launches = len(variant.experiments)
    return [*variant.notes, *([f"launched {launches} times"] if launches > 1 else [])]


def _experiment(experiment: Experiment) -> dict[str, Any]:
    fields = ("id", "name", "url", "author", "workspace", "status")
    data = {field: getattr(experiment, field) for field in fields}
    return {**data, "created": experiment.created.isoformat()}


NUMBER = Column[Variant]("number", "#", lambda v: v.number, is_key=True)
RUN_NAME = Column[Variant](
    "run_name", "run name", lambda v: v.run_name, url=lambda v: v.experiments[0].url, is_key=True
)
VARIANT_COLUMNS: tuple[Column[Variant], ...] = (
    NUMBER,
    RUN_NAME,
    Column("status", "status", lambda v: v.status, is_key=True, is_coloured=True),
    Column(
        "evaluations",
        "evaluations",
        lambda v: [{"step": job.step, **_experiment(job.experiment)} for job in v.evaluations],
        text=lambda v: in_words(count_by_status(v.evaluations)),
        is_coloured=True,
    ),
    Column("user", "user", lambda v: v.run.user),
    Column("cluster", "cluster", lambda v: v.run.cluster),
    Column(
        "checkpoint_dir",
        "checkpoint root",
        lambda v: v.checkpoint_dir,
        cell=lambda v: v.checkpoint_root,
    ),
    Column("trainer", "trainer", lambda v: v.run.trainer),
    Column("is_lost", "", lambda v: v.is_lost),
    Column("notes", "", _notes, text=lambda v: "; ".join(_notes(v))),
    Column(
        "experiments",
        "",
        lambda v: [_experiment(experiment) for experiment in v.experiments],
        text=lambda v: ", ".join(experiment.url for experiment in v.experiments),
    ),
    Column(
        "sources",
        "",
        _sources,
        text=lambda v: ", ".join(f"{s['name']} {s['ratio']}" for s in _sources(v) or ()),
    ),
)


# --- swarms -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A swarm in the list."""

    swarm: Swarm
    script: str | None  # the path of its script, if there is one

    def each(self, value: Callable[[Variant], object]) -> list[str]:
        """The different values of its variants, sorted."""
        return sorted({str(value(variant)) for variant in self.swarm.variants})


def swarm_table(listed: Sequence[Listed]) -> Table[Listed]:
    """The swarms on Beaker."""
    below = (counted(len(listed), "swarm"), *_totals([each.swarm for each in listed]))
    return Table("swarm", SWARM_COLUMNS, listed, below)


def _created(listed: Listed) -> str | None:
    return listed.swarm.created.isoformat() if listed.swarm.created else None


def _statuses(listed: Listed) -> dict[str, int]:
    return _counts(variant.status for variant in listed.swarm.variants)


def _variants(listed: Listed) -> str:
    counts = _statuses(listed)
    if listed.swarm.unreadable:
        counts["unreadable"] = len(listed.swarm.unreadable)
    return in_words(counts)


SWARM_COLUMNS: tuple[Column[Listed], ...] = (
    Column("group_id", "group", lambda x: x.swarm.group_id, is_key=True),
    Column("name", "swarm", lambda x: x.swarm.name, is_key=True),
    Column("created", "created", _created, cell=lambda x: (_created(x) or "")[:10], is_key=True),
    Column("variants", "variants", _statuses, cell=_variants, is_key=True, is_coloured=True),
    Column("unreadable", "", lambda x: len(x.swarm.unreadable)),
    Column(
        "evaluations",
        "evaluations",
        lambda x: count_by_status(job for v in x.swarm.variants for job in v.evaluations),
        is_coloured=True,
    ),
    Column("users", "user", lambda x: x.each(lambda v: v.run.user)),
    Column("script", "script", lambda x: x.script, cell=lambda x: "yes" if x.script else ""),
    Column("clusters", "cluster", lambda x: x.each(lambda v: v.run.cluster)),
    Column("trainers", "trainer", lambda x: x.each(lambda v: v.run.trainer)),
)


def _totals(swarms: Sequence[Swarm]) -> tuple[str, ...]:
    """Lines such as ``20 variants: 18 succeeded, 2 failed``."""
    variants = [variant for swarm in swarms for variant in swarm.variants]
    totals = {
        "variant": _counts(variant.status for variant in variants),
        "evaluation": count_by_status(job for v in variants for job in v.evaluations),
    }
    return tuple(
        f"{counted(sum(counts.values()), noun)}: {in_words(counts)}"
        for noun, counts in totals.items()
        if counts
    )


def count_by_status(jobs: Iterable[EvaluationJob]) -> dict[str, int]:
    """How many jobs are in each status; a job that uses several checkpoints counts once."""
    return _counts({job.experiment.id: job.experiment.status for job in jobs}.values())


def _counts(statuses: Iterable[str]) -> dict[str, int]:
    """How often each status is there: successes first, then the most common one."""
    counts = Counter(statuses)
    return dict(sorted(counts.items(), key=lambda item: (item[0] != "succeeded", -item[1])))


def in_words(counts: Mapping[str, int]) -> str:
    """Counts as people write them: ``2 succeeded, 1 failed``."""
    return ", ".join(f"{count} {what}" for what, count in counts.items())


# --- mixtures -----------------------------------------------------------------------------


def mixture_table(swarm: Swarm, mixtures: Mixtures) -> Table[Variant]:
    """Variants by domains, the one that varies most first: weights from 0 to 1, on a terminal in
    per cent and as shades, with a letter for each domain."""
    domains = sorted(mixtures.domains, key=lambda name: (-_span(mixtures, name), name))
    columns = [NUMBER, replace(RUN_NAME, head="")]
    title = f"{counted(len(domains), 'domain')}, the one that varies most first:"
    legend = [SCALE, title] if domains else []
    for name, letter in zip_longest(domains, ascii_uppercase[: len(domains)], fillvalue=" "):
        column = _weight(mixtures, name, letter)
        weights = [column.value(variant) for variant in swarm.variants]
        low, high = per_cent(min(weights)), per_cent(max(weights))
        legend.append(f"{letter:>4}  {low:>3} to {high:>3} %  {name}")
        columns.append(column)
    return Table("variant", columns, swarm.variants, tuple(legend))


def _span(mixtures: Mixtures, domain: str) -> float:
    """How far apart the least and the greatest weight of a domain are."""
    weights = [mixture.get(domain, 0.0) for mixture in mixtures.ratios.values()]
    return max(weights) - min(weights)


def _weight(mixtures: Mixtures, domain: str, letter: str) -> Column[Variant]:
    def weight(variant: Variant) -> float:
        return mixtures.ratios[variant.run_name].get(domain, 0.0)

    head = f"{letter:>3}".rstrip()
    return Column(
        domain,
        head,
        weight,
        cell=lambda variant: _shaded(weight(variant)),
        is_key=True,
        is_coloured=True,
    )


def _shaded(weight: float) -> str:
    """A weight as ``" 62██"``; blank if it is nothing."""
    if weight == 0:
        return " " * 5
    return f"{per_cent(weight):>3}{2 * next(s for limit, s in SHADES if 100 * weight >= limit)}"


def per_cent(weight: float) -> str:
    """A weight from 0 to 1 in per cent; ``<1`` for a little."""
    return "<1" if 0 < weight < 0.01 else f"{100 * weight:.0f}"
