"""Read a long listing, many pages at once, each entry once.

A slice of time is read page by page, newest first. If it turns out to be long, its older part
becomes a slice of its own, and both are read at the same time. Each slice keeps what was created
within its bounds and asks for a little more than that, so it does not matter whether the server
takes bounds as inclusive, or rounds times to seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import inf, sqrt
from typing import Generic, TypeVar

from olmix_evalscript.errors import BeakerError

# All times are seconds, and since 1970.
AT_ONCE = 24  # slices
MARGIN = 2.0  # asked for on either side of a slice
SHORTEST_SPAN = 10.0  # what a page is assumed to cover at least; well over a margin
FEW_PAGES = 4.0  # not worth a slice of their own
BEGINNING = 1_483_228_800.0  # 2017; guides the first cuts of a listing without a date

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One thing in a listing."""

    id: str
    created: float
    value: T


@dataclass(frozen=True)
class Page(Generic[T]):
    """One answer of a listing."""

    entries: Sequence[Entry[T]]
    token: str  # of the next page; empty after the last


#: Fetches one page, newest first: what was created after the first time and before the second, each
#: of which may be infinite. The text is the page's token, empty for the first page.
Fetch = Callable[[float, float, str], Page[T]]


def read(
    fetches: Sequence[Fetch[T]],
    since: float,
    submit: Callable[[Callable[[], Page[T]]], Future[Page[T]]],
) -> Iterator[list[T]]:
    """Read listings to their ends, many pages at once.

    At most one page of each slice is held at a time.

    Args:
        fetches: One for each listing.
        since: Skip what was created before it.
        submit: Starts a call in another thread.

    Yields:
        Pages, in any order.

    Raises:
        BeakerError: If a page cannot be fetched, or a listing is out of order.
    """
    slices = [_Slice(fetch, since, inf) for fetch in fetches]
    calls = {submit(slice_.next_page): slice_ for slice_ in slices}
    while calls:
        for call in wait(calls, return_when=FIRST_COMPLETED).done:
            slice_ = calls.pop(call)
            page = call.result()
            values = slice_.take(page)
            for each in slice_.rest(page, may_split=len(calls) < AT_ONCE - 2):
                calls[submit(each.next_page)] = each
            yield values


@dataclass
class _Slice(Generic[T]):
    """What was created from one time to just before another."""

    fetch: Fetch[T]
    since: float
    until: float
    _seen: set[str] = field(default_factory=set)  # IDs
    _token: str = ""
    _newest: float = inf  # of the latest page
    _oldest: float = inf

    def next_page(self) -> Page[T]:
        return self.fetch(self.since - MARGIN, self.until + MARGIN, self._token)

    def take(self, page: Page[T]) -> list[T]:
        """The new entries of a page that lie within this slice."""
        times = [entry.created for entry in page.entries]
        least = accumulate(times, min)
        is_ordered = all(time <= low + MARGIN for time, low in zip(times, least, strict=True))
        if page.token and not is_ordered:  # the order tells where to stop
            raise BeakerError("Beaker's listing of experiments is out of order. Try again.")
        if times:
            self._newest, self._oldest = times[0], min(*times, self._oldest)
        new = {entry.id: entry for entry in page.entries if entry.id not in self._seen}
        self._seen.update(new)
        return [e.value for e in new.values() if self.since <= e.created < self.until]

    def rest(self, page: Page[T], may_split: bool) -> list[_Slice[T]]:
        """The slices that are left to read after the page just taken."""
        if not page.token or self._oldest < self.since - MARGIN:
            return []
        self._token = page.token
        bounds = [*(self._cuts() if may_split else ()), self.since]
        older = [_Slice(self.fetch, since, until) for until, since in pairwise(bounds)]
        self.since = bounds[0]
        return [self, *older]

    def _cuts(self) -> list[float]:
        """The times at which to divide what is left, judging by what the latest page covers.

        The first is away by the geometric mean of the time that the page covers and of all that
        is left, which finds a crowded day in a long year in a few steps. What is older is halved,
        which is best where all is evenly spread.
        """
        if self._oldest == inf:
            return []
        span = max(self._newest - self._oldest, SHORTEST_SPAN)
        left = self._oldest - max(self.since, BEGINNING)
        if left < FEW_PAGES * span:
            return []
        first = min(sqrt(span * left), left / 2)
        return [self._oldest - first, self._oldest - (first + left) / 2]
