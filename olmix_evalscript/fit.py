"""Find which variants have all results at one step, and write what ``olmix fit`` reads."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript.errors import FitError
from olmix_evalscript.mixtures import check_columns, write_csv
from olmix_evalscript.model import FINISHED, EvaluationJob, Swarm, Variant
from olmix_evalscript.priors import Priors
from olmix_evalscript.results import Results
from olmix_evalscript.tasks import DEFAULT_TASK_SET, Metric, fit_column, task_sets
from olmix_evalscript.text import counted, listed

#: ``proposer.kl_reg``, the pull towards the priors. This value is that of the example in olmix's
#: docs/cli/fit.md.
KL_REG = 0.1
KL_REG_COMMENT = f"""\
# kl_reg was chosen by olmix-evalscript: olmix's exact proposer fails without one. It pulls the
# proposal towards the priors; {KL_REG} is the value of olmix's own example.
"""
SAME_TASKS = "Give collect the same --config, --task and --task-set as generate."
FEW = 3  # tasks that a message names
_CHECKSUM = re.compile(r"\A# Made by olmix-evalscript\. Checksum ([0-9a-f]{16}): .*\n")


@dataclass(frozen=True)
class Coverage:
    """What the results have of one variant at the step that is collected."""

    variant: Variant
    missing: tuple[Metric, ...]  # without a result
    without_bpb: tuple[Metric, ...]  # with a result that has no BPB
    jobs: tuple[EvaluationJob, ...]  # those that evaluate it at the step
    problem: str  # in words; empty if there is none

    @property
    def is_running(self) -> bool:
        """Whether a job that evaluates it has not finished."""
        return any(job.experiment.status not in FINISHED for job in self.jobs)

    @property
    def needs_evaluation(self) -> bool:
        """Whether it has to be evaluated again, and can be."""
        return bool(self.missing) and not self.is_running and not self.variant.is_lost


@dataclass(frozen=True)
class Collected:
    """What the results have of a swarm at one step."""

    step: int
    metrics: tuple[Metric, ...]  # those with BPB, in the order asked for
    without_bpb: tuple[str, ...]  # tasks that are skipped
    coverage: tuple[Coverage, ...]  # of all variants
    bpb: Mapping[str, Mapping[str, float | None]]  # run name to task to its BPB
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> tuple[Variant, ...]:
        """The variants with every metric."""
        return tuple(found.variant for found in self.coverage if not found.problem)

    @property
    def missing_everywhere(self) -> list[str]:
        """The tasks that no variant has results of, as if others had been evaluated."""
        missing = [set(found.missing) for found in self.coverage]
        return [metric.task for metric in self.metrics if all(metric in each for each in missing)]

    def rows(self) -> list[list[float]]:
        """The BPB of each metric for each complete variant."""
        tasks = [metric.task for metric in self.metrics]
        return [[self.bpb[v.run_name][task] or 0.0 for task in tasks] for v in self.complete]

    def csv(self) -> str:
        """``metrics.csv``: a row for each complete variant."""
        columns = [metric.column for metric in self.metrics]
        return write_csv(columns, zip(self.complete, self.rows(), strict=True))


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
                "count twice in the fit; name only one of them"
            )
        other = by_column.setdefault(metric.column, metric)
        if other is not metric:
            raise FitError(
                f"the tasks {other.task} and {metric.task} share the column {metric.column} of "
                "metrics.csv; collect one of them"
            )
    check_columns("task", by_column)


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
        results: Those of its runs and the tasks.
        metrics: What is wanted, in the order of the columns.
        step: The step; by default the one that more than half of the variants have results at.
        exact: Refuse to skip a metric.

    Raises:
        FitError: If no step is that of most variants, the step has no results or such as cannot be
            compared, no metric is left, or olmix could not read those that are.
    """
    check_metrics(metrics)
    warnings: list[str] = []
    counts = Counter(step for v in swarm.variants for step in results.steps(v.run_name))
    if not counts:
        _refuse_other_tasks(swarm, results)
    if step is None:
        step, last = _common_step(swarm, counts), max(counts)
        if last > step:
            number = counted(counts[last], "variant")
            warnings.append(f"{number} also evaluated at the later step {last}")
    elif not any(step in steps for steps in results.bpb.values()):
        (best, _), *_ = counts.most_common(1)
        raise FitError(
            f"no results at step {step}, only at {', '.join(map(str, sorted(counts)))}: omit "
            f"--step, or use --step {best}"
        )
    if step in results.conflicts:
        raise FitError(results.conflicts[step])
    bpb = {v.run_name: results.bpb.get(v.run_name, {}).get(step, {}) for v in swarm.variants}
    left = [
        metric
        for metric in metrics
        if not (metric.task in results.never_bpb or _is_without_bpb(metric.task, bpb.values()))
    ]
    without = tuple(metric.task for metric in metrics if metric not in left)
    if not left or (exact and without):
        raise FitError(
            f"the results have no bits per byte of {', '.join(without)}; skip them with "
            "--without-task"
        )
    _check_mmlu([metric.column for metric in left])
    coverage = [
        _coverage(variant, bpb[variant.run_name], left, step, results.steps(variant.run_name))
        for variant in swarm.variants
    ]
    warnings += results.warnings.get(step, ())
    return Collected(step, tuple(left), without, tuple(coverage), bpb, tuple(warnings))


def _refuse_other_tasks(swarm: Swarm, results: Results) -> None:
    """Say what there is in place of bits per byte of the tasks that are wanted."""
    if any(tasks for steps in results.bpb.values() for tasks in steps.values()):
        raise FitError(
            f"the results of {swarm.group_id} are without bits per byte of these tasks, so a fit "
            "cannot use them"
        )
    raise FitError(
        f"the results of {swarm.group_id} are of other tasks: {listed(results.tasks)}. {SAME_TASKS}"
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
            "Evaluate them too, or collect without MMLU."
        )


