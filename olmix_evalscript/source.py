"""Get a group's experiments from Beaker or from a snapshot, and the swarm they make."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from olmix_evalscript import snapshot
from olmix_evalscript.console import Console
from olmix_evalscript.errors import SwarmError, UsageError
from olmix_evalscript.model import Experiment, Report, Search, Swarm
from olmix_evalscript.swarm import build_swarm, mentions
from olmix_evalscript.text import in_words

SCANNED = timedelta(days=30)  # how far back a scan looks without a date


def parse_since(text: str) -> datetime:
    """The moment that --since means, in UTC.

    Raises:
        UsageError: If it is neither a date nor an age.
    """
    try:
        if age := re.fullmatch(r"([0-9]{1,4})([hdw])", text):
            unit = {"h": "hours", "d": "days", "w": "weeks"}[age[2]]
            return datetime.now(timezone.utc) - timedelta(**{unit: int(age[1])})
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise UsageError(
            f"--since: {text!r} is not a date: expected one such as 2026-01-31, or 30d, 2w, 12h"
        ) from None


@dataclass(frozen=True)
class ExperimentSource:
    """Where experiments come from: Beaker within these limits, or a snapshot."""

    search: Search = field(default_factory=Search)
    snapshot: Path | None = None
    scan: bool = False  # read every experiment instead of searching for the group ID

    def pages(self, report: Report, *, mine: bool = False) -> Iterator[list[Experiment]]:
        """Every experiment on Beaker within the limits, a page at a time, in any order.

        Args:
            report: Where progress is reported.
            mine: Only what the token's owner launched.

        Raises:
            BeakerError: If Beaker refuses a call or does not answer in time.
        """
        from olmix_evalscript import beaker

        since = self.search.since or datetime.now(timezone.utc) - SCANNED
        return beaker.scan(replace(self.search, mine=mine, since=since), report)

    def experiments(self, group_id: str, console: Console) -> list[Experiment]:
        """All experiments that may belong to the group; Beaker's are newest first.

        Raises:
            EvalScriptError: If Beaker does not give them, or the snapshot cannot be read.
        """
        if self.snapshot is not None:
            return snapshot.load(self.snapshot, group_id)
        from olmix_evalscript import beaker

        with console.report() as report:
            if self.scan:
                pages = self.pages(report)
                found = [each for page in pages for each in page if mentions(group_id, each)]
            else:
                found = beaker.find(group_id, self.search, report)
        return sorted(found, key=lambda each: (each.created, each.id), reverse=True)

    def swarm(
        self,
        group_id: str,
        experiments: Sequence[Experiment],
        *,
        checkpoint_root: str | None = None,
        status: str | None = None,
    ) -> Swarm:
        """The swarm of these experiments; the arguments are those of `build_swarm`.

        Raises:
            SwarmError: If it has no variants, with what to try next.
        """
        swarm = build_swarm(group_id, experiments, checkpoint_root=checkpoint_root, status=status)
        if swarm.variants or swarm.unreadable:
            return swarm
        if others := swarm.other_statuses:
            have = in_words(dict(Counter(others).most_common()))
            raise SwarmError(
                f"none of the {len(others)} variants of {group_id} is {status} ({have})"
            )
        problem = f"no experiment carries the ID {group_id}"
        if experiments:
            problem = (
                f"{len(experiments)} experiments carry the ID {group_id}, but none trains a run of "
                "that group"
            )
        hint = "Try `olmix-evalscript list` to see which swarms there are"
        if self.snapshot is None and not self.scan:
            hint += (
                ", or, if its runs were named by hand, try again with `--scan -w OWNER/NAME "
                "--since 30d`"
            )
        raise SwarmError(f"{problem}. {hint}.")
