"""Read what an olmix YAML file says about the evaluation and the fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.tasks import Metric, known_task

#: Of a launch YAML, all that is about evaluation.
KEYS = ("eval_tasks", "eval_cluster", "eval_model_backend")
#: Of a fit YAML (``FitConfig`` in olmix/fit/config.py), what is neither data nor tasks.
FIT_SECTIONS = ("regression", "proposer", "constraints", "filtering")


@dataclass(frozen=True)
class EvalConfig:
    """The settings a file has; None and empty where it has none."""

    tasks: tuple[str, ...] = ()  # as they are evaluated
    cluster: str | None = None
    model_backend: str | None = None
    has_inloop_tasks: bool = False  # metrics of the training itself, which are no tasks to run
    metrics: tuple[Metric, ...] = ()  # the tasks with the names that a fit has for them
    fit: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # those of FIT_SECTIONS
    drop_metrics: tuple[str, ...] = ()  # columns that the fit's filtering drops


def load(path: Path) -> EvalConfig:
    """Read ``eval_tasks``, ``eval_cluster`` and ``eval_model_backend`` of a launch YAML, or the
    offline tasks (``OfflineEvalConfig`` in olmix/fit/config.py) and settings of a fit YAML.

    A fit names columns; each is looked up among the known tasks.

    Raises:
        InvalidInputError: If the file cannot be read or says nothing usable.
    """
    data = load_mapping(path, "config")
    try:
        is_inloop = _is_inloop(data.get("eval"))
        tasks = _names(data, "eval_tasks")
        metrics = () if tasks or is_inloop else _offline_metrics(data.get("eval"))
        sections = {name: _mapping(data, name) for name in FIT_SECTIONS if data.get(name)}
        config = EvalConfig(
            tasks=tasks or tuple(metric.task for metric in metrics),
            metrics=metrics,
            cluster=_text(data, "eval_cluster"),
            model_backend=_text(data, "eval_model_backend"),
            has_inloop_tasks=is_inloop,
            fit=sections,
            drop_metrics=_names(sections.get("filtering", {}), "drop_metrics"),
        )
        if data.get("eval_tasks") == []:
            raise ValueError("eval_tasks has no task names")
        unknown = [key for key in data if str(key).startswith("eval_") and key not in KEYS]
        if unknown:
            raise ValueError(f"it has {unknown[0]}; expected {', '.join(KEYS)}")
        has_fit = config.fit and not is_inloop
        if not (config.tasks or config.cluster or config.model_backend or has_fit):
            inloop = "its inloop eval block is not a task list; " if is_inloop else ""
            raise ValueError(
                f"it says nothing about evaluation: {inloop}expected {', '.join(KEYS)}, or a fit's "
                "offline tasks under eval"
            )
    except ValueError as error:
        raise InvalidInputError(f"cannot use the config {path}: {error}") from None
    return config


def load_mapping(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file that is a mapping, as olmix does.

    Raises:
        InvalidInputError: If it cannot be read, or is not such a mapping; ``what`` names it.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"cannot read the {what} {path}: {error.strerror}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise InvalidInputError(f"cannot read the {what} {path}: {problem}") from None
    if not isinstance(data, dict):
        raise InvalidInputError(f"cannot use the {what} {path}: it is not a mapping")
    return data


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{key} is not text")
    return value


def _names(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = data.get(key)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is not a list of names")
    return tuple(names)


def _mapping(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = data[key]
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not a mapping")
    return value


def _is_inloop(block: Any) -> bool:
    """Whether an eval block is about evaluation within training: it maps names to metrics, where
    one for a fit of offline results lists names; olmix leaves out its type where that is inloop."""
    families = block.get("tasks") if isinstance(block, dict) else None
    if not isinstance(families, dict):
        return False
    has_mappings = any(isinstance(names, dict) for names in families.values())
    return block.get("type") == "inloop" or has_mappings


def _offline_metrics(block: Any) -> tuple[Metric, ...]:
    """The names in ``eval: {type: offline, tasks: {family: [name, ...]}}``, family by family."""
    if block is None:
        return ()
    families = block.get("tasks") if isinstance(block, dict) else None
    if not isinstance(families, dict) or not all(families.values()) or not families:
        raise ValueError("eval has no tasks by family")
    return tuple(
        Metric(known_task(name) or name, name, str(family))
        for family in families
        for name in _names(families, family)
    )
