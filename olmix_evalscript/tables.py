"""Lay out what is known of swarms: on a terminal, as tab-separated text and as JSON.

A table is one list of columns, which gives all three forms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.mixtures import Mixtures
from olmix_evalscript.model import Experiment, Swarm, Variant
from olmix_evalscript.text import counted, in_words, printable

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """Something that is known of each row."""

    field: str  # its name for programs
    value: Callable[[Row], Any]  # as in JSON
    text: Callable[[Row], str] | None = None  # elsewhere, where the value is no text
    head: str = ""  # its name on a terminal; empty: not shown there
    cell: Callable[[Row], str] | None = None  # on a terminal, where that is another text

    def text_of(self, row: Row) -> str:
        """Its cell in tab-separated text."""
        return self.text(row) if self.text else _as_text(self.value(row))

    def cell_of(self, row: Row) -> str:
        """Its cell on a terminal."""
        return self.cell(row) if self.cell else self.text_of(row)


@dataclass(frozen=True)
class Table(Generic[Row]):
    """Rows of a kind."""

    columns: Sequence[Column[Row]]
    rows: Sequence[Row]
    above: Sequence[str] = ()  # lines that only a terminal shows, such as what all rows share
    below: Sequence[str] = ()  # such as totals

    def data(self) -> list[dict[str, Any]]:
        """The rows as JSON has them; docs/formats.md is the schema."""
        return [{column.field: column.value(row) for column in self.columns} for row in self.rows]

    def tab_separated(self) -> str:
        """The rows as text for other programs: a line each, heads first, a tab between cells."""
        lines = [[column.field for column in self.columns]]
        lines += ([column.text_of(row) for column in self.columns] for row in self.rows)
        return "".join("\t".join(map(printable, line)) + "\n" for line in lines)


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return in_words(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _distinct(variants: Iterable[Variant], value: Callable[[Variant], object]) -> list[str]:
    """The different values of variants, sorted."""
    return sorted({str(value(variant)) for variant in variants})


def _counts(statuses: Iterable[str]) -> dict[str, int]:
    """How often each status is there: successes first, then the most common one."""
    counts = Counter(statuses)
    return dict(sorted(counts.items(), key=lambda item: (item[0] != "succeeded", -item[1])))


def _evaluations(variants: Iterable[Variant]) -> dict[str, int]:
    """How many evaluation jobs are in each status; one of several variants counts once."""
    jobs = [job.experiment for variant in variants for job in variant.evaluations]
    return _counts({experiment.id: experiment.status for experiment in jobs}.values())


# --- variants -----------------------------------------------------------------------------


def variant_table(swarm: Swarm) -> Table[Variant]:
    """The variants; on a terminal, with what they share above and totals below."""
    shared = {
        "user": _distinct(swarm.variants, lambda v: v.run.user),
        "cluster": _distinct(swarm.variants, lambda v: v.run.cluster),
        "trainer": _distinct(swarm.variants, lambda v: v.run.trainer),
        "checkpoint root": _distinct(swarm.variants, lambda v: v.checkpoint_root),
    }
    totals = {
        "variant": _counts(variant.status for variant in swarm.variants),
        "evaluation": _evaluations(swarm.variants),
    }
    return Table(
        VARIANT_COLUMNS,
        swarm.variants,
        above=[f"{what}: {', '.join(values)}" for what, values in shared.items() if values],
        below=[
            f"{counted(sum(counts.values()), noun)}: {in_words(counts)}"
            for noun, counts in totals.items()
            if counts
        ],
    )


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


def _experiment(experiment: Experiment) -> dict[str, Any]:
    fields = ("id", "name", "url", "status")
    data = {field: getattr(experiment, field) for field in fields}
    return {**data, "created": experiment.created.isoformat()}


NUMBER = Column[Variant]("number", lambda v: v.number, head="#")
VARIANT_COLUMNS: tuple[Column[Variant], ...] = (
    NUMBER,
    Column("run_name", lambda v: v.run_name, head="run name"),
    Column("status", lambda v: v.status, head="status"),
    Column(
        "evaluations",
        lambda v: [{"step": job.step, **_experiment(job.experiment)} for job in v.evaluations],
        text=lambda v: in_words(_evaluations([v])),
        head="evaluations",
    ),
    Column("user", lambda v: v.run.user),
    Column("cluster", lambda v: v.run.cluster),
    Column("checkpoint_dir", lambda v: v.checkpoint_dir),
    Column("trainer", lambda v: v.run.trainer),
    Column("is_lost", lambda v: v.is_lost),
    Column("notes", lambda v: list(v.notes), text=lambda v: "; ".join(v.notes)),
    Column(
        "experiments",
        lambda v: [_experiment(experiment) for experiment in v.experiments],
        text=lambda v: ", ".join(experiment.url for experiment in v.experiments),
    ),
    Column(
        "sources",
        _sources,
        text=lambda v: ", ".join(f"{s['name']} {s['ratio']}" for s in _sources(v) or ()),
    ),
)


# --- swarms -------------------------------------------------------------------------------


def _created(swarm: Swarm) -> str | None:
    """When its newest experiment was launched, in ISO 8601."""
    return swarm.created.isoformat() if swarm.created else None


def _statuses(swarm: Swarm) -> dict[str, int]:
    """How many variants are in each status."""
    return _counts(variant.status for variant in swarm.variants)


def _variants(swarm: Swarm) -> str:
    unreadable = {"unreadable": len(swarm.unreadable)} if swarm.unreadable else {}
    return in_words({**_statuses(swarm), **unreadable})


SWARM_COLUMNS: tuple[Column[Swarm], ...] = (
    Column("group_id", lambda s: s.group_id, head="group"),
    Column("name", lambda s: s.name, head="swarm"),
    Column("created", _created, head="created", cell=lambda s: (_created(s) or "")[:10]),
    Column("variants", _statuses, head="variants", cell=_variants),
    Column("unreadable", lambda s: len(s.unreadable)),
    Column("evaluations", lambda s: _evaluations(s.variants), head="evaluations"),
    Column("users", lambda s: _distinct(s.variants, lambda v: v.run.user), head="user"),
    Column("clusters", lambda s: _distinct(s.variants, lambda v: v.run.cluster)),
    Column("trainers", lambda s: _distinct(s.variants, lambda v: v.run.trainer)),
)


# --- mixtures -----------------------------------------------------------------------------


def mixture_table(swarm: Swarm, mixtures: Mixtures) -> Table[Variant]:
    """Variants by domains, with weights from 0 to 1; on a terminal, the domains of each variant in
    one column, the largest first, in per cent."""

    def in_per_cent(variant: Variant) -> str:
        weights = mixtures.ratios[variant.run_name]
        largest = sorted(weights, key=lambda domain: (-weights[domain], domain))
        return ", ".join(f"{domain} {100 * weights[domain]:.3g} %" for domain in largest)

    columns = [
        NUMBER,
        Column("run_name", lambda v: v.run_name, head="mixture", cell=in_per_cent),
        *(_weight_column(mixtures, domain) for domain in mixtures.domains_of(swarm.variants)),
    ]
    return Table(columns, swarm.variants)


def _weight_column(mixtures: Mixtures, domain: str) -> Column[Variant]:
    return Column(domain, lambda variant: mixtures.ratios[variant.run_name].get(domain, 0.0))
