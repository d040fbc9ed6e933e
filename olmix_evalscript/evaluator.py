"""Define what an evaluator is to the rest of the tool. Each one is a module that fills this."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Backend:
    """A model backend, and which form of a checkpoint it reads."""

    suffix: str  # of the folder, after stepN
    needed: tuple[str, ...]  # what a complete one has, behind stepN


@dataclass(frozen=True)
class Result:
    """What one evaluation of one checkpoint gave for one task."""

    model: str  # what the evaluator calls the checkpoint
    run_name: str  # empty if it is not a plain checkpoint of a run
    step: int
    is_converted: bool  # to Hugging Face format
    task: str
    bpb: Any  # as it is written, unchecked; None without bits per byte
    date: datetime
    location: str  # file and line
    # Results of one task are comparable if they share:
    metric: str  # the key of the value
    num_instances: Any
    task_hash: Any  # of the task's settings


@dataclass(frozen=True)
class Evaluator:
    """How to start an evaluation, and how to read its results."""

    default_cluster: str
    default_priority: str
    cluster_warnings: Callable[[str], list[str]]  # about a cluster's name
    backends: Mapping[str, Backend]
    not_on_vllm: Sequence[str]  # tasks
    never_launched: re.Pattern[str]  # tasks
    #: Takes what is to be passed on; gives the priority and the other options.
    parse_arguments: Callable[[Sequence[str]], tuple[str, tuple[str, ...]]]
    results_url: str  # where results land; with {dashboard}
    results_suffix: str  # how the names of their files end
    #: The results in a file, without aggregates. Raises FitError if they cannot be read.
    read_results: Callable[[Path], Iterator[Result]]
    has_bpb: Callable[[str], bool]  # whether an evaluation on a task can give bits per byte
