"""``generate``: the script that evaluates a swarm."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from olmix_evalscript.cli import EXIT_FAILED, command
from olmix_evalscript.console import Console
from olmix_evalscript.errors import EvalScriptError, UsageError
from olmix_evalscript.options import (
    DEFAULT_OUTPUT_DIR,
    EvaluationOptions,
    GeneralOptions,
    SafetyOptions,
    ScriptOptions,
    SwarmOptions,
    VariantOptions,
)

if TYPE_CHECKING:
    from olmix_evalscript.script import Evaluation


@command(
    "GROUP_ID... [OPTIONS] [-- ARGUMENTS]",
    examples=(
        "olmix-evalscript generate 58362402",
        "olmix-evalscript generate 58362402 -o - | less",
        "olmix-evalscript generate 58362402 --task-set offline-bpb --status succeeded",
        "olmix-evalscript generate 58362402 -- --priority high --use-gantry",
        "olmix-evalscript generate 8f3a9c2b --scan -w ai2/oe-data --since 30d",
    ),
)
def generate(
    context: typer.Context,
    evaluation: EvaluationOptions,
    finding: SwarmOptions,
    variants: VariantOptions,
    output: ScriptOptions,
    safety: SafetyOptions,
    general: GeneralOptions,
) -> None:
    """Write the script that evaluates a swarm, and print its path.

    ARGUMENTS after -- are options of olmo-cookbook-eval, written into the script.
    """
    from olmix_evalscript.commands.common import find_swarm, warn
    from olmix_evalscript.script import (
        evaluation_warnings,
        render,
        script_path,
        today,
        write_script,
    )

    console = general.console(context)
    source = finding.source()
    groups = finding.groups
    if len(groups) > 1 and (output.output or finding.snapshot):
        option = "--output" if output.output else "--snapshot"
        raise UsageError(f"{option} cannot be combined with several group IDs")
    if output.output and output.output_dir:
        raise UsageError("--output cannot be combined with --output-dir")
    settings = _settings(evaluation, context.obj.extra_arguments, console)
    warn(evaluation_warnings(settings), console, safety)

    folder = Path(output.output_dir or DEFAULT_OUTPUT_DIR)
    written: list[Path] = []

    def make(group_id: str) -> int:
        swarm = find_swarm(group_id, source, variants, safety, console)
        dashboard = settings.dashboard or f"olmix-{group_id}"
        text = render(swarm, replace(settings, dashboard=dashboard), today())
        if output.output == "-":
            console.data(text)
            return 0
        path = Path(output.output or script_path(folder, group_id))
        write_script(path, text, force=output.force)
        console.data(f"{path}\n")
        written.append(path)
        return 0

    status = make(groups[0]) if len(groups) == 1 else _make_all(groups, make, console)
    if written:
        script = shlex.quote(str(written[0])) if len(written) == 1 else "SCRIPT"
        console.hint(
            "Next, in the olmo-cookbook environment:",
            f"  bash {script} --list   to see each variant's latest checkpoint",
            f"  bash {script}          to submit the evaluations",
        )
    raise typer.Exit(status)


def _settings(
    options: EvaluationOptions, arguments: tuple[str, ...], console: Console
) -> Evaluation:
    """Options before the config file, the config file before the defaults; the dashboard is empty
    unless it was named."""
    from olmix_evalscript.commands.common import choose_tasks, load_config
    from olmix_evalscript.cookbook import parse_arguments
    from olmix_evalscript.script import Evaluation, check_evaluation

    config = load_config(options, console)
    priority, others = parse_arguments(arguments)
    return check_evaluation(
        Evaluation(
            tasks=choose_tasks(options, config),
            dashboard=options.dashboard or "",
            cluster=options.eval_cluster or config.cluster or Evaluation.cluster,
            model_backend=options.model_backend or config.model_backend or Evaluation.model_backend,
            priority=priority,
            arguments=others,
        )
    )


def _make_all(groups: Sequence[str], make: Callable[[str], int], console: Console) -> int:
    """Make the script of one group after another, and go on after a failure."""
    statuses = []
    with console.report(len(groups)) as report:
        for group_id in groups:
            try:
                statuses.append(make(group_id))
            except EvalScriptError as error:
                console.error(error)
                statuses.append(EXIT_FAILED)
            report.step()
    failed = [id for id, status in zip(groups, statuses, strict=True) if status == EXIT_FAILED]
    console.note(
        f"{len(groups) - len(failed)} of {len(groups)} groups done"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return EXIT_FAILED if failed else max(statuses)
