"""Options: dataclasses to what typer reads, and text to what it means."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from inspect import signature
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
import typer

from olmix_evalscript.app import Panel, flattened
from olmix_evalscript.errors import InvalidInputError, UsageError
from olmix_evalscript.options import (
    FindingOptions,
    GroupOptions,
    SearchOptions,
    VariantOptions,
    parse_since,
)


@dataclass(frozen=True)
class Colours(Panel):
    """Options for these tests."""

    panel: ClassVar[str] = "Colours"

    hue: Annotated[str, typer.Option("--hue")] = "red"
    dark: Annotated[bool, typer.Option("--dark")] = False


def test_each_option_of_a_panel_is_a_parameter_of_its_own() -> None:
    @flattened
    def paint(colours: Colours, coats: int = 1) -> None: ...

    assert list(signature(paint).parameters) == ["hue", "dark", "coats"]


def test_a_command_gets_its_options_as_the_panel() -> None:
    got: list[object] = []

    @flattened
    def paint(colours: Colours, coats: int = 1) -> None:
        got.extend([colours, coats])

    paint(hue="blue", dark=True, coats=2)

    assert got == [Colours("blue", True), 2]


def test_no_value_makes_typer_load_pydantic() -> None:
    code = "import sys\nfrom olmix_evalscript.cli import main\nsys.argv = ['x', *sys.argv[1:]]\n"
    code += "try:\n    main()\nfinally:\n    print('pydantic' in sys.modules)\n"
    arguments = ["generate", "58362402", "--snapshot", "missing.yaml", "--timeout", "9", "--strict"]

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )

    assert "missing.yaml" in done.stderr
    assert done.stdout == "False\n"


def test_group_ids_come_from_arguments_and_from_g_each_once() -> None:
    options = GroupOptions(group_ids=["58362402", "6cf425be"], group_id=["1f2e3d4c", "58362402"])

    assert options.groups == ["58362402", "6cf425be", "1f2e3d4c"]


def test_a_group_id_that_is_not_one_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="group ID"):
        _ = GroupOptions(group_ids=["verify"]).groups


def test_a_group_id_must_be_given() -> None:
    with pytest.raises(InvalidInputError, match="missing GROUP_ID, such as 58362402"):
        _ = GroupOptions().group


def test_a_command_for_one_group_takes_one() -> None:
    with pytest.raises(UsageError):
        _ = GroupOptions(group_ids=["58362402", "6cf425be"]).group


@pytest.mark.parametrize("workspace", ["oe-data", "/", "ai2/", "/oe-data", "ai2/oe/data"])
def test_a_workspace_has_an_owner_and_a_name(workspace: str) -> None:
    with pytest.raises(UsageError, match="OWNER/NAME"):
        SearchOptions(workspace=[workspace]).source()


@pytest.mark.parametrize("timeout", ["0", "-1", "soon", "nan", "inf"])
def test_a_timeout_is_a_number_of_seconds(timeout: str) -> None:
    with pytest.raises(UsageError, match="seconds"):
        SearchOptions(timeout=timeout).source()


def test_a_snapshot_is_read_in_place_of_beaker() -> None:
    assert FindingOptions(snapshot="x.yaml").source().snapshot == Path("x.yaml")


@pytest.mark.parametrize(
    "options",
    [
        FindingOptions(snapshot="x", workspace=["ai2/oe-data"]),
        FindingOptions(snapshot="x", author="kylel"),
        FindingOptions(snapshot="x", since="30d"),
        FindingOptions(snapshot="x", scan=True),
    ],
)
def test_a_snapshot_cannot_be_searched(options: FindingOptions) -> None:
    with pytest.raises(UsageError, match="cannot be combined"):
        options.source()


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(UsageError, match="splendid"):
        VariantOptions(status="splendid")


def test_a_checkpoint_root_must_be_of_a_known_storage() -> None:
    with pytest.raises(InvalidInputError):
        VariantOptions(checkpoint_root="/tmp/x")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=timezone.utc)),
        ("2026-01-31T12:00:00+02:00", datetime(2026, 1, 31, 10, tzinfo=timezone.utc)),
    ],
)
def test_a_date_is_in_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert parse_since(text) == moment


@pytest.mark.parametrize(
    ("text", "age"),
    [("12h", timedelta(hours=12)), ("30d", timedelta(days=30)), ("2w", timedelta(weeks=2))],
)
def test_an_age_is_counted_from_now(text: str, age: timedelta) -> None:
    before = datetime.now(timezone.utc)

    moment = parse_since(text)

    assert moment is not None
    assert before - age <= moment <= datetime.now(timezone.utc) - age


@pytest.mark.parametrize(
    "text",
    ["yesterday", "-1d", "", "d", "999999999w", "0001-01-01T00:00:00+14:00"],
)
def test_what_is_not_a_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a date"):
        parse_since(text)
