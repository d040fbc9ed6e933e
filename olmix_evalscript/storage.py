"""The storages of checkpoints: where each begins."""

from __future__ import annotations

import re

from olmix_evalscript.errors import UsageError

#: Where a script can find checkpoints.
STORAGES = ("s3://", "gs://", "/weka/")
#: On a node's own disk: what is saved there is gone with the job.
LOST = "/tmp/"


def check_root(root: str) -> str:
    """Return a folder of run directories, without a slash at its end, if a script can read it.

    Raises:
        UsageError: If it is on none of STORAGES.
    """
    root = root.rstrip("/")
    storages, name = "|".join(STORAGES), "[A-Za-z0-9._][A-Za-z0-9._-]*"
    if ".." in root or not re.fullmatch(f"({storages}){name}(/{name})*", root):
        *others, last = (f"{storage}BUCKET/…" for storage in STORAGES)
        raise UsageError(
            f"{root!a} is not a checkpoint root: expected {', '.join(others)} or {last}"
        )
    return root
