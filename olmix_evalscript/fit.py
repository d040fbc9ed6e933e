"""Find which variants have all results at one step, and write what ``olmix fit`` reads."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript.config import Priors
from olmix_evalscript.errors import FitError
from olmix_evalscript.files import NO_CHECKSUM, signed
from olmix_evalscript.model import FINISHED, Swarm, Variant
from olmix_evalscript.results import Results
from olmix_evalscript.tasks import Metric, task_set, task_sets
from olmix_evalscript.text import in_words, listed

#: ``proposer.kl_reg``, the pull towards the priors. This value is that of the example in olmix's
#: docs/cli/fit.md.
KL_REG = 0.1
KL_REG_COMMENT = f"""\
# kl_reg was chosen by olmix-evalscript: olmix's exact proposer fails without one. It pulls the
# proposal towards the priors; {KL_REG} is the value of olmix's own example.
"""
FEW = 3  # tasks that a message names


@dataclass(frozen=True)
class Coverage:
    """What the results lack of one variant at the step that is collected."""

    variant: Variant
    problem: str  # in words, with the states of evaluation jobs; empty if there is none
    needs_evaluation: bool  # whether it has to be evaluated again, and can be


@dataclass(frozen=True)
class Collected:
    """What the results have of a swarm at one step."""

    step: int
    metrics: tuple[Metric, ...]  # those with BPB, in the order asked for
    coverage: tuple[Coverage, ...]  # of all variants
    bpb: Sequence[Sequence[float]]  # a row for each complete variant, a column for each metric
    warnings: tuple[str, ...] = ()

    @property
    def complete(self) -> tuple[Variant, ...]:
        """The variants with every metric."""
        return tuple(found.variant for found in self.coverage if not found.problem)


def collect(
    swarm: Swarm, results: Results, metrics: Sequence[Metric], step: int | None = None
) -> Collected:
    """Find which variants have every metric at one step.

    Args:
        swarm: The swarm.
        results: Those of its runs and the tasks.
        metrics: What is wanted, in the order of the columns.
        step: The step; by default the one that more than half of the variants have results at.

    Raises:
        FitError: If no step is that of most variants, the step has no results or such as cannot be
            compared, or two metrics share a column.
    """
    counts = Counter(step for v in swarm.variants for step in results.steps(v.run_name))
    if not counts:
        problem = f"of other tasks; to collect those, use {options_for(results.tasks)}"
        if results.newest:
            problem = "without bits per byte of these tasks, so a fit cannot use them"
        raise FitError(f"the results of {swarm.group_id} are {problem}")
    step = _choose_step(step, counts, len(swarm.variants))
    warnings = results.warnings(step)
    bpb = {v.run_name: results.bpb.get(v.run_name, {}).get(step, {}) for v in swarm.variants}
    evaluated = [found for found in bpb.values() if found]
    left = [m for m in metrics if any(found.get(m.task, 0) is not None for found in evaluated)]
    columns, tasks = [m.column for m in left], [m.task for m in left]
    if twice := [m for m in left if columns.count(m.column) > 1 or tasks.count(m.task) > 1]:
        raise FitError(
            "these would be one column of metrics.csv, or the same task twice: "
            f"{listed(m.column for m in twice)}. Skip some of them with --without-task."
        )
    if lost := [metric.task for metric in metrics if metric not in left]:
        warnings.append(f"skipped, as the results are without BPB: {listed(lost)}")
    coverage = [_coverage(variant, results, left, step) for variant in swarm.variants]
    complete = [bpb[found.variant.run_name] for found in coverage if not found.problem]
    rows = [[v for task in tasks if (v := found[task]) is not None] for found in complete]
    return Collected(step, tuple(left), tuple(coverage), rows, tuple(warnings))


def options_for(tasks: Collection[str]) -> str:
    """The options that choose these tasks."""
    sets = [name for name in task_sets() if set(task_set(name)) == set(tasks)]
    return (
        f"--task-set {sets[0]}" if sets else " ".join(f"-t {shlex.quote(t)}" for t in sorted(tasks))
    )


def _choose_step(step: int | None, counts: Counter[int], variants: int) -> int:
    """The step that is asked for, or else the only one that more than half of the variants have."""
    common = [found for found, count in counts.items() if 2 * count > variants]
    if step in counts or (step is None and len(common) == 1):
        return step or common[0]
    found = ", ".join(f"{n} ({count} of {variants} variants)" for n, count in counts.most_common(9))
    problem = f"no results at step {step}" if step else "no step has over half of the variants"
    raise FitError(f"{problem}; there are results at step {found}. Choose one with --step.")


def _coverage(variant: Variant, results: Results, metrics: Sequence[Metric], step: int) -> Coverage:
    bpb = results.bpb.get(variant.run_name, {}).get(step, {})
    missing = [metric for metric in metrics if metric.task not in bpb]
    without = [metric for metric in metrics if bpb.get(metric.task, 0) is None]
    problems = []
    if bpb and missing:
        problems.append(f"missing {_by_family(missing, metrics)}")
    elif missing:
        others = ", ".join(map(str, results.steps(variant.run_name)))
        problems.append("no results" + (f" at step {step}, only at {others}" if others else ""))
    if without:
        problems.append(f"without BPB {_by_family(without, metrics)}")
    jobs = [job.experiment for job in variant.evaluations if job.step == step]
    states = Counter(job.status for job in jobs)
    failed = [f" ({job.url})" for job in jobs if job.status == "failed"]
    if missing:
        problems.append("".join(["evaluation jobs: ", in_words(states) or "none", *failed[:1]]))
    can_start = states.keys() <= set(FINISHED) and not variant.is_lost
    return Coverage(variant, "; ".join(problems), bool(missing) and can_start)


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
        priors: Cut down to the domains, as olmix demands; not scaled. They have all domains.
        settings: Sections of another fit YAML, as they are there.
    """
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
    comment = KL_REG_COMMENT if chooses_kl_reg else ""
    return signed(
        f"# Made by olmix-evalscript. {NO_CHECKSUM}: collect keeps this file if it was edited.\n"
        f"{_dump(data)}{comment}{_dump({'proposer': proposer})}"
    )


def check_priors(domains: Sequence[str], priors: Priors) -> list[str]:
    """Return the domains of the priors that are not among these.

    Raises:
        FitError: If the priors lack one of these.
    """
    unused = sorted(set(priors.relative_sizes) - set(domains))
    if missing := set(domains) - set(priors.relative_sizes):
        raise FitError(
            f"the priors lack {listed(missing)}"
            + (f" and have {listed(unused)}" if unused else "")
            + ". The trainer drops blanks and single quotes from names: drop them from the priors, "
            "too. Or do they belong to another config?"
        )
    return unused


def _dump(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=1000)
