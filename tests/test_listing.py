"""Long listings: each experiment once, however the server treats times and bounds."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from beaker import beaker_pb2 as pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix_evalscript import beaker
from olmix_evalscript.errors import BeakerError
from olmix_evalscript.model import Report, Search
from tests.conftest import Serve
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations, spec

NEWEST = datetime(2026, 3, 2, 17, 4, 11, 250_000, tzinfo=timezone.utc)
SPEC = spec(["python", "-m", "oe_eval.launch"])
SILENT = Report(status=lambda text: None, detail=lambda text: None)

#: Between one workload and the next: the same time, the same second, bursts, nights and months.
GAPS = st.sampled_from([0.0, 0.0, 1e-6, 0.25, 1.0, 1.5, 20.0, 90.0, 3600.0, 86_400.0 * 30])


def workloads(gaps: list[float]) -> list[FakeWorkload]:
    """One more than there are gaps, the newest first."""
    ages = [0.0]
    for gap in gaps:
        ages.append(ages[-1] + gap)
    return [
        FakeWorkload(f"job-{n}", SPEC, created=NEWEST - timedelta(seconds=age), id=f"01J{n:04d}")
        for n, age in enumerate(ages)
    ]


def scanned(since: datetime | None = None) -> list[str]:
    return sorted(e.id for page in beaker.scan(Search(since=since), SILENT) for e in page)


@settings(deadline=None, max_examples=80)
@given(
    gaps=st.lists(GAPS, max_size=80),
    page_size=st.integers(1, 9),
    includes_bounds=st.booleans(),
    rounds=st.frozensets(st.sampled_from(["created", "bounds", "order"])),
    counts_anew=st.booleans(),
    meanwhile=st.integers(0, 12),
    since=st.none() | st.integers(0, 80),
    late=st.sampled_from([0.0, 1e-6, -1e-6, 0.4, -0.4]),
)
def test_each_workload_is_read_once(
    beaker_folder: Path,
    gaps: list[float],
    page_size: int,
    includes_bounds: bool,
    rounds: frozenset[str],
    counts_anew: bool,
    meanwhile: int,
    since: int | None,
    late: float,
) -> None:
    there = workloads(gaps)
    fake = FakeBeaker(
        list(there),
        page_size=page_size,
        includes_bounds=includes_bounds,
        rounds=rounds,
        counts_anew=counts_anew,
    )
    seconds = iter(range(meanwhile))

    def launch_another(request: Any) -> None:
        for second in seconds:
            moment = NEWEST + timedelta(seconds=5 + second)
            fake.workloads.append(FakeWorkload("new", SPEC, created=moment, id=f"02J{second}"))
            return

    fake.hooks["ListWorkloads"] = launch_another
    first = None
    if since is not None:
        first = there[min(since, len(gaps))].created + timedelta(seconds=late)

    with fake.running(beaker_folder):
        found = scanned(first)

    assert len(found) == len(set(found))
    assert [id for id in found if id.startswith("01J")] == [
        w.id for w in there if first is None or fake.created(w) >= first
    ]


def test_a_long_listing_is_read_in_several_slices_at_once(serve: Serve) -> None:
    fake = serve(FakeBeaker(evaluations(2_000)))
    under_way, at_once, lock = 0, [0], threading.Lock()

    def wait(request: Any) -> None:
        nonlocal under_way
        with lock:
            under_way += 1
            at_once.append(under_way)
        time.sleep(0.1)
        with lock:
            under_way -= 1

    fake.hooks["ListWorkloads"] = wait

    assert len(scanned()) == 2_000
    assert max(at_once) >= 8


def test_slices_take_few_calls_more_than_pages(serve: Serve) -> None:
    fake = serve(FakeBeaker(evaluations(5_000)))

    scanned()

    assert fake.calls["ListWorkloads"] < 1.5 * 5_000 / 50


def test_a_listing_that_is_out_of_order_is_noticed(serve: Serve) -> None:
    fake = serve(FakeBeaker(evaluations(100)))
    page = pb2.ListWorkloadsResponse(
        workloads=[fake.message(w) for w in fake.workloads[:50]], next_page_token="1"
    )
    fake.hooks["ListWorkloads"] = lambda request: page

    with pytest.raises(BeakerError, match="out of order"):
        scanned()
