"""``show``: a swarm's variants."""

from __future__ import annotations

import json

import typer

from olmix_evalscript.app import command
from olmix_evalscript.options import FindingOptions, GeneralOptions, TableOptions, VariantOptions


@command(
    "GROUP_ID [OPTIONS]",
    examples=(
        "olmix-evalscript show 58362402",
        "olmix-evalscript show 58362402 --json | jq '.variants[].checkpoint_dir'",
    ),
)
def show(
    context: typer.Context,
    finding: FindingOptions,
    output: TableOptions,
    variants: VariantOptions,
    general: GeneralOptions,
) -> None:
    """Show a swarm's variants and where their checkpoints should be."""
    from olmix_evalscript.commands.common import report_swarm, report_workspaces
    from olmix_evalscript.overview import count_by_status, in_words, swarm_data

    console = general.console(context)
    source, group_id = finding.source(), finding.group
    report_workspaces(source, console)
    swarm = source.swarm(group_id, console.report, variants.checkpoint_root, variants.status)
    report_swarm(swarm, console)
    if output.json:
        console.data(json.dumps(swarm_data(swarm), indent=2) + "\n")
        return
    roots = {variant.checkpoint_dir.rpartition("/")[0] for variant in swarm.variants}
    shared = f"{roots.pop()}/RUN-NAME" if len(roots) == 1 and console.is_terminal else ""
    rows = [
        (
            str(v["number"]),
            v["run_name"],
            v["status"],
            v["user"],
            v["cluster"],
            shared or v["checkpoint_dir"],
            v["experiments"][0]["url"],
            in_words(count_by_status(variant.evaluations)),
            "; ".join(v["notes"]),
        )
        for variant, v in zip(swarm.variants, swarm_data(swarm)["variants"], strict=True)
    ]
    heads = (
        *("#", "run name", "status", "user", "cluster", "checkpoints", "experiment"),
        *("evaluations", "notes"),
    )
    console.table(heads, rows)
