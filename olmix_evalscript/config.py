"""An olmix YAML file in, what it says about the evaluation out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix_evalscript import yamltext
from olmix_evalscript.errors import InvalidInputError


@dataclass(frozen=True)
class EvalConfig:
    """The settings a file has; None and empty where it has none."""

    tasks: tuple[str, ...] = ()
    cluster: str | None = None
    model_backend: str | None = None
    has_inloop_tasks: bool = False  # metrics of the training itself, which are no tasks to run


def load(path: Path) -> EvalConfig:
    """Read ``eval_tasks``, ``eval_cluster`` and ``eval_model_backend`` of a launch YAML, or the
    offline tasks of a fit YAML (``OfflineEvalConfig`` in olmix/fit/config.py).

    Raises:
        InvalidInputError: If the file cannot be read or says nothing usable.
    """
    try:
        data = yamltext.load(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("it is no mapping")
        config = EvalConfig(
            tasks=_eval_tasks(data) or _offline_tasks(data.get("eval")),
            cluster=_text(data, "eval_cluster"),
            model_backend=_text(data, "eval_model_backend"),
            has_inloop_tasks=_is_inloop(data.get("eval")),
        )
    except OSError as error:
        raise InvalidInputError(f"cannot read the config {path}: {error.strerror}") from None
    except ValueError as error:
        raise InvalidInputError(f"cannot use the config {path}: {error}") from None
    if not (config.tasks or config.cluster or config.model_backend):
        inloop = "its inloop eval block is no task list; " if config.has_inloop_tasks else ""
        raise InvalidInputError(
            f"the config {path} says nothing about this evaluation: {inloop}expected eval_tasks, "
            "eval_cluster or eval_model_backend, or a fit's offline tasks under eval"
        )
    return config


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{key} is no text")
    return value


def _eval_tasks(data: dict[str, Any]) -> tuple[str, ...]:
    if "eval_tasks" not in data:
        return ()
    tasks = yamltext.strings(data["eval_tasks"])
    if not tasks:
        raise ValueError("eval_tasks is no list of task names")
    return tasks


def _is_inloop(block: Any) -> bool:
    """Whether an eval block is about evaluation within training: it maps names to metrics, where
    one for a fit of offline results lists names; olmix leaves out its type where that is inloop."""
    families = block.get("tasks") if isinstance(block, dict) else None
    return isinstance(block, dict) and (
        block.get("type") == "inloop"
        or (isinstance(families, dict) and any(isinstance(f, dict) for f in families.values()))
    )


def _offline_tasks(block: Any) -> tuple[str, ...]:
    """The tasks of ``eval: {type: offline, tasks: {family: [name, ...]}}``, family by family."""
    if block is None or _is_inloop(block):
        return ()
    families = block.get("tasks") if isinstance(block, dict) else None
    if not isinstance(families, dict) or not families:
        raise ValueError("eval has no tasks by family")
    lists = [yamltext.strings(names) for names in families.values()]
    if not all(lists):
        raise ValueError("eval.tasks has a family without a list of task names")
    return tuple(name for names in lists if names for name in names)
