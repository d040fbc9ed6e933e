"""``generate``: the script that evaluates a swarm."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import typer

from olmix_evalscript import options
from olmix_evalscript.cli import EXIT_FAILED, GeneralOptions, command
from olmix_evalscript.commands.common import choose_metrics, find_swarm, warn
from olmix_evalscript.config import load
from olmix_evalscript.console import Console
from olmix_evalscript.errors import EvalScriptError, UsageError
from olmix_evalscript.evaluator import Evaluator
from olmix_evalscript.script import (
    FOLDER,
    Evaluation,
    check_evaluation,
    evaluation_warnings,
    render,
    script_path,
    today,
    write_script,
)


@command(
    examples=(
        "olmix-evalscript generate 58362402",
        "olmix-evalscript generate 58362402 -o - | less",
        "olmix-evalscript generate 58362402 --task-set offline-bpb --status succeeded",
        "olmix-evalscript generate 58362402 -- --priority high --use-gantry",
        "olmix-evalscript generate 8f3a9c2b --scan -w ai2/oe-data --since 30d",
    )
)
def generate(
    context: typer.Context,
    group_ids: options.GroupIds,
    evaluation: options.EvaluationOptions,
    finding: options.SwarmOptions,
    variants: options.VariantOptions,
    output: options.ScriptOptions,
    safety: options.SafetyOptions,
    general: GeneralOptions,
) -> None:
    """Write the script that evaluates a swarm, and print its path.

    Arguments after -- are options of the evaluator, written into the script.
    """
    console = general.console(context)
    source = finding.source()
    if output.output and len(group_ids) > 1:
        raise UsageError("--output cannot be combined with several group IDs")
    if output.output and output.output_dir:
        raise UsageError("--output cannot be combined with --output-dir")
    settings = _settings(evaluation, context.obj.extra_arguments)
    warn(evaluation_warnings(settings), console, safety)

    failed = []
    for group_id in group_ids:
        try:
            swarm = find_swarm(group_id, source, variants, safety, console)
            dashboard = settings.dashboard or swarm.dashboard
            text = render(swarm, replace(settings, dashboard=dashboard), today())
            _write(group_id, text, settings.evaluator, output, console)
        except EvalScriptError as error:
            console.error(error)
            failed.append(group_id)
    if failed:
        if len(group_ids) > 1:
            console.note(f"Failed: {', '.join(failed)}")
        raise typer.Exit(EXIT_FAILED)


def _write(
    group_id: str, text: str, evaluator: Evaluator, output: options.ScriptOptions, console: Console
) -> None:
    if output.output == "-":
        console.data(text)
        return
    path = Path(output.output or script_path(group_id, output.output_dir or FOLDER))
    write_script(path, text, force=output.force)
    console.data(f"{path}\n")
    script = shlex.quote(str(path))
    console.note(f"Next, {evaluator.environment}: bash {script} --list")


def _settings(chosen: options.EvaluationOptions, arguments: tuple[str, ...]) -> Evaluation:
    """Options before the config file, the config file before the defaults; the dashboard is empty
    unless it was named."""
    config = load(chosen.config)
    priority, others = chosen.evaluator.parse_arguments(arguments)
    return check_evaluation(
        Evaluation(
            tasks=tuple(metric.task for metric in choose_metrics(chosen, config)),
            dashboard=chosen.dashboard or "",
            evaluator=chosen.evaluator,
            cluster=chosen.eval_cluster or config.cluster or Evaluation.cluster,
            model_backend=chosen.model_backend or config.model_backend or Evaluation.model_backend,
            priority=priority,
            arguments=others,
        )
    )
