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
from itertools import count

from olmix_evalscript.command import parse_trainer
from olmix_evalscript.errors import InvalidInputError, TrainerCommandError
from olmix_evalscript.model import EvaluationJob, Experiment, Swarm, TrainerRun, Variant
from olmix_evalscript.storage import LOST
from olmix_evalscript.swarm_warnings import differences, swarm_warnings
from olmix_evalscript.text import check_cluster, check_name, group_ids_in, printable, shown
from olmix_evalscript.trainers import TRAINERS

_CHECKPOINT = re.compile(
    r"(?<![A-Za-z0-9._-])([A-Za-z0-9._-]{1,300})[_/]step([0-9]{1,15})(?:-hf)?(?![A-Za-z0-9])"
)
_PART_OF_A_NAME = re.compile(r"\A[^._-]*(?:[._-]|\Z)")


#: An experiment, and one of the runs that it trains.
_Launch = tuple[Experiment, TrainerRun]


@dataclass(frozen=True)
class Reading:
    """What one experiment says of itself."""

    experiment: Experiment
    runs: tuple[TrainerRun, ...] = ()  # distinct ones; replicas share one
    problem: str = ""  # why its runs cannot be read
    groups: frozenset[str] | None = frozenset()  # those of its runs; None if that cannot be read
    #: Of a job that trains nothing: run name, perhaps with something in front such as "lmeval-",
    #: and step of each ``RUN_stepN`` or ``RUN/stepN`` that its name or commands mention.
    checkpoints: tuple[tuple[str, int], ...] = ()

    def may_be_of(self, group_id: str) -> bool:
        """Whether it trains a run of the group, or may do so."""
        return self.groups is None or group_id in self.groups


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
    groups: dict[str, str] = {}  # of each run name
    for page in pages:
        for experiment in page:
            reading = read(experiment)
            # Commands and mixtures take most of the memory.
            runs = tuple(replace(run, source_literals=()) for run in reading.runs)
            reading = replace(reading, experiment=replace(experiment, tasks=()), runs=runs)
            groups |= {run.run_name: run.group_id for run in runs}
            likely = group_ids_in(experiment.name) if reading.groups is None else reading.groups
            for group_id in set(likely):
                members[group_id].append(reading)
            if reading.checkpoints:
                others.append(reading)
    for reading in others:
        for group_id in {groups[name] for name, _ in _evaluated(reading, groups)}:
            members[group_id].append(reading)
    swarms = [_assemble(group_id, readings, None, None) for group_id, readings in members.items()]
    return sorted(swarms, key=lambda swarm: (swarm.created, swarm.group_id), reverse=True)


def read(experiment: Experiment) -> Reading:
    """Read an experiment's commands."""
    if experiment.problem:
        return Reading(experiment, problem=experiment.problem, groups=None)
    try:
        parsed = dict.fromkeys(parse_trainer(task.words) for task in experiment.tasks)
    except TrainerCommandError as error:
        groups = frozenset((error.group_id,)) if error.group_id else None
        return Reading(experiment, problem=str(error), groups=groups)
    if runs := tuple(run for run in parsed if run is not None):
        return Reading(experiment, runs=runs, groups=frozenset(run.group_id for run in runs))
    found = (mention for text in _texts(experiment) for mention in _CHECKPOINT.findall(text))
    checkpoints = dict.fromkeys((name, int(step)) for name, step in found)
    return Reading(experiment, checkpoints=tuple(checkpoints))


def _texts(experiment: Experiment) -> Iterator[str]:
    """An experiment's name and the words of its commands."""
    yield experiment.name
    for task in experiment.tasks:
        yield from task.words


