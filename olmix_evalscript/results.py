"""Fetch and read evaluation results: the bits per byte of each run, step and task."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from olmix_evalscript.errors import FitError
from olmix_evalscript.evaluator import Evaluator, Result
from olmix_evalscript.text import counted, shown

#: What results of one task must share, or they are not comparable.
SHARED = ("metric", "num_instances", "is_converted")
MOST_BPB = 1e9  # no language model is that bad


@dataclass(frozen=True)
class Results:
    """What the results say about some runs and tasks."""

    newest: Sequence[Result] = ()  # of each run, step and task that is wanted
    replaced: Sequence[Result] = ()  # older ones, with other values
    tasks: Collection[str] = ()  # all that these runs were evaluated on
    others: Collection[str] = ()  # models that are no plain checkpoint of these runs

    @cached_property
    def bpb(self) -> Mapping[str, Mapping[int, Mapping[str, float | None]]]:
        """Run name, step and task to BPB; None where the task was evaluated without one."""
        bpb: dict[str, dict[int, dict[str, float | None]]] = {}
        for result in self.newest:
            of_step = bpb.setdefault(result.run_name, {}).setdefault(result.step, {})
            of_step[result.task] = None if result.bpb is None else float(result.bpb)
        return bpb

    def steps(self, run_name: str) -> list[int]:
        """The steps at which a run has any BPB, in order."""
        steps = self.bpb.get(run_name, {})
        return sorted(step for step in steps if any(v is not None for v in steps[step].values()))

    def warnings(self, step: int) -> list[str]:
        """Compare how the results of each task at a step were made, a line for each warning.

        Raises:
            FitError: If results of one task are not comparable.
        """
        warnings = []
        if replaced := [result for result in self.replaced if result.step == step]:
            warnings.append(
                f"{counted(len(replaced), 'result')} replaced by newer ones from another date, "
                f"such as {shown(replaced[0].task)} of {replaced[0].model}"
            )
        first: dict[tuple[str, str], Result] = {}  # by task and what is compared
        other_settings = []
        for result in self.newest:
            if result.step != step or result.bpb is None:
                continue
            for what in (*SHARED, "task_hash"):
                value = getattr(result, what)
                if value is None:
                    continue
                other = first.setdefault((result.task, what), result)
                if value == getattr(other, what):
                    continue
                problem = (
                    f"results of {shown(result.task)} at step {step} cannot be compared: {what} is "
                    f"{shown(str(getattr(other, what)))} in {other.location} and "
                    f"{shown(str(value))} in {result.location}"
                )
                if what in SHARED:
                    raise FitError(
                        f"{problem}. Evaluate one of them again, or move its file out of the "
                        "folder and use --results."
                    )
                other_settings.append(problem)
        return [*warnings, *other_settings[:1]]


def fetch(
    evaluator: Evaluator, dashboard: str, folder: Path, status: Callable[[str], None]
) -> None:
    """Bring a folder up to date with the result files of a dashboard, by ``aws s3 sync``.

    Args:
        evaluator: Knows where they are.
        dashboard: Its name, fit for a path.
        folder: Where to; files that are up to date stay.
        status: Hears how many files were fetched so far.

    Raises:
        FitError: If ``aws`` is missing or fails.
    """
    url = evaluator.results_url.format(dashboard=dashboard)
    files = f"*{evaluator.results_suffix}"
    command = ["aws", "s3", "sync", url, str(folder), "--exclude", "*", "--include", files]
    command += ["--exact-timestamps", "--no-progress"]
    status(f"Fetching results from {url}")
    count, messages = 0, []
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("download: "):
                    count += 1
                    status(f"Fetching results from {url}: {counted(count, 'file')}")
                elif line.strip():
                    messages.append(line.strip())
    except FileNotFoundError:
        raise FitError(
            f"cannot fetch {url}: aws is not installed. Install the AWS command line, or fetch the "
            "results on another machine and use --results FOLDER."
        ) from None
    if process.returncode:
        raise FitError(
            f"cannot fetch {url}: {'; '.join(messages[:3]) or 'aws says nothing'} "
            f"(aws exit status {process.returncode})"
        )


def load(
    evaluator: Evaluator, folder: Path, run_names: Collection[str], tasks: Collection[str]
) -> Results:
    """Read the results of some runs and tasks.

    Args:
        evaluator: Knows the files and how to read them.
        folder: Searched for them at any depth.
        run_names: The runs.
        tasks: Names as they were evaluated.

    Raises:
        FitError: If there is no file, one cannot be read, is cut off, or has a value that is not a
            BPB, or if two results contradict each other.
    """
    runs, wanted = frozenset(run_names), frozenset(tasks)
    newest: dict[tuple[str, int, str], Result] = {}
    replaced = []
    found_tasks, others = set(), set()
    for result in _read(evaluator, folder):
        if result.run_name not in runs:
            others.add(result.model)
            continue
        found_tasks.add(result.task)
        if result.task not in wanted:
            continue
        key = (result.run_name, result.step, result.task)
        old = newest.setdefault(key, result)
        if old is result:
            continue
        older, newer = sorted((old, result), key=lambda found: found.date)
        newest[key] = newer
        if older.bpb == newer.bpb:
            continue
        if older.date == newer.date:
            raise FitError(
                f"{shown(result.model)} has two results of {shown(result.task)} of the same date, "
                f"in {old.location} and in {result.location}"
            )
        replaced.append(older)
    for result in newest.values():
        _check_bpb(result)
    return Results(list(newest.values()), replaced, found_tasks, others)


def _read(evaluator: Evaluator, folder: Path) -> Iterable[Result]:
    paths = sorted(folder.rglob(f"*{evaluator.results_suffix}"))
    if not paths:
        raise FitError(
            f"no {evaluator.results_suffix} file in {folder}. Wait until an evaluation has "
            "finished, or choose other results with --dashboard or --results."
        )
    for path in paths:
        try:
            yield from evaluator.read_results(path)
        except OSError as error:
            raise FitError(f"cannot read {path}: {error.strerror}") from None
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
            raise FitError(
                f"{path}: it is not a result of {evaluator.name}, or is cut off "
                f"({type(error).__name__}: {error}). Fetch it again."
            ) from None


def _check_bpb(result: Result) -> None:
    """Refuse what is not bits per byte. A value of 0 is an evaluation that failed."""
    is_number = type(result.bpb) in (int, float) and 0 < result.bpb < MOST_BPB
    if result.bpb is not None and not is_number:
        raise FitError(
            f"{result.location}: {shown(result.task)} of {result.model} has the value "
            f"{shown(str(result.bpb))}; expected bits per byte, a number above 0"
        )
