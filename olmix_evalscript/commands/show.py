"""``show``: a swarm's variants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from olmix_evalscript.cli import command
from olmix_evalscript.options import GeneralOptions, ShowOptions, SwarmOptions, VariantOptions

if TYPE_CHECKING:
    from olmix_evalscript.console import Console
    from olmix_evalscript.model import Swarm


@command(
    "GROUP_ID [OPTIONS]",
    examples=(
        "olmix-evalscript show 58362402",
        "olmix-evalscript show 58362402 --mixtures",
        "olmix-evalscript show 58362402 --json | jq '.variants[].checkpoint_dir'",
    ),
)
def show(
    context: typer.Context,
    finding: SwarmOptions,
    variants: VariantOptions,
    output: ShowOptions,
    general: GeneralOptions,
) -> None:
    """Show a swarm's variants and where their checkpoints should be, or their mixtures."""
    from olmix_evalscript.commands.common import report_swarm, report_workspaces
    from olmix_evalscript.overview import swarm_data, variant_rows, variant_table
    from olmix_evalscript.tables import tab_separated

    console = general.console(context)
    source, group_id = finding.source(), finding.group
    report_workspaces(source, console)
    swarm = source.swarm(group_id, console.report, variants.checkpoint_root, variants.status)
    report_swarm(swarm, console)
    if output.json:
        console.data(json.dumps(swarm_data(swarm), indent=2) + "\n")
        return
    if output.mixtures:
        _show_mixtures(swarm, console)
    elif console.is_terminal:
        console.table(variant_table(swarm))
    else:
        console.data(tab_separated(variant_rows(swarm)))


def _show_mixtures(swarm: Swarm, console: Console) -> None:
    from olmix_evalscript.mixtures import mixtures
    from olmix_evalscript.overview import mixture_rows, mixture_table
    from olmix_evalscript.tables import tab_separated

    mixed = mixtures(swarm)
    for note in mixed.warnings:
        console.warn(note)
    if console.is_terminal:
        console.table(mixture_table(swarm, mixed, console.width))
    else:
        console.data(tab_separated(mixture_rows(swarm, mixed)))
