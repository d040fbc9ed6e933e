"""Long listings: each experiment once, whatever the server makes of times and bounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from beaker import beaker_pb2 as pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix_evalscript import beaker, listing
from olmix_evalscript.beaker import Search
from olmix_evalscript.errors import BeakerError
from olmix_evalscript.report import Report
from olmix_evalscript.swarm import all_swarms
from tests.factories import GROUP, experiment
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations, spec

NEWEST = datetime(2026, 3, 2, 17, 4, 11, 250_000, tzinfo=timezone.utc)
SPEC = spec(["python", "-m", "oe_eval.launch"])
SILENT = Report(status=lambda text: None, detail=lambda text: None)
LONG = 30.0  # seconds; what takes longer hangs

#: Between one workload and the next: the same time, the same second, bursts, nights and months.
GAPS = st.sampled_from([0.0, 0.0, 1e-6, 0.25, 1.0, 1.5, 20.0, 90.0, 3600.0, 86_400.0 * 30])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeBeaker]:
    """A Beaker that this process asks; each test sets all that it relies on."""
    fake = FakeBeaker()
    with (
        fake.running(tmp_path_factory.mktemp("beaker")) as more,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.delenv("BEAKER_TOKEN", raising=False)
        for name, value in more.items():
            patch.setenv(name, value)
        yield fake


@pytest.fixture
def fake(server: FakeBeaker) -> FakeBeaker:
    plain = FakeBeaker()
    for name in ("page_size", "includes_after", "includes_before", "rounds", "counts_anew"):
        setattr(server, name, getattr(plain, name))
    server.hold([])
    server.hooks.clear()
    server.calls.clear()
    return server


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
    includes_after=st.booleans(),
    includes_before=st.booleans(),
    rounds=st.frozensets(st.sampled_from(["created", "bounds", "order"])),
    counts_anew=st.booleans(),
    meanwhile=st.integers(0, 12),
    since=st.none() | st.integers(0, 80),
    late=st.sampled_from([0.0, 1e-6, -1e-6, 0.4, -0.4]),
)
def test_each_workload_is_read_once(
    server: FakeBeaker,
    gaps: list[float],
    page_size: int,
    includes_after: bool,
    includes_before: bool,
    rounds: frozenset[str],
    counts_anew: bool,
    meanwhile: int,
    since: int | None,
    late: float,
) -> None:
    there = workloads(gaps)
    server.hold(list(there))
    server.page_size, server.counts_anew = page_size, counts_anew
    server.includes_after, server.includes_before = includes_after, includes_before
    server.rounds = rounds
    created_meanwhile = iter(range(meanwhile))

    def launch(request: Any) -> None:
        for number in created_meanwhile:
            moment = NEWEST + timedelta(seconds=5 + number)
            server.workloads.append(FakeWorkload("new", SPEC, created=moment, id=f"02J{number}"))
            return

    server.hooks["ListWorkloads"] = launch
    first = None
    if since is not None:
        first = there[min(since, len(gaps))].created + timedelta(seconds=late)

    found = scanned(first)

    assert len(found) == len(set(found))
    assert [id for id in found if id.startswith("01J")] == [
        w.id for w in there if first is None or server._created(w) >= first
    ]


def test_a_long_listing_is_read_in_several_slices_at_once(fake: FakeBeaker) -> None:
    fake.hold(evaluations(2_000))
    under_way, at_once, lock = 0, [0], threading.Lock()

    def wait(request: Any) -> None:
        nonlocal under_way
        with lock:
            under_way += 1
            at_once.append(under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1

    fake.hooks["ListWorkloads"] = wait

    assert len(scanned()) == 2_000
    assert max(at_once) >= 8


def test_slices_cost_few_calls_more(fake: FakeBeaker) -> None:
    fake.hold(evaluations(5_000))

    scanned()

    assert fake.calls["ListWorkloads"] < 1.5 * 5_000 / 50


def test_an_inner_slice_that_breaks_off_is_noticed(fake: FakeBeaker) -> None:
    fake.hold(evaluations(1_000))

    def drop(request: Any) -> Any:
        if not request.options.HasField("created_before"):
            return None
        page = fake._find_workloads(request.options)[:50]
        return pb2.ListWorkloadsResponse(workloads=[fake._message(w) for w in page])

    fake.hooks["ListWorkloads"] = drop

    with pytest.raises(BeakerError, match="broke off"):
        scanned()


def test_a_listing_that_is_out_of_order_is_noticed(fake: FakeBeaker) -> None:
    fake.hold(evaluations(200))
    fake._find_workloads = lambda options: fake.workloads  # type: ignore[method-assign]
    try:
        with pytest.raises(BeakerError, match="out of order"):
            scanned()
    finally:
        del fake._find_workloads


def test_experiments_are_found_newest_first(fake: FakeBeaker) -> None:
    fake.hold(evaluations(500))

    found = beaker.find("58362402", Search(), SILENT)

    assert [e.id for e in found] == [w.id for w in reversed(fake.workloads)]


def test_an_abandoned_listing_leaves_no_thread(fake: FakeBeaker) -> None:
    fake.hold(evaluations(1_000))
    before = set(threading.enumerate())
    pages = beaker.scan(Search(), SILENT)
    next(pages)

    pages.close()  # type: ignore[attr-defined]

    deadline = time.monotonic() + LONG
    while any("ThreadPool" in t.name for t in set(threading.enumerate()) - before):
        assert time.monotonic() < deadline, "a thread stayed behind"
        time.sleep(0.02)


@given(st.permutations(range(4)))
def test_the_list_does_not_depend_on_the_order_of_pages(order: list[int]) -> None:
    jobs = [
        experiment(f"{name}-{GROUP}-000{n}", status=status)
        for n, (name, status) in enumerate([("a", "failed"), ("b", "succeeded")] * 2)
    ]

    (swarm,) = all_swarms([[jobs[place]] for place in order])

    assert (swarm.name, [v.status for v in swarm.variants]) == (
        "a",
        ["failed", "succeeded", "failed", "succeeded"],
    )


def source(times: list[int], bounds: list[int | None]) -> listing.Fetch[int]:
    """A listing of things created at these times, which notes the bounds that it is asked for."""

    def fetch(after: int | None, before: int | None, token: str) -> listing.Page[int]:
        bounds.append(after)
        within = [
            listing.Entry(str(t), t, t)
            for t in sorted(times, reverse=True)
            if (after is None or t > after) and (before is None or t < before)
        ]
        start = int(token or 0)
        page, rest = within[start : start + 50], within[start + 50 :]
        return listing.Page(page, str(start + 50) if rest else "", len(page) == 50)

    return fetch


def test_what_was_created_at_the_edge_of_two_slices_is_read_once() -> None:
    times = [listing.BEGINNING + n * listing.SECOND * 60 for n in range(1, 500)]
    bounds: list[int | None] = []
    with ThreadPoolExecutor(1) as pool:
        list(listing.read([source(times, bounds)], None, pool.submit))
        edges = [after + listing.MARGIN for after in bounds if after is not None]
        times.append(edges[0])

        found = [
            time
            for page in listing.read([source(times, bounds)], None, pool.submit)
            for time in page
        ]

    assert found.count(edges[0]) == 1
    assert sorted(found) == sorted(times)


def test_a_failure_in_one_slice_is_the_failure_of_all() -> None:
    def fetch(after: int | None, before: int | None, token: str) -> listing.Page[int]:
        if before is not None:
            raise BeakerError("not this slice")
        newest = listing.BEGINNING + 10**7 * listing.SECOND
        entries = [listing.Entry(f"{token}{n}", newest - n, n) for n in range(50)]
        return listing.Page(entries, token + "x", is_full=True)

    with ThreadPoolExecutor() as pool, pytest.raises(BeakerError, match="not this slice"):
        list(listing.read([fetch], None, pool.submit))
