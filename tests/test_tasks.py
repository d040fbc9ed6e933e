"""The named task sets, and names of tasks and clusters that are not known."""

from __future__ import annotations

import pytest

from olmix_evalscript.cookbook import COOKBOOK
from olmix_evalscript.errors import UsageError
from olmix_evalscript.tasks import (
    OLMO3_OFFLINE_TASKS,
    check_tasks,
    fit_column,
    known_task,
    known_tasks,
    metric,
    task_set,
    task_sets,
    task_warnings,
)


def test_the_default_set_has_106_names_in_families_of_their_own_size() -> None:
    sizes = [len(names) for names in task_sets()["olmo3-offline"].values()]

    assert sizes == [7, 6, 2, 7, 57, 17, 5, 5]
    assert len(set(OLMO3_OFFLINE_TASKS)) == 106


def test_every_known_name_can_be_asked_for() -> None:
    names = {name for set_name in task_sets() for name in task_set(set_name)}

    assert set(check_tasks(names)) == names


def test_a_name_may_have_blanks_inside() -> None:
    name = "mmlu_pro_computer science:mc::none"

    assert check_tasks([name]) == (name,)


@pytest.mark.parametrize("name", ["", " a", "a ", "a  b", "a\tb", "a\nb", "-a", "$(id)"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a task name"):
        check_tasks([name])


def test_a_repeated_name_counts_once() -> None:
    assert check_tasks(["lambada", "piqa", "lambada"]) == ("lambada", "piqa")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("arc_easy:rc::olmes", "arc_easy:rc::olmes:full"),
        ("arc_eazy", "arc_easy:rc::olmes:full"),
        ("piqa:rc::olmes:full,lambada", "piqa:rc::olmes:full"),
        ("mt_mbpp_v2fix:pyton", "mt_mbpp_v2fix:python"),
        ("offline_bpb", "offline-bpb"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest_known_one(typed: str, meant: str) -> None:
    (warning,) = task_warnings([typed])

    assert warning.startswith(f"unknown task {typed}: did you mean {meant}")


@pytest.mark.parametrize("name", ["aus", "ai2/jupiter", "ai2/jupiter-cirrascale-2"])
def test_a_known_cluster_gives_no_warning_under_its_former_name_either(name: str) -> None:
    assert COOKBOOK.cluster_warnings(name) == []


def test_outlandish_names_are_used_as_written() -> None:
    assert task_warnings(["something:else", "mmlu"]) == [
        "unknown tasks, used as written: something:else, mmlu"
    ]


def test_known_names_come_without_a_warning() -> None:
    assert task_warnings(known_tasks()) == []


@pytest.mark.parametrize(
    ("task", "column"),
    [
        ("arc_easy:rc::olmes:full", "arc_easy:rc::olmes"),
        ("mbpp:3shot:bpb::none", "mbpp:3shot::none"),
        ("coqa:rc:bpb::gen2mc", "coqa:rc::gen2mc"),
        ("lambada", "lambada"),
    ],
)
def test_a_fit_names_a_task_without_full_and_bpb(task: str, column: str) -> None:
    assert fit_column(task) == column


@pytest.mark.parametrize("set_name", ["olmo3-offline", "offline-bpb"])
def test_no_two_tasks_of_a_set_share_a_column(set_name: str) -> None:
    columns = {fit_column(task) for task in task_set(set_name)}

    assert len(columns) == len(task_set(set_name))


def test_every_known_task_is_found_by_the_name_that_a_fit_has_for_it() -> None:
    for task in known_tasks():
        found = known_task(fit_column(task))
        assert found is not None
        assert fit_column(found) == fit_column(task)


@pytest.mark.parametrize(
    ("column", "task"),
    [
        ("arc_easy:rc::olmes", "arc_easy:rc::olmes:full"),
        ("minerva_math_algebra::olmes", "minerva_math_algebra::olmes"),
        ("minerva_math_algebra:bpb::olmes", "minerva_math_algebra:bpb::olmes"),
        ("qasper_yesno:rc::olmes", None),
    ],
)
def test_a_name_in_a_fit_means_the_known_task_of_that_name_or_else_column(
    column: str, task: str | None
) -> None:
    assert known_task(column) == task


@pytest.mark.parametrize(
    ("task", "family"), [("no:such", "other"), ("mbpp:3shot:bpb::none", "code")]
)
def test_a_task_has_the_family_of_its_set_or_else_other(task: str, family: str) -> None:
    assert metric(task).family == family
