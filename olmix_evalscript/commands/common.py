"""Find a swarm, report warnings and choose tasks, for several commands."""

from __future__ import annotations

from collections.abc import Sequence

from olmix_evalscript import tasks as known
from olmix_evalscript.config import EvalConfig
from olmix_evalscript.console import Console
from olmix_evalscript.errors import EvalScriptError, SwarmError
from olmix_evalscript.model import FINISHED, Swarm
from olmix_evalscript.options import SafetyOptions, TaskOptions, VariantOptions
from olmix_evalscript.source import ExperimentSource
from olmix_evalscript.tasks import Metric
from olmix_evalscript.text import counted

#: For commands that only show or save what is there.
ANYTHING = SafetyOptions(allow_partial=True)


def find_swarm(
    group_id: str,
    source: ExperimentSource,
    variants: VariantOptions,
    safety: SafetyOptions,
    console: Console,
) -> Swarm:
    """Find a swarm, and report its variants and warnings.

    Raises:
        EvalScriptError: If there is no such swarm, or the options refuse it.
    """
    experiments = source.experiments(group_id, console)
    root, status = variants.checkpoint_root, variants.status
    swarm = source.swarm(group_id, experiments, checkpoint_root=root, status=status)
    report_swarm(swarm, safety, console)
    return swarm


def report_swarm(swarm: Swarm, safety: SafetyOptions, console: Console) -> None:
    """Report how many variants there are, how many experiments are none, and the warnings.

    Raises:
        EvalScriptError: If the options refuse the swarm.
    """
    console.note(
        f"{swarm.group_id}: {counted(len(swarm.variants), 'variant')} of {swarm.name or 'no swarm'}"
        + (f"; ignored {counted(swarm.ignored, 'other experiment')}" if swarm.ignored else "")
    )
    active = sum(variant.status not in FINISHED for variant in swarm.variants)
    if active:
        console.note(f"{swarm.group_id}: {active} of them have not finished")
    for problem in swarm.unreadable:
        console.warn(problem)
    warn(swarm.warnings, console, safety)
    if swarm.unreadable and not safety.allow_partial:
        raise SwarmError(
            f"{counted(len(swarm.unreadable), 'experiment')} that may belong to {swarm.group_id} "
            "cannot be read. Look at the warnings above. Use --allow-partial to skip them; to add "
            "a variant by hand, write a line of the script for it, or its `arguments` in a "
            "snapshot."
        )


def warn(warnings: Sequence[str], console: Console, safety: SafetyOptions) -> None:
    """Report warnings.

    Raises:
        EvalScriptError: If there are any, and --strict was given.
    """
    for warning in warnings:
        console.warn(warning)
    if warnings and safety.strict:
        raise EvalScriptError("stopped because of the warnings above (--strict)")


def choose_metrics(options: TaskOptions, config: EvalConfig) -> Sequence[Metric]:
    """Options before the config file, the config file before the default set.

    Raises:
        UsageError: If there is no such task set, or a name cannot be a task's.
    """
    chosen = [task for name in options.task_set for task in known.task_set(name)]
    chosen += options.task
    if config.metrics and not chosen:
        return config.metrics
    tasks = known.check_tasks(chosen or known.task_set(known.DEFAULT_TASK_SET))
    return [known.metric(task) for task in tasks]
