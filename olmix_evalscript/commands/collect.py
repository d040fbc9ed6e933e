"""``collect``: the files that ``olmix fit`` reads."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from olmix_evalscript.cli import command
from olmix_evalscript.console import Console
from olmix_evalscript.options import (
    DEFAULT_OUTPUT_DIR,
    CollectSafetyOptions,
    ExpectedTaskOptions,
    FitOptions,
    GeneralOptions,
    GroupId,
    SafetyOptions,
    SwarmOptions,
    TaskOptions,
    VariantOptions,
)

if TYPE_CHECKING:
    from olmix_evalscript.fit import Collected
    from olmix_evalscript.model import Swarm
    from olmix_evalscript.results import Results
    from olmix_evalscript.tasks import Metric

#: What collect writes, given all it needs.
FILES = ("ratios.csv", "metrics.csv", "fit.yaml")


@command(
    examples=(
        "olmix-evalscript collect 58362402",
        "olmix-evalscript collect 58362402 --results results/ --priors priors.yaml",
        "olmix-evalscript collect 58362402 --results results.json --config fit.yaml --step 22100",
    ),
)
def collect(
    context: typer.Context,
    group_id: GroupId,
    tasks: ExpectedTaskOptions,
    finding: SwarmOptions,
    variants: VariantOptions,
    fit: FitOptions,
    safety: CollectSafetyOptions,
    general: GeneralOptions,
) -> None:
    """Write ratios.csv, metrics.csv and fit.yaml for olmix fit, and print their paths.

    Without --results it writes only ratios.csv; without --priors, no fit.yaml.
    """
    from olmix_evalscript.commands.common import find_swarm, warn
    from olmix_evalscript.config import load_priors
    from olmix_evalscript.errors import FitError
    from olmix_evalscript.files import write_all
    from olmix_evalscript.fit import fit_yaml, listed, mixtures, unused_priors
    from olmix_evalscript.tasks import task_warnings

    console = general.console(context)
    source = finding.source()
    metrics, exact = _metrics(tasks, console)
    warn(task_warnings([metric.task for metric in metrics]), console, safety)
    priors = load_priors(Path(fit.priors)) if fit.priors else None
    folder = Path(fit.output or f"output/fit/olmix-{group_id}")
    run_script = _run_script(group_id, fit.results)

    swarm = find_swarm(group_id, source, variants, safety, console)
    mixed = mixtures(swarm)
    warn(mixed.notes, console, safety)
    if fit.results is None:
        texts = {"ratios.csv": mixed.csv(swarm.variants)}
        then = f"metrics.csv needs --results; to load the results: {run_script} --results"
    else:
        collected = _collected(swarm, Path(fit.results), metrics, fit.step, exact, console)
        warn(collected.warnings, console, safety)
        _report_left_out(collected, safety, console)
        _report(collected, group_id, run_script, safety.allow_partial, console)
        domains = mixed.domains_of(collected.complete)
        dropped = set(mixed.domains) - set(domains)
        if dropped:
            console.note(
                f"Left out of ratios.csv (no complete variant has them): {listed(dropped)}"
            )
        texts = {"ratios.csv": mixed.csv(collected.complete), "metrics.csv": collected.csv()}
        then = (
            "fit.yaml needs --priors: the file that `olmix priors compute --config GENERATION.yaml "
            "--output priors.yaml` writes, for example"
        )
        if priors is not None:
            unused = unused_priors(domains, priors)
            if unused:
                console.note(f"Left out of the priors (not in ratios.csv): {listed(unused)}")
            texts["fit.yaml"] = fit_yaml(folder.absolute(), domains, collected.metrics, priors)
            then = _line(
                "olmix", "fit", "--config", folder / "fit.yaml", "--output-dir", folder / "fit"
            )
    old = [
        str(folder / name) for name in FILES if name not in texts and os.path.exists(folder / name)
    ]
    if old:
        raise FitError(
            f"nothing was written: {' and '.join(old)} from an earlier run would not match the new "
            f"files. Add {'--results' if fit.results is None else '--priors'} to renew all, delete "
            f"{'it' if len(old) == 1 else 'them'}, or choose another folder with --output."
        )
    write_all({folder / name: text for name, text in texts.items()}, 0o644)
    console.data("".join(f"{folder / name}\n" for name in texts))
    console.note(f"Next: {then}")


def _run_script(group_id: str, results: str | None) -> str:
    """How to run the swarm's script, up to its options: it loads results beside itself."""
    scripts = [Path(DEFAULT_OUTPUT_DIR, f"olmix-{group_id}.sh")]
    if results and Path(results).suffix == ".results":
        scripts.insert(0, Path(results).with_suffix(""))
    for script in scripts:
        if os.path.isfile(script):
            return _line("bash", script)
    return f"run your script for {group_id} with"


