"""The directory each trainer saved to, by cluster, Weka and the day of the launch."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from olmix_evalscript.model import TrainerRun
from olmix_evalscript.trainers import TRAINERS

S3 = "s3://ai2-llm/checkpoints/kylel/run"
GCS = "gs://ai2-llm/checkpoints/kylel/run"
WEKA = "/weka/oe-training-default/ai2-llm/checkpoints/kylel/run"
NODE = "/tmp/run/checkpoints/kylel/run"


def saved(trainer: str, cluster: str, weka: bool, day: str = "2026-03-01") -> str:
    launched = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    run = TrainerRun(trainer, "run", "58362402", cluster, "kylel", weka)
    return TRAINERS[trainer].directory(run, launched)


@pytest.mark.parametrize(
    ("cluster", "weka", "olmix", "regmixer"),
    [
        ("ai2/augusta-google-1", False, GCS, GCS),
        ("ai2/augusta-google-1", True, GCS, GCS),
        ("ai2/jupiter-cirrascale-2", True, WEKA, WEKA),
        ("ai2/saturn-cirrascale", True, WEKA, WEKA),
        ("ai2/ceres-cirrascale", True, WEKA, NODE),
        ("ai2/neptune-cirrascale", True, WEKA, NODE),
        ("ai2/titan-cirrascale", True, WEKA, NODE),
        ("ai2/jupiter-cirrascale-2", False, S3, NODE),
        ("ai2/rhea", True, S3, NODE),
        ("ai2/rhea", False, S3, NODE),
        ("ai2/Augusta", False, S3, NODE),
    ],
)
def test_todays_rule_of_each_trainer(cluster: str, weka: bool, olmix: str, regmixer: str) -> None:
    assert (saved("olmix", cluster, weka), saved("regmixer", cluster, weka)) == (olmix, regmixer)


@pytest.mark.parametrize(
    ("day", "cluster", "weka", "expected"),
    [
        ("2024-12-20", "ai2/saturn-cirrascale", False, "/tmp/run"),
        ("2025-01-15", "ai2/saturn-cirrascale", True, S3),
        ("2025-03-01", "ai2/saturn-cirrascale", True, WEKA),
        ("2025-03-01", "ai2/saturn-cirrascale", False, S3),
        ("2025-03-01", "ai2/augusta-google-1", False, S3),
        ("2025-03-01", "ai2/augusta-google-1", True, NODE),
        ("2025-03-01", "ai2/ceres-cirrascale", True, NODE),
        ("2025-05-25", "ai2/augusta-google-1", True, GCS),
        ("2025-05-25", "ai2/augusta-google-1", False, S3),
        ("2025-06-01", "ai2/saturn-cirrascale", False, NODE),
    ],
)
def test_regmixers_rule_is_that_of_the_day(
    day: str, cluster: str, weka: bool, expected: str
) -> None:
    assert saved("regmixer", cluster, weka, day) == expected
