"""Turn arguments into calls of the commands, and errors into messages and exit statuses."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from olmix_evalscript import __version__
from olmix_evalscript.console import Console, open_streams
from olmix_evalscript.errors import EvalScriptError, UsageError

PROGRAM = "olmix-evalscript"
#: What the program's help says of each command, so that it need not load them.
COMMANDS = {
    "collect": "Fetch the results and write the files for olmix fit.",
    "generate": "Write the script that evaluates a swarm, and print its path.",
    "list": "List the swarms on Beaker, newest first.",
    "show": "Show a swarm's variants, with checkpoint folders and evaluations, or their mixtures.",
    "snapshot": "Save what Beaker says about a swarm, without environment variables or secrets.",
    "tasks": "List the task sets, or the tasks of one set.",
}
EXIT_FAILED = 1
EXIT_USAGE = 2
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


@dataclass(frozen=True)
class Session:
    """What every subcommand gets."""

    console: Console
    extra_arguments: tuple[str, ...]  # for the evaluator


@dataclass(frozen=True)
class Panel:
    """Options that the help shows together: a subclass is a dataclass whose fields are `opt`s."""

    panel: ClassVar[str]

    def __init_subclass__(cls, panel: str | None = None) -> None:
        if panel is not None:
            cls.panel = panel


def opt(
    form: str,
    help: str,
    *,
    default: object = None,
    parse: Callable[[str], object] | None = None,
) -> Any:
    """An option, as the default of a field; ``parse`` turns its text into the field's value.

    Its form is ``-v, --verbose`` of a flag, ``--author USER`` where it takes a value, and
    ``-t, --task NAME...`` where it may be repeated.
    """
    names, _, value = form.replace(", ", ",").partition(" ")
    kind: Any = str
    if not value:
        kind, default = bool, False
    if value.endswith("..."):
        kind, default, parse = list[str], (), tuple
    option = typer.Option(
        *names.split(","),
        metavar=value.removesuffix("...") or None,
        help=help,
        show_default=False,
    )
    return field(default=default, metadata={"typer": option, "kind": kind, "parse": parse})


@dataclass(frozen=True)
class GeneralOptions(Panel, panel="General"):
    """How much is said; may stand before or after the subcommand."""

    verbose: bool = opt("-v, --verbose", "Show each Beaker call and its time.")
    quiet: bool = opt("-q, --quiet", "Show only warnings and errors.")

    def console(self, context: typer.Context) -> Console:
        """The console of this run, as verbose or quiet as asked."""
        session: Session = context.obj
        session.console.verbose |= self.verbose
        session.console.quiet |= self.quiet
        return session.console


def main() -> NoReturn:
    """Run the command line; what stands after ``--`` is for the evaluator."""
    open_streams()
    console = Console()
    words = sys.argv[1:] or ["--help"]
    split = words.index("--") if "--" in words else len(words)
    try:
        for word in words:
            if not word.isprintable():
                raise UsageError(f"the argument {word!a} has a character that cannot be printed")
        if any(re.fullmatch("(--[a-z-]+=)?", word) for word in words[:split]):
            raise UsageError("an argument is empty: is a variable of your shell not set?")
        load_commands(*sys.argv[1:2])
        session = Session(console, tuple(words[split + 1 :]))
        sys.exit(app(words[:split], PROGRAM, obj=session, standalone_mode=False))
    except EvalScriptError as error:
        console.error(error)
        sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED)
    except OSError as error:
        if error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python tries again when it exits
        console.error(f"cannot write to stdout: {error.strerror}")
        sys.exit(EXIT_FAILED)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        console.error(_wrong_usage(error))
        sys.exit(EXIT_USAGE)


def load_commands(word: str = "") -> None:
    """Add those commands to the app that a command line with this first word may need."""
    if word in ("-h", "--help", "--version") and not app.registered_commands:
        for name, summary in COMMANDS.items():
            app.command(name, help=summary)(lambda: None)
        return
    for name in (word,) if word in COMMANDS else COMMANDS:
        import_module(f"olmix_evalscript.commands.{name}")


def _wrong_usage(error: Any) -> str:
    """What click, whichever this typer has, says of wrong usage, and where to look."""
    command = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    hint = f"Try `{command} --help`."
    if type(error).__name__ == "NoSuchOption" and command.endswith(" generate"):
        hint += " Options of the evaluator go after --."
    message = error.format_message().rstrip(".")
    return f"{message}{'' if message.endswith('?') else '.'} {hint}"


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _adapted(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _adapted(super().get_params(ctx))


def _adapted(parameters: list[Any]) -> list[Any]:
    """The same parameters, alike under every typer.

    typer 0.29 converts even text by pydantic, which takes 70 ms to load, and shows ``<bool>``
    behind flags. Here values stay text.
    """
    keep_text = SimpleNamespace(coerce=lambda value, **where: value)
    for parameter in parameters:
        parameter.get_runtime_param = lambda: keep_text
        parameter.metavar = parameter.metavar or ""
        parameter.rich_help_panel = getattr(parameter, "rich_help_panel", None) or "General"
    return parameters


app = typer.Typer(
    name=PROGRAM,
    cls=_Group,
    help="Evaluate every variant of an olmix swarm, and collect the results for olmix fit.",
    epilog="Examples:\n\n"
    "  olmix-evalscript generate 58362402\n\n"
    "  olmix-evalscript generate 58362402 -o - | less\n\n"
    "  olmix-evalscript collect 58362402 --results results/ --priors priors.yaml\n\n"
    "  olmix-evalscript list --since 90d",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def command(*, examples: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function to the commands, by the name of its module.

    Args:
        examples: Whole command lines, for the end of its help.
    """
    epilog = "\n\n".join(["Examples:", *(f"  {example}" for example in examples)])

    def add(function: Callable[..., None]) -> Callable[..., None]:
        name = function.__module__.rpartition(".")[2]
        app.command(name, cls=_Command, epilog=epilog)(_flattened(function))
        return function

    return add


def _flattened(function: Callable[..., None]) -> Callable[..., None]:
    """Take single options, as typer passes them, in place of the panels that a function takes."""
    hints = inspect.get_annotations(function, eval_str=True)
    panels = {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and issubclass(hint, Panel)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in panels:
            parameters += _options(panels[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=_KEYWORD))

    def run(**values: Any) -> None:
        for name, panel in panels.items():
            values[name] = _filled(panel, values)
        function(**values)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _options(panel: type[Panel]) -> Iterator[inspect.Parameter]:
    """A parameter for each option of a panel: a flag, a text or several texts."""
    for option in fields(panel):
        kind: Any = option.metadata["kind"]
        declared = option.metadata["typer"]
        declared.rich_help_panel = panel.panel
        annotation = Annotated[kind, declared]
        yield inspect.Parameter(option.name, _KEYWORD, default=None, annotation=annotation)


def _filled(panel: type[Panel], values: dict[str, Any]) -> Panel:
    """A panel with its options, taken out of all the values of a command line."""
    given = {}
    for option in fields(panel):
        value, parse = values.pop(option.name), option.metadata["parse"]
        if value:
            given[option.name] = parse(value) if parse else value
    return panel(**given)


def _print_version(wanted: bool) -> None:
    if wanted:
        Console().data(f"{PROGRAM} {__version__}\n")
        raise typer.Exit


@app.callback()
@_flattened
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
    if context.obj.extra_arguments and context.invoked_subcommand != "generate":
        raise UsageError("only generate takes arguments after --")
