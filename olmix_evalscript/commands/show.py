"""``show``: print a swarm's variants."""

from __future__ import annotations

import json

import typer

from olmix_evalscript import options
from olmix_evalscript.cli import GeneralOptions, command
from olmix_evalscript.commands.common import ANYTHING, find_swarm
from olmix_evalscript.mixtures import mixtures
from olmix_evalscript.tables import mixture_table, swarm_data, variant_table


@command(
    examples=(
        "olmix-evalscript show 58362402",
        "olmix-evalscript show 58362402 --mixtures",
        "olmix-evalscript show 58362402 --json | jq '.variants[].checkpoint_dir'",
    ),
)
def show(
    context: typer.Context,
    group_id: options.GroupId,
    finding: options.SwarmOptions,
    variants: options.VariantOptions,
    output: options.ShowOptions,
    general: GeneralOptions,
) -> None:
    """Show a swarm's variants, with checkpoint folders and evaluations, or their mixtures."""
    console = general.console(context)
    swarm = find_swarm(group_id, finding.source(), variants, ANYTHING, console)
    if output.json:
        console.data(json.dumps(swarm_data(swarm), indent=2) + "\n")
    elif output.mixtures:
        console.table(mixture_table(swarm, mixtures(swarm)))
    else:
        console.table(variant_table(swarm))
