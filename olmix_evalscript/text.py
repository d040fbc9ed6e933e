"""What names from outside may look like, and how foreign text is shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from olmix_evalscript.errors import UsageError

_NAME = re.compile(r"(?!-)(?!\.+$)(?!.*\.\.)[A-Za-z0-9._-]{1,255}")


def check_group_id(group_id: str) -> str:
    """Return the group ID if it is one.

    Raises:
        UsageError: If it is not 8 characters of a UUID.
    """
    if not re.fullmatch(r"[0-9a-f]{8}", group_id):
        similar = " or ".join(dict.fromkeys(group_ids_in(group_id.lower())))
        hint = "expected one such as 58362402. Try `olmix-evalscript list` to see yours."
        if similar:
            hint = f"did you mean {similar}?"
        raise UsageError(f"{shown(group_id)} is not a group ID: {hint}")
    return group_id


def group_ids_in(name: str) -> list[str]:
    """The parts of a name that may be a group ID."""
    return re.findall(r"(?<![A-Za-z0-9])[0-9a-f]{8}(?![A-Za-z0-9])", name)


def check_name(what: str, value: str) -> str:
    """Return a run name or user if it is fit for a path and a script, as those of launchers are.

    Raises:
        UsageError: If it is not.
    """
    if not _NAME.fullmatch(value):
        raise UsageError(
            f"{what} {shown(value)} is not accepted: expected letters, digits, '.', '_' and '-', "
            "no leading '-' and no '..'"
        )
    return value


def check_cluster(what: str, value: str) -> str:
    """Return a cluster such as ``ai2/jupiter`` if each of its names is one as in `check_name`.

    Raises:
        UsageError: If one is not.
    """
    for name in value.split("/"):
        check_name(what, name)
    return value


def shown(value: str) -> str:
    """A value from outside, fit for a message or a comment: one line, quoted where it must be."""
    if len(value) > 120:
        value = value[:117] + "..."
    return value if re.fullmatch(r"[A-Za-z0-9._/:-]+", value) else ascii(value)


def printable(text: str) -> str:
    """Text with a question mark for whatever could move a terminal's cursor or break a line."""
    return "".join(c if c.isprintable() else "?" for c in text)


def counted(count: int, noun: str) -> str:
    """Such as ``1 variant`` or ``2 variants``."""
    return f"{count} {noun}{'s' * (count != 1)}"


def in_words(counts: Mapping[str, int]) -> str:
    """Counts as people write them: ``2 succeeded, 1 failed``."""
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as people write them: ``0, 3, 5-9``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def variants_named(numbers: Collection[int]) -> str:
    """Such as ``variant 3`` or ``variants 0-7``."""
    return f"variant{'s' * (len(set(numbers)) != 1)} {ranges(numbers)}"


def listed(names: Iterable[str]) -> str:
    """Names for a message, sorted, at most ten of them."""
    found = sorted(names)
    more = f" and {len(found) - 10} more" if len(found) > 10 else ""
    return ", ".join(shown(name) for name in found[:10]) + more
