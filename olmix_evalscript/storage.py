"""The storages of checkpoints: where each begins, and who cannot read it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from olmix_evalscript.errors import UsageError

#: Where a script can find checkpoints, and words in the names of the clusters that cannot read them
#: there: olmo-cookbook-eval's ``is_gcs_cluster`` takes Google's away from /weka.
STORAGES: Mapping[str, tuple[str, ...]] = {
    "s3://": (),
    "gs://": (),
    "/weka/": ("goog", "augusta"),
}


def is_lost(directory: str) -> bool:
    """Whether checkpoints saved there are gone: they were on the node's own disk."""
    return directory.startswith("/tmp/")


def can_read(cluster: str, directory: str) -> bool:
    """Whether an evaluation on a cluster can read checkpoints in a directory."""
    storage = next(prefix for prefix in STORAGES if directory.startswith(prefix))
    return not any(word in cluster for word in STORAGES[storage])


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
