"""Build a swarm from experiments.

Each experiment is read: the runs that its commands train, or the checkpoints that they name. The
runs of a group become variants in the order of their numbers, with notes and warnings.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count

from olmix_evalscript.command import parse_trainer
from olmix_evalscript.errors import InvalidInputError, TrainerCommandError
from olmix_evalscript.model import (
    EvaluationJob,
    Experiment,
    Swarm,
    TrainerRun,
    Variant,
)
from olmix_evalscript.storage import is_lost
from olmix_evalscript.swarm_warnings import differences, swarm_warnings
from olmix_evalscript.text import check_cluster, check_name, group_ids_in, printable, shown
from olmix_evalscript.trainers import TRAINERS

_CHECKPOINT = re.compile(
    r"(?<![A-Za-z0-9._-])([A-Za-z0-9._-]{1,300})[_/]step([0-9]{1,15})(?:-hf)?(?![A-Za-z0-9])"
)
_PART_OF_A_NAME = re.compile(r"\A[^._-]*(?:[._-]|\Z)")


@dataclass(frozen=True)
class Reading:
    """What one experiment says of itself."""

    experiment: Experiment
    runs: tuple[TrainerRun, ...] = ()  # distinct ones; replicas share one
    problem: str = ""  # why its runs cannot be read
    problem_group: str | None = None  # the group of that run, where its command tells it
    #: Of a job that trains nothing: run name, perhaps with something in front such as "lmeval-",
    #: and step of each ``RUN_stepN`` or ``RUN/stepN`` that its name or commands mention.
    checkpoints: tuple[tuple[str, int], ...] = ()

    def may_be_of(self, group_id: str) -> bool:
        """Whether an experiment that cannot be read may train a run of the group."""
        return bool(self.problem) and self.problem_group in (None, group_id)

    @property
    def groups(self) -> frozenset[str]:
        """The groups of its runs; of one that cannot be read, those that its name may mean."""
        if not self.problem:
            return frozenset(run.group_id for run in self.runs)
        if self.problem_group is not None:
            return frozenset((self.problem_group,))
        return frozenset(group_ids_in(self.experiment.name))

    def without_words(self) -> Reading:
        """The same without commands and mixtures, which take most of the memory."""
        runs = tuple(replace(run, source_literals=()) for run in self.runs)
        return replace(self, experiment=replace(self.experiment, tasks=()), runs=runs)


def build_swarm(
    group_id: str,
    experiments: Iterable[Experiment],
    *,
    checkpoint_root: str | None = None,
    status: str | None = None,
) -> Swarm:
    """Tell the swarm's training runs from everything else and put them in order.

    Args:
        group_id: The group whose runs are wanted.
        experiments: All that may belong to it, in any order.
        checkpoint_root: The directory of the run directories, instead of the trainers' rule.
        status: Keep only variants of this status.

    Returns:
        The swarm; without variants if no experiment trains a run of the group.
    """
    readings = [read(experiment) for experiment in experiments]
    return _assemble(group_id, readings, checkpoint_root, status)


def all_swarms(pages: Iterable[Iterable[Experiment]]) -> list[Swarm]:
    """All swarms that experiments belong to, newest first.

    One page of experiments is held at a time, and of the others what a list needs: the variants
    have no mixtures.
    """
    members: dict[str, list[Reading]] = defaultdict(list)
    others: list[Reading] = []
    for page in pages:
        for experiment in page:
            reading = read(experiment).without_words()
            for group_id in reading.groups:
                members[group_id].append(reading)
            if reading.checkpoints:
                others.append(reading)
    groups = {
        run.run_name: run.group_id
        for readings in members.values()
        for reading in readings
        for run in reading.runs
    }
    for reading in others:
        for group_id in {groups[name] for name, _ in _evaluated(reading, groups)}:
            members[group_id].append(reading)
    swarms = [_assemble(group_id, readings, None, None) for group_id, readings in members.items()]
    return sorted(swarms, key=lambda swarm: (swarm.created, swarm.group_id), reverse=True)


def read(experiment: Experiment) -> Reading:
    """Read an experiment's commands."""
    if experiment.problem:
        return Reading(experiment, problem=experiment.problem)
    try:
        parsed = dict.fromkeys(parse_trainer(task.words) for task in experiment.tasks)
    except TrainerCommandError as error:
        return Reading(experiment, problem=str(error), problem_group=error.group_id)
    if runs := tuple(run for run in parsed if run is not None):
        return Reading(experiment, runs=runs)
    return Reading(experiment, checkpoints=tuple(dict.fromkeys(_checkpoints(experiment))))


