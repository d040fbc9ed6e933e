"""The named task sets, what a task's name may look like, and its names in results and the fit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from olmix_evalscript import yamltext
from olmix_evalscript.errors import UsageError

DEFAULT_TASK_SET = "olmo3-offline"
#: Some have blanks, such as ``mmlu_pro_computer science:mc::none`` of olmo-cookbook.
_TASK = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.:+@/=,*|-]*( [A-Za-z0-9_.:+@/=,*|-]+)*")


@cache
def task_sets() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """All task sets: name of the set, then of the family, to task names in order."""
    text = (files("olmix_evalscript") / "data" / "tasks.yaml").read_text(encoding="utf-8")
    return {
        name: {family: tuple(tasks) for family, tasks in families.items()}
        for name, families in yamltext.load(text).items()
    }


def task_set(name: str) -> tuple[str, ...]:
    """The task names of one set, in order.

    Raises:
        UsageError: If there is no such set.
    """
    if name not in task_sets():
        raise UsageError(
            f"{name!r} is not a task set: expected {' or '.join(task_sets())}. "
            "Try `olmix-evalscript tasks`."
        )
    return tuple(task for tasks in task_sets()[name].values() for task in tasks)


def check_tasks(tasks: Iterable[str]) -> tuple[str, ...]:
    """Drop repeated task names and refuse what cannot be one.

    Raises:
        UsageError: If a name is a task set's, is empty, starts with a dash, or has characters that
            task names do not have. Unknown names pass: olmo-cookbook knows more than we do.
    """
    unique = tuple(dict.fromkeys(tasks))
    if not unique:
        raise UsageError("there are no tasks; name one with --task or --task-set")
    for task in unique:
        if task in task_sets():
            raise UsageError(f"{task!r} is a task set, not a task: use --task-set {task}")
        if not _TASK.fullmatch(task):
            raise UsageError(
                f"{task!a} is not a task name: expected one such as 'arc_easy:rc::olmes:full'"
            )
    return unique


@cache
def known_tasks() -> Mapping[str, str]:
    """The tasks of all sets, in order, each with its family in the first set that has it."""
    found: dict[str, str] = {}
    for families in task_sets().values():
        for family, tasks in families.items():
            for task in tasks:
                found.setdefault(task, family)
    return found


def task_warnings(tasks: Iterable[str]) -> list[str]:
    """A line for each unknown name that is like known ones, and one for all that are not."""
    warnings, others = [], []
    for task in tasks:
        if task in known_tasks():
            continue
        if similar := similar_tasks(task):
            warnings.append(f"unknown task {task}: did you mean {' or '.join(similar)}?")
        else:
            others.append(task)
    if others:
        plural = "s" * (len(others) > 1)
        warnings.append(f"unknown task{plural}, used as written: {', '.join(others)}")
    return warnings


def similar_tasks(task: str) -> list[str]:
    """Known names, of sets too, that are like one as a whole, or else before the first colon."""
    names = (*known_tasks(), *task_sets())
    bare = {name.partition(":")[0]: name for name in reversed(names)}
    near = difflib.get_close_matches(task.partition(":")[0], bare, n=3, cutoff=0.75)
    return difflib.get_close_matches(task, names, n=3, cutoff=0.75) or [bare[name] for name in near]


@dataclass(frozen=True)
class Metric:
    """A task, and what the fit calls it."""

    task: str  # as it is evaluated, such as "arc_easy:rc::olmes:full"
    column: str  # in metrics.csv and under eval.tasks, such as "arc_easy:rc::olmes"
    family: str


def metric(task: str) -> Metric:
    """A task with its column, and its family in the first set that has it, or else "other"."""
    return Metric(task, fit_column(task), known_tasks().get(task, "other"))


def fit_column(task: str) -> str:
    """What the fit calls a task, by the rule of olmix and regmixer.

    Source: ``get_offline_evals`` in olmix/fit/utils.py (before 957ef4e) and in regmixer's
    src/regmixer/eval/utils.py; all published fit configs use these names.
    """
    return task.replace("bpb:", "").replace(":full", "")


def known_task(column: str) -> str | None:
    """The known task that a fit means by a column's name: the one of just that name, or else the
    one with that column."""
    known = known_tasks()
    if column in known:
        return column
    return next((task for task in known if fit_column(task) == column), None)


#: The 106 tasks of ``olmo3-offline``.
OLMO3_OFFLINE_TASKS = task_set("olmo3-offline")
