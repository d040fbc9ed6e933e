"""A script on disk: whether it is as it was written, and when it may be replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import Swarm
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.scriptfile import difference, write_script
from tests.factories import GROUP, variant

EVALUATION = Evaluation(
    ("piqa", "lambada"), f"olmix-{GROUP}", extra_arguments=("--priority", "low")
)
TODAY, TOMORROW = date(2026, 3, 6), date(2026, 3, 7)
Change = Callable[[str], str]


def script(variants: int = 2, evaluation: Evaluation = EVALUATION, day: date = TODAY) -> str:
    swarm = Swarm(GROUP, "mix", tuple(variant(number) for number in range(variants)))
    return render(swarm, evaluation, day)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A script that lies as it was written."""
    path = tmp_path / "script.sh"
    write_script(path, script())
    return path


def test_a_script_may_be_written_again_on_another_day(path: Path) -> None:
    write_script(path, script(day=TOMORROW))

    assert "on 2026-03-07 (UTC)" in path.read_text()


def test_a_script_may_be_replaced_when_the_swarm_changed(path: Path) -> None:
    write_script(path, script(variants=3))

    assert path.read_text() == script(variants=3)


def test_a_script_can_be_executed(path: Path) -> None:
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("\nmain ", "\n: main "),
        lambda text: text.replace("'lambada'", "'arc_easy'"),
        lambda text: text + "\n",
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("# Checksum ", "# Checksum 0", 1),
    ],
)
@pytest.mark.parametrize("variants", [2, 3])
def test_an_edited_script_is_kept(path: Path, edit: Change, variants: int) -> None:
    edited = edit(path.read_text()).encode()
    path.write_bytes(edited)

    with pytest.raises(
        InvalidInputError, match=r"script\.sh (was edited|has no checksum).*--output"
    ):
        write_script(path, script(variants=variants))

    assert path.read_bytes() == edited


def test_another_date_is_no_edit(path: Path) -> None:
    path.write_text(path.read_text().replace("2026-03-06", "2025-01-01"))

    write_script(path, script(variants=3))

    assert path.read_text() == script(variants=3)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tasks": ("piqa",)}, "tasks"),
        ({"dashboard": "other"}, "dashboard"),
        ({"cluster": "80g"}, "cluster"),
        ({"model_backend": "hf"}, "model backend"),
        ({"extra_arguments": ("--priority", "high")}, "arguments for olmo-cookbook-eval"),
        ({"extra_arguments": ()}, "arguments for olmo-cookbook-eval"),
    ],
)
def test_a_script_for_another_evaluation_is_kept(
    path: Path, change: dict[str, str], what: str
) -> None:
    before = path.read_text()

    with pytest.raises(InvalidInputError, match=rf"\(other {what}\).*--force.*--output"):
        write_script(path, script(evaluation=replace(EVALUATION, **change)))  # type: ignore[arg-type]

    assert path.read_text() == before


def test_a_script_of_another_group_is_kept(path: Path) -> None:
    swarm = Swarm("6cf425be", "mix", (variant(0),))

    with pytest.raises(InvalidInputError, match="other group"):
        write_script(path, render(swarm, EVALUATION, TODAY))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("#!/bin/bash\n# Made by olmix-evalscript 0.1.0\n", r"has no checksum.*0\.1.*--force"),
        ("", "is not a script of olmix-evalscript"),
        ("notes\n", "is not a script of olmix-evalscript"),
    ],
)
def test_a_file_without_a_checksum_is_kept(path: Path, text: str, problem: str) -> None:
    path.write_text(text)

    with pytest.raises(InvalidInputError, match=problem):
        write_script(path, script())

    assert path.read_text() == text


def test_a_path_that_cannot_be_looked_up_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot write"):
        write_script(tmp_path / ("x" * 300), script())


def test_a_path_that_cannot_be_looked_up_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        difference(tmp_path / ("x" * 300), script())


def test_force_replaces_whatever_is_there(path: Path) -> None:
    path.write_text("notes\n")

    write_script(path, script(), force=True)

    assert path.read_text() == script()


def test_only_the_date_is_no_difference(path: Path) -> None:
    assert difference(path, script(day=TOMORROW)) == []


def test_other_line_ends_are_a_difference(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))

    lines = difference(path, script())

    assert lines is not None
    assert '-main "$@"\\r' in lines


def test_a_missing_line_end_is_a_difference(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))

    assert difference(path, script())


def test_bytes_that_are_not_text_are_a_difference(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\xff\n")

    lines = difference(path, script())

    assert lines is not None
    assert "-\\xff" in lines


def test_there_is_no_difference_to_a_file_that_does_not_exist(tmp_path: Path) -> None:
    assert difference(tmp_path / "none.sh", script()) is None
