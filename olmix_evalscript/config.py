"""Read what an olmix YAML file says about the evaluation and the fit."""

from __future__ import annotations

import difflib
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
        _check_keys(data)
        tasks = _eval_tasks(data)
        metrics = () if tasks else _offline_metrics(data.get("eval"))
        sections = _fit_sections(data)
        config = EvalConfig(
            tasks=tasks or tuple(metric.task for metric in metrics),
            metrics=metrics,
            cluster=_text(data, "eval_cluster"),
            model_backend=_text(data, "eval_model_backend"),
            has_inloop_tasks=_is_inloop(data.get("eval")),
            fit=sections,
            drop_metrics=_names(sections.get("filtering", {}), "drop_metrics"),
        )
    except ValueError as error:
        raise InvalidInputError(f"cannot use the config {path}: {error}") from None
    has_fit = config.fit and not config.has_inloop_tasks
    if not (config.tasks or config.cluster or config.model_backend or has_fit):
        inloop = "its inloop eval block is not a task list; " if config.has_inloop_tasks else ""
        raise InvalidInputError(
            f"the config {path} says nothing about evaluation: {inloop}expected eval_tasks, "
            "eval_cluster or eval_model_backend, or a fit's offline tasks under eval"
        )
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
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = error.problem or error.context
        raise InvalidInputError(f"cannot read the {what} {path}: {problem}{line}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        problem = str(error).partition("\n")[0]
        raise InvalidInputError(f"cannot read the {what} {path}: {problem}") from None
    if not isinstance(data, dict):
        raise InvalidInputError(f"cannot use the {what} {path}: it is not a mapping")
    return data


def _check_keys(data: dict[str, Any]) -> None:
    for key in data:
        near = difflib.get_close_matches(str(key), KEYS, n=1, cutoff=0.85)
        if near and key not in KEYS:
            raise ValueError(f"it has {key}; did you mean {near[0]}?")


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{key} is not text")
    return value


def _names(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = data.get(key) or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key} is not a list of names")
    return tuple(names)


def _eval_tasks(data: dict[str, Any]) -> tuple[str, ...]:
    tasks = _names(data, "eval_tasks")
    if not tasks and data.get("eval_tasks") is not None:
        raise ValueError("eval_tasks has no task names")
    return tasks


def _is_inloop(block: Any) -> bool:
    """Whether an eval block is about evaluation within training: it maps names to metrics, where
    one for a fit of offline results lists names; olmix leaves out its type where that is inloop."""
    families = block.get("tasks") if isinstance(block, dict) else None
    return isinstance(block, dict) and (
        block.get("type") == "inloop"
        or (isinstance(families, dict) and any(isinstance(f, dict) for f in families.values()))
    )


def _offline_metrics(block: Any) -> tuple[Metric, ...]:
    """The names in ``eval: {type: offline, tasks: {family: [name, ...]}}``, family by family."""
    if block is None or _is_inloop(block):
        return ()
    families = block.get("tasks") if isinstance(block, dict) else None
    if not isinstance(families, dict) or not families:
        raise ValueError("eval has no tasks by family")
    lists = {str(family): _names(families, family) for family in families}
    if not all(lists.values()):
        raise ValueError("eval.tasks has a family without a list of task names")
    return tuple(
        Metric(known_task(name) or name, name, family)
        for family, names in lists.items()
        for name in names
    )


def _fit_sections(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of a fit, besides its data and tasks."""
    sections = {name: data[name] for name in FIT_SECTIONS if data.get(name) is not None}
    for name, section in sections.items():
        if not isinstance(section, dict):
            raise ValueError(f"{name} is not a mapping")
    return sections
