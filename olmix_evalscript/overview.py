"""Swarms in, what people and programs are shown of them out: plain data, tables and rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.mixtures import Mixtures
from olmix_evalscript.model import EvaluationJob, Experiment, Swarm, Variant
from olmix_evalscript.tables import GAP, Column, Table
from olmix_evalscript.text import counted

#: Shades of a weight, and the per cent from which each holds.
SHADES = ((40, "█"), (15, "▓"), (5, "▒"), (0, "░"))

# --- plain data ---------------------------------------------------------------------------


def swarm_data(swarm: Swarm) -> dict[str, Any]:
    """A swarm as data; docs/json.md is its schema."""
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "variants": [_variant_data(variant) for variant in swarm.variants],
        "warnings": list(swarm.warnings),
        "unreadable": list(swarm.unreadable),
    }


def _variant_data(variant: Variant) -> dict[str, Any]:
    launches = len(variant.experiments)
    return {
        "number": variant.number,
        "run_name": variant.run_name,
        "trainer": variant.run.trainer,
        "status": variant.status,
        "user": variant.run.user,
        "cluster": variant.run.cluster,
        "checkpoint_dir": variant.checkpoint_dir,
        "is_lost": variant.is_lost,
        "sources": _sources_data(variant),
        "notes": [*variant.notes, *([f"launched {launches} times"] if launches > 1 else [])],
        "experiments": [_experiment_data(experiment) for experiment in variant.experiments],
        "evaluations": [
            {"step": job.step, **_experiment_data(job.experiment)} for job in variant.evaluations
        ],
    }


def _sources_data(variant: Variant) -> list[dict[str, Any]] | None:
    try:
        sources = variant.run.sources
    except TrainerCommandError:
        return None
    return [
        {
            "name": source.name,
            "ratio": source.ratio,
            "repetition": source.repetition,
            "paths": list(source.paths),
        }
        for source in sources
    ]


def _experiment_data(experiment: Experiment) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "name": experiment.name,
        "url": experiment.url,
        "author": experiment.author,
        "workspace": experiment.workspace,
        "created": experiment.created.isoformat(),
        "status": experiment.status,
    }


def summary_data(swarm: Swarm, script: str | None) -> dict[str, Any]:
    """A line of the list as data; docs/json.md is its schema."""
    runs = [variant.run for variant in swarm.variants]
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "trainers": sorted({run.trainer for run in runs}),
        "variants": _counts(variant.status for variant in swarm.variants),
        "unreadable": len(swarm.unreadable),
        "evaluations": count_by_status(job for v in swarm.variants for job in v.evaluations),
        "users": sorted({str(run.user) for run in runs}),
        "clusters": sorted({str(run.cluster) for run in runs}),
        "created": swarm.created.isoformat() if swarm.created else None,
        "script": script,
    }


# --- variants and swarms ------------------------------------------------------------------


def variant_table(swarm: Swarm) -> Table:
    """The variants, for a terminal: each run name links to the experiment that counts."""
    variants = swarm.variants

    return Table(
        "variant",
        (
            _column("#", _numbers(variants), is_key=True),
            _column("run name", (v.run_name for v in variants), urls=_urls(variants), is_key=True),
            _column("status", (v.status for v in variants), is_key=True, is_coloured=True),
            _column(
                "evaluations",
                (in_words(count_by_status(v.evaluations)) for v in variants),
                is_coloured=True,
            ),
            _column("user", (str(v.run.user) for v in variants)),
            _column("cluster", (str(v.run.cluster) for v in variants)),
            _column("checkpoint root", (v.checkpoint_root for v in variants)),
            _column("trainer", (v.run.trainer for v in variants)),
        ),
        below=_totals([summary_data(swarm, None)]),
    )


def _column(head: str, cells: Iterable[str], **more: Any) -> Column:
    return Column(head, tuple(cells), **more)


def variant_rows(swarm: Swarm) -> list[Sequence[object]]:
    """The variants, for other programs; names of the columns first."""
    heads = (
        *("variant", "run name", "status", "evaluations", "user", "cluster", "checkpoints"),
        *("trainer", "experiment", "notes"),
    )
    return [
        heads,
        *(
            (
                v["number"],
                v["run_name"],
                v["status"],
                in_words(count_by_status(variant.evaluations)),
                v["user"],
                v["cluster"],
                v["checkpoint_dir"],
                v["trainer"],
                v["experiments"][0]["url"],
                "; ".join(v["notes"]),
            )
            for variant, v in zip(swarm.variants, swarm_data(swarm)["variants"], strict=True)
        ),
    ]


def _numbers(variants: Sequence[Variant]) -> tuple[str, ...]:
    width = max((len(str(variant.number)) for variant in variants), default=0)
    return tuple(f"{variant.number:>{width}}" for variant in variants)


def _urls(variants: Sequence[Variant]) -> tuple[str, ...]:
    return tuple(variant.experiments[0].url for variant in variants)


def swarm_table(summaries: Sequence[Mapping[str, Any]]) -> Table:
    """Swarms, as `summary_data` has them, for a terminal."""
    return Table(
        "swarm",
        (
            _column("group", (s["group_id"] for s in summaries), is_key=True),
            _column("swarm", (s["name"] for s in summaries), is_key=True),
            _column("created", (_day(s) for s in summaries), is_key=True),
            _column("variants", map(_variants, summaries), is_key=True, is_coloured=True),
            _column(
                "evaluations", (in_words(s["evaluations"]) for s in summaries), is_coloured=True
            ),
            _column("user", (", ".join(s["users"]) for s in summaries)),
            _column("script", ("yes" if s["script"] else "" for s in summaries)),
            _column("cluster", (", ".join(s["clusters"]) for s in summaries)),
            _column("trainer", (", ".join(s["trainers"]) for s in summaries)),
        ),
        below=(counted(len(summaries), "swarm"), *_totals(summaries)),
    )


def swarm_rows(summaries: Sequence[Mapping[str, Any]]) -> list[Sequence[object]]:
    """Swarms, as `summary_data` has them, for other programs; names of the columns first."""
    heads = (
        *("group", "swarm", "created", "variants", "unreadable", "evaluations", "user", "script"),
        *("cluster", "trainer"),
    )
    return [
        heads,
        *(
            (
                s["group_id"],
                s["name"],
                _day(s),
                in_words(s["variants"]),
                s["unreadable"],
                in_words(s["evaluations"]),
                ", ".join(s["users"]),
                s["script"] or "",
                ", ".join(s["clusters"]),
                ", ".join(s["trainers"]),
            )
            for s in summaries
        ),
    ]


def _variants(summary: Mapping[str, Any]) -> str:
    unreadable = {"unreadable": summary["unreadable"]} if summary["unreadable"] else {}
    return in_words({**summary["variants"], **unreadable})


def _day(summary: Mapping[str, Any]) -> str:
    return (summary["created"] or "")[:10]


def _totals(summaries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Lines such as ``20 variants: 18 succeeded, 2 failed``."""
    lines = []
    for what in ("variants", "evaluations"):
        statuses = Counter[str]()
        for summary in summaries:
            statuses.update(summary[what])
        if statuses:
            count = counted(statuses.total(), what[:-1])
            lines.append(f"{count}: {in_words(_counts(statuses.elements()))}")
    return tuple(lines)


