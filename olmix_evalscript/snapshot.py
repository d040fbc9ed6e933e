"""Save experiments as YAML, and load them again without Beaker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript import yamltext
from olmix_evalscript.command import trainer_words
from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import STATUSES, Experiment, Task
from olmix_evalscript.swarm import Reading, relevant
from olmix_evalscript.text import shown

VERSION = "1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def dump(group_id: str, experiments: Sequence[Experiment]) -> str:
    """Save the group's training runs and their evaluations, and what cannot be read.

    Of a command, only the trainer's own words or the names of checkpoints are kept: no environment
    variable, no secret's name and no other job gets into a snapshot.

    Returns:
        YAML text that `load` takes.
    """
    saved = [_to_data(reading) for reading in relevant(group_id, experiments)]
    data = {"version": VERSION, "group_id": group_id, "experiments": saved}
    return str(yaml.safe_dump(data, sort_keys=False, width=10_000))


def load(path: Path, group_id: str) -> list[Experiment]:
    """Read the experiments of a group from a snapshot.

    Raises:
        InvalidInputError: If the file cannot be read, or is not a snapshot of the group.
    """
    try:
        data = yamltext.load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"cannot read the snapshot {path}: {reason}") from None
    try:
        if (version := _get(data, "version", str)) != VERSION:
            raise ValueError(f"its version is {version!r}, not {VERSION!r}")
        if (other := _get(data, "group_id", str)) != group_id:
            raise ValueError(f"it holds group {shown(other)}")
        return [_from_data(item) for item in _get(data, "experiments", list)]
    except ValueError as error:
        raise InvalidInputError(
            f"{path} is not a snapshot of {group_id}: {error}. "
            f"Make one with `olmix-evalscript snapshot {group_id}`."
        ) from None


def _to_data(reading: Reading) -> dict[str, Any]:
    experiment = reading.experiment
    data: dict[str, Any] = {
        "id": experiment.id,
        "name": experiment.name,
        "created": experiment.created.strftime(_TIME),
        "status": experiment.status,
    }
    if reading.problem:
        return {**data, "problem": reading.problem}
    commands = dict.fromkeys(trainer_words(task.words) for task in experiment.tasks)
    tasks = [{"arguments": list(words)} for words in commands if words]
    mentioned = [f"{run_name}_step{step}" for run_name, step in reading.checkpoints]
    return {**data, "tasks": tasks or [{"arguments": mentioned}]}


def _from_data(data: Any) -> Experiment:
    status = _get(data, "status", str)
    if status not in STATUSES:
        raise ValueError(f"{status!r} is not a status")
    created = datetime.strptime(_get(data, "created", str), _TIME)
    return Experiment(
        id=_get(data, "id", str),
        name=_get(data, "name", str),
        created=created.replace(tzinfo=timezone.utc),
        status=status,
        tasks=tuple(
            Task(yamltext.strings(_get(task, "arguments", list), "arguments"))
            for task in _get(data, "tasks", list, default=[])
        ),
        problem=_get(data, "problem", str, default=""),
    )


def _get(data: Any, key: str, kind: type, default: Any = None) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"expected a mapping with {key!r}")
    value = data.get(key, default)
    if not isinstance(value, kind):
        raise ValueError(f"{key!r} is missing or has the wrong type")
    return value
