"""Files of evaluation results in, the bits per byte of each run, step and task out."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from olmix_evalscript.errors import FitError
from olmix_evalscript.tasks import bpb_name, set_mates
from olmix_evalscript.text import counted, shown

#: How the keys of oe-eval's result files end; other files lie beside them.
SUFFIX = "metrics-all.jsonl"
#: Where a result has its BPB, the first that counts. The order is that of ``get_offline_evals`` in
#: olmix (before 957ef4e) and regmixer; the last is what olmo-cookbook falls back on.
BPB_KEYS = (
    "bits_per_byte_corr",
    "bits_per_byte_corr_macro",
    "bits_per_byte",
    "logits_per_byte_corr",
)
#: 1,000 variants and 106 tasks take 15 MB of olmo-cookbook's JSON; a task's line takes some KB.
MAX_FILE_BYTES = 1024**3
MAX_LINE_BYTES = 16 * 1024**2

#: ``make_eval_run_name`` in olmo-cookbook's cookbook/cli/utils.py, without its suffixes. At step 0
#: nothing is trained yet; the script does not evaluate it either.
_MODEL = re.compile(r"(?P<run>.+)_step(?P<step>[1-9][0-9]{0,11})(-hf)?", re.DOTALL)


@dataclass(frozen=True)
class Results:
    """What was found about some runs and tasks."""

    #: Run name, step and task to BPB; None where the task was evaluated without one.
    bpb: Mapping[str, Mapping[int, Mapping[str, float | None]]]
    #: Models made from these runs that are not plain checkpoints of theirs: ``_bos``, a suffix.
    others: tuple[str, ...] = ()
    #: Whether any model is a plain checkpoint of these runs, and one that is not.
    has_runs: bool = True
    stranger: str = ""
    #: Step to why the results at it cannot be compared, and to what is odd about them, a line each.
    conflicts: Mapping[int, str] = field(default_factory=dict)
    warnings: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def steps(self, run_name: str) -> list[int]:
        """The steps at which a run has any BPB, in order."""
        steps = self.bpb.get(run_name, {})
        return sorted(step for step in steps if any(v is not None for v in steps[step].values()))


#: Model to task to its value as in the file; None where the task has no BPB.
_Values = dict[str, dict[str, Any]]
#: The file, and the line if it has many, of a model's result of a task.
_Place = Callable[[str, str], str]


class _Models:
    """Which models are plain checkpoints of some runs, and which others were made from them."""

    def __init__(self, run_names: Collection[str]) -> None:
        self.others: set[str] = set()
        self._runs = frozenset(run_names)
        self._known: dict[str, tuple[str, int] | None] = {}

    def checkpoint(self, model: str) -> tuple[str, int] | None:
        """The run and step of a model; None unless it is a plain checkpoint of these runs."""
        if model not in self._known:
            match = _MODEL.fullmatch(model)
            found = (match["run"], int(match["step"])) if match else None
            self._known[model] = found if found and found[0] in self._runs else None
            if self._known[model] is None and self._is_made_from_a_run(model):
                self.others.add(model)
        return self._known[model]

    @property
    def has_runs(self) -> bool:
        """Whether any model so far is a plain checkpoint of the runs."""
        return any(self._known.values())

    @property
    def stranger(self) -> str:
        """The first model so far that is not; empty if there is none."""
        return next((model for model, found in self._known.items() if found is None), "")

    def _is_made_from_a_run(self, model: str) -> bool:
        return any(model[: place.start()] in self._runs for place in re.finditer("_", model))


def load(path: Path, run_names: Collection[str], tasks: Collection[str]) -> Results:
    """Read the results of some runs and tasks.

    Args:
        path: A folder, searched for files that end in ``metrics-all.jsonl``, or the JSON that
            ``olmo-cookbook-eval results --tasks . --format json`` prints.
        run_names: The runs; a result counts for one if its model is the run name and ``_stepN``,
            with or without ``-hf``.
        tasks: Names as they were evaluated.

    Raises:
        FitError: If there is no file, one cannot be read, is cut off, or has a value that is not a
            BPB, or if two results contradict each other.
    """
    models = _Models(run_names)
    conflicts: dict[int, str] = {}
    warnings: dict[int, list[str]] = defaultdict(list)
    try:
        if os.path.isdir(path):
            found = _newest(_records(_result_files(path)), models, frozenset(tasks))
            values: _Values = {
                model: {task: result.value for task, result in by_task.items()}
                for model, by_task in found.items()
            }
            bpb = _by_run(values, models, lambda model, task: found[model][task].place)
            conflicts = _compare(found, models, warnings)
        else:
            values = _of_table(_table(path), path, models, frozenset(tasks))
            bpb = _by_run(values, models, lambda model, task: str(path))
    except OSError as error:
        raise FitError(f"cannot read {error.filename or path}: {error.strerror}") from None
    _compare_forms(values, models, warnings)
    return Results(
        bpb, tuple(sorted(models.others)), models.has_runs, models.stranger, conflicts, warnings
    )


def _by_run(
    values: _Values, models: _Models, place: _Place
) -> dict[str, dict[int, dict[str, float | None]]]:
    """Check all values, and join what a checkpoint and its converted form have."""
    found: dict[str, dict[int, dict[str, float | None]]] = {}
    first: dict[tuple[str, int], str] = {}  # the model of a run and step that came first
    for model, by_task in values.items():
        run, step = checkpoint = models.checkpoint(model) or ("", 0)  # none but these are kept
        numbers = {
            task: value if value is None or _is_bpb(value) else _bpb(value, model, task, place)
            for task, value in by_task.items()
        }
        of_step = found.setdefault(run, {}).setdefault(step, numbers)
        other = first.setdefault(checkpoint, model)
        if other == model:
            continue
        for task, number in numbers.items():
            if number is None or of_step.get(task) is None:
                of_step[task] = of_step.get(task) if number is None else number
            elif of_step[task] != number:
                raise FitError(
                    f"{shown(task)} has two values at step {step} of {run}: {of_step[task]!r} of "
                    f"{other} in {place(other, task)}, {number!r} of {model} in "
                    f"{place(model, task)}. Keep the results of one of the two."
                )
    return found


def _is_bpb(value: Any) -> bool:
    return type(value) is float and 0 <= value < math.inf


def _bpb(value: Any, model: str, task: str, place: _Place) -> float:
    try:
        if type(value) is int and _is_bpb(float(value)):
            return float(value)
    except OverflowError:
        pass
    raise FitError(
        f"{place(model, task)}: {shown(task)} of {model} has the value {shown(str(value))}; "
        "expected bits per byte"
    )


# --- raw results --------------------------------------------------------------------------


def _result_files(folder: Path) -> Iterator[Path]:
    """The files of results in a folder; links are followed, and each folder is read once."""

    def refuse(error: OSError) -> None:
        raise error

    found, seen = False, {os.path.realpath(folder)}
    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        for name in sorted(folders):
            place = os.path.realpath(Path(root, name))
            if place in seen:
                folders.remove(name)
            seen.add(place)
        folders.sort()
        for path in (Path(root, name) for name in sorted(names) if name.endswith(SUFFIX)):
            if stat.S_ISREG(path.stat().st_mode):
                found = True
                yield path
    if not found:
        raise FitError(f"no metrics-all.jsonl file in {folder}")


def _records(paths: Iterable[Path]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each line of the files, and where it is."""
    for path in paths:
        count = 0
        for count, line in enumerate(_lines(path), start=1):
            place = f"{path}:{count}"
            if line.isspace():
                continue
            try:
                record = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise FitError(
                    f"{place}: it is not a line of JSON, or is truncated ({error}). Load it again."
                ) from None
            if not isinstance(record, dict):
                raise FitError(f"{place}: it is not a result; expected an object")
            yield record, place
        if not count:
            raise FitError(f"{path}: it is empty. Load it again.")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            raise FitError(f"{path}: it is larger than {MAX_FILE_BYTES} bytes")
        while line := file.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                raise FitError(f"{path}: it has a line longer than {MAX_LINE_BYTES} bytes")
            yield line


