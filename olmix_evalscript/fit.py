"""A swarm and its evaluation results in, the files that ``olmix fit`` reads out, and what is
missing."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from olmix_evalscript.config import Priors
from olmix_evalscript.errors import FitError, TrainerCommandError
from olmix_evalscript.model import FINISHED, Swarm, Variant
from olmix_evalscript.results import Results
from olmix_evalscript.tasks import DEFAULT_TASK_SET, Metric, bpb_name, fit_column, task_sets
from olmix_evalscript.text import counted, ranges, shown, variants_named

#: Columns that ``load_from_csv`` (olmix/fit/loaders.py) does not take for data.
NOT_DATA = ("run", "run_id", "name", "index")
#: ``proposer.kl_reg``, the pull towards the priors; its proposer fails without one. This value is
#: that of the example in olmix's docs/cli/fit.md.
KL_REG = 0.1
SAME_TASKS = "Give collect the same --config, --task and --task-set as generate."
FEW = 3  # tasks that a message names
#: How far from 1 it lets a row of ratios sum.
TOLERANCE = 0.01


# --- mixtures -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixtures:
    """What the variants of a swarm were trained on."""

    domains: tuple[str, ...]  # sorted
    ratios: Mapping[str, Mapping[str, float]]  # run name to domain to its share, 0 to 1
    notes: tuple[str, ...] = ()  # what is odd about them

    def domains_of(self, variants: Sequence[Variant]) -> list[str]:
        """The domains that any of these variants was trained on, sorted."""
        mixtures = [self.ratios[variant.run_name] for variant in variants]
        return [name for name in self.domains if any(mixture.get(name) for mixture in mixtures)]

    def csv(self, variants: Sequence[Variant]) -> str:
        """``ratios.csv``: a row for each of these variants, a column for each domain of theirs; 0
        where it has not a domain."""
        domains = self.domains_of(variants)
        return _csv(
            domains,
            ((v, [self.ratios[v.run_name].get(name, 0.0) for name in domains]) for v in variants),
        )


def mixtures(swarm: Swarm) -> Mixtures:
    """The mixture of each variant, from its command.

    Raises:
        FitError: If a source cannot be read, the ratios of a variant do not sum to 1, or olmix
            would not take a domain's column for data.
    """
    ratios: dict[str, dict[str, float]] = {}
    notes = []
    for variant in swarm.variants:
        parts: dict[str, list[float]] = defaultdict(list)
        try:
            for source in variant.run.sources:
                parts[source.name].append(source.ratio)
        except TrainerCommandError as error:
            raise FitError(f"variant {variant.number} ({variant.run_name}): {error}") from None
        mixture = {name: math.fsum(shares) for name, shares in parts.items()}
        total = math.fsum(mixture.values())
        if abs(total - 1) > TOLERANCE:
            raise FitError(
                f"the ratios of variant {variant.number} ({variant.run_name}) sum to {total:g}, "
                f"not to 1 within {TOLERANCE}, so olmix would refuse them"
            )
        twice = [shown(name) for name, shares in parts.items() if len(shares) > 1]
        if twice:
            notes.append(f"variant {variant.number}: several sources of {', '.join(twice)}, summed")
        ratios[variant.run_name] = mixture
    domains = sorted({name for mixture in ratios.values() for name in mixture})
    _check_columns("domain", domains)
    return Mixtures(tuple(domains), ratios, tuple(notes))


# --- metrics ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Collected:
    """What the results have of a swarm."""

    step: int  # of all variants
    metrics: tuple[Metric, ...]  # those with BPB, in the order asked for
    without_bpb: tuple[str, ...]  # tasks left out
    complete: tuple[Variant, ...]  # those with every metric at that step
    lacking: tuple[tuple[Variant, str], ...]  # the others, and what each lacks
    bpb: Mapping[str, Mapping[str, float | None]]  # run name to task to its BPB at that step
    warnings: tuple[str, ...] = ()  # what is odd about the results at that step

    def csv(self) -> str:
        """``metrics.csv``: a row for each complete variant."""
        return _csv(
            [metric.column for metric in self.metrics],
            ((v, [self.bpb[v.run_name][m.task] for m in self.metrics]) for v in self.complete),
        )


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Refuse metrics that olmix could not tell apart.

    Raises:
        FitError: If two share a column or are one task, or olmix would not take one's column for
            data.
    """
    by_column: dict[str, Metric] = {}
    by_task: dict[str, Metric] = {}
    for metric in metrics:
        same = by_task.setdefault(metric.task, metric)
        if same.column != metric.column:
            raise FitError(
                f"{same.column} and {metric.column} are the same task, {metric.task}, which would "
                "count twice in the fit; leave out one of them"
            )
        other = by_column.setdefault(metric.column, metric)
        if other is not metric:
            raise FitError(
                f"the tasks {other.task} and {metric.task} share the column {metric.column} of "
                "metrics.csv; collect one of them"
            )
    _check_columns("task", by_column)


