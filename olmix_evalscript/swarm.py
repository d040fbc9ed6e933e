"""Experiments in, the swarm they make up out: its variants in order, and every doubt about them."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from olmix_evalscript.checkpoints import (
    SavedRun,
    checkpoint_dir,
    is_lost,
    is_settled,
    same_site,
)
from olmix_evalscript.errors import InvalidInputError, TrainerCommandError
from olmix_evalscript.trainer import TrainerRun, parse_trainer

#: Beaker's own names, without STATUS_.
STATUSES = (
    "submitted",
    "queued",
    "initializing",
    "ready_to_start",
    "running",
    "stopping",
    "uploading_results",
    "canceled",
    "succeeded",
    "failed",
    "unknown",
)
_NAME = re.compile(r"(?!-)(?!\.+$)(?!.*\.\.)[A-Za-z0-9._-]{1,255}")
_CLUSTER = re.compile(r"(?!-)(?!.*\.\.)[A-Za-z0-9._/-]{1,255}")


@dataclass(frozen=True)
class Task:
    """One task of an experiment."""

    words: tuple[str, ...]  # command and arguments
    clusters: tuple[str, ...] = ()  # constraints.cluster of the spec


@dataclass(frozen=True)
class Experiment:
    """What Beaker knows about one experiment or session."""

    id: str
    name: str
    author: str  # Beaker user name
    workspace: str  # owner/name
    created: datetime  # UTC
    status: str  # one of STATUSES
    tasks: tuple[Task, ...] = ()
    problem: str = ""  # why its spec could not be read
    is_session: bool = False


@dataclass(frozen=True)
class Variant:
    """One training run of a swarm."""

    number: int
    run_name: str
    trainer: str  # "olmix" or "regmixer"
    user: str  # lower case, as in checkpoint paths
    cluster: str
    checkpoint_dir: str  # no slash at its end
    status: str = ""  # one of STATUSES; empty where Beaker was not asked
    experiments: tuple[Experiment, ...] = ()  # all that ran it; the one that counts comes first
    notes: tuple[str, ...] = ()  # what is odd about it

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


def check_group_id(group_id: str) -> str:
    """Return the group ID if it is one.

    Raises:
        InvalidInputError: If it is not 8 characters of a UUID.
    """
    if not re.fullmatch(r"[0-9a-f]{8}", group_id):
        raise InvalidInputError(
            f"{shown(group_id)} is no group ID; expected 8 characters of 0-9 and a-f such as "
            "58362402. Try `olmix-evalscript list` to see yours."
        )
    return group_id


def check_name(what: str, value: str) -> str:
    """Return a run name or user if it is fit for a path and a script, as those of launchers are.

    Raises:
        InvalidInputError: If it is not.
    """
    return _check(what, value, _NAME, "letters, digits, '.', '_' and '-'")


def check_cluster(what: str, value: str) -> str:
    """Return a cluster's name if it is fit for a script.

    Raises:
        InvalidInputError: If it is not.
    """
    return _check(what, value, _CLUSTER, "letters, digits, '.', '_', '-' and '/'")


def _check(what: str, value: str, pattern: re.Pattern[str], allowed: str) -> str:
    if not pattern.fullmatch(value):
        raise InvalidInputError(
            f"{what} {shown(value)} is refused; expected {allowed}, no leading '-' and no '..'"
        )
    return value


def shown(value: str) -> str:
    """A value from outside, fit for a message or a comment: one line, quoted where it must be."""
    if len(value) > 120:
        value = value[:117] + "..."
    return value if re.fullmatch(r"[A-Za-z0-9._/:-]+", value) else ascii(value)


def printable(text: str) -> str:
    """Text with a question mark for whatever could move a terminal's cursor or break a line."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as people write them: ``0, 3, 5-9``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@dataclass(frozen=True)
class _Launch:
    """One experiment that trains a run of the swarm."""

    experiment: Experiment
    run: TrainerRun
    user: str
    cluster: str
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

    variants = _variants(group_id, launches)
    kept = [v for v in variants if status is None or v.status == status]
    return Swarm(
        group_id=group_id,
        name=_swarm_name(group_id, kept or variants),
        variants=tuple(kept),
        doubts=tuple(_doubts(group_id, variants, kept)),
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
        saved = SavedRun(run.trainer, run_name, user, cluster, run.weka, experiment.created)
        directory = checkpoint_dir(saved)
        if not is_settled(saved):
            notes.append("of a time when regmixer's branches saved to different places")
    if is_lost(directory):
        notes.append("lost: saved to its node's /tmp")
    return _Launch(experiment, run, user, cluster, directory, tuple(notes))


def split_name(group_id: str, run_name: str) -> tuple[str, int | None]:
    """Swarm name and number of ``{name}-{group}-{number:04d}``, or of regmixer's first weeks'
    ``{name}-{number:04d}-{group}``; a name of another form is all name."""
    match = re.fullmatch(rf"(.+)-(?:{group_id}-([0-9]{{4,6}})|([0-9]{{4,6}})-{group_id})", run_name)
    return (match[1], int(match[2] or match[3])) if match else (run_name, None)


def _variants(group_id: str, launches: Sequence[_Launch]) -> list[Variant]:
    by_name: dict[str, list[_Launch]] = defaultdict(list)
    for launch in launches:
        by_name[launch.run.run_name].append(launch)
    numbers = {name: split_name(group_id, name)[1] for name in by_name}
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
        run_name=first.run.run_name,
        trainer=first.run.trainer,
        user=first.user,
        cluster=first.cluster,
        checkpoint_dir=first.directory,
        status=first.experiment.status,
        experiments=tuple(launch.experiment for launch in launches),
        notes=tuple(notes),
    )


def _swarm_name(group_id: str, variants: Sequence[Variant]) -> str:
    """The most common name in front of the group ID; without any, what all runs begin with."""
    names = Counter(_swarm_names(group_id, variants))
    if names:
        return names.most_common(1)[0][0]
    run_names = [variant.run_name for variant in variants]
    shared = os.path.commonprefix(run_names)  # noqa: RUF071 - names, not paths
    return shared.rstrip("-_.") or next(iter(run_names), "")


def _doubts(group_id: str, found: Sequence[Variant], kept: Sequence[Variant]) -> list[str]:
    doubts: list[str] = []
    missing = set(range(max((v.number for v in found), default=-1))) - {v.number for v in found}
    if missing:
        doubts.append(f"no experiment was found for variant {ranges(missing)}")
    twice = [number for number, n in Counter(v.number for v in kept).items() if n > 1]
    if twice:
        doubts.append(f"more than one run has the number {ranges(twice)}")
    for what, values in (
        ("trainer", [v.trainer for v in kept]),
        ("user", [v.user for v in kept]),
        ("cluster", [v.cluster for v in kept]),
        ("checkpoint root", [v.checkpoint_dir.rsplit("/", 1)[0] for v in kept if not v.is_lost]),
        ("swarm name", _swarm_names(group_id, kept)),
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


def _swarm_names(group_id: str, variants: Sequence[Variant]) -> list[str]:
    split = (split_name(group_id, variant.run_name) for variant in variants)
    return [name for name, number in split if number is not None]
