"""Read evaluation results: the bits per byte of each run, step and task."""

from __future__ import annotations

import json
import math
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from olmix_evalscript.errors import FitError
from olmix_evalscript.tasks import bpb_name
from olmix_evalscript.text import counted, shown

#: How the keys of oe-eval's result files end; other files lie beside them.
SUFFIX = "metrics-all.jsonl"
#: Where a result has its BPB; the first one counts. The order is that of ``get_offline_evals`` in
#: olmix (before 957ef4e) and regmixer; the last is what olmo-cookbook falls back on.
BPB_KEYS = (
    "bits_per_byte_corr",
    "bits_per_byte_corr_macro",
    "bits_per_byte",
    "logits_per_byte_corr",
)

#: ``make_eval_run_name`` in olmo-cookbook's cookbook/cli/utils.py, without its suffixes. At step 0
#: nothing is trained yet; the script does not evaluate it either.
_MODEL = re.compile(r"(?P<run>.+)_step(?P<step>[1-9][0-9]{0,11})(-hf)?", re.DOTALL)


@dataclass(frozen=True)
class Results:
    """What the results say about some runs and tasks."""

    #: Run name, step and task to BPB; None where the task was evaluated without one.
    bpb: Mapping[str, Mapping[int, Mapping[str, float | None]]]
    tasks: tuple[str, ...] = ()  # all that these runs were evaluated on, sorted
    others: tuple[str, ...] = ()  # models made from these runs: ``_bos``, a suffix
    foreign_model: str = ""  # one that is none of these runs, if there is any
    conflicts: Mapping[int, str] = field(default_factory=dict)  # step to why it cannot be compared
    warnings: Mapping[int, Sequence[str]] = field(default_factory=dict)  # by step

    def steps(self, run_name: str) -> list[int]:
        """The steps at which a run has any BPB, in order."""
        steps = self.bpb.get(run_name, {})
        return sorted(step for step in steps if any(v is not None for v in steps[step].values()))


class _Checkpoint(NamedTuple):
    run: str
    step: int


class _Result(NamedTuple):
    model: str
    task: str
    value: Any
    date: str  # current_date
    location: str  # file and line
    metric: str  # the key of the value
    num_instances: Any
    task_hash: Any  # of the task's settings; by load_task in oe-eval's run_eval.py


_Newest = dict[str, dict[str, _Result]]  # by model and task


def load(folder: Path, run_names: Collection[str], tasks: Collection[str]) -> Results:
    """Read the results of some runs and tasks.

    Args:
        folder: Searched for files that end in ``metrics-all.jsonl``.
        run_names: The runs; a result counts for one if its model is the run name and ``_stepN``,
            with or without ``-hf``.
        tasks: Names as they were evaluated.

    Raises:
        FitError: If there is no file, one cannot be read, is cut off, or has a value that is not a
            BPB, or if two results contradict each other.
    """
    runs, wanted = frozenset(run_names), frozenset(tasks)
    checkpoints: dict[str, _Checkpoint | None] = {}
    newest: _Newest = {}
    replaced: dict[int, list[_Result]] = defaultdict(list)
    found_tasks = set()
    try:
        for result in _results(_result_files(folder)):
            model, task = result.model, result.task
            if model not in checkpoints:
                checkpoints[model] = _checkpoint(model, runs)
            checkpoint = checkpoints[model]
            if checkpoint is None:
                continue
            found_tasks.add(task)
            if task not in wanted:
                continue
            old = newest.setdefault(model, {}).setdefault(task, result)
            if _is_newer(result, old):
                newest[model][task] = result
            if result.date != old.date and result.value != old.value:
                replaced[checkpoint.step].append(result)
    except OSError as error:
        raise FitError(f"cannot read {error.filename or folder}: {error.strerror}") from None
    known = {model: found for model, found in checkpoints.items() if found is not None}
    foreign = [model for model in checkpoints if model not in known]
    warnings: dict[int, list[str]] = defaultdict(list)
    for step, results in replaced.items():
        warnings[step].append(
            f"{counted(len(results), 'result')} replaced by newer ones from another date, such as "
            f"{shown(results[0].task)} of {results[0].model}"
        )
    bpb = _by_run(newest, known)
    conflicts = _compare(newest, known, warnings)
    _compare_forms(newest, known, warnings)
    return Results(
        bpb,
        tasks=tuple(sorted(found_tasks)),
        others=tuple(sorted(model for model in foreign if _is_made_from(model, runs))),
        foreign_model=foreign[0] if foreign else "",
        conflicts=conflicts,
        warnings=warnings,
    )