class _Result(NamedTuple):
    value: Any
    date: str  # current_date
    place: str
    metric: str  # whose value it is
    num_instances: Any
    task_hash: Any  # of the task's settings; by load_task in oe-eval's run_eval.py


def _newest(
    records: Iterable[tuple[dict[str, Any], str]],
    models: _Models,
    tasks: Collection[str],
) -> dict[str, dict[str, _Result]]:
    """The newest result of each model and task; the fields are those of ``MetricsAll`` in
    olmo-cookbook's cookbook/eval/datalake.py."""
    newest: dict[str, dict[str, _Result]] = {}
    for record, place in records:
        try:
            metadata = record["task_config"].get("metadata") or {}
            task = metadata.get("alias") or record["task_name"]
            is_aggregate = (metadata.get("num_tasks") or 0) > 0
            metrics, config = record["metrics"], record["model_config"]
            model, revision = config["model"], config.get("revision")
            date = record.get("current_date", "")
            name = bpb_name(task)
            keys = (*BPB_KEYS, "primary_score") if name == task else BPB_KEYS if name else ()
            key = next((key for key in keys if metrics.get(key) is not None), "")
            value = metrics.get(key)
            model = model if revision is None else f"{model}:{revision}"
            if models.checkpoint(model) is None or is_aggregate or task not in tasks:
                continue
        except (AttributeError, KeyError, TypeError):
            raise FitError(
                f"{place}: it is not a result as oe-eval writes it; expected task_name, "
                "task_config, metrics and model_config"
            ) from None
        result = _Result(
            value, date, place, key, record.get("num_instances"), record.get("task_hash")
        )
        of_model = newest.setdefault(model, {})
        of_model[task] = _newer(of_model.get(task), result, model, task)
    return newest