def _metrics(options: TaskOptions, console: Console) -> tuple[Sequence[Metric], bool]:
    """The metrics, and whether just these are wanted: those that a fit names, unless there are
    options for tasks."""
    from olmix_evalscript.commands.common import choose_tasks, load_config
    from olmix_evalscript.tasks import metric

    config = load_config(options, console)
    chosen = choose_tasks(options, config)
    if config.metrics and not options.task and not options.task_set:
        return config.metrics, True
    return [metric(task) for task in chosen], False


def _collected(
    swarm: Swarm,
    path: Path,
    metrics: Sequence[Metric],
    step: int | None,
    exact: bool,
    console: Console,
) -> Collected:
    from olmix_evalscript.errors import FitError
    from olmix_evalscript.fit import check_metrics, collect
    from olmix_evalscript.results import load
    from olmix_evalscript.text import shown

    check_metrics(metrics)
    run_names = [variant.run_name for variant in swarm.variants]
    with console.report() as report:
        report.status(f"Reading {path}")
        results = load(path, run_names, [metric.task for metric in metrics])
    _report_others(results, console)
    if not results.has_runs:
        instead = f"; it has those of {shown(results.stranger)}" if results.stranger else ""
        raise FitError(f"no results of {swarm.group_id}'s runs in {path}{instead}")
    return collect(swarm, results, metrics, step=step, exact=exact)


def _report_others(results: Results, console: Console) -> None:
    from olmix_evalscript.text import counted

    if results.others:
        console.note(
            f"Ignored {counted(len(results.others), 'other model')} made from these runs, such as "
            f"{results.others[0]}"
        )


def _report_left_out(collected: Collected, safety: SafetyOptions, console: Console) -> None:
    """Name the tasks that metrics.csv is without, and heed --strict where that is a surprise.

    Raises:
        EvalScriptError: If a task lacks the BPB that it should have, and --strict was given.
    """
    from olmix_evalscript.commands.common import warn
    from olmix_evalscript.tasks import bpb_name

    tasks = collected.without_bpb
    if never := [task for task in tasks if bpb_name(task) is None]:
        console.note(f"Left out (no bits per byte): {', '.join(never)}")
    if lost := [task for task in tasks if task not in never]:
        text = f"left out, as the results have no bits per byte of them: {', '.join(lost)}"
        warn([text], console, safety)


def _report(
    collected: Collected, group_id: str, run_script: str, allow_partial: bool, console: Console
) -> None:
    """Say what is complete and what is not.

    Raises:
        FitError: If something is not and that was not allowed, or nothing is.
    """
    from olmix_evalscript.errors import FitError
    from olmix_evalscript.fit import (
        SAME_TASKS,
        is_being_evaluated,
        lacked_by_all,
        listed,
        numbers_to_evaluate,
        shortfall,
    )

    complete, lacking = len(collected.complete), len(collected.lacking)
    total, step = complete + lacking, collected.step
    console.note(
        f"{complete} of {total} variants have all metrics ({len(collected.metrics)}) at step {step}"
    )
    for line in shortfall(collected):
        console.warn(line)
    numbers = numbers_to_evaluate(collected)
    if numbers:
        if is_being_evaluated(collected):
            console.note(
                f"Evaluations may still be running; see `olmix-evalscript show {group_id}`"
            )
        lead = "To evaluate just these"
        if nowhere := lacked_by_all(collected):
            console.note(f"No variant has results of {listed(nowhere)}. {SAME_TASKS}")
            lead = "If they are the same, evaluate again"
        console.note(f"{lead}: {run_script} --only {numbers} --step {step} --again")
    verb = "lacks" if lacking == 1 else "lack"
    if not complete or (lacking and not allow_partial):
        raise FitError(
            f"nothing was written: {lacking} of {total} variants {verb} results"
            + (". Use --allow-partial to write the others." if complete else "")
        )


def _line(*words: object) -> str:
    return shlex.join(str(word) for word in words)