def collect(
    swarm: Swarm,
    results: Results,
    metrics: Sequence[Metric],
    *,
    step: int | None = None,
    exact: bool = False,
) -> Collected:
    """Find which variants have every metric at one step.

    Args:
        swarm: The swarm.
        results: What was found of its runs and the tasks.
        metrics: What is wanted, in the order of the columns.
        step: The step; by default the one that more than half of the variants have results at.
        exact: Refuse to leave out a metric.

    Raises:
        FitError: If no step is that of most variants, the step has no results or such as cannot be
            compared, no metric is left, or olmix could not read those that are.
    """
    check_metrics(metrics)
    warnings: list[str] = []
    if step is None:
        counts = _steps(swarm, results)
        step, last = _common_step(swarm, counts), max(counts)
        if last > step:
            number = counted(counts[last], "variant")
            warnings.append(f"{number} also evaluated at the later step {last}")
    elif not any(step in steps for steps in results.bpb.values()):
        _refuse_step(step, swarm, results)
    if step in results.conflicts:
        raise FitError(results.conflicts[step])
    bpb = {v.run_name: results.bpb.get(v.run_name, {}).get(step, {}) for v in swarm.variants}
    left = [metric for metric in metrics if _may_have_bpb(metric.task, bpb.values())]
    without = tuple(metric.task for metric in metrics if metric not in left)
    if not left or (exact and without):
        raise FitError(f"the results have no bits per byte of {', '.join(without)}")
    _check_mmlu([metric.column for metric in left])
    complete, lacking = [], []
    for variant in swarm.variants:
        missing = [m for m in left if bpb[variant.run_name].get(m.task) is None]
        if missing:
            lacking.append((variant, _lack(missing, left, step, results.steps(variant.run_name))))
        else:
            complete.append(variant)
    warnings += results.warnings.get(step, ())
    return Collected(
        step, tuple(left), without, tuple(complete), tuple(lacking), bpb, tuple(warnings)
    )


def _check_mmlu(columns: Sequence[str]) -> None:
    """Refuse some of MMLU without the rest: ``aggregate_mmlu`` (olmix/fit/utils.py) averages it by
    subject, unless there are averages already."""
    found = [column for column in columns if "mmlu" in column]
    subjects = {fit_column(task) for task in task_sets()[DEFAULT_TASK_SET]["mmlu"]}
    missing = subjects - set(found)
    if found and missing and not any("mmlu_stem" in column for column in found):
        raise FitError(
            f"olmix needs all {len(subjects)} subjects of MMLU or none; {listed(missing)} missing. "
            "Evaluate them too, or leave out MMLU."
        )


def _refuse_step(step: int, swarm: Swarm, results: Results) -> None:
    """Name the steps that there are in place of one without results, if there are any."""
    if counts := _steps(swarm, results):
        (best, _), *_ = counts.most_common(1)
        raise FitError(
            f"no results at step {step}, only at {', '.join(map(str, sorted(counts)))}: leave out "
            f"--step, or use --step {best}"
        )


def _steps(swarm: Swarm, results: Results) -> Counter[int]:
    """How many variants have results at each step."""
    return Counter(step for v in swarm.variants for step in results.steps(v.run_name))


def _common_step(swarm: Swarm, counts: Counter[int]) -> int:
    common = [step for step, count in counts.items() if 2 * count > len(swarm.variants)]
    if len(common) == 1:
        return common[0]
    if not counts:
        raise FitError(
            f"the results of {swarm.group_id} have no bits per byte of these tasks. {SAME_TASKS}"
        )
    found = ", ".join(
        f"{step} ({count} of {len(swarm.variants)} variants)"
        for step, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    )
    problem = "more than one step is" if common else "no step is"
    raise FitError(
        f"{problem} shared by more than half of the variants; there are results at step {found}. "
        "Choose one with --step."
    )


def _may_have_bpb(task: str, found: Iterable[Mapping[str, float | None]]) -> bool:
    """Whether evaluating the missing variants may still give a task's BPB: not if all variants with
    results have the task without one."""
    if bpb_name(task) is None:
        return False
    evaluated = [bpb for bpb in found if bpb]
    return not evaluated or any(task not in bpb or bpb[task] is not None for bpb in evaluated)


