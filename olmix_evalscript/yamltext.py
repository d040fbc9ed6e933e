"""Parse YAML as plain strings, lists and dicts, within limits."""

from __future__ import annotations

from typing import Any

import yaml

#: Of a text, and of a text with its aliases written out. Snapshots of 1,024 variants take 1 MB.
MAX_CHARACTERS = 64 * 1024 * 1024
MAX_NODES = 500_000  # ten times those of 1,024 variants
MAX_DEPTH = 50  # lists and mappings within each other; libyaml's composer recurses without a check

_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def load(text: str) -> Any:
    """Parse one YAML document; every scalar stays the string it is written as.

    Raises:
        ValueError: If the text is not YAML, in one line that says where, or is too large.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it is longer than {MAX_CHARACTERS} characters")
    try:
        _check_size(text)
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ValueError(f"{problem}{place}") from None


def _check_size(text: str) -> None:
    """Refuse what is nested too deeply, or too large with its aliases written out.

    An alias stands for at most the whole text, since none may be part of what another stands for.
    """
    is_anchored: list[bool] = []  # of each open collection, whether it or one around it is
    size = len(text)
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            is_anchored.append(event.anchor is not None or any(is_anchored[-1:]))
        elif isinstance(event, yaml.CollectionEndEvent):
            is_anchored.pop()
        elif isinstance(event, yaml.AliasEvent):
            if any(is_anchored[-1:]):
                raise ValueError("it has an alias within an anchored value")
            size += len(text)
        if len(is_anchored) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if size > MAX_CHARACTERS:
            raise ValueError("it has too many aliases")


def strings(value: Any, key: str) -> tuple[str, ...]:
    """What a task has under a key, as strings; none if it is missing or YAML's null.

    Raises:
        ValueError: If it is no list of scalars.
    """
    if value is None or value in ("", "~", "null", "Null", "NULL"):
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key!r} of a task is not a list of strings")
    return tuple(value)
