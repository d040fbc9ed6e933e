"""The trainers as data: how each is called, and where it saves checkpoints.

Another trainer is another entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from olmix_evalscript.model import TrainerRun

S3 = "s3://ai2-llm/checkpoints/{user}/{run_name}"
GCS = "gs://ai2-llm/checkpoints/{user}/{run_name}"
WEKA = "/weka/oe-training-default/ai2-llm/checkpoints/{user}/{run_name}"
NODE = "/tmp/{run_name}/checkpoints/{user}/{run_name}"  # on the node's own disk, gone with the job
NODE_EARLY = "/tmp/{run_name}"


@dataclass(frozen=True)
class Rule:
    """One line of a trainer's own choice of a directory."""

    directory: str
    clusters: tuple[str, ...] = ("",)  # one of them is part of the cluster's name
    weka: bool | None = None  # what -w says; None: either
    before: str = "9999"  # for runs launched before this day


@dataclass(frozen=True)
class Trainer:
    """A click program that trains one run of a swarm, by its subcommand ``train``."""

    name: str
    script: str  # the end of its path
    options: Mapping[str, str]  # those that take a value: letter to long name
    rules: tuple[Rule, ...]  # the first that fits decides; the last fits always
    flags: tuple[str, ...] = ()  # options that take no value
    settled: str = ""  # before this day its branches saved to different places

    def directory(self, run: TrainerRun, launched: datetime) -> str:
        """The directory of a run's ``step{N}`` directories."""
        directory = next(
            rule.directory
            for rule in self.rules
            if rule.weka in (None, run.weka)
            and launched.isoformat() < rule.before
            and any(word in run.cluster for word in rule.clusters)
        )
        return directory.format(user=run.user, run_name=run.run_name)


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
    rules=(
        Rule(GCS, ("augusta",)),
        Rule(WEKA, ("jupiter", "saturn", "ceres", "neptune", "titan"), weka=True),
        Rule(S3),
    ),
    flags=("no-eval",),
)

#: src/regmixer/train.py of allenai/regmixer, and src/regmixer/model/transformer.py at 551585a,
#: 6803cde, ebe32b1 and c267706. The last overwrites its own S3 default with the node's /tmp.
REGMIXER = Trainer(
    name="regmixer",
    script="regmixer/train.py",
    options=_OPTIONS,
    rules=(
        Rule(NODE_EARLY, before="2025-01-07"),
        Rule(S3, before="2025-01-22"),
        Rule(S3, weka=False, before="2025-05-31"),
        Rule(NODE, ("augusta",), before="2025-05-21"),
        Rule(GCS, ("augusta",)),
        Rule(WEKA, ("jupiter", "saturn"), weka=True),
        Rule(NODE),
    ),
    settled="2025-06-01",
)

TRAINERS = {trainer.name: trainer for trainer in (OLMIX, REGMIXER)}
