"""YAML text in, plain strings, lists and dicts out: nothing is converted, nothing can expand."""

from __future__ import annotations

from typing import Any

import yaml

#: Snapshots of 1,024 variants take about 1 MB; no spec comes near it.
MAX_CHARACTERS = 64 * 1024 * 1024
MAX_DEPTH = 50  # lists and mappings within each other; libyaml's composer recurses without a check

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def load(text: str) -> Any:
    """Parse one YAML document; every scalar stays the string it is written as.

    Aliases cannot make the result grow: the base loader copies no node and knows no merge keys.

    Raises:
        ValueError: If the text is no YAML, in one line that says where.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it is longer than {MAX_CHARACTERS} characters")
    try:
        _check_depth(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{error.problem or error.context}{place}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from None


def _check_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")


def strings(value: Any) -> tuple[str, ...] | None:
    """The value as strings if it is a list of scalars, else None."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None
