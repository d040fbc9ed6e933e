"""Lay out what is known of swarms: on a terminal, as tab-separated text and as JSON.

A table is one list of columns, which gives all three forms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from string import ascii_uppercase
from typing import Any, Generic, TypeVar

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.mixtures import Mixtures
from olmix_evalscript.model import Experiment, Swarm, Variant
from olmix_evalscript.text import counted, visible

#: Domains that a terminal of 80 columns has room for.
MOST_DOMAINS = 10
#: Shades of a weight, and the per cent from which each holds.
SHADES = ((40, "█"), (15, "▓"), (5, "▒"), (0, "░"))
SCALE = "░ below 5 %, ▒ from 5 %, ▓ from 15 %, █ from 40 %"

Row = TypeVar("Row")


@dataclass(frozen=True)
class Column(Generic[Row]):
    """Something that is known of each row."""

    field: str  # its name for programs
    value: Callable[[Row], Any]  # as in JSON
    text: Callable[[Row], str] | None = None  # elsewhere, where the value is no text
    head: str = ""  # its name on a terminal; empty: not shown there
    cell: Callable[[Row], str] | None = None  # on a terminal, where that is another text
    url: Callable[[Row], str] | None = None  # what a cell links to on a terminal

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
        return "".join("\t".join(map(visible, line)) + "\n" for line in lines)


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _in_words(value)
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


def _in_words(counts: Mapping[str, int]) -> str:
    """Counts as people write them: ``2 succeeded, 1 failed``."""
    return ", ".join(f"{count} {what}" for what, count in counts.items())


# --- variants -----------------------------------------------------------------------------


def variant_table(swarm: Swarm) -> Table[Variant]:
    """The variants; on a terminal, each run name links to the experiment that counts."""
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
            f"{counted(sum(counts.values()), noun)}: {_in_words(counts)}"
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


def _notes(variant: Variant) -> list[str]:
    launches = len(variant.experiments)
    return [*variant.notes, *([f"launched {launches} times"] if launches > 1 else [])]


def _experiment(experiment: Experiment) -> dict[str, Any]:
    fields = ("id", "name", "url", "author", "workspace", "status")
    data = {field: getattr(experiment, field) for field in fields}
    return {**data, "created": experiment.created.isoformat()}


NUMBER = Column[Variant]("number", lambda v: v.number, head="  #", cell=lambda v: f"{v.number:3}")
RUN_NAME = Column[Variant](
    "run_name", lambda v: v.run_name, head="run name", url=lambda v: v.experiments[0].url
)
VARIANT_COLUMNS: tuple[Column[Variant], ...] = (
    NUMBER,
    RUN_NAME,
    Column("status", lambda v: v.status, head="status"),
    Column(
        "evaluations",
        lambda v: [{"step": job.step, **_experiment(job.experiment)} for job in v.evaluations],
        text=lambda v: _in_words(_evaluations([v])),
        head="evaluations",
    ),
    Column("user", lambda v: v.run.user),
    Column("cluster", lambda v: v.run.cluster),
    Column("checkpoint_dir", lambda v: v.checkpoint_dir),
    Column("trainer", lambda v: v.run.trainer),
    Column("is_lost", lambda v: v.is_lost),
    Column("notes", _notes, text=lambda v: "; ".join(_notes(v))),
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


@dataclass(frozen=True)
class Listed:
    """A swarm in the list."""

    swarm: Swarm
    script: str | None  # the path of its script, if there is one

    @property
    def created(self) -> str | None:
        """When its newest experiment was launched, in ISO 8601."""
        return self.swarm.created.isoformat() if self.swarm.created else None

    @property
    def statuses(self) -> dict[str, int]:
        """How many variants are in each status."""
        return _counts(variant.status for variant in self.swarm.variants)


def swarm_table(listed: Sequence[Listed]) -> Table[Listed]:
    """The swarms on Beaker."""
    return Table(SWARM_COLUMNS, listed)


def _variants(listed: Listed) -> str:
    unreadable = len(listed.swarm.unreadable)
    return _short({**listed.statuses, **({"unreadable": unreadable} if unreadable else {})})


def _short(counts: Mapping[str, int]) -> str:
    """Counts for a narrow column: ``2 ok, 1 failed``."""
    return _in_words(counts).replace("succeeded", "ok")


SWARM_COLUMNS: tuple[Column[Listed], ...] = (
    Column("group_id", lambda x: x.swarm.group_id, head="group"),
    Column("name", lambda x: x.swarm.name, head="swarm"),
    Column("created", lambda x: x.created, head="created", cell=lambda x: (x.created or "")[:10]),
    Column("variants", lambda x: x.statuses, head="variants", cell=_variants),
    Column("unreadable", lambda x: len(x.swarm.unreadable)),
    Column(
        "evaluations",
        lambda x: _evaluations(x.swarm.variants),
        head="evaluations",
        cell=lambda x: _short(_evaluations(x.swarm.variants)),
    ),
    Column("users", lambda x: _distinct(x.swarm.variants, lambda v: v.run.user), head="user"),
    Column("script", lambda x: x.script),
    Column("clusters", lambda x: _distinct(x.swarm.variants, lambda v: v.run.cluster)),
    Column("trainers", lambda x: _distinct(x.swarm.variants, lambda v: v.run.trainer)),
)


# --- mixtures -----------------------------------------------------------------------------


def mixture_table(swarm: Swarm, mixtures: Mixtures) -> Table[Variant]:
    """Variants by domains, the one that varies most first: weights from 0 to 1; on a terminal the
    first domains in per cent and as shades, each with a letter, and a legend of all."""
    weights = {
        domain: [mixture.get(domain, 0.0) for mixture in mixtures.ratios.values()]
        for domain in mixtures.domains
    }
    domains = sorted(weights, key=lambda name: (min(weights[name]) - max(weights[name]), name))
    columns = [NUMBER, replace(RUN_NAME, head="")]
    legend = [SCALE, "The domain that varies most comes first:"] if domains else []
    for index, domain in enumerate(domains):
        letter = ascii_uppercase[index] if index < MOST_DOMAINS else ""
        columns.append(_weight_column(mixtures, domain, letter))
        low, high = map(_per_cent, (min(weights[domain]), max(weights[domain])))
        legend.append(f"{letter:>4}  {low:>3} to {high:>3} %  {domain}")
    return Table(columns, swarm.variants, below=legend)


def _weight_column(mixtures: Mixtures, domain: str, letter: str) -> Column[Variant]:
    def weight(variant: Variant) -> float:
        return mixtures.ratios[variant.run_name].get(domain, 0.0)

    return Column(
        domain,
        weight,
        head=f"{letter:>3}".rstrip(),
        cell=lambda variant: _shaded(weight(variant)),
    )


def _shaded(weight: float) -> str:
    """A weight as ``" 62██"``; blank if it is nothing."""
    if weight == 0:
        return ""
    return f"{_per_cent(weight):>3}{2 * next(s for limit, s in SHADES if 100 * weight >= limit)}"


def _per_cent(weight: float) -> str:
    """A weight from 0 to 1 in per cent; ``<1`` for a little."""
    return "<1" if 0 < weight < 0.01 else f"{100 * weight:.0f}"
