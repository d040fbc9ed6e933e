"""Read what an olmix YAML file says about the evaluation and the fit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from olmix_evalscript import yamltext
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
    data = load_mapping(path, "config", (*KEYS, "eval", *FIT_SECTIONS))
    try:
        _check_keys(data)
        tasks = _eval_tasks(data)
        metrics = () if tasks else _offline_metrics(data.get("eval"))
        sections = _fit_sections(path, data)
        config = EvalConfig(
            tasks=tasks or tuple(metric.task for metric in metrics),
            metrics=metrics,
            cluster=_text(data, "eval_cluster"),
            model_backend=_text(data, "eval_model_backend"),
            has_inloop_tasks=_is_inloop(data.get("eval")),
            fit=sections,
            drop_metrics=_drop_metrics(sections),
        )
    except ValueError as error:
        raise InvalidInputError(f"cannot use the config {path}: {error}") from None
    if not (config.tasks or config.cluster or config.model_backend or config.fit):
        inloop = "its inloop eval block is not a task list; " if config.has_inloop_tasks else ""
        raise InvalidInputError(
            f"the config {path} says nothing about evaluation: {inloop}expected eval_tasks, "
            "eval_cluster or eval_model_backend, or a fit's offline tasks under eval"
        )
    return config


def load_mapping(path: Path, what: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read a YAML file that is a mapping, all scalars as text.

    Args:
        path: The file.
        what: What it is to the user, such as "config".
        keys: Those that matter; a merge key (``<<``) in one of them is refused.

    Raises:
        InvalidInputError: If it cannot be read, or is not such a mapping.
    """
    data = yamltext.load_file(path, what)
    if not isinstance(data, dict):
        raise InvalidInputError(f"cannot use the {what} {path}: it is not a mapping")
    if _has_merge_key({key: data[key] for key in (*keys, "<<") if key in data}):
        raise InvalidInputError(
            f"cannot use the {what} {path}: it has a YAML merge key (<<), which is not followed; "
            "write out what it stands for"
        )
    return data


def _has_merge_key(value: Any) -> bool:
    if isinstance(value, dict):
        return "<<" in value or any(map(_has_merge_key, value.values()))
    return isinstance(value, list) and any(map(_has_merge_key, value))


def _check_keys(data: dict[str, Any]) -> None:
    for key in data:
        near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.85)
        if near and key not in KEYS:
            raise ValueError(f"it has {key}; did you mean {near[0]}?")


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if yamltext.is_absent(value):
        return None
    if not isinstance(value, str):
        raise ValueError(f"{key} is not text")
    return value


def _eval_tasks(data: dict[str, Any]) -> tuple[str, ...]:
    if yamltext.is_absent(data.get("eval_tasks")):
        return ()
    tasks = yamltext.strings(data["eval_tasks"])
    if not tasks:
        raise ValueError("eval_tasks is not a list of task names")
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
    lists = {family: yamltext.strings(names) for family, names in families.items()}
    if not all(lists.values()):
        raise ValueError("eval.tasks has a family without a list of task names")
    return tuple(
        Metric(known_task(name) or name, name, family)
        for family, names in lists.items()
        for name in names or ()
    )


def _fit_sections(path: Path, data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A fit's settings, with the types that olmix reads."""
    names = [name for name in FIT_SECTIONS if not yamltext.is_absent(data.get(name))]
    if not names:
        return {}
    try:
        typed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    for name in names:
        if not isinstance(typed[name], dict):
            raise ValueError(f"{name} is not a mapping")
    return {name: typed[name] for name in names}


def _drop_metrics(sections: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    names = sections.get("filtering", {}).get("drop_metrics") or []
    dropped = yamltext.strings(names)
    if dropped is None:
        raise ValueError("filtering.drop_metrics is not a list of names")
    return dropped
