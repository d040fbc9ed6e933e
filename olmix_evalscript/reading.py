"""An experiment in, what its commands say out: the runs it trains, or the checkpoints it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from olmix_evalscript.command import parse_trainer
from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import Experiment, Task, TrainerRun
from olmix_evalscript.text import group_ids_in

_STEP = re.compile(r"[_/]step([0-9]{1,15})(?:-hf)?(?![A-Za-z0-9])")
_RUN_NAME_BEFORE = re.compile(r"[A-Za-z0-9._-]+\Z")
_LONGEST_NAME = 300  # characters; a run name has at most 255


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as a name or command mentions it: ``RUN_stepN`` or ``RUN/stepN``."""

    run_name: str  # perhaps with something in front, such as "lmeval-"
    step: int


@dataclass(frozen=True)
class Reading:
    """What one experiment says of itself."""

    experiment: Experiment
    runs: tuple[tuple[TrainerRun, Task], ...] = ()  # distinct ones; replicas share one
    problem: str = ""  # why it cannot be told which runs it trains
    problem_group: str | None = None  # the group of that run, where its command says so much
    checkpoints: tuple[Checkpoint, ...] = ()  # of a job that trains nothing

    def may_be_of(self, group_id: str) -> bool:
        """Whether an experiment that cannot be read may train a run of the group."""
        return bool(self.problem) and self.problem_group in (None, group_id)

    @property
    def groups(self) -> frozenset[str]:
        """The groups of its runs; of one that cannot be read, those that its name may mean."""
        if not self.problem:
            return frozenset(run.group_id for run, _ in self.runs)
        if self.problem_group is not None:
            return frozenset((self.problem_group,))
        return frozenset(group_ids_in(self.experiment.name))

    def without_words(self) -> Reading:
        """The same without commands and mixtures, which take most of the memory."""
        runs = tuple(
            (replace(run, source_literals=()), replace(task, words=())) for run, task in self.runs
        )
        return replace(self, experiment=replace(self.experiment, tasks=()), runs=runs)


def read(experiment: Experiment) -> Reading:
    """Read an experiment's commands."""
    if experiment.problem:
        return Reading(experiment, problem=experiment.problem)
    runs: dict[TrainerRun, Task] = {}
    try:
        for task in experiment.tasks:
            run = parse_trainer(task.words)
            if run is not None:
                runs.setdefault(run, task)
    except TrainerCommandError as error:
        return Reading(experiment, problem=str(error), problem_group=error.group_id)
    if runs or experiment.is_session:
        return Reading(experiment, runs=tuple(runs.items()))
    return Reading(experiment, checkpoints=tuple(dict.fromkeys(_checkpoints(experiment))))


def _checkpoints(experiment: Experiment) -> Iterator[Checkpoint]:
    yield from checkpoints_in(experiment.name)
    for task in experiment.tasks:
        for word in task.words:
            yield from checkpoints_in(word)


def checkpoints_in(text: str) -> Iterator[Checkpoint]:
    """The checkpoints that a text mentions."""
    if "step" not in text:
        return
    for step in _STEP.finditer(text):
        name = _RUN_NAME_BEFORE.search(text[max(0, step.start() - _LONGEST_NAME) : step.start()])
        if name:
            yield Checkpoint(name[0], int(step[1]))