# --- mixtures -----------------------------------------------------------------------------


def mixture_table(swarm: Swarm, mixtures: Mixtures, width: int) -> Table:
    """Variants by domains, for a terminal: weights in per cent, and as shades.

    Args:
        swarm: The swarm.
        mixtures: Its mixtures.
        width: The characters of a line; domains that do not fit are summed.
    """
    domains = _widest_first(mixtures)
    rows = [mixtures.ratios[variant.run_name] for variant in swarm.variants]
    numbers = Column("#", _numbers(swarm.variants), urls=_urls(swarm.variants), is_key=True)
    room = (width - numbers.width) // (GAP + len(_cell(0)))
    count = len(domains) if len(domains) <= min(room, 26) else max(1, min(room - 1, 26))
    groups = {key: [name] for key, name in zip(ascii_uppercase, domains[:count], strict=False)}
    if rest := domains[count:]:
        groups["rest"] = rest
    columns, legend = [numbers], []
    for key, names in groups.items():
        weights = [sum(row.get(name, 0.0) for name in names) for row in rows]
        cells = tuple(_cell(weight) for weight in weights)
        columns.append(Column(f"{key:>3}", cells, is_key=True, is_coloured=True))
        what = names[0] if key != "rest" else f"the other {counted(len(rest), 'domain')}"
        low, high = per_cent(min(weights)), per_cent(max(weights))
        legend.append(f"{key:>4}  {low:>3} to {high:>3} %  {what}")
    if not domains:
        return Table("variant", tuple(columns))
    (_, least), *others = reversed(SHADES)
    scale = [
        f"{least} below {others[0][0]} %",
        *(f"{shade} from {limit} %" for limit, shade in others),
    ]
    head = f"{counted(len(domains), 'domain')}, the one that varies most first:"
    return Table("variant", tuple(columns), below=(", ".join(scale), head, *legend))


def mixture_rows(swarm: Swarm, mixtures: Mixtures) -> list[Sequence[object]]:
    """Variants by domains, for other programs: weights from 0 to 1 in full precision."""
    domains = _widest_first(mixtures)
    return [
        ("variant", "run name", *domains),
        *(
            (v.number, v.run_name, *(mixtures.ratios[v.run_name].get(d, 0.0) for d in domains))
            for v in swarm.variants
        ),
    ]


def _widest_first(mixtures: Mixtures) -> list[str]:
    """The domains in the order of how far apart their least and greatest weights are."""

    def span(domain: str) -> float:
        weights = [mixture.get(domain, 0.0) for mixture in mixtures.ratios.values()]
        return max(weights) - min(weights)

    return sorted(mixtures.domains, key=lambda domain: (-span(domain), domain))


def _cell(weight: float) -> str:
    """A weight as ``" 62██"``; blank if it is nothing."""
    if weight == 0:
        return " " * 5
    return f"{per_cent(weight):>3}{2 * next(s for limit, s in SHADES if 100 * weight >= limit)}"


def per_cent(weight: float) -> str:
    """A weight from 0 to 1 in per cent; ``<1`` for a little."""
    return "<1" if 0 < weight < 0.01 else f"{100 * weight:.0f}"


# --- words --------------------------------------------------------------------------------


def count_by_status(jobs: Iterable[EvaluationJob]) -> dict[str, int]:
    """How many jobs are in each status; a job that uses several checkpoints counts once."""
    statuses = {job.experiment.id: job.experiment.status for job in jobs}
    return _counts(statuses.values())


def _counts(statuses: Iterable[str]) -> dict[str, int]:
    """How often each status is there: successes first, then the most common one."""
    counts = Counter(statuses)
    return dict(sorted(counts.items(), key=lambda item: (item[0] != "succeeded", -item[1])))


def in_words(counts: Mapping[str, int]) -> str:
    """Counts as people write them: ``2 succeeded, 1 failed``."""
    return ", ".join(f"{count} {what}" for what, count in counts.items())
