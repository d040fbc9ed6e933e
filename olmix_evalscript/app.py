"""Functions whose parameters are option dataclasses in, commands that typer runs out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from olmix_evalscript.console import Console

EXIT_FAILED = 1
EXIT_DIFFERS = 3


@dataclass(frozen=True)
class Session:
    """What holds for one run of olmix-evalscript, whatever the subcommand."""

    console: Console
    extra_arguments: tuple[str, ...]  # for olmo-cookbook-eval


@dataclass(frozen=True)
class Panel:
    """Options that the help shows together; each field is one, annotated as typer has it."""

    panel: ClassVar[str]
    helps: ClassVar[Mapping[str, str]] = {}  # of inherited options, in place of their own


class _Unconverted:
    """Leaves a value as typed, in place of typer's conversion."""

    def coerce(self, value: Any, **where: Any) -> Any:
        return value


def _plain(params: list[Any]) -> list[Any]:
    """Parameters that look and are read alike under every typer.

    typer 0.29 shows ``<bool>`` behind flags, and loads pydantic (70 ms) to convert any value, be
    it to a string; older versions do neither. Ours are strings, lists of strings and flags.
    """
    for param in params:
        param.get_runtime_param = _Unconverted
        param.rich_help_panel = getattr(param, "rich_help_panel", None) or "General"
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage as the command words it: typer's versions differ on arguments."""
        return [self.options_metavar or ""]


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _plain(super().get_params(ctx))


app = typer.Typer(
    name="olmix-evalscript",
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


def command(
    usage: str, *, examples: Sequence[str], name: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function to the commands.

    Args:
        usage: What stands behind the command's name, such as ``GROUP_ID [OPTIONS]``.
        examples: Whole command lines, for the end of its help.
        name: The function's name by default.
    """

    def add(function: Callable[..., None]) -> Callable[..., None]:
        app.command(
            name,
            cls=_Command,
            options_metavar=usage,
            epilog="\n\n".join(["Examples:", *(f"  {example}" for example in examples)]),
        )(flattened(function))
        return function

    return add


def flattened(function: Callable[..., None]) -> Callable[..., None]:
    """A function of single options, as typer wants them, in place of one of option dataclasses.

    Args:
        function: Each of its parameters that is a `Panel` stands for the options in it.
    """
    hints = inspect.get_annotations(function, eval_str=True)
    groups = {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and issubclass(hint, Panel)
    }
    parameters: dict[str, inspect.Parameter] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in groups:
            for option in _options(groups[parameter.name]):
                parameters[option.name] = option
        else:
            parameters[parameter.name] = parameter.replace(
                annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY
            )

    def run(**values: Any) -> None:
        for name, group in groups.items():
            values[name] = group(**{field.name: values.pop(field.name) for field in fields(group)})
        function(**values)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(list(parameters.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: p.annotation for name, p in parameters.items()}
    return run


def _options(group: type[Panel]) -> Iterator[inspect.Parameter]:
    """A parameter for each field of an option dataclass."""
    hints = get_type_hints(group, include_extras=True)
    for field in fields(group):
        hint = hints[field.name]
        option = copy(hint.__metadata__[0])
        option.rich_help_panel = group.panel
        option.help = group.helps.get(field.name, option.help)
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[hint.__origin__, option],
        )
