"""Swarms in, what people and programs are shown of them out: summaries and plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from olmix_evalscript.command import TrainerRun, parse_trainer
from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.experiment import Experiment
from olmix_evalscript.swarm import Swarm, Variant, split_name


@dataclass
class SwarmSummary:
    """What is told of a swarm in a list; grows with each of its experiments."""

    group_id: str
    names: Counter[str] = field(default_factory=Counter)
    trainers: set[str] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    clusters: set[str] = field(default_factory=set)
    created: datetime | None = None  # of its newest experiment
    _runs: dict[str, tuple[bool, datetime, str]] = field(default_factory=dict)

    def add(self, run: TrainerRun, experiment: Experiment) -> None:
        """Count one more experiment of this swarm."""
        self.names[split_name(run)[0]] += 1
        self.trainers.add(run.trainer)
        self.users.add(run.user or experiment.author.lower())
        if run.cluster:
            self.clusters.add(run.cluster)
        self.created = max(self.created or experiment.created, experiment.created)
        state = (experiment.status == "succeeded", experiment.created, experiment.status)
        self._runs[run.run_name] = max(self._runs.get(run.run_name, state), state)

    @property
    def name(self) -> str:
        """The most common of its runs' names, without ID and number."""
        return max(sorted(self.names), key=self.names.__getitem__)

    @property
    def statuses(self) -> dict[str, int]:
        """How many variants are in each status, the most common first."""
        counts = Counter(status for _, _, status in self._runs.values())
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def summarize(pages: Iterable[list[Experiment]]) -> list[SwarmSummary]:
    """Sum up all swarms, newest first, while holding one page of experiments at a time."""
    swarms: dict[str, SwarmSummary] = {}
    for page in pages:
        for experiment in page:
            for run in _runs(experiment):
                swarms.setdefault(run.group_id, SwarmSummary(run.group_id)).add(run, experiment)
    return sorted(swarms.values(), key=lambda s: (str(s.created), s.group_id), reverse=True)


def _runs(experiment: Experiment) -> set[TrainerRun]:
    try:
        runs = {parse_trainer(task.words) for task in experiment.tasks}
    except TrainerCommandError:
        return set()
    return {run for run in runs if run is not None}


EXPERIMENT_URL = "https://beaker.org/ex/"


def swarm_data(swarm: Swarm) -> dict[str, Any]:
    """A swarm as data; docs/json.md is its schema."""
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "variants": [_variant_data(variant) for variant in swarm.variants],
        "doubts": list(swarm.doubts),
        "unreadable": list(swarm.unreadable),
    }


def _variant_data(variant: Variant) -> dict[str, Any]:
    launches = len(variant.experiments)
    return {
        "number": variant.number,
        "run_name": variant.run_name,
        "trainer": variant.run.trainer,
        "status": variant.status,
        "user": variant.run.user,
        "cluster": variant.run.cluster,
        "checkpoint_dir": variant.checkpoint_dir,
        "is_lost": variant.is_lost,
        "notes": [*variant.notes, *([f"launched {launches} times"] if launches > 1 else [])],
        "experiments": [
            {
                "id": experiment.id,
                "name": experiment.name,
                "url": EXPERIMENT_URL + experiment.id,
                "author": experiment.author,
                "workspace": experiment.workspace,
                "created": experiment.created.isoformat(),
                "status": experiment.status,
            }
            for experiment in variant.experiments
        ],
    }


def summary_data(swarm: SwarmSummary, script: str | None) -> dict[str, Any]:
    """A line of the list as data; docs/json.md is its schema."""
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "trainers": sorted(swarm.trainers),
        "variants": swarm.statuses,
        "users": sorted(swarm.users),
        "clusters": sorted(swarm.clusters),
        "created": swarm.created.isoformat() if swarm.created else None,
        "script": script,
    }
