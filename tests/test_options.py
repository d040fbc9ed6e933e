"""The options: what their text means."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from olmix_evalscript.errors import UsageError
from olmix_evalscript.source import parse_since


def test_a_date_begins_in_utc() -> None:
    assert parse_since("2026-01-31") == datetime(2026, 1, 31, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "age"),
    [("12h", timedelta(hours=12)), ("30d", timedelta(days=30)), ("2w", timedelta(weeks=2))],
)
def test_an_age_is_counted_from_now(text: str, age: timedelta) -> None:
    before = datetime.now(timezone.utc)

    moment = parse_since(text)

    assert before - age <= moment <= datetime.now(timezone.utc) - age


@pytest.mark.parametrize("text", ["yesterday", "-1d", "d", "99999w", "2026-02-30", "0000-01-01"])
def test_text_that_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a date"):
        parse_since(text)