def _common_step(swarm: Swarm, counts: Counter[int]) -> int:
    common = [step for step, count in counts.items() if 2 * count > len(swarm.variants)]
    if len(common) == 1:
        return common[0]
    found = ", ".join(
        f"{step} ({count} of {len(swarm.variants)} variants)"
        for step, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    )
    problem = "more than one step is" if common else "no step is"
    raise FitError(
        f"{problem} shared by more than half of the variants; there are results at step {found}. "
        "Choose one with --step."
    )


def _is_without_bpb(task: str, found: Iterable[Mapping[str, float | None]]) -> bool:
    """Whether all variants with results were evaluated on a task without BPB."""
    evaluated = [bpb for bpb in found if bpb]
    return bool(evaluated) and all(task in bpb and bpb[task] is None for bpb in evaluated)


def _coverage(
    variant: Variant,
    bpb: Mapping[str, float | None],
    metrics: Sequence[Metric],
    step: int,
    steps: Sequence[int],
) -> Coverage:
    missing = tuple(metric for metric in metrics if metric.task not in bpb)
    without = tuple(m for m in metrics if m.task in bpb and bpb[m.task] is None)
    problems = []
    if not bpb and steps:
        problems.append(f"no results at step {step}, only at {', '.join(map(str, steps))}")
    elif not bpb:
        problems.append("no results")
    elif missing:
        problems.append(f"missing {_by_family(missing, metrics)}")
    if without:
        problems.append(f"without BPB {_by_family(without, metrics)}")
    jobs = tuple(job for job in variant.evaluations if job.step == step)
    return Coverage(variant, missing, without, jobs, "; ".join(problems))


def _by_family(some: Sequence[Metric], metrics: Sequence[Metric]) -> str:
    sizes = Counter(metric.family for metric in metrics)
    families = Counter(metric.family for metric in some)
    each = ", ".join(f"{family} ({count} of {sizes[family]})" for family, count in families.items())
    return f"{each}: {', '.join(metric.task for metric in some)}" if len(some) <= FEW else each


# --- fit.yaml -----------------------------------------------------------------------------


def fit_yaml(
    folder: Path,
    domains: Sequence[str],
    metrics: Sequence[Metric],
    priors: Priors,
    settings: Mapping[str, Mapping[str, Any]],
) -> str:
    """``fit.yaml``, as ``FitConfig`` (olmix/fit/config.py) loads it and ``olmix fit`` takes it.

    Args:
        folder: Where ratios.csv and metrics.csv are; absolute, since olmix takes their paths as
            seen from where it is started.
        domains: Those of ratios.csv.
        metrics: Those of metrics.csv.
        priors: Cut down to the domains, as olmix demands; not scaled.
        settings: Sections of another fit YAML, as they are there.

    Raises:
        FitError: If the priors lack a domain.
    """
    _check_priors(domains, priors)
    families: dict[str, list[str]] = {}
    for metric in metrics:
        families.setdefault(metric.family, []).append(metric.column)
    proposer = dict(settings.get("proposer", {}))
    chooses_kl_reg = proposer.get("type", "exact") == "exact" and proposer.get("kl_reg") is None
    if chooses_kl_reg:
        proposer["kl_reg"] = KL_REG
    data = {
        "swarm": {
            "ratios": str(folder / "ratios.csv"),
            "metrics": str(folder / "metrics.csv"),
        },
        "priors": {
            "relative_sizes": {name: priors.relative_sizes[name] for name in domains},
            "token_counts": {name: priors.token_counts[name] for name in domains},
        },
        "eval": {"type": "offline", "tasks": families},
        **{name: dict(section) for name, section in settings.items() if name != "proposer"},
    }
    text = _dump(data) + (KL_REG_COMMENT if chooses_kl_reg else "") + _dump({"proposer": proposer})
    return (
        f"# Made by olmix-evalscript. Checksum {_checksum(text)}: collect keeps this file if it "
        f"was edited.\n{text}"
    )


def is_edited(text: str) -> bool:
    """Whether a ``fit.yaml`` is not as it was written."""
    match = _CHECKSUM.match(text)
    return match is None or match[1] != _checksum(text[match.end() :])


def content_hash(texts: Iterable[str]) -> str:
    """A short name for the contents of files. ``olmix fit`` names its folder by its config alone,
    and reuses the regression of an earlier fit that it finds there."""
    return _checksum("\0".join(texts))[:8]


def unused_priors(domains: Iterable[str], priors: Priors) -> list[str]:
    """The domains of the priors that are not among these."""
    return sorted({*priors.relative_sizes, *priors.token_counts} - set(domains))


def _check_priors(domains: Sequence[str], priors: Priors) -> None:
    problems = (
        ("the priors' relative_sizes lack", set(domains) - set(priors.relative_sizes)),
        ("the priors' token_counts lack", set(domains) - set(priors.token_counts)),
    )
    if not any(names for _, names in problems):
        return
    unused = unused_priors(domains, priors)
    renamed = [name for name in unused if re.sub("[ ']", "", name) in set(domains)]
    found = (*problems, ("ratios.csv does not have", set(unused)))
    raise FitError(
        "; ".join(f"{what} {listed(names)}" for what, names in found if names)
        + (
            f". The trainer drops blanks and single quotes from names: drop them from "
            f"{listed(renamed)} in the priors, too."
            if renamed
            else ". Do they belong to another config?"
        )
    )


def _dump(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