def _assemble(
    group_id: str, readings: Sequence[Reading], checkpoint_root: str | None, status: str | None
) -> Swarm:
    readings = sorted(readings, key=lambda r: (r.experiment.created, r.experiment.id), reverse=True)
    members = [reading for reading in readings if reading.may_be_of(group_id)]
    launches: dict[str, list[_Launch]] = defaultdict(list)  # of each run name, newest first
    unreadable: list[str] = []
    for reading in members:
        experiment, problem = reading.experiment, reading.problem
        mine = [run for run in reading.runs if run.group_id == group_id]
        try:
            for run in mine:
                check_name("run name", run.run_name)
                check_cluster("cluster", run.cluster)
                check_name("user", run.user)
        except InvalidInputError as error:
            problem, mine = str(error), []
        for run in mine:
            launches[run.run_name].append((replace(experiment, tasks=()), run))
        if problem:
            name, id = shown(experiment.name), shown(experiment.id)
            unreadable.append(f"{name} ({id}): {printable(problem)}")

    jobs: dict[str, list[EvaluationJob]] = {name: [] for name in launches}
    for reading in readings:
        for name, step in sorted(set(_evaluated(reading, jobs)), reverse=True):
            jobs[name].append(EvaluationJob(replace(reading.experiment, tasks=()), step))
    variants = [
        _variant(number, launches[name], jobs[name], checkpoint_root)
        for name, number in _numbers([each[0][1] for each in launches.values()]).items()
    ]
    kept = [variant for variant in variants if status in (None, variant.status)]
    others = tuple(v.status for v in variants if status not in (None, v.status))
    return Swarm(
        group_id=group_id,
        name=_name_of(kept or variants),
        variants=tuple(kept),
        warnings=tuple(swarm_warnings(variants, kept)),
        unreadable=tuple(sorted(unreadable)),
        ignored=len(readings) - len(members) + len(others),
        other_statuses=others,
        created=members[0].experiment.created if members else None,
    )


def relevant(group_id: str, experiments: Iterable[Experiment]) -> list[Reading]:
    """The readings of all that belongs to a group or may do so, its evaluation jobs included."""
    readings = [read(experiment) for experiment in experiments]
    names = {run.run_name for r in readings for run in r.runs if run.group_id == group_id}
    return [r for r in readings if r.may_be_of(group_id) or any(_evaluated(r, names))]


def mentions(group_id: str, experiment: Experiment) -> bool:
    """Whether an experiment has the group's ID in its name or commands, or cannot be read."""
    return bool(experiment.problem) or any(group_id in text for text in _texts(experiment))


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


def _numbers(runs: Iterable[TrainerRun]) -> dict[str, int]:
    """The number of each run name, in order. Those without one in them, and all but one of those
    with the same, come after the others; the most common swarm name keeps its numbers."""
    names = {run.run_name: run.split_name() for run in runs}
    common = Counter(swarm_name for swarm_name, _ in names.values())
    ordered = sorted(names, key=lambda name: (-common[names[name][0]], name))
    keepers = {names[name][1]: name for name in reversed(ordered)}
    numbers = {name: number for number, name in keepers.items() if number is not None}
    free = count(1 + max(numbers.values(), default=-1))
    numbers |= {name: next(free) for name in ordered if name not in numbers}
    return dict(sorted(numbers.items(), key=lambda item: item[1]))


def _variant(
    number: int,
    launches: Sequence[_Launch],
    jobs: Sequence[EvaluationJob],
    checkpoint_root: str | None,
) -> Variant:
    """One variant of all its launches, newest first: a success counts before what is newer."""
    launches = sorted(launches, key=lambda launch: launch[0].status != "succeeded")
    experiment, run = launches[0]
    trainer = TRAINERS[run.trainer]
    directories = [f"{checkpoint_root}/{run.run_name}"]
    notes = []
    if checkpoint_root is None:
        directories = [TRAINERS[run.trainer].directory(run, e.created) for e, run in launches]
        if experiment.created.isoformat() < trainer.settled:
            notes.append(
                f"launched before {trainer.settled}, when {trainer.name}'s branches saved to "
                "different places"
            )
    if directories[0].startswith(LOST):
        notes.append("checkpoints lost (saved to the node's /tmp)")
    if others := set(directories) - {directories[0]}:
        notes.append(f"other launches saved to {', '.join(sorted(others))}")
    unlike = tuple(differences([run for _, run in launches]))
    if unlike:
        notes.append(f"its launches differ in {', '.join(unlike)}")
    return Variant(
        number=number,
        run=run,
        checkpoint_dir=directories[0],
        status=experiment.status,
        experiments=tuple(experiment for experiment, _ in launches),
        notes=tuple(notes),
        differences=unlike,
        evaluations=tuple(jobs),
    )


def _name_of(variants: Sequence[Variant]) -> str:
    """The most common name in front of the group ID; without any, what all runs begin with."""
    names = Counter(variant.swarm_name for variant in variants if variant.swarm_name)
    if names:
        return names.most_common(1)[0][0]
    run_names = [variant.run_name for variant in variants]
    shared = os.path.commonprefix(run_names)  # noqa: RUF071 - names, not paths
    return shared.rstrip("-_.") or next(iter(run_names), "")
