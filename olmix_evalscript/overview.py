"""Swarms in, what people and programs are shown of them out: summaries and plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.experiment import Experiment
from olmix_evalscript.swarm import EvaluationJob, Swarm, Variant

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
        "sources": _sources_data(variant),
        "notes": [*variant.notes, *([f"launched {launches} times"] if launches > 1 else [])],
        "experiments": [_experiment_data(experiment) for experiment in variant.experiments],
        "evaluations": [
            {"step": job.step, **_experiment_data(job.experiment)} for job in variant.evaluations
        ],
    }


def _sources_data(variant: Variant) -> list[dict[str, Any]] | None:
    try:
        sources = variant.run.sources
    except TrainerCommandError:
        return None
    return [
        {
            "name": source.name,
            "ratio": source.ratio,
            "repetition": source.repetition,
            "paths": list(source.paths),
        }
        for source in sources
    ]


def _experiment_data(experiment: Experiment) -> dict[str, Any]:
    return {
        "id": experiment.id,
        "name": experiment.name,
        "url": EXPERIMENT_URL + experiment.id,
        "author": experiment.author,
        "workspace": experiment.workspace,
        "created": experiment.created.isoformat(),
        "status": experiment.status,
    }


def summary_data(swarm: Swarm, script: str | None) -> dict[str, Any]:
    """A line of the list as data; docs/json.md is its schema."""
    runs = [variant.run for variant in swarm.variants]
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "trainers": sorted({run.trainer for run in runs}),
        "variants": dict(Counter(variant.status for variant in swarm.variants).most_common()),
        "unreadable": len(swarm.unreadable),
        "evaluations": count_by_status(job for v in swarm.variants for job in v.evaluations),
        "users": sorted({str(run.user) for run in runs}),
        "clusters": sorted({str(run.cluster) for run in runs}),
        "created": swarm.created.isoformat() if swarm.created else None,
        "script": script,
    }


def count_by_status(jobs: Iterable[EvaluationJob]) -> dict[str, int]:
    """How many jobs are in each status; a job that uses several checkpoints counts once."""
    statuses = {job.experiment.id: job.experiment.status for job in jobs}
    return dict(Counter(statuses.values()).most_common())


def in_words(counts: Mapping[str, int]) -> str:
    """Counts as people write them: ``2 succeeded, 1 failed``."""
    return ", ".join(f"{count} {what}" for what, count in counts.items())
