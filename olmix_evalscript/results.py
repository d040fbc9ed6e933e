"""Fetch and read evaluation results: the bits per byte of each run, step and task."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from olmix_evalscript.errors import FitError
from olmix_evalscript.evaluator import Evaluator, Result
from olmix_evalscript.text import counted, shown

#: What results of one task at one step must share, or they are not comparable.
SHARED = ("metric", "num_instances", "is_converted")
MOST_BPB = 1e9  # no language model is that bad


@dataclass(frozen=True)
class Results:
    """What the results say about some runs and tasks."""

    #: Run name, step and task to BPB; None where the task was evaluated without one.
    bpb: Mapping[str, Mapping[int, Mapping[str, float | None]]]
    tasks: tuple[str, ...] = ()  # all that these runs were evaluated on, sorted
    never_bpb: tuple[str, ...] = ()  # of the tasks that are wanted, those that cannot have BPB
    others: tuple[str, ...] = ()  # models that are no plain checkpoint of these runs, sorted
    conflicts: Mapping[int, str] = field(default_factory=dict)  # step to why it cannot be compared
    warnings: Mapping[int, Sequence[str]] = field(default_factory=dict)  # by step

    def steps(self, run_name: str) -> list[int]:
        """The steps at which a run has any BPB, in order."""
        steps = self.bpb.get(run_name, {})
        return sorted(step for step in steps if any(v is not None for v in steps[step].values()))


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
    newest: dict[tuple[str, int, bool, str], Result] = {}
    warnings: dict[int, list[str]] = defaultdict(list)
    replaced: dict[int, list[Result]] = defaultdict(list)
    found_tasks, others = set(), set()
    for result in _read(evaluator, folder):
        if result.run_name not in runs:
            others.add(result.model)
            continue
        found_tasks.add(result.task)
        if result.task not in wanted:
            continue
        key = (result.run_name, result.step, result.is_converted, result.task)
        old = newest.setdefault(key, result)
        if old is not result:
            newest[key] = _newer(old, result)
            if old.date != result.date and old.bpb != result.bpb:
                replaced[result.step].append(result)
    for step, results in replaced.items():
        warnings[step].append(
            f"{counted(len(results), 'result')} replaced by newer ones from another date, such as "
            f"{shown(results[0].task)} of {results[0].model}"
        )
    bpb: dict[str, dict[int, dict[str, float | None]]] = {}
    for result in newest.values():
        of_step = bpb.setdefault(result.run_name, {}).setdefault(result.step, {})
        of_step.setdefault(result.task, None)
        if result.bpb is not None:
            of_step[result.task] = _bpb(result)
    conflicts, other_settings = _compare(newest.values())
    for step, problem in other_settings.items():
        warnings[step].append(problem)
    return Results(
        bpb,
        tasks=tuple(sorted(found_tasks)),
        never_bpb=tuple(task for task in tasks if not evaluator.has_bpb(task)),
        others=tuple(sorted(others)),
        conflicts=conflicts,
        warnings=warnings,
    )


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


def _newer(old: Result, new: Result) -> Result:
    if old.date == new.date and old.bpb != new.bpb:
        raise FitError(
            f"{shown(new.model)} has two results of {shown(new.task)} of the same date, in "
            f"{old.location} and in {new.location}"
        )
    return max(old, new, key=lambda result: result.date)


def _bpb(result: Result) -> float:
    """The value as bits per byte. A value of 0 is an evaluation that failed."""
    if type(result.bpb) in (int, float) and 0 < result.bpb < MOST_BPB:
        return float(result.bpb)
    raise FitError(
        f"{result.location}: {shown(result.task)} of {result.model} has the value "
        f"{shown(str(result.bpb))}; expected bits per byte, a number above 0"
    )


def _compare(results: Iterable[Result]) -> tuple[dict[int, str], dict[int, str]]:
    """Compare how the results of a task at a step were made.

    Returns:
        By step, why results are not comparable; and where a task has other settings.
    """
    first: dict[tuple[int, str, str], Result] = {}  # by step, task and what is compared
    conflicts: dict[int, str] = {}
    other_settings: dict[int, str] = {}
    for result in results:
        for what in (*SHARED, "task_hash"):
            value = getattr(result, what)
            if result.bpb is None or value is None:
                continue
            other = first.setdefault((result.step, result.task, what), result)
            others_value = getattr(other, what)
            if value == others_value:
                continue
            found = conflicts if what in SHARED else other_settings
            found.setdefault(
                result.step,
                f"results of {shown(result.task)} at step {result.step} cannot be compared: {what} "
                f"is {shown(str(others_value))} in {other.location} and {shown(str(value))} in "
                f"{result.location}",
            )
    return conflicts, other_settings