def _compare(
    found: Mapping[str, Mapping[str, _Result]], models: _Models, warnings: dict[int, list[str]]
) -> dict[int, str]:
    """Compare how the results of a task at a step were made.

    Returns:
        The steps with values of different metrics, or of different numbers of instances, and where.
    """
    first: dict[tuple[int, str, str], tuple[str, _Result]] = {}  # step, task, what is compared
    conflicts: dict[int, str] = {}
    unlike: dict[int, dict[str, tuple[str, str]]] = defaultdict(dict)  # step, task, two models
    for model, by_task in found.items():
        _, step = models.checkpoint(model) or ("", 0)
        for task, result in by_task.items():
            if result.value is None:
                continue
            for what in ("metric", "num_instances", "task_hash"):
                value = getattr(result, what)
                if value is None:
                    continue
                other_model, other = first.setdefault((step, task, what), (model, result))
                if getattr(other, what) == value:
                    continue
                if what == "task_hash":
                    unlike[step].setdefault(task, (other_model, model))
                else:
                    conflicts.setdefault(
                        step,
                        f"the results of {shown(task)} at step {step} cannot be compared: {what} "
                        f"is {shown(str(getattr(other, what)))} in {other.place} and "
                        f"{shown(str(value))} in {result.place}. Evaluate one of them again.",
                    )
    for step, tasks in unlike.items():
        task, (one, another) = next(iter(tasks.items()))
        warnings[step].append(
            f"{counted(len(tasks), 'task')} evaluated with other settings (task_hash) for some "
            f"variants, such as {shown(task)} of {one} and of {another}"
        )
    return conflicts


