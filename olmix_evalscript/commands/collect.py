"""``collect``: the files that ``olmix fit`` reads."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import typer

from olmix_evalscript import config as configs
from olmix_evalscript import options
from olmix_evalscript.cli import GeneralOptions, command
from olmix_evalscript.commands.common import choose_metrics, find_swarm, warn
from olmix_evalscript.config import EvalConfig, load_priors
from olmix_evalscript.console import Console
from olmix_evalscript.errors import FitError, UsageError
from olmix_evalscript.files import checksum, is_edited, write_whole
from olmix_evalscript.fit import Collected, check_priors, fit_yaml, options_for
from olmix_evalscript.fit import collect as collect_results
from olmix_evalscript.mixtures import mixtures, write_csv
from olmix_evalscript.model import Swarm
from olmix_evalscript.results import Results, fetch, load
from olmix_evalscript.sanity import FitData, explained, fit_warnings
from olmix_evalscript.script import script_path
from olmix_evalscript.tasks import Metric, task_warnings
from olmix_evalscript.text import listed, ranges, variants_named

PRIORS_NEEDED = (
    "fit.yaml needs --priors: the generation config of the swarm, or what `olmix priors compute "
    "--config GENERATION.yaml --output priors.yaml` writes"
)


@command(
    examples=(
        "olmix-evalscript collect 58362402 --priors generation.yaml",
        "olmix-evalscript collect 58362402 --config fit.yaml --priors fit.yaml --step 22100",
        "olmix-evalscript collect 58362402 --no-results",
    ),
)
def collect(
    context: typer.Context,
    group_id: options.GroupId,
    tasks: options.TaskOptions,
    finding: options.SwarmOptions,
    variants: options.VariantOptions,
    fit: options.FitOptions,
    safety: options.SafetyOptions,
    general: GeneralOptions,
) -> None:
    """Fetch the results and write the files for olmix fit.

    These are ratios.csv, metrics.csv and, with --priors, fit.yaml. Their paths are printed.
    """
    console = general.console(context)
    source = finding.source()
    config = configs.load(tasks.config)
    metrics = _metrics(tasks, fit, config, console)
    warn(task_warnings([metric.task for metric in metrics]), console, safety)
    priors = load_priors(Path(fit.priors)) if fit.priors else None
    folder = Path(fit.output or f"output/fit/olmix-{group_id}")

    swarm = find_swarm(group_id, source, variants, safety, console)
    _check_relaunches(swarm)
    mixed = mixtures(swarm, priors)
    if fit.no_results:
        domains = mixed.domains_of(swarm.variants)
        ratios = mixed.rows(swarm.variants, domains)
        texts = {"ratios.csv": write_csv(swarm.variants, domains, ratios)}
        then = "run collect without --no-results once the evaluations have finished"
    else:
        results = _results(swarm, tasks, fit, metrics, console)
        collected = collect_results(swarm, results, metrics, fit.step)
        _report(collected, results, group_id, safety.allow_partial, console)
        complete = collected.complete
        domains = mixed.domains_of(complete)
        ratios, bpb = mixed.rows(complete, domains), collected.bpb
        columns = [metric.column for metric in collected.metrics]
        with console.report() as report:
            report.status("Checking mixtures and results")
            data = FitData(complete, domains, ratios, columns, bpb)
            poor_fit, quality = fit_warnings(data), explained(data)
        warn([*collected.warnings, *poor_fit], console, safety)
        if quality:
            console.note(f"How well mixtures explain results: {quality}")
        texts = {
            "ratios.csv": write_csv(complete, domains, ratios),
            "metrics.csv": write_csv(complete, columns, bpb),
        }
        then = PRIORS_NEEDED
        if priors is not None:
            _note_skipped(
                console, "in the priors, not in ratios.csv", check_priors(domains, priors)
            )
            texts["fit.yaml"] = fit_yaml(
                folder.absolute(), domains, collected.metrics, priors, config.fit
            )
            # olmix fit takes its folder's regression for that of any data with the same config.
            contents = checksum("\0".join(texts.values()))
            fit_folder = folder / f"fit-{contents[:8]}"
            then = _line("olmix fit --config", folder / "fit.yaml", "--output-dir", fit_folder)
    _check_old_files(folder, texts, fit.force)
    write_whole({folder / name: text for name, text in texts.items()}, 0o644)
    console.data("".join(f"{folder / name}\n" for name in texts))
    console.note(f"Next: {then}")


def _metrics(
    chosen: options.TaskOptions, fit: options.FitOptions, config: EvalConfig, console: Console
) -> list[Metric]:
    """The metrics that are wanted and have bits per byte, by the names that the results have.

    Raises:
        UsageError: If --without-task names no task among them, or all of them.
    """
    evaluator = chosen.evaluator
    metrics = choose_metrics(chosen, config)
    names = {name for found in metrics for name in (found.task, found.column)}
    if unknown := set(fit.without_task) - names:
        raise UsageError(
            f"--without-task: {listed(unknown)} is not one of the {len(metrics)} tasks"
        )
    skipped = {*fit.without_task, *config.drop_metrics}
    kept = [found for found in metrics if not {found.task, found.column} & skipped]
    without_bpb = [found.task for found in kept if not evaluator.has_bpb(found.task)]
    if len(without_bpb) == len(kept):
        raise UsageError("no tasks with bits per byte are left to collect")
    if not fit.no_results:
        _note_skipped(console, "no bits per byte", without_bpb)
    return [
        replace(found, task=evaluator.result_task(found.task))
        for found in kept
        if found.task not in without_bpb
    ]


def _check_relaunches(swarm: Swarm) -> None:
    for variant in swarm.variants:
        if "mixture" in variant.differences:
            raise FitError(
                f"variant {variant.number} was launched with different mixtures, and all launches "
                f"wrote to {variant.checkpoint_dir}, so its mixture is unknown. Look at "
                f"{' and '.join(experiment.url for experiment in variant.experiments)}; then take "
                "one of them out of a snapshot, and use --snapshot."
            )


def _results(
    swarm: Swarm,
    chosen: options.TaskOptions,
    fit: options.FitOptions,
    metrics: Sequence[Metric],
    console: Console,
) -> Results:
    evaluator, dashboard = chosen.evaluator, chosen.dashboard or swarm.dashboard
    folder = Path(fit.results or f"output/results/{dashboard}")
    run_names = [variant.run_name for variant in swarm.variants]
    with console.report() as report:
        if fit.results is None:
            fetch(evaluator, dashboard, folder, report.status)
        report.status(f"Reading {folder}")
        results = load(evaluator, folder, run_names, [metric.task for metric in metrics])
    if not results.tasks:
        raise FitError(
            f"no results of {swarm.group_id}'s runs in {folder}, but of {listed(results.others)}"
        )
    return results


def _report(
    collected: Collected, results: Results, group_id: str, allow_partial: bool, console: Console
) -> None:
    """Say which variants are complete, what the others lack, and how to evaluate just these.

    Raises:
        FitError: If some are not and that was not allowed, or none is.
    """
    total, complete = len(collected.coverage), len(collected.complete)
    lacking, step = total - complete, collected.step
    console.note(
        f"{complete} of {total} variants have all metrics ({len(collected.metrics)}) at step {step}"
    )
    if not lacking:
        return
    groups: dict[str, list[int]] = defaultdict(list)
    for found in collected.coverage:
        groups[found.problem or "all tasks"].append(found.variant.number)
    for problem, alike in groups.items():
        console.note(f"{variants_named(alike)}: {problem}")
    if numbers := [found.variant.number for found in collected.coverage if found.needs_evaluation]:
        only = ranges(numbers).replace(" ", "")
        line = _line("bash", script_path(group_id), "--only", only)
        console.note(f"To evaluate just these: {line} --step {step} --again")
    if not complete or not allow_partial:
        advice = "Use --allow-partial to write the others."
        if not complete:
            advice = f"To collect those that there are, use {options_for(results.tasks)}"
        problem = f"results are incomplete for {lacking} of {total} variants"
        raise FitError(f"nothing was written: {problem}. {advice}")


def _check_old_files(folder: Path, texts: dict[str, str], force: bool) -> None:
    """Refuse to leave files that do not match the new ones, or to lose what somebody edited."""
    others = {"ratios.csv", "metrics.csv", "fit.yaml"} - texts.keys()
    if old := sorted(str(folder / name) for name in others if (folder / name).exists()):
        raise FitError(
            f"nothing was written: {' and '.join(old)} from an earlier run would not match the new "
            "files. Delete what is old, choose another folder with --output, or collect with "
            "results and --priors to renew all."
        )
    fit = folder / "fit.yaml"
    if not force and is_edited(fit):
        raise FitError(
            f"nothing was written: {fit} was edited. Use --config {shlex.quote(str(fit))} --force "
            "to carry its settings over, or just --force to replace it."
        )


def _note_skipped(console: Console, why: str, names: Collection[str]) -> None:
    if names:
        console.note(f"Skipped ({why}): {listed(names)}")


def _line(command: str, *words: object) -> str:
    return f"{command} {shlex.join(str(word) for word in words)}"
