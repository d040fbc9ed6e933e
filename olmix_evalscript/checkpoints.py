"""A training run in, the directory its trainer saved checkpoints to out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from olmix_evalscript.trainers import TRAINERS


@dataclass(frozen=True)
class SavedRun:
    """What a trainer's choice of a directory depends on."""

    trainer: str  # one of TRAINERS
    run_name: str
    user: str  # lower case, as in the path
    cluster: str  # as the trainer was told, such as "ai2/jupiter-cirrascale-2"
    weka: bool  # what the trainer was told about using Weka
    launched: datetime


def checkpoint_dir(run: SavedRun) -> str:
    """Predict the directory of a run's ``step{N}`` directories, without a slash at its end."""
    rule = next(
        rule
        for rule in TRAINERS[run.trainer].rules
        if rule.weka in (None, run.weka)
        and (rule.before is None or run.launched < rule.before)
        and (not rule.clusters or any(word in run.cluster for word in rule.clusters))
    )
    return rule.directory.format(user=run.user, run_name=run.run_name)


def is_settled(run: SavedRun) -> bool:
    """Whether the trainer had but one rule when the run was launched."""
    settled = TRAINERS[run.trainer].settled
    return settled is None or run.launched >= settled


def is_lost(directory: str) -> bool:
    """Whether checkpoints saved there are gone: they were on the node's own disk."""
    return directory.startswith("/tmp/")


def same_site(cluster: str, other: str) -> bool:
    """Whether two names may mean one cluster: ``ai2/jupiter`` is ``ai2/jupiter-cirrascale-2``."""
    words = {
        word for trainer in TRAINERS.values() for rule in trainer.rules for word in rule.clusters
    }
    sites = [{word for word in words if word in name} or {name} for name in (cluster, other)]
    return sites[0] == sites[1]