def _checkpoints(experiment: Experiment) -> Iterator[tuple[str, int]]:
    words = (word for task in experiment.tasks for word in task.words)
    for text in (experiment.name, *words):
        for checkpoint in _CHECKPOINT.finditer(text):
            yield checkpoint[1], int(checkpoint[2])


def _assemble(
    group_id: str, readings: Sequence[Reading], checkpoint_root: str | None, status: str | None
) -> Swarm:
    launches: list[Variant] = []
    unreadable: list[Reading] = []
    ignored = 0
    for reading in readings:
        experiment = reading.experiment
        mine = [run for run in reading.runs if run.group_id == group_id]
        try:
            launches += [_launch(experiment, run, checkpoint_root) for run in mine]
        except (TrainerCommandError, InvalidInputError) as error:
            unreadable.append(replace(reading, problem=str(error)))
        if reading.may_be_of(group_id):
            unreadable.append(reading)
        elif not mine:
            ignored += 1

    variants = _with_evaluations(_variants(launches), readings)
    kept = [v for v in variants if status is None or v.status == status]
    others = tuple(v.status for v in variants if status is not None and v.status != status)
    newest = [reading.experiment for reading in unreadable]
    newest += [experiment for variant in variants for experiment in variant.experiments]
    return Swarm(
        group_id=group_id,
        name=_name_of(kept or variants),
        variants=tuple(kept),
        warnings=tuple(swarm_warnings(variants, kept)),
        unreadable=tuple(sorted(_problem(reading) for reading in unreadable)),
        ignored=ignored + len(others),
        other_statuses=others,
        created=max((experiment.created for experiment in newest), default=None),
    )


def _problem(reading: Reading) -> str:
    name, id = shown(reading.experiment.name), shown(reading.experiment.id)
    return f"{name} ({id}): {printable(reading.problem)}"


def relevant(group_id: str, experiments: Iterable[Experiment]) -> list[Reading]:
    """The readings of all that belongs to a group or may do so, its evaluation jobs included."""
    readings = [read(experiment) for experiment in experiments]
    names = {run.run_name for r in readings for run in r.runs if run.group_id == group_id}
    return [
        reading
        for reading in readings
        if any(run.group_id == group_id for run in reading.runs)
        or reading.may_be_of(group_id)
        or any(_evaluated(reading, names))
    ]


def mentions(group_id: str, experiment: Experiment) -> bool:
    """Whether an experiment has the group's ID in its name or commands, or cannot be read."""
    words = (word for task in experiment.tasks for word in task.words)
    return bool(experiment.problem) or any(group_id in text for text in (experiment.name, *words))


