"""Let a slow step report what it does, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Where a slow step reports to."""

    status: Callable[[str], None]  # what is being done, as a line that may be overwritten
    detail: Callable[[str], None]  # each call, for those who want to see it


#: Listens from the start of a block to its end.
Reporting = Callable[[], AbstractContextManager[Report]]
