"""Clusters by the names that olmo-cookbook-eval knows."""

from __future__ import annotations

import pytest

from olmix_evalscript.cookbook import KNOWN_CLUSTERS, similar_clusters


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("aus80", "aus80g"),
        ("jupiter", "ai2/jupiter"),
        ("ai2/jupyter", "ai2/jupiter"),
        ("ai2/jupiter-cirrascale", "ai2/jupiter-cirrascale-2"),
        ("gooog", "goog"),
    ],
)
def test_a_name_typed_wrong_is_like_the_one_meant(typed: str, meant: str) -> None:
    assert meant in similar_clusters(typed)


def test_a_name_like_no_other_is_like_none() -> None:
    assert similar_clusters("foo") == []


def test_no_name_is_known_twice() -> None:
    assert len(set(KNOWN_CLUSTERS)) == len(KNOWN_CLUSTERS)
