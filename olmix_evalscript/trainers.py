"""The trainers as data: how each is called, and where it saves checkpoints.

Another trainer is another entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

S3 = "s3://ai2-llm/checkpoints/{user}/{run_name}"
GCS = "gs://ai2-llm/checkpoints/{user}/{run_name}"
WEKA = "/weka/oe-training-default/ai2-llm/checkpoints/{user}/{run_name}"
NODE = "/tmp/{run_name}/checkpoints/{user}/{run_name}"  # on the node's own disk, gone with the job
NODE_EARLY = "/tmp/{run_name}"


@dataclass(frozen=True)
class Rule:
    """One line of a trainer's own choice of a directory."""

    directory: str
    clusters: tuple[str, ...] = ()  # one of them is part of the cluster's name; empty: any cluster
    weka: bool | None = None  # what -w says; None: either
    before: datetime | None = None  # for runs launched before; None: until today


@dataclass(frozen=True)
class Trainer:
    """A click program that trains one run of a swarm, by its subcommand ``train``."""

    name: str
    script: str  # the end of its path
    options: Mapping[str, str]  # those that take a value: letter to long name
    flags: tuple[str, ...]  # those that take none
    rules: tuple[Rule, ...]  # the first that fits decides; the last fits always
    run_names: tuple[str, ...]  # patterns, with {group} in them
    settled: datetime | None = None  # until then its branches saved to different places

    def directory(self, *, cluster: str, weka: bool, launched: datetime) -> str:
        """The directory of a run's ``step{N}`` directories, with {user} and {run_name} in it."""
        rule = next(
            rule
            for rule in self.rules
            if rule.weka in (None, weka)
            and (rule.before is None or launched < rule.before)
            and (not rule.clusters or any(word in cluster for word in rule.clusters))
        )
        return rule.directory

    def warning(self, launched: datetime) -> str | None:
        """Why its rule may not hold for a run launched then, or None."""
        if self.settled is None or launched >= self.settled:
            return None
        day = f"{self.settled:%Y-%m-%d}"
        return f"launched before {day}, when {self.name}'s branches saved to different places"


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


#: The launchers write {number:04d}; swarms of more than 9,999 runs have longer ones.
_NUMBER = "(?P<number>[0-9]{{4,6}})"
_NAME_GROUP_NUMBER = "(?P<name>.+)-{group}-" + _NUMBER
_NAME_NUMBER_GROUP = "(?P<name>.+)-" + _NUMBER + "-{group}"

#: All must be known, also those of no interest here: the ``n`` in ``-y pretrain`` is not a ``-n``.
_OPTIONS = {
    "n": "run-name",
    "g": "group-id",
    "S": "seed",
    "c": "cluster",
    "u": "beaker-user",
    "d": "dtype",
    "T": "tokenizer",
    "m": "model-identifier",
    "w": "weka",
    "C": "checkpoint-path",
    "y": "train-type",
    "b": "device-batch-size",
    "B": "global-batch-size",
    "s": "source",
    "t": "max-tokens",
    "l": "sequence-length",
}

#: olmix/launch/train.py and ``_setup_dirs`` in olmix/model/transformer.py of allenai/olmix, whose
#: rule has been the same since 2026-01-25.
OLMIX = Trainer(
    name="olmix",
    script="olmix/launch/train.py",
    options={**_OPTIONS, "x": "chinchilla-multiple", "e": "eval-task", "E": "eval-interval"},
    flags=("no-eval",),
    rules=(
        Rule(GCS, ("augusta",)),
        Rule(WEKA, ("jupiter", "saturn", "ceres", "neptune", "titan"), weka=True),
        Rule(S3),
    ),
    run_names=(_NAME_GROUP_NUMBER,),
)

#: src/regmixer/train.py of allenai/regmixer, and src/regmixer/model/transformer.py at 551585a,
#: 6803cde, ebe32b1 and c267706. The last overwrites its own S3 default with the node's /tmp.
REGMIXER = Trainer(
    name="regmixer",
    script="regmixer/train.py",
    options=_OPTIONS,
    flags=(),
    rules=(
        Rule(NODE_EARLY, before=_day("2025-01-07")),
        Rule(S3, before=_day("2025-01-22")),
        Rule(NODE, ("augusta",), weka=True, before=_day("2025-05-21")),
        Rule(GCS, ("augusta",), weka=True, before=_day("2025-05-31")),
        Rule(WEKA, ("jupiter", "saturn"), weka=True, before=_day("2025-05-31")),
        Rule(NODE, weka=True, before=_day("2025-05-31")),
        Rule(S3, weka=False, before=_day("2025-05-31")),
        Rule(GCS, ("augusta",)),
        Rule(WEKA, ("jupiter", "saturn"), weka=True),
        Rule(NODE),
    ),
    run_names=(_NAME_GROUP_NUMBER, _NAME_NUMBER_GROUP),  # the latter in its first weeks
    settled=_day("2025-06-01"),
)

TRAINERS = {trainer.name: trainer for trainer in (OLMIX, REGMIXER)}
