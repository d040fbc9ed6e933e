"""Define what an evaluator is to the rest of the tool. Each one is a module that fills this."""

from __future__ import annotations

import getopt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from olmix_evalscript.errors import UsageError

PRIORITIES = ("low", "normal", "high", "urgent")  # Beaker's
CLUSTERS = """
    ai2/jupiter ai2/neptune ai2/saturn ai2/ceres ai2/augusta ai2/titan
    ai2/allennlp ai2/phobos ai2/prior ai2/rhea ai2/triton
""".split()  # noqa: SIM905


@dataclass(frozen=True)
class Backend:
    """A model backend, and which form of a checkpoint it reads."""

    suffix: str  # of the folder, after stepN
    needed: tuple[str, ...]  # what a complete one has, behind stepN


#: A checkpoint as it was saved: the files that OLMo-core's ``Checkpointer.latest_checkpoint`` asks
#: for.
SAVED = Backend("", ("/.metadata.json", "/model_and_optim/.metadata", "/train/rank0.pt"))


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
    metric: str  # the key of the value, and settings that task_hash does not depend on
    num_instances: Any
    task_hash: Any  # of the task's settings


@dataclass(frozen=True)
class Evaluator:
    """How to start an evaluation, and how to read its results."""

    name: str
    command: str  # the program; it must be installed where the script runs
    environment: str  # where that is, in words
    clusters: Collection[str]  # its names for several at once
    backends: Mapping[str, Backend]
    #: Options of the command that submits, each with its letter if it has one, and = if it takes a
    #: value: ``p/priority=``.
    options: Sequence[str]
    refused: Mapping[str, str]  # those that may not be passed on, and why
    task_name: Callable[[str], str]  # what it calls a task; raises UsageError if it cannot run it
    result_task: Callable[[str], str]  # what read_results calls a task
    has_bpb: Callable[[str], bool]  # whether an evaluation on a task can give bits per byte
    results_url: str  # where results land; with {dashboard}
    results_suffix: str  # how the names of their files end
    #: The results in a file, without aggregates. Raises FitError if they must not be used, and any
    #: error of Python's if it is no such file.
    read_results: Callable[[Path], Iterator[Result]]
    required: Collection[str] = ()  # options that must be passed on
    arguments: tuple[str, ...] = ()  # passed on, before others
    #: Patterns of "CLUSTER ROOT" where it cannot work, and why.
    out_of_reach: Mapping[str, str] = field(default_factory=dict)
    skipped: Collection[str] = ()  # tasks that it does not have
    not_on_vllm: Collection[str] = ()  # tasks that run on hf only

    def parse_arguments(self, arguments: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Read what is to be passed on to the command that submits.

        Returns:
            The priority, and all other options as ``--name=value`` or ``--name``, in order.

        Raises:
            UsageError: If there is no such option, the script sets it itself, or one is missing.
        """
        long = [option.rpartition("/")[2] for option in self.options]
        letters = {option[0]: option[2:] for option in self.options if option[1] == "/"}
        short = "".join(f"{letter}{':' * name.endswith('=')}" for letter, name in letters.items())
        try:
            pairs, rest = getopt.gnu_getopt(list(arguments), short, long)
        except getopt.GetoptError as error:
            raise UsageError(
                f"after --: {error}. If {self.command} has it, add it to EVAL_ARGS in the script."
            ) from None
        if rest:
            raise UsageError(f"after --: {rest[0]!a} is not an option of {self.command}")
        priority, others = "normal", []
        for option, value in pairs:
            name = letters.get(option.lstrip("-"), option.lstrip("-")).rstrip("=")
            if name in self.refused:
                raise UsageError(f"after --: --{name} {self.refused[name]}")
            if not value.isprintable():
                raise UsageError(f"after --: the value {value!a} of --{name} is not plain text")
            if name == "priority":
                priority = value
            else:
                others.append(f"--{name}={value}" if f"{name}=" in long else f"--{name}")
        for name in self.required:
            if not any(other.startswith(f"--{name}=") for other in others):
                raise UsageError(f"{self.command} needs --{name}: write it after --")
        return priority, tuple(others)

    def cluster_warnings(self, name: str) -> list[str]:
        """Warn of a cluster that it does not know."""
        known = (*self.clusters, *CLUSTERS)
        if cluster_name(name) in known:
            return []
        return [f"unknown cluster {name}; {self.command} knows {', '.join(known)}"]


def cluster_name(name: str) -> str:
    """Today's name of a cluster. Former ones, such as ``ai2/jupiter-cirrascale-2``, are longer."""
    return name.partition("-")[0]
