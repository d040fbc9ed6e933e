"""A script's text and a path in, the file out, unless that would undo what somebody did to it.

A line in the script's header holds a checksum of all the rest but the date. It tells a script that
somebody edited from one that is as it was written.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from pathlib import Path

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.files import write_whole

_MADE_BY = re.compile(r"^(# Made by .*) on \d{4}-\d{2}-\d{2} \(UTC\)\.$", flags=re.M)
_CHECKSUM = re.compile(r"^# Checksum ([0-9a-f]{16}): .*\n", flags=re.M)
#: The script's variables that say what is evaluated, and how; what a user calls them.
_SETTINGS = {
    "GROUP_ID": "group",
    "TASKS": "tasks",
    "DASHBOARD": "dashboard",
    "CLUSTER": "cluster",
    "MODEL_BACKEND": "model backend",
    "EXTRA_ARGS": "arguments for olmo-cookbook-eval",
}
_SETTING = re.compile(rf"^({'|'.join(_SETTINGS)})=(\(\)|\(\n(?:  .*\n)*\)|'.*)$", flags=re.M)


def with_checksum(script: str) -> str:
    """The script with its checksum in the header, below the line that says what made it."""
    line = f"# Checksum {_checksum(script)}: generate keeps this file if it was edited."
    return _MADE_BY.sub(rf"\g<0>\n{line}", script, count=1)


def without_date(script: str) -> str:
    """The script without what holds for its day alone, to see whether anything else changed."""
    return _MADE_BY.sub(r"\1.", script, count=1)


def write_script(path: Path, script: str, *, force: bool = False) -> None:
    """Write a script that can be executed.

    Args:
        path: Where to; missing folders are made.
        script: With its checksum.
        force: Replace whatever is there.

    Raises:
        InvalidInputError: If it cannot be written there, or if, without force, the file there is
            one that somebody edited, or a script for another evaluation.
    """
    old = None if force or not os.path.isfile(path) else _read(path)
    if old is not None and "olmix-evalscript" not in old:
        raise InvalidInputError(
            f"{path} is not a script of olmix-evalscript. Nothing was written. Choose another file "
            "with --output, or replace it with --force."
        )
    reason = _why_kept(old, script) if old is not None else ""
    if reason:
        raise InvalidInputError(
            f"{path} {reason}. Nothing was written. Replace the file with --force, or write "
            "another with --output to see the difference."
        )
    write_whole(path, script, 0o755)


def difference(path: Path, script: str) -> list[str] | None:
    """How the file differs from the script in anything but the date.

    Returns:
        The lines of a unified diff; None if there is no file.

    Raises:
        InvalidInputError: If the file cannot be read.
    """
    text = _read(path)
    if text is None:
        return None
    old, new = (without_date(each).split("\n") for each in (text, script))
    lines = difflib.unified_diff(old, new, str(path), "as of now", lineterm="")
    return [line.replace("\r", "\\r") for line in lines]


def _read(path: Path) -> str | None:
    """A file's text, with its own line ends; bytes that are not UTF-8 are escaped. None if there is
    no file."""
    try:
        return path.read_bytes().decode(errors="backslashreplace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from None


def _checksum(script: str) -> str:
    text = without_date(_CHECKSUM.sub("", script, count=1))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _why_kept(old: str, new: str) -> str:
    """Why a script must not be replaced by another; empty if it may."""
    if without_date(old) == without_date(new):
        return ""
    checksum = _CHECKSUM.search(old)
    if checksum is None:
        return "has no checksum, so it may have been edited: version 0.1 wrote none"
    if checksum[1] != _checksum(old):
        return "was edited after it was written"
    settings = [dict(_SETTING.findall(script)) for script in (old, new)]
    others = [
        what for name, what in _SETTINGS.items() if settings[0].get(name) != settings[1].get(name)
    ]
    if others:
        return f"is for another evaluation (other {', '.join(dict.fromkeys(others))})"
    return ""
