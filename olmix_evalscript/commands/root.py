"""``olmix-evalscript`` without a subcommand: the options that hold for all."""

from __future__ import annotations

from typing import Annotated

import typer

from olmix_evalscript import __version__
from olmix_evalscript.app import Session, app, flattened
from olmix_evalscript.console import Console
from olmix_evalscript.errors import UsageError
from olmix_evalscript.options import GeneralOptions


def _print_version(wanted: bool) -> None:
    if wanted:
        Console().data(f"olmix-evalscript {__version__}\n")
        raise typer.Exit


@app.callback()
@flattened
def root(
    context: typer.Context,
    general: GeneralOptions,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Accept --verbose and --quiet before the subcommand too."""
    general.console(context)
    session: Session = context.obj
    if session.extra_arguments and context.invoked_subcommand != "generate":
        raise UsageError("only generate takes arguments after --")
