"""The names of clusters that olmo-cookbook-eval knows.

Source: ``BEAKER_KNOWN_CLUSTERS`` and ``NEW_CLUSTER_ALIASES`` in olmo-cookbook's
src/cookbook/constants.py, and ``get_matching_clusters`` in src/cookbook/utils/clusters.py, at
c226eb6a. A name that is in neither is passed on to Beaker there.
"""

from __future__ import annotations

import difflib

#: Names of several clusters at once.
NICKNAMES = {
    "aus": ("ai2/jupiter", "ai2/neptune", "ai2/saturn", "ai2/ceres"),
    "aus80g": ("ai2/jupiter", "ai2/saturn", "ai2/ceres"),
    "goog": ("ai2/augusta",),
    "h100": ("ai2/augusta", "ai2/jupiter", "ai2/ceres"),
    "a100": ("ai2/saturn",),
    "l40": ("ai2/neptune",),
    "80g": ("ai2/augusta", "ai2/jupiter", "ai2/saturn", "ai2/ceres"),
}
#: Former names to today's.
FORMER_NAMES = {
    "ai2/allennlp-elanding-a100-40g": "ai2/allennlp",
    "ai2/allennlp-dev-a100-sea": "ai2/allennlp",
    "ai2/augusta-batch-h100-dsm-tcpxo": "ai2/augusta",
    "ai2/augusta-google-1": "ai2/augusta",
    "ai2/ceres-dev-h100-aus-ib": "ai2/ceres",
    "ai2/ceres-cirrascale": "ai2/ceres",
    "ai2/jupiter-batch-h100-aus-ib": "ai2/jupiter",
    "ai2/jupiter-cirrascale-2": "ai2/jupiter",
    "ai2/neptune-dev-l40-aus": "ai2/neptune",
    "ai2/neptune-cirrascale": "ai2/neptune",
    "ai2/phobos-dev-aus": "ai2/phobos",
    "ai2/phobos-cirrascale": "ai2/phobos",
    "ai2/prior-dev-a6000-sea": "ai2/prior",
    "ai2/prior-elanding": "ai2/prior",
    "ai2/prior-elanding-rtx8000": "ai2/prior-rtx8000",
    "ai2/prior-dev-rtx8000-sea": "ai2/prior-rtx8000",
    "ai2/rhea-dev-a6000-aus": "ai2/rhea",
    "ai2/rhea-cirrascale": "ai2/rhea",
    "ai2/saturn-dev-a100-aus": "ai2/saturn",
    "ai2/saturn-cirrascale": "ai2/saturn",
    "ai2/titan-batch-b200-aus-ib": "ai2/titan",
    "ai2/titan-cirrascale": "ai2/titan",
    "ai2/triton-dev-l40-aus": "ai2/triton",
    "ai2/triton-cirrascale": "ai2/triton",
}
#: Nicknames, then today's names, then former ones.
KNOWN_CLUSTERS = tuple(
    dict.fromkeys(
        (
            *NICKNAMES,
            *(cluster for clusters in NICKNAMES.values() for cluster in clusters),
            *FORMER_NAMES.values(),
            *FORMER_NAMES,
        )
    )
)


def cluster_warnings(name: str) -> list[str]:
    """What to say of a name that olmo-cookbook-eval does not know."""
    if name in KNOWN_CLUSTERS:
        return []
    similar = similar_clusters(name)
    hint = f": did you mean {' or '.join(similar)}?" if similar else "; passed on unchanged"
    return [f"unknown cluster {name}{hint}"]


def similar_clusters(name: str) -> list[str]:
    """The known names nearest to one, which may lack its ``ai2/``; none if it is like no other."""
    found = difflib.get_close_matches(name, KNOWN_CLUSTERS, n=3, cutoff=0.7)
    full = difflib.get_close_matches(f"ai2/{name}", KNOWN_CLUSTERS, n=3, cutoff=0.8)
    return list(dict.fromkeys((*found, *full)))[:3]
