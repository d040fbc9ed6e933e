"""Tables: what of them fits a terminal, and what other programs get."""

from __future__ import annotations

import pytest

from olmix_evalscript.tables import GAP, Column, Table, fitted, tab_separated

NAMES = Column("run name", ("a-rather-long-name-0001", "a-rather-long-name-0002"), is_key=True)
STATUSES = Column("status", ("succeeded", "failed"), is_key=True, is_coloured=True)
USERS = Column("user", ("kylel", "mayeec"))


def heads(table: Table) -> list[str]:
    return [column.head for column in table.columns]


def width(table: Table) -> int:
    return sum(column.width for column in table.columns) + GAP * (len(table.columns) - 1)


def test_what_all_rows_share_is_said_once_above() -> None:
    table = fitted(Table("variant", (NAMES, Column("user", ("kylel", "kylel")))), 80)

    assert table.above == ("All variants:", "  user: kylel", "")
    assert heads(table) == ["run name"]


def test_a_key_stays_a_column_though_all_its_cells_are_the_same() -> None:
    same = Column("status", ("failed", "failed"), is_key=True)

    assert heads(fitted(Table("variant", (NAMES, same)), 80)) == ["run name", "status"]


def test_an_empty_column_is_not_mentioned() -> None:
    table = fitted(Table("variant", (NAMES, Column("evaluations", ("", "")))), 80)

    assert (heads(table), table.above) == (["run name"], ())


def test_a_table_that_fits_stays_as_it_is() -> None:
    table = Table("variant", (NAMES, STATUSES, USERS))

    assert fitted(table, width(table)) == table


def test_a_table_that_is_too_wide_says_ok_first() -> None:
    table = fitted(Table("variant", (NAMES, STATUSES, USERS)), 40)

    assert table.columns[0] == NAMES
    assert table.columns[1].cells == ("ok", "failed")


def test_long_text_loses_its_middle() -> None:
    table = fitted(Table("variant", (NAMES, STATUSES, USERS)), 30)

    assert table.columns[0].cells == ("a-rath…me-0001", "a-rath…me-0002")


def test_columns_that_do_not_fit_are_named_below() -> None:
    table = fitted(Table("variant", (NAMES, STATUSES, USERS), below=("2 variants",)), 24)

    assert heads(table) == ["run name", "status"]
    assert table.below == ("2 variants", "Not shown at this width: user")


@pytest.mark.parametrize("limit", [20, 24, 30, 36, 39, 40, 42, 80])
def test_a_table_is_no_wider_than_the_terminal(limit: int) -> None:
    assert width(fitted(Table("variant", (NAMES, STATUSES, USERS)), limit)) <= limit


def test_tab_separated_text_has_a_line_for_each_row() -> None:
    assert tab_separated([("a", "b"), (1, 0.5)]) == "a\tb\n1\t0.5\n"


def test_a_cell_can_break_neither_line_nor_column() -> None:
    assert tab_separated([("a\tb\nc\x1b[2J", "ü")]) == "a?b?c?[2J\tü\n"
