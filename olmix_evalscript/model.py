"""The data of a swarm: experiments, training runs, variants, and what follows from their fields."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.storage import LOST

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


@dataclass(frozen=True)
class Experiment:
    """What Beaker knows about one experiment."""

    id: str
    name: str
    created: datetime  # UTC
    status: str  # one of STATUSES
    tasks: tuple[Task, ...] = ()
    problem: str = ""  # why its spec could not be read

    @property
    def url(self) -> str:
        """Its page on Beaker."""
        return f"https://beaker.org/ex/{self.id}"


@dataclass(frozen=True)
class Search:
    """What to ask Beaker for."""

    workspaces: tuple[str, ...] = ()  # owner/name; empty: the whole organization
    author: str | None = None  # Beaker user name
    mine: bool = False  # only what the token's owner launched
    since: datetime | None = None  # created at or after
    timeout: float = 120.0  # seconds for all calls together


@dataclass(frozen=True)
class Report:
    """Where a slow step reports what it does, without knowing who listens."""

    status: Callable[[str], None]  # what is being done, as a line that may be overwritten
    detail: Callable[[str], None]  # each call, for those who want to see it


@dataclass(frozen=True)
class Source:
    """One domain of a mixture, as one ``-s`` gives it."""

    name: str  # such as "dclm:adult_content", as in the priors
    ratio: float  # its share of the mixture, 0 to 1
    repetition: float  # how often its data may be repeated
    paths: tuple[str, ...]

    @classmethod
    def parse(cls, literal: str) -> Source:
        """Read one source as the trainers do (``PythonLiteralOption`` in both): without blanks and
        single quotes, a tuple of name, paths, ratio and, but for early regmixer, repetition.

        Raises:
            TrainerCommandError: If it cannot be read.
        """
        try:
            value = ast.literal_eval(literal.replace(" ", "").replace("'", ""))
            name, paths, ratio, repetition = value if len(value) == 4 else (*value, 1.0)
            source = cls(name, float(ratio), float(repetition), tuple(paths))
            is_named = isinstance(name, str) and name and isinstance(paths, list | tuple)
            if not is_named or not 0 <= source.ratio <= 1:
                raise ValueError
        except (ValueError, TypeError, OverflowError, SyntaxError, MemoryError, RecursionError):
            raise TrainerCommandError(
                f"its source {literal[:80]!a} is not (name, paths, ratio from 0 to 1, repetition)"
            ) from None
        return source


@dataclass(frozen=True)
class TrainerRun:
    """One training run, as its command tells it."""

    trainer: str  # one of trainers.TRAINERS
    run_name: str
    group_id: str
    cluster: str  # as written after -c, such as "ai2/jupiter-cirrascale-2"
    user: str  # lower case, as in checkpoint paths
    weka: bool
    #: All other options that are given, long name to value as written.
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    source_literals: tuple[str, ...] = ()  # each as written after -s

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The mixture, in the order of the command.

        Raises:
            TrainerCommandError: If a source cannot be read.
        """
        return tuple(Source.parse(literal) for literal in self.source_literals)

    def split_name(self) -> tuple[str, int | None]:
        """Swarm name and number, if its launcher made its run name; any other is all name.

        The number is behind the group, or before it in regmixer's first weeks. It has four digits,
        and more in swarms of more than 9,999 runs.
        """
        name, *ends = self.run_name.rsplit("-", 2)
        numbers = [int(end) for end in ends if re.fullmatch("[0-9]{4,6}", end)]
        if self.group_id in ends and numbers:
            return name, numbers[0]
        return self.run_name, None


@dataclass(frozen=True)
class EvaluationJob:
    """A job that evaluates, or otherwise uses, a checkpoint of a variant."""

    experiment: Experiment
    step: int


@dataclass(frozen=True)
class Variant:
    """One training run of a swarm."""

    number: int
    run: TrainerRun
    checkpoint_dir: str  # no slash at its end
    status: str = ""  # one of STATUSES; empty where Beaker was not asked
    experiments: tuple[Experiment, ...] = ()  # all that ran it; the one that counts comes first
    notes: tuple[str, ...] = ()  # what is odd about it
    differences: tuple[str, ...] = ()  # what its launches do not share, such as "mixture"
    evaluations: tuple[EvaluationJob, ...] = ()  # newest first

    @property
    def run_name(self) -> str:
        """Its run name, the last part of its checkpoint directory."""
        return self.run.run_name

    @property
    def checkpoint_root(self) -> str:
        """The folder of its checkpoint directory."""
        return self.checkpoint_dir.rpartition("/")[0]

    @property
    def swarm_name(self) -> str:
        """What its run name has besides group ID and number; empty if it was named by hand."""
        name, number = self.run.split_name()
        return name if number is not None else ""

    @property
    def is_lost(self) -> bool:
        """Whether its checkpoints went to a node's own disk, and with it."""
        return self.checkpoint_dir.startswith(LOST)


@dataclass(frozen=True)
class Swarm:
    """The variants of one group."""

    group_id: str
    name: str
    variants: tuple[Variant, ...]  # in the order of their numbers
    warnings: tuple[str, ...] = ()  # what a reader of the script should look into, a line each
    unreadable: tuple[str, ...] = ()  # experiments that may belong to it: name, and what is wrong
    ignored: int = 0  # experiments that are no variants, such as evaluations
    other_statuses: tuple[str, ...] = ()  # those of variants without the wanted status
    created: datetime | None = None  # when its newest experiment was launched, UTC

    @property
    def dashboard(self) -> str:
        """Where its results are shown, unless another is chosen."""
        return f"olmix-{self.group_id}"

    @property
    def ready(self) -> tuple[Variant, ...]:
        """The variants whose checkpoints were saved to a storage that outlives the job."""
        return tuple(variant for variant in self.variants if not variant.is_lost)
