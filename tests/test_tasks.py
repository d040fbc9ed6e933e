"""The named task sets."""

from __future__ import annotations

import pytest

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.tasks import (
    OFFLINE_BPB_TASKS,
    OLMO3_OFFLINE_TASKS,
    check_tasks,
    similar_tasks,
    task_set,
    task_sets,
)


def test_the_default_set_has_106_names_in_families_of_their_own_size() -> None:
    sizes = [len(names) for names in task_sets()["olmo3-offline"].values()]

    assert sizes == [7, 6, 2, 7, 57, 17, 5, 5]
    assert len(set(OLMO3_OFFLINE_TASKS)) == 106


def test_the_bpb_set_has_16_names() -> None:
    assert len(set(OFFLINE_BPB_TASKS)) == 16


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="olmo3-offline or offline-bpb"):
        task_set("olmo4")


def test_every_known_name_can_be_asked_for() -> None:
    names = {name for set_name in task_sets() for name in task_set(set_name)}

    assert set(check_tasks(names)) == names


def test_a_repeated_name_counts_once() -> None:
    assert check_tasks(["lambada", "piqa", "lambada"]) == ("lambada", "piqa")


def test_an_unknown_name_has_the_nearest_known_ones() -> None:
    assert similar_tasks("arc_easy:rc::olmes") == ["arc_easy:rc::olmes:full"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("arc_eazy", "arc_easy:rc::olmes:full"),
        ("arc_easy", "arc_easy:rc::olmes:full"),
        ("arc_eazy:mc::xyz", "arc_easy:rc::olmes:full"),
        ("mmlu", "mmlu_abstract_algebra:rc::olmes"),
        ("mmlu:rc", "mmlu_abstract_algebra:rc::olmes"),
        ("minerva_math", "minerva_math_algebra::olmes"),
    ],
)
def test_the_part_before_the_colon_is_compared_too(typed: str, meant: str) -> None:
    assert meant in similar_tasks(typed)


@pytest.mark.parametrize("task", ["arc_easy:rc::olmes:full", "something:else"])
def test_known_and_outlandish_names_have_none(task: str) -> None:
    assert similar_tasks(task) == []