def _evaluated(reading: Reading, run_names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Of the checkpoints that a job names, those of these runs: run name and step.

    A job's own name may have more in front of a run name; the longest run name that fits counts.
    """
    for mention, step in reading.checkpoints:
        name = mention
        while name and name not in run_names:
            name = _PART_OF_A_NAME.sub("", name)
        if name:
            yield name, step


def _with_evaluations(variants: Sequence[Variant], readings: Sequence[Reading]) -> list[Variant]:
    jobs: dict[str, list[EvaluationJob]] = {variant.run_name: [] for variant in variants}
    for reading in sorted(readings, key=lambda r: _created(r.experiment), reverse=True):
        for name, step in sorted(set(_evaluated(reading, jobs)), reverse=True):
            jobs[name].append(EvaluationJob(replace(reading.experiment, tasks=()), step))
    return [replace(variant, evaluations=tuple(jobs[variant.run_name])) for variant in variants]


def _created(experiment: Experiment) -> tuple[datetime, str]:
    return experiment.created, experiment.id


def _launch(experiment: Experiment, run: TrainerRun, checkpoint_root: str | None) -> Variant:
    """The variant that one experiment trains, not yet numbered."""
    notes = []
    run_name = check_name("run name", run.run_name)
    cluster = check_cluster("cluster", run.cluster)
    user = check_name("user", run.user)
    if checkpoint_root is not None:
        directory = f"{checkpoint_root}/{run_name}"
    else:
        trainer, launched = TRAINERS[run.trainer], experiment.created
        directory = trainer.directory(cluster=cluster, weka=run.weka, launched=launched).format(
            user=user, run_name=run_name
        )
        if launched.isoformat() < trainer.settled:
            notes.append(
                f"launched before {trainer.settled}, when {trainer.name}'s branches saved to "
                "different places"
            )
    if is_lost(directory):
        notes.append("checkpoints lost (saved to the node's /tmp)")
    return Variant(
        number=-1,
        run=run,
        checkpoint_dir=directory,
        status=experiment.status,
        experiments=(replace(experiment, tasks=()),),
        notes=tuple(notes),
    )


def _variants(launches: Sequence[Variant]) -> list[Variant]:
    by_name: dict[str, list[Variant]] = defaultdict(list)
    for launch in launches:
        by_name[launch.run_name].append(launch)
    numbers = _numbers([launches[0].run for launches in by_name.values()])
    variants = [replace(_merged(by_name[name]), number=n) for name, n in numbers.items()]
    return sorted(variants, key=lambda variant: variant.number)


def _numbers(runs: Iterable[TrainerRun]) -> dict[str, int]:
    """The number of each run name. Those without one in them, and all but one of those with the
    same, come after the others; the most common swarm name keeps its numbers."""
    names = {run.run_name: run.split_name() for run in runs}
    common = Counter(swarm_name for swarm_name, _ in names.values())
    free = count(1 + max((n for _, n in names.values() if n is not None), default=-1))
    numbers: dict[str, int] = {}
    taken: set[int | None] = {None}
    for run_name in sorted(names, key=lambda name: (-common[names[name][0]], name)):
        number = names[run_name][1]
        numbers[run_name] = next(free) if number is None or number in taken else number
        taken.add(number)
    return numbers


def _merged(launches: Sequence[Variant]) -> Variant:
    """One variant of all its launches: a success counts before what is newer."""
    launches = sorted(launches, key=lambda launch: _created(launch.experiments[0]), reverse=True)
    launches.sort(key=lambda launch: launch.status != "succeeded")
    first = launches[0]
    notes = list(first.notes)
    others = sorted({launch.checkpoint_dir for launch in launches} - {first.checkpoint_dir})
    if others:
        notes.append(f"other launches saved to {', '.join(others)}")
    unlike = tuple(differences([launch.run for launch in launches]))
    if unlike:
        notes.append(f"its launches differ in {', '.join(unlike)}")
    experiments = tuple(each for launch in launches for each in launch.experiments)
    return replace(first, experiments=experiments, notes=tuple(notes), differences=unlike)


def _name_of(variants: Sequence[Variant]) -> str:
    """The most common name in front of the group ID; without any, what all runs begin with."""
    names = Counter(variant.swarm_name for variant in variants if variant.swarm_name)
    if names:
        return names.most_common(1)[0][0]
    run_names = [variant.run_name for variant in variants]
    shared = os.path.commonprefix(run_names)  # noqa: RUF071 - names, not paths
    return shared.rstrip("-_.") or next(iter(run_names), "")
