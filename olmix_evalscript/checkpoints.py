"""A training run in, the directory its trainer saved checkpoints to out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from olmix_evalscript.errors import InvalidInputError

S3 = "s3://ai2-llm/checkpoints/{user}/{run_name}"
GCS = "gs://ai2-llm/checkpoints/{user}/{run_name}"
WEKA = "/weka/oe-training-default/ai2-llm/checkpoints/{user}/{run_name}"
NODE = "/tmp/{run_name}/checkpoints/{user}/{run_name}"  # on the node's own disk, gone with the job
NODE_EARLY = "/tmp/{run_name}"

AUGUSTA = ("augusta",)
WEKA_OF_OLMIX = ("jupiter", "saturn", "ceres", "neptune", "titan")
WEKA_OF_REGMIXER = ("jupiter", "saturn")


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Rule:
    """One line of the trainers' own choice of a directory."""

    directory: str
    trainer: str | None = None  # None: both trainers
    clusters: tuple[str, ...] = ()  # one of them is part of the cluster's name; empty: any cluster
    weka: bool | None = None  # what -w says; None: either
    before: datetime | None = None  # for runs launched before; None: until today


#: The first rule that fits decides. Sources: ``_setup_dirs`` of the ``TransformerConfigBuilder``
#: in olmix/model/transformer.py (one rule since 2026-01-25) and ``__init__`` and ``_setup_dirs``
#: in regmixer's src/regmixer/model/transformer.py at 551585a, 6803cde, ebe32b1 and c267706.
RULES = (
    Rule(NODE_EARLY, "regmixer", before=_day("2025-01-07")),
    Rule(S3, "regmixer", before=_day("2025-01-22")),
    Rule(NODE, "regmixer", AUGUSTA, True, before=_day("2025-05-21")),
    Rule(GCS, "regmixer", AUGUSTA, True, before=_day("2025-05-31")),
    Rule(WEKA, "regmixer", WEKA_OF_REGMIXER, True, before=_day("2025-05-31")),
    Rule(NODE, "regmixer", weka=True, before=_day("2025-05-31")),
    Rule(S3, "regmixer", weka=False, before=_day("2025-05-31")),
    Rule(GCS, None, AUGUSTA),
    Rule(WEKA, "olmix", WEKA_OF_OLMIX, True),
    Rule(WEKA, "regmixer", WEKA_OF_REGMIXER, True),
    Rule(S3, "olmix"),
    Rule(NODE, "regmixer"),
)

#: Until then regmixer's rule changed often, and differed between its branches.
REGMIXER_SETTLED = _day("2025-06-01")


@dataclass(frozen=True)
class SavedRun:
    """What a trainer's choice of a directory depends on."""

    trainer: str  # "olmix" or "regmixer"
    run_name: str
    user: str  # lower case, as in the path
    cluster: str  # as the trainer was told, such as "ai2/jupiter-cirrascale-2"
    weka: bool  # what the trainer was told about using Weka
    launched: datetime


def checkpoint_dir(run: SavedRun) -> str:
    """Predict the directory of a run's ``step{N}`` directories, without a slash at its end."""
    rule = next(
        rule
        for rule in RULES
        if rule.trainer in (None, run.trainer)
        and rule.weka in (None, run.weka)
        and (rule.before is None or run.launched < rule.before)
        and (not rule.clusters or any(word in run.cluster for word in rule.clusters))
    )
    return rule.directory.format(user=run.user, run_name=run.run_name)


def is_settled(run: SavedRun) -> bool:
    """Whether the trainer had but one rule when the run was launched."""
    return run.trainer != "regmixer" or run.launched >= REGMIXER_SETTLED


def is_lost(directory: str) -> bool:
    """Whether checkpoints saved there are gone: they were on the node's own disk."""
    return directory.startswith("/tmp/")


def check_root(root: str) -> str:
    """Return a folder of run directories if olmo-cookbook can evaluate what is in it.

    Raises:
        InvalidInputError: If it is on no storage that both the script and olmo-cookbook read.
    """
    root = root.rstrip("/")
    name = r"[A-Za-z0-9._][A-Za-z0-9._-]*"
    if ".." in root or not re.fullmatch(rf"(?:s3://|gs://|/weka/){name}(?:/{name})*", root):
        raise InvalidInputError(
            f"{root!a} is no folder of checkpoints; expected s3://BUCKET/..., "
            "gs://BUCKET/... or /weka/BUCKET/..."
        )
    return root


def same_site(cluster: str, other: str) -> bool:
    """Whether two names may mean one cluster: ``ai2/jupiter`` is ``ai2/jupiter-cirrascale-2``."""
    words = AUGUSTA + WEKA_OF_OLMIX
    sites = [{word for word in words if word in name} or {name} for name in (cluster, other)]
    return sites[0] == sites[1]