def _checkpoint(model: str, runs: Collection[str]) -> _Checkpoint | None:
    """The run and step of a model; None unless it is a plain checkpoint of these runs."""
    match = _MODEL.fullmatch(model)
    return _Checkpoint(match["run"], int(match["step"])) if match and match["run"] in runs else None


def _is_made_from(model: str, runs: Collection[str]) -> bool:
    return any(model[: match.start()] in runs for match in re.finditer("_", model))


def _by_run(
    newest: _Newest, checkpoints: Mapping[str, _Checkpoint]
) -> dict[str, dict[int, dict[str, float | None]]]:
    """Check all values, and join those of a checkpoint and its converted form."""
    found: dict[str, dict[int, dict[str, float | None]]] = {}
    first: dict[tuple[_Checkpoint, str], _Result] = {}  # checkpoint and task
    for model, by_task in newest.items():
        run, step = checkpoint = checkpoints[model]
        of_step = found.setdefault(run, {}).setdefault(step, {})
        for task, result in by_task.items():
            number = None if result.value is None else _bpb(result)
            if number is None:
                of_step.setdefault(task, None)
                continue
            other = first.setdefault((checkpoint, task), result)
            if other.value != result.value:
                raise FitError(
                    f"{shown(task)} has two values at step {step} of {run}: {other.value!r} of "
                    f"{other.model} in {other.location}, {number!r} of {model} in "
                    f"{result.location}. Keep the results of one of the two."
                )
            of_step[task] = number
    return found


def _bpb(result: _Result) -> float:
    """The value as bits per byte; olmo-cookbook takes a value of 0 for none."""
    try:
        if type(result.value) in (int, float) and 0 < float(result.value) < math.inf:
            return float(result.value)
    except OverflowError:
        pass
    raise FitError(
        f"{result.location}: {shown(result.task)} of {result.model} has the value "
        f"{shown(str(result.value))}; expected bits per byte, a number above 0"
    )


# --- files --------------------------------------------------------------------------------


def _result_files(folder: Path) -> Iterator[Path]:
    """The files of results in a folder, at any depth."""

    def refuse(error: OSError) -> None:
        raise error

    found = False
    for root, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            if name.endswith(SUFFIX):
                found = True
                yield Path(root, name)
    if not found:
        raise FitError(f"no metrics-all.jsonl file in {folder}")


def _results(paths: Iterable[Path]) -> Iterator[_Result]:
    """Each result in the files, without aggregates."""
    for path in paths:
        count = 0
        with path.open("rb") as file:
            for count, line in enumerate(file, start=1):
                location = f"{path}:{count}"
                try:
                    record = json.loads(line.decode("utf-8"))
                except (ValueError, RecursionError) as error:
                    raise FitError(
                        f"{location}: it is not a line of JSON, or is truncated ({error}). "
                        "Fetch it again."
                    ) from None
                result = _result(record, location)
                if result is not None:
                    yield result
        if not count:
            raise FitError(f"{path}: it is empty. Fetch it again.")


