"""``snapshot``: save what Beaker says about a swarm."""

from __future__ import annotations

from pathlib import Path

import typer

from olmix_evalscript.cli import GeneralOptions, command
from olmix_evalscript.commands.common import ANYTHING, report_swarm
from olmix_evalscript.files import write_whole
from olmix_evalscript.options import FileOptions, GroupId, SwarmOptions
from olmix_evalscript.snapshot import dump


@command(
    examples=(
        "olmix-evalscript snapshot 58362402 -o 58362402.yaml",
        "olmix-evalscript generate 58362402 --snapshot 58362402.yaml",
    ),
)
def snapshot(
    context: typer.Context,
    group_id: GroupId,
    finding: SwarmOptions,
    output: FileOptions,
    general: GeneralOptions,
) -> None:
    """Save what Beaker says about a swarm, without environment variables or secrets.

    The file is GROUP_ID.yaml, unless --output names another.
    """
    console = general.console(context)
    source = finding.source()
    experiments = source.experiments(group_id, console)
    report_swarm(source.swarm(group_id, experiments), ANYTHING, console)
    text = dump(group_id, experiments)
    if output.output == "-":
        console.data(text)
        return
    path = Path(output.output or f"{group_id}.yaml")
    write_whole({path: text}, 0o644)
    console.data(f"{path}\n")
