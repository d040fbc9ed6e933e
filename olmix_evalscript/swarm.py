"""Experiments in, the swarm they make up out: its variants in order, and every doubt about them."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from olmix_evalscript.command import TrainerRun, parse_trainer
from olmix_evalscript.errors import InvalidInputError, TrainerCommandError
from olmix_evalscript.experiment import Experiment, Task
from olmix_evalscript.names import check_cluster, check_name, printable, ranges, shown
from olmix_evalscript.trainers import TRAINERS, is_lost, same_site


@dataclass(frozen=True)
class Variant:
    """One training run of a swarm."""

    number: int
    run: TrainerRun  # with the cluster and user that hold, wherever they come from
    checkpoint_dir: str  # no slash at its end
    status: str = ""  # one of STATUSES; empty where Beaker was not asked
    experiments: tuple[Experiment, ...] = ()  # all that ran it; the one that counts comes first
    notes: tuple[str, ...] = ()  # what is odd about it

    @property
    def run_name(self) -> str:
        """Its run name, the last part of its checkpoint directory."""
        return self.run.run_name

    @property
    def is_lost(self) -> bool:
        """Whether its checkpoints went to a node's own disk, and with it."""
        return is_lost(self.checkpoint_dir)


@dataclass(frozen=True)
class LeftOut:
    """How many experiments carry the group ID, or were looked at, without being of the swarm."""

    other_jobs: int = 0  # evaluations, conversions: whatever runs no trainer
    other_groups: int = 0  # trainers of another group
    sessions: int = 0
    other_status: int = 0  # variants dropped by the wish for a status


@dataclass(frozen=True)
class Swarm:
    """The variants of one group."""

    group_id: str
    name: str
    variants: tuple[Variant, ...]  # in the order of their numbers
    doubts: tuple[str, ...] = ()  # whatever a reader of the script should look into
    unreadable: tuple[str, ...] = ()  # experiments that may belong to it: name, and what is wrong
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def ready(self) -> tuple[Variant, ...]:
        """The variants whose checkpoints were saved to a storage that outlives the job."""
        return tuple(variant for variant in self.variants if not variant.is_lost)


@dataclass(frozen=True)
class _Launch:
    """One experiment that trains a run of the swarm."""

    experiment: Experiment
    run: TrainerRun  # with cluster and user
    directory: str
    notes: tuple[str, ...]


def build_swarm(
    group_id: str,
    experiments: Sequence[Experiment],
    *,
    checkpoint_root: str | None = None,
    status: str | None = None,
) -> Swarm:
    """Tell the swarm's training runs from everything else and put them in order.

    Args:
        group_id: The group whose runs are wanted.
        experiments: All that may belong to it, in any order.
        checkpoint_root: The directory that holds the run directories, where the trainers' rule
            is not to be used.
        status: Keep only variants of this status.

    Returns:
        The swarm; without variants if no experiment trains a run of the group.
    """
    launches: list[_Launch] = []
    unreadable: list[str] = []
    other_jobs = other_groups = sessions = 0
    for experiment in experiments:
        if experiment.is_session:
            sessions += 1
            continue
        try:
            runs = _runs(experiment)
            mine = [
                _launch(experiment, run, task, checkpoint_root)
                for run, task in runs
                if run.group_id == group_id
            ]
        except (TrainerCommandError, InvalidInputError) as error:
            name = f"{shown(experiment.name)} ({shown(experiment.id)})"
            unreadable.append(f"{name}: {printable(str(error))}")
            continue
        launches += mine
        other_groups += bool(runs) and not mine
        other_jobs += not runs

    variants = _variants(launches)
    kept = [v for v in variants if status is None or v.status == status]
    return Swarm(
        group_id=group_id,
        name=_swarm_name(kept or variants),
        variants=tuple(kept),
        doubts=tuple(_doubts(variants, kept)),
        unreadable=tuple(unreadable),
        left_out=LeftOut(other_jobs, other_groups, sessions, len(variants) - len(kept)),
    )


def _runs(experiment: Experiment) -> list[tuple[TrainerRun, Task]]:
    """The distinct runs of an experiment's tasks; replicas share one."""
    if experiment.problem:
        raise TrainerCommandError(experiment.problem)
    runs: dict[TrainerRun, Task] = {}
    for task in experiment.tasks:
        run = parse_trainer(task.words)
        if run is not None:
            runs.setdefault(run, task)
    return list(runs.items())


def belongs_to(group_id: str, experiment: Experiment) -> bool:
    """Whether an experiment trains a run of the group, or might: one that cannot be read."""
    try:
        return any(run.group_id == group_id for run, _ in _runs(experiment))
    except TrainerCommandError:
        return True


def mentions(group_id: str, experiment: Experiment) -> bool:
    """Whether an experiment has the group's ID in its name or commands, or cannot be read."""
    words = (word for task in experiment.tasks for word in task.words)
    return bool(experiment.problem) or any(group_id in text for text in (experiment.name, *words))