def _compare_forms(found: Iterable[str], models: _Models, warnings: dict[int, list[str]]) -> None:
    """Compare whether checkpoints were evaluated converted, as -hf, or as they were saved."""
    forms: dict[int, dict[str, set[bool]]] = defaultdict(lambda: defaultdict(set))
    for model in found:
        run, step = models.checkpoint(model) or ("", 0)
        forms[step][run].add(model.endswith("-hf"))
    for step, of_run in forms.items():
        converted = [run for run, kinds in of_run.items() if kinds == {True}]
        raw = [run for run, kinds in of_run.items() if kinds == {False}]
        if converted and raw:
            warnings[step].append(
                f"{counted(len(converted), 'run')} evaluated converted (-hf), such as "
                f"{converted[0]}, and {len(raw)} as saved, such as {raw[0]}"
            )


def _newer(old: _Result | None, new: _Result, model: str, task: str) -> _Result:
    if old is None:
        return new
    dates = _date(old), _date(new)
    if dates[0] == dates[1] and old.value != new.value:
        raise FitError(
            f"{shown(model)} has two results of {shown(task)} of the same date, in {old.place} and "
            f"in {new.place}"
        )
    return new if dates[1] > dates[0] else old


def _date(result: _Result) -> datetime:
    """The moment of an evaluation, such as ``2026-02-01 00:00:00 UTC``."""
    try:
        text = re.sub(r" ?(UTC|Z)$", "+00:00", result.date)
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise FitError(
            f"{result.place}: its current_date is {shown(str(result.date))}, so it cannot be "
            "told whether it is the newer of two results"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


# --- the JSON of olmo-cookbook-eval results -----------------------------------------------


def _table(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            raise FitError(f"{path}: it is larger than {MAX_FILE_BYTES} bytes")
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FitError(
            f"{path}: it is not valid JSON, or is truncated ({error}). Expected what "
            "`olmo-cookbook-eval results --dashboard NAME --tasks . --format json` prints, "
            "or a folder."
        ) from None
    if not isinstance(table, dict) or not all(isinstance(v, dict) for v in table.values()):
        raise FitError(
            f"{path}: it is not the JSON of olmo-cookbook-eval results; expected values by column "
            "and model"
        )
    return table


def _of_table(
    table: dict[str, dict[str, Any]], path: Path, models: _Models, tasks: Collection[str]
) -> _Values:
    """Each task's column of BPB, for the models that have the task itself.

    Raises:
        FitError: If it cannot be known that a column of BPB is that of a task.
    """
    names = sorted({model for values in table.values() for model in values})
    kept = [model for model in names if models.checkpoint(model) is not None]
    filled = {
        column
        for column, values in table.items()
        if any(values.get(model) is not None for model in kept)
    }
    columns: dict[str | None, list[str]] = {}
    for column in sorted(filled):
        columns.setdefault(bpb_name(column), []).append(column)
    # Tasks of bits per byte that were evaluated as such: no other task has its BPB there.
    own = {name for name, sources in columns.items() if name and sources == [name]}
    found: _Values = {model: {} for model in kept}
    for task in sorted(tasks):
        name = bpb_name(task)
        sources = [column for column in columns.get(name, ()) if column != name]
        if name in filled and sources != ([] if name == task else [task]):
            what = " and ".join(map(shown, sources)) or "no task"
            raise FitError(
                f"{path}: its column {name} is the BPB of {what} there, not of {task} alone. "
                "Use the folder of raw results"
                + ("." if sources else ", or ask for all columns with `--tasks .`.")
            )
        rivals = own & (set_mates(name) - set_mates(task)) if name in filled else set()
        if rivals:
            raise FitError(
                f"{path}: its column {name} may be the BPB of {shown(task)} or the task of that "
                f"name, since {min(rivals)} of the same set was evaluated, too. Use the folder of "
                "raw results."
            )
        results, values = table.get(task, {}), table.get(name, {}) if name else {}
        for model in kept:
            if results.get(model) is not None:
                found[model][task] = values.get(model)
    return {model: by_task for model, by_task in found.items() if by_task}
