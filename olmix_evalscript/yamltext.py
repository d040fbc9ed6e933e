"""YAML text in, plain strings, lists and dicts out: nothing is converted, and all is bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript.errors import InvalidInputError

#: Snapshots of 1,024 variants take about 1 MB; no spec comes near it.
MAX_CHARACTERS = 64 * 1024 * 1024
#: Of a text with aliases, each written out; people write a spec's command once for its tasks.
MAX_CHARACTERS_WITH_ALIASES = 2 * 1024 * 1024
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
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{error.problem or error.context}{place}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from None


def load_file(path: Path, what: str) -> Any:
    """Parse a file that holds one YAML document, as `load` does.

    Args:
        path: The file.
        what: What it is to the user, such as "config".

    Raises:
        InvalidInputError: If it cannot be read, or its text cannot.
    """
    try:
        return load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"cannot read the {what} {path}: {reason}") from None


def _check_size(text: str) -> None:
    """Refuse what is nested too deeply, or grows too large where aliases are written out."""
    sizes: dict[str, int] = {}  # of each anchor, in characters with its aliases written out
    open_collections: list[tuple[str | None, int]] = []  # anchor, and total where it begins
    total, has_aliases = 0, False
    for number, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if number > MAX_NODES:
            raise ValueError(f"it has more than {MAX_NODES} values")
        if isinstance(event, yaml.CollectionStartEvent):
            open_collections.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, start = open_collections.pop()
            if anchor is not None:
                sizes[anchor] = total - start
        elif isinstance(event, yaml.ScalarEvent):
            total += 1 + len(event.value)
            if event.anchor is not None:
                sizes[event.anchor] = 1 + len(event.value)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor in {anchor for anchor, _ in open_collections}:
                raise ValueError("it contains itself")
            total += sizes.get(str(event.anchor), 1)
            has_aliases = True
        if len(open_collections) > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if has_aliases and total > MAX_CHARACTERS_WITH_ALIASES:
            raise ValueError(
                f"its aliases make it longer than {MAX_CHARACTERS_WITH_ALIASES} characters"
            )


def strings(value: Any) -> tuple[str, ...] | None:
    """The value as strings if it is a list of scalars, else None."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return None


def is_absent(value: Any) -> bool:
    """Whether a value is YAML's null, however it is written."""
    return value is None or value in ("", "~", "null", "Null", "NULL")