def _launch(
    experiment: Experiment, run: TrainerRun, task: Task, checkpoint_root: str | None
) -> _Launch:
    notes = []
    run_name = check_name("run name", run.run_name)
    cluster, user = run.cluster, run.user
    if cluster is None:
        if len(task.clusters) != 1:
            raise TrainerCommandError(
                "neither its trainer command (-c) nor its constraints name one cluster"
            )
        cluster = task.clusters[0]
        notes.append("cluster taken from its constraints")
    elif task.clusters and not any(same_site(cluster, other) for other in task.clusters):
        others = ", ".join(shown(other) for other in task.clusters)
        notes.append(f"told -c {shown(cluster)}, but constrained to {others}")
    if user is None:
        user = experiment.author.lower()
        notes.append("user taken from its author")
    elif experiment.author and experiment.author.lower() != user:
        notes.append(f"launched by {shown(experiment.author)} for -u {shown(user)}")
    check_cluster("cluster", cluster)
    check_name("user", user)
    if checkpoint_root is not None:
        directory = f"{checkpoint_root}/{run_name}"
    else:
        trainer, launched = TRAINERS[run.trainer], experiment.created
        directory = trainer.directory(cluster=cluster, weka=run.weka, launched=launched).format(
            user=user, run_name=run_name
        )
        if doubt := trainer.doubt(launched):
            notes.append(doubt)
    if is_lost(directory):
        notes.append("lost: saved to its node's /tmp")
    run = replace(run, cluster=cluster, user=user)
    return _Launch(experiment, run, directory, tuple(notes))


def split_name(run: TrainerRun) -> tuple[str, int | None]:
    """Swarm name and number of a run name of one of its launcher's forms; any other is all name."""
    for form in TRAINERS[run.trainer].run_names:
        if match := re.fullmatch(form.format(group=re.escape(run.group_id)), run.run_name):
            return match["name"], int(match["number"])
    return run.run_name, None


def _variants(launches: Sequence[_Launch]) -> list[Variant]:
    by_name: dict[str, list[_Launch]] = defaultdict(list)
    for launch in launches:
        by_name[launch.run.run_name].append(launch)
    numbers = {name: split_name(launches[0].run)[1] for name, launches in by_name.items()}
    unnumbered = 1 + max((n for n in numbers.values() if n is not None), default=-1)
    variants = []
    for name in sorted(by_name):
        number = numbers[name]
        if number is None:
            number, unnumbered = unnumbered, unnumbered + 1
        variants.append(_variant(number, by_name[name]))
    return sorted(variants, key=lambda variant: (variant.number, variant.run_name))


def _variant(number: int, launches: Sequence[_Launch]) -> Variant:
    """One variant of all the experiments that ran it: a success counts before what is newer."""
    launches = sorted(
        launches,
        key=lambda launch: (
            launch.experiment.status == "succeeded",
            launch.experiment.created,
            launch.experiment.id,
        ),
        reverse=True,
    )
    first = launches[0]
    notes = list(first.notes)
    others = sorted({launch.directory for launch in launches} - {first.directory})
    if others:
        notes.append(f"other launches saved to {', '.join(others)}")
    return Variant(
        number=number,
        run=first.run,
        checkpoint_dir=first.directory,
        status=first.experiment.status,
        experiments=tuple(launch.experiment for launch in launches),
        notes=tuple(notes),
    )


def _swarm_name(variants: Sequence[Variant]) -> str:
    """The most common name in front of the group ID; without any, what all runs begin with."""
    names = Counter(_swarm_names(variants))
    if names:
        return names.most_common(1)[0][0]
    run_names = [variant.run_name for variant in variants]
    shared = os.path.commonprefix(run_names)  # noqa: RUF071 - names, not paths
    return shared.rstrip("-_.") or next(iter(run_names), "")


def _doubts(found: Sequence[Variant], kept: Sequence[Variant]) -> list[str]:
    doubts: list[str] = []
    missing = set(range(max((v.number for v in found), default=-1))) - {v.number for v in found}
    if missing:
        doubts.append(f"no experiment was found for variant {ranges(missing)}")
    twice = [number for number, n in Counter(v.number for v in kept).items() if n > 1]
    if twice:
        doubts.append(f"more than one run has the number {ranges(twice)}")
    for what, values in (
        ("trainer", [v.run.trainer for v in kept]),
        ("user", [v.run.user for v in kept]),
        ("cluster", [v.run.cluster for v in kept]),
        ("checkpoint root", [v.checkpoint_dir.rsplit("/", 1)[0] for v in kept if not v.is_lost]),
        ("swarm name", _swarm_names(kept)),
    ):
        counts = Counter(values).most_common()
        if len(counts) > 1:
            each = ", ".join(f"{value} ({n})" for value, n in counts[:5])
            more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
            doubts.append(f"more than one {what}: {each}{more}")
    for status in ("failed", "canceled"):
        numbers = [v.number for v in kept if v.status == status]
        if numbers:
            doubts.append(f"{status}: variant {ranges(numbers)}")
    by_note: dict[str, list[int]] = defaultdict(list)
    for variant in kept:
        for note in variant.notes:
            by_note[note].append(variant.number)
    doubts += [f"variant {ranges(numbers)}: {note}" for note, numbers in by_note.items()]
    return doubts


def _swarm_names(variants: Sequence[Variant]) -> list[str]:
    split = (split_name(variant.run) for variant in variants)
    return [name for name, number in split if number is not None]
