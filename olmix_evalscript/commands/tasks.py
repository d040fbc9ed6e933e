"""``tasks``: list the task sets."""

from __future__ import annotations

from typing import Annotated

import typer

from olmix_evalscript.cli import Session, command
from olmix_evalscript.tasks import task_set, task_sets

SetName = Annotated[str | None, typer.Argument(metavar="SET", hidden=True)]


@command(examples=("olmix-evalscript tasks", "olmix-evalscript tasks offline-bpb"))
def tasks(context: typer.Context, name: SetName = None) -> None:
    """List the task sets, or the tasks of one set."""
    session: Session = context.obj
    if name is not None:
        session.console.data("".join(f"{task}\n" for task in task_set(name)))
        return
    for set_name, families in task_sets().items():
        counts = ", ".join(f"{family} {len(names)}" for family, names in families.items())
        session.console.data(f"{set_name}: {len(task_set(set_name))} tasks ({counts})\n")
