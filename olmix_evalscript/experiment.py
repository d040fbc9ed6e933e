"""What Beaker says of experiments, before anybody reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
#: Those in which nothing more happens.
FINISHED = ("succeeded", "failed", "canceled")


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