def _result(record: Any, location: str) -> _Result | None:
    """A line's result; None for an aggregate. The fields are those of ``MetricsAll`` in
    olmo-cookbook's cookbook/eval/datalake.py."""
    try:
        metadata = record["task_config"].get("metadata") or {}
        task = metadata.get("alias") or record["task_name"]
        metrics, config = record["metrics"], record["model_config"]
        model, revision = config["model"], config.get("revision")
        if not isinstance(model, str) or not isinstance(task, str):
            raise TypeError
        if (metadata.get("num_tasks") or 0) > 0:
            return None
        name = bpb_name(task)
        keys = (*BPB_KEYS, "primary_score") if name == task else BPB_KEYS if name else ()
        key = next((key for key in keys if metrics.get(key) is not None), "")
        return _Result(
            model=model if revision is None else f"{model}:{revision}",
            task=task,
            value=metrics.get(key),
            date=record.get("current_date", ""),
            location=location,
            metric=key,
            num_instances=record.get("num_instances"),
            task_hash=record.get("task_hash"),
        )
    except (AttributeError, KeyError, TypeError):
        raise FitError(
            f"{location}: it is not a result as oe-eval writes it; expected task_name, "
            "task_config, metrics and model_config"
        ) from None


def _is_newer(new: _Result, old: _Result) -> bool:
    if new is old:
        return False
    dates = _date(old), _date(new)
    if dates[0] == dates[1] and old.value != new.value:
        raise FitError(
            f"{shown(new.model)} has two results of {shown(new.task)} of the same date, in "
            f"{old.location} and in {new.location}"
        )
    return dates[1] > dates[0]


def _date(result: _Result) -> datetime:
    """The time of an evaluation, such as ``2026-02-01 00:00:00 UTC``."""
    try:
        text = re.sub(r" ?(UTC|Z)$", "+00:00", result.date)
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise FitError(
            f"{result.location}: its current_date is {shown(str(result.date))}, so it is unclear "
            "which of two results is the newer"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


# --- comparisons --------------------------------------------------------------------------


def _compare(
    newest: _Newest, checkpoints: Mapping[str, _Checkpoint], warnings: dict[int, list[str]]
) -> dict[int, str]:
    """Compare how the results of a task at a step were made.

    Returns:
        The steps with values of different metrics, or of different numbers of instances, and where.
    """
    first: dict[tuple[int, str, str], _Result] = {}  # step, task, what is compared
    conflicts: dict[int, str] = {}
    differing: dict[int, dict[str, tuple[_Result, _Result]]] = defaultdict(dict)  # step, task
    for model, by_task in newest.items():
        step = checkpoints[model].step
        for task, result in by_task.items():
            if result.value is None:
                continue
            for what in ("metric", "num_instances", "task_hash"):
                value = getattr(result, what)
                if value is None:
                    continue
                other = first.setdefault((step, task, what), result)
                if getattr(other, what) == value:
                    continue
                if what == "task_hash":
                    differing[step].setdefault(task, (other, result))
                else:
                    conflicts.setdefault(
                        step,
                        f"the results of {shown(task)} at step {step} cannot be compared: {what} "
                        f"is {shown(str(getattr(other, what)))} in {other.location} and "
                        f"{shown(str(value))} in {result.location}. Evaluate one of them again.",
                    )
    for step, tasks in differing.items():
        one, another = next(iter(tasks.values()))
        warnings[step].append(
            f"{counted(len(tasks), 'task')} evaluated with other settings (task_hash) for some "
            f"variants, such as {shown(one.task)} of {one.model} and of {another.model}"
        )
    return conflicts


def _compare_forms(
    newest: _Newest, checkpoints: Mapping[str, _Checkpoint], warnings: dict[int, list[str]]
) -> None:
    """Compare whether checkpoints were evaluated converted, as -hf, or as they were saved."""
    forms: dict[int, dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    for model in newest:
        run, step = checkpoints[model]
        forms[step][run].add(model.endswith("-hf"))
    for step, of_run in forms.items():
        converted = [run for run, kinds in of_run.items() if kinds == {True}]
        raw = [run for run, kinds in of_run.items() if kinds == {False}]
        if converted and raw:
            warnings[step].append(
                f"{counted(len(converted), 'run')} evaluated converted (-hf), such as "
                f"{converted[0]}, and {len(raw)} as saved, such as {raw[0]}"
            )
