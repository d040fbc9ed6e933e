"""The command line: arguments in, exit statuses out."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

import olmix_evalscript.commands  # noqa: F401 - adds them to the app
from olmix_evalscript import __version__
from olmix_evalscript.app import EXIT_FAILED, Session, app, flattened
from olmix_evalscript.console import Console
from olmix_evalscript.errors import EvalScriptError
from olmix_evalscript.options import GeneralOptions


def main() -> NoReturn:
    """Run the command line; what stands after ``--`` is for olmo-cookbook-eval."""
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    console = Console()
    try:
        app(words[:split], obj=Session(console, tuple(words[split + 1 :])))
    except EvalScriptError as error:
        console.error(error)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


def _print_version(wanted: bool) -> None:
    if wanted:
        Console().data(f"olmix-evalscript {__version__}\n")
        raise typer.Exit


@app.callback()
@flattened
def _root(
    context: typer.Context,
    general: GeneralOptions,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    general.console(context)
    if context.obj.extra_arguments and context.invoked_subcommand != "generate":
        raise typer.BadParameter("only generate takes arguments after it", param_hint="--")
