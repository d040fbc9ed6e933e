"""The subcommands, one a module: options in, what the console shows and exit statuses out."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

NAMES = ("collect", "generate", "list", "show", "snapshot", "tasks")


def add_to_app(words: Sequence[str]) -> None:
    """Add the command that a command line begins with to the app; all, if it begins otherwise."""
    wanted = words[:1] if words[:1] and words[0] in NAMES else NAMES
    for name in ("root", *wanted):
        import_module(f"{__name__}.{name}")
