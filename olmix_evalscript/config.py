"""An olmix YAML file in, what it says about the evaluation or the priors out."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from olmix_evalscript import yamltext
from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.tasks import Metric, known_task

#: Of a launch YAML, all that is about evaluation.
KEYS = ("eval_tasks", "eval_cluster", "eval_model_backend")


@dataclass(frozen=True)
class EvalConfig:
    """The settings a file has; None and empty where it has none."""

    tasks: tuple[str, ...] = ()  # as they are evaluated
    cluster: str | None = None
    model_backend: str | None = None
    has_inloop_tasks: bool = False  # metrics of the training itself, which are no tasks to run
    metrics: tuple[Metric, ...] = ()  # the tasks with the names that a fit has for them


@dataclass(frozen=True)
class Priors:
    """How much data each domain has."""

    relative_sizes: Mapping[str, float]  # domain to its share of all data
    token_counts: Mapping[str, int]


def load(path: Path) -> EvalConfig:
    """Read ``eval_tasks``, ``eval_cluster`` and ``eval_model_backend`` of a launch YAML, or the
    offline tasks of a fit YAML (``OfflineEvalConfig`` in olmix/fit/config.py).

    A fit names columns; each is looked up among the known tasks.

    Raises:
        InvalidInputError: If the file cannot be read or says nothing usable.
    """
    data = _mapping(path, "config")
    try:
        _check_keys(data)
        tasks = _eval_tasks(data)
        metrics = () if tasks else _offline_metrics(data.get("eval"))
        config = EvalConfig(
            tasks=tasks or tuple(metric.task for metric in metrics),
            metrics=metrics,
            cluster=_text(data, "eval_cluster"),
            model_backend=_text(data, "eval_model_backend"),
            has_inloop_tasks=_is_inloop(data.get("eval")),
        )
    except ValueError as error:
        raise InvalidInputError(f"cannot use the config {path}: {error}") from None
    if not (config.tasks or config.cluster or config.model_backend):
        inloop = "its inloop eval block is not a task list; " if config.has_inloop_tasks else ""
        raise InvalidInputError(
            f"the config {path} says nothing about evaluation: {inloop}expected eval_tasks, "
            "eval_cluster or eval_model_backend, or a fit's offline tasks under eval"
        )
    return config


def load_priors(path: Path) -> Priors:
    """Read the ``priors`` block (``PriorsConfig`` in olmix/fit/config.py) of what
    ``olmix priors compute`` prints, of a generation config or of a fit config.

    Raises:
        InvalidInputError: If the file cannot be read or has none.
    """
    block = _mapping(path, "priors").get("priors")
    try:
        if not isinstance(block, dict):
            raise ValueError("it has no priors block; `olmix priors compute` prints one")
        sizes = _scalars(block, "relative_sizes")
        counts = _scalars(block, "token_counts")
        return Priors(
            {name: _amount(name, text) for name, text in sizes.items()},
            {name: _count(name, text) for name, text in counts.items()},
        )
    except ValueError as error:
        raise InvalidInputError(f"cannot use the priors {path}: {error}") from None


def _scalars(block: dict[str, Any], key: str) -> dict[str, str]:
    values = block.get(key)
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise ValueError(f"{key} does not map domains to numbers")
    for domain, text in values.items():
        if re.fullmatch(r"[-+]?0[0-7_]*[1-7][0-7_]*", text):
            raise ValueError(f"{domain} has {text}, which YAML reads as octal")
    return values


def _amount(domain: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{domain} has {text!a}; expected a number that is not negative")
    return number


def _count(domain: str, text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        amount = _amount(domain, text)
        count = int(amount)
        if count != amount:
            raise ValueError(f"{domain} has {text!a}; expected a number of tokens") from None
    if count < 0:
        raise ValueError(f"{domain} has {text!a}; expected a number of tokens")
    return count


def _mapping(path: Path, what: str) -> dict[str, Any]:
    data = yamltext.load_file(path, what)
    if not isinstance(data, dict):
        raise InvalidInputError(f"cannot use the {what} {path}: it is not a mapping")
    if _has_merge_key({key: data[key] for key in (*KEYS, "eval", "priors", "<<") if key in data}):
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
