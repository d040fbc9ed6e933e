"""A way to fetch one page of a long listing in, each of its entries once out.

A slice of time is read page by page, newest first. Where it turns out to be long, its older part
becomes a slice of its own, and both are read at the same time. Each slice keeps what was created
within its bounds and asks for a little more than that, so it does not matter whether the server
takes bounds as inclusive, or rounds times to seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import inf, isqrt
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from olmix_evalscript.errors import BeakerError

SECOND = 10**9  # in nanoseconds since 1970, the unit of all times here
AT_ONCE = 24  # slices
MARGIN = 2 * SECOND  # asked for on either side of a slice
SHORTEST_SPAN = 10 * SECOND  # what a page is taken to cover at least; well over a margin
FEW_PAGES = 4  # not worth a slice of their own
BEGINNING = 1_483_228_800 * SECOND  # 2017; guides the first cuts where no date bounds a listing

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """What a listing tells of one thing."""

    id: str
    created: int
    value: T


@dataclass(frozen=True)
class Page(Generic[T]):
    """One answer of a listing."""

    entries: Sequence[Entry[T]]
    token: str  # of the next page; empty after the last
    is_full: bool  # as long as a page can be


class Fetch(Protocol[T]):
    """Fetches one page, newest first."""

    def __call__(self, after: int | None, before: int | None, token: str) -> Page[T]:
        """Fetch a page.

        Args:
            after: Only what was created after it.
            before: Only what was created before it.
            token: Of a page; empty for the first.
        """


def read(
    fetches: Sequence[Fetch[T]],
    since: int | None,
    submit: Callable[[Callable[[], Page[T]]], Future[Page[T]]],
) -> Iterator[list[T]]:
    """Read listings to their ends, many pages at once.

    At most one page of each slice is held at a time.

    Args:
        fetches: One for each listing.
        since: Leave out what was created before it.
        submit: Starts a call in another thread.

    Yields:
        Pages, in any order.

    Raises:
        BeakerError: If a page cannot be fetched, or a listing is out of order, repeats itself or
            breaks off before its end.
    """
    done: SimpleQueue[Future[Page[T]]] = SimpleQueue()
    calls: dict[Future[Page[T]], _Slice[T]] = {}

    def start(slice_: _Slice[T]) -> None:
        call = submit(slice_.next_page)
        calls[call] = slice_
        call.add_done_callback(done.put)

    for fetch in fetches:
        start(_Slice(fetch, since, None))
    while calls:
        call = done.get()
        slice_ = calls.pop(call)
        page = call.result()
        values = slice_.take(page)
        for each in slice_.rest(page, may_split=len(calls) < AT_ONCE - 2):
            start(each)
        yield values


def unseen(token: str, tokens: set[str]) -> str:
    """A page's token, which is remembered.

    Raises:
        BeakerError: If it came before, so that the listing has no end.
    """
    if token in tokens:
        raise BeakerError("Beaker's listing repeats itself endlessly. Try again.")
    tokens.add(token)
    return token


@dataclass
class _Slice(Generic[T]):
    """What was created from one time to just before another."""

    fetch: Fetch[T]
    since: int | None
    until: int | None
    must_be_empty: bool = False  # the page before it said that there is no more
    seen: set[str] = field(default_factory=set)  # IDs
    _tokens: set[str] = field(default_factory=set)
    _token: str = ""
    _newest: float = inf  # of the latest page
    _oldest: float = inf

    def next_page(self) -> Page[T]:
        after = None if self.since is None else self.since - MARGIN
        before = None if self.until is None else self.until + MARGIN
        return self.fetch(after, before, self._token)

    def take(self, page: Page[T]) -> list[T]:
        """What a page brings that belongs here and did not come before."""
        times = [entry.created for entry in page.entries]
        least = accumulate(times, min)
        is_ordered = all(time <= low + MARGIN for time, low in zip(times, least, strict=True))
        if page.token and not is_ordered:  # where to stop is told by the order
            raise BeakerError("Beaker's listing of experiments is out of order. Try again.")
        if times:
            self._newest, self._oldest = times[0], min(*times, self._oldest)
        new = {entry.id: entry for entry in page.entries if entry.id not in self.seen}
        self.seen.update(new)
        values = [entry.value for entry in new.values() if self._covers(entry.created)]
        if self.must_be_empty and values:
            raise BeakerError(
                "Beaker's listing of experiments broke off before its end. Try again."
            )
        return values

    def _covers(self, created: int) -> bool:
        return (self.since is None or self.since <= created) and (
            self.until is None or created < self.until
        )

    def rest(self, page: Page[T], may_split: bool) -> list[_Slice[T]]:
        """The slices that are left to read after the page just taken."""
        if self.since is not None and self._oldest < self.since - MARGIN:
            return []
        if not page.token:
            return [self._check()] if page.is_full and self._oldest < inf else []
        self._token = unseen(page.token, self._tokens)
        cuts = self._cuts() if may_split else []
        older = [_Slice(self.fetch, since, until) for until, since in pairwise([*cuts, self.since])]
        self.since = cuts[0] if cuts else self.since
        return [self, *older]

    def _check(self) -> _Slice[T]:
        """What must be empty if a full last page was the last: a listing may lose its token."""
        until = int(self._oldest) + 1
        return _Slice(self.fetch, self.since, until, must_be_empty=True, seen=self.seen)

    def _cuts(self) -> list[int]:
        """The times at which to divide what is left, judging by what the latest page covers.

        The first is away by the geometric mean of the time that the page covers and of all that
        is left, which finds a crowded day in a long year in a few steps. What is older is halved,
        which is best where all is evenly spread.
        """
        if self._oldest == inf:
            return []
        oldest = int(self._oldest)
        span = max(int(self._newest) - oldest, SHORTEST_SPAN)
        left = oldest - (BEGINNING if self.since is None else self.since)
        if left < FEW_PAGES * span:
            return []
        first = min(isqrt(span * left), left // 2)
        return [oldest - first, oldest - (first + left) // 2]
