"""``list``: print the swarms on Beaker."""

from __future__ import annotations

import json

import typer

from olmix_evalscript.cli import GeneralOptions, command
from olmix_evalscript.options import SearchOptions, TableOptions
from olmix_evalscript.swarm import all_swarms
from olmix_evalscript.tables import SWARM_COLUMNS, Table


@command(
    examples=(
        "olmix-evalscript list",
        "olmix-evalscript list -w ai2/oe-data --since 26w --timeout 600",
    ),
)
def list_swarms(
    context: typer.Context, search: SearchOptions, output: TableOptions, general: GeneralOptions
) -> None:
    """List the swarms on Beaker, newest first.

    By default, yours of the last 30 days; with --workspace, everyone's.
    """
    console = general.console(context)
    source = search.source()
    mine = source.search.author is None and not search.workspace
    with console.report() as report:
        swarms = all_swarms(source.pages(report, mine=mine))
    table = Table(SWARM_COLUMNS, swarms)
    if output.json:
        console.data(json.dumps(table.data(), indent=2) + "\n")
    elif swarms:
        console.table(table)
    else:
        console.note(
            "No swarms found. Look further back with --since, or elsewhere with --workspace."
        )