def _lack(missing: Sequence[Metric], all_: Sequence[Metric], step: int, steps: list[int]) -> str:
    if not steps:
        return "no results"
    if step not in steps:
        return f"no results at step {step}, only at {', '.join(map(str, steps))}"
    sizes = Counter(metric.family for metric in all_)
    lack = Counter(metric.family for metric in missing)
    each = (f"{family} ({count} of {sizes[family]})" for family, count in lack.items())
    names = f": {', '.join(metric.task for metric in missing)}" if len(missing) <= FEW else ""
    return f"lacks {', '.join(each)}{names}"


def shortfall(collected: Collected) -> list[str]:
    """What the variants lack, a line for each kind of lack."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for variant, lack in collected.lacking:
        numbers[lack].append(variant.number)
    return [f"{variants_named(found)}: {lack}" for lack, found in numbers.items()]


def lacked_by_all(collected: Collected) -> list[str]:
    """The tasks that no variant has results of, as if others had been evaluated."""
    return [
        metric.task
        for metric in collected.metrics
        if all(of_run.get(metric.task) is None for of_run in collected.bpb.values())
    ]


def is_being_evaluated(collected: Collected) -> bool:
    """Whether a job that evaluates a variant without all results has not finished."""
    return any(
        job.experiment.status not in FINISHED for v, _ in collected.lacking for job in v.evaluations
    )


def numbers_to_evaluate(collected: Collected) -> str:
    """The variants that lack results and have a checkpoint, as the script's ``--only`` takes
    them."""
    lacking = (v.number for v, _ in collected.lacking if not v.is_lost)
    return ranges(lacking).replace(" ", "")


# --- fit.yaml -----------------------------------------------------------------------------


def fit_yaml(
    folder: Path, domains: Sequence[str], metrics: Sequence[Metric], priors: Priors
) -> str:
    """``fit.yaml``, as ``FitConfig`` (olmix/fit/config.py) loads it and ``olmix fit`` takes it.

    Args:
        folder: Where ratios.csv and metrics.csv are; absolute, since olmix takes their paths as
            seen from where it is started.
        domains: Those of ratios.csv.
        metrics: Those of metrics.csv.
        priors: Cut down to the domains, as olmix demands; not scaled.

    Raises:
        FitError: If the priors lack a domain.
    """
    sizes, counts = priors.relative_sizes, priors.token_counts
    lacks = (
        ("the priors' relative_sizes lack", set(domains) - set(sizes)),
        ("the priors' token_counts lack", set(domains) - set(counts)),
    )
    if any(names for _, names in lacks):
        unused = ("ratios.csv does not have", set(unused_priors(domains, priors)))
        raise FitError(
            "; ".join(f"{what} {listed(names)}" for what, names in (*lacks, unused) if names)
            + ". Do they belong to another config?"
        )
    families: dict[str, list[str]] = {}
    for metric in metrics:
        families.setdefault(metric.family, []).append(metric.column)
    data = {
        "swarm": {
            "ratios": str(folder / "ratios.csv"),
            "metrics": str(folder / "metrics.csv"),
        },
        "priors": {
            "relative_sizes": {name: sizes[name] for name in domains},
            "token_counts": {name: counts[name] for name in domains},
        },
        "eval": {"type": "offline", "tasks": families},
        "proposer": {"kl_reg": KL_REG},
    }
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)


def unused_priors(domains: Iterable[str], priors: Priors) -> list[str]:
    """The domains of the priors that are not among these."""
    return sorted({*priors.relative_sizes, *priors.token_counts} - set(domains))


# --- both tables --------------------------------------------------------------------------


def _check_columns(what: str, columns: Iterable[str]) -> None:
    for name in columns:
        if name in NOT_DATA or name.startswith("Unnamed") or not name.isprintable():
            raise FitError(f"olmix cannot read a {what} called {shown(name)} from a CSV file")


def _csv(columns: Sequence[str], rows: Iterable[tuple[Variant, Sequence[float | None]]]) -> str:
    """A row for each variant; csv writes a float as repr, so that it reads back as the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", "name", "index", *columns])
    for variant, values in rows:
        writer.writerow([variant.run_name, variant.run_name, variant.number, *values])
    return text.getvalue()


def listed(names: Iterable[str]) -> str:
    """Names for a message, at most ten of them."""
    found = sorted(names)
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return ", ".join(shown(name) for name in found[:10]) + more
