"""The choice of where experiments come from: Beaker, a scan of it, or a snapshot."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from olmix_evalscript.errors import SwarmError
from olmix_evalscript.model import Experiment, Swarm
from olmix_evalscript.report import Reporting
from olmix_evalscript.swarm import build_swarm

if TYPE_CHECKING:
    from olmix_evalscript.beaker import Search

SCANNED = timedelta(days=30)  # how far back a scan looks where no date is given


@dataclass(frozen=True)
class Finding:
    """Where the experiments come from, and which of them are wanted."""

    timeout: float
    snapshot: Path | None = None
    workspaces: tuple[str, ...] = ()
    author: str | None = None
    since: datetime | None = None
    scan: bool = False
    assumed: str = ""  # what set the workspaces, where no option did

    def search(self) -> Search:
        """What Beaker is to be asked for."""
        from olmix_evalscript.beaker import Search

        since = self.since
        if self.scan and since is None:
            since = datetime.now(timezone.utc) - SCANNED
        return Search(self.workspaces, self.author, since=since, timeout=self.timeout)

    def experiments(self, group_id: str, reporting: Reporting) -> list[Experiment]:
        """All that may belong to the group.

        Raises:
            EvalScriptError: If they cannot be had.
        """
        if self.snapshot is not None:
            from olmix_evalscript import snapshot

            return snapshot.load(self.snapshot, group_id)
        from olmix_evalscript import beaker

        find = beaker.find_by_scan if self.scan else beaker.find
        with reporting() as report:
            return find(group_id, self.search(), report)

    def swarm(
        self, group_id: str, reporting: Reporting, checkpoint_root: str | None, status: str | None
    ) -> Swarm:
        """The group's swarm, with at least one variant.

        Raises:
            EvalScriptError: If it cannot be had or there is none.
        """
        experiments = self.experiments(group_id, reporting)
        swarm = build_swarm(group_id, experiments, checkpoint_root=checkpoint_root, status=status)
        self.check(swarm, len(experiments), status)
        return swarm

    @property
    def narrowed(self) -> str:
        """The options that narrow the search, for a message."""
        options = (
            ("--workspace", self.workspaces and not self.assumed),
            ("--author", self.author),
            ("--since", self.since),
        )
        given = ", ".join(option for option, value in options if value)
        return f" (searched with {given})" if given else ""

    def check(self, swarm: Swarm, found: int, status: str | None = None) -> None:
        """Refuse a swarm without variants.

        Args:
            swarm: What was made of the experiments.
            found: How many experiments there were.
            status: That of the variants which were wanted.

        Raises:
            SwarmError: If there is none, with what to try next.
        """
        if not swarm.variants and not swarm.unreadable:
            raise SwarmError(_why_nothing(self, swarm, found, status))


def _why_nothing(finding: Finding, swarm: Swarm, found: int, status: str | None) -> str:
    group_id = swarm.group_id
    if others := swarm.skipped.other_statuses:
        have = ", ".join(f"{count} {other}" for other, count in Counter(others).most_common())
        return f"none of the {len(others)} variants of {group_id} is {status} ({have})"
    if found:
        what = f"{found} experiments carry the ID {group_id}, but none trains a run of that group"
    else:
        what = f"no experiment on Beaker carries the ID {group_id}{finding.narrowed}"
    if finding.snapshot is not None or finding.scan:
        return f"{what}. Try `olmix-evalscript list` to see which swarms there are."
    scan = "--scan" + ("" if finding.workspaces else f" -w {_own_workspace()}")
    scan += "" if finding.since else " --since 30d"
    return (
        f"{what}. Try `olmix-evalscript list` to see which swarms there are, or, if its runs were "
        f"named by hand, try again with `{scan}`."
    )


def _own_workspace() -> str:
    """A workspace to suggest: Beaker's default for this user, or the form of one."""
    from olmix_evalscript.beaker import default_workspace

    return default_workspace() or "OWNER/NAME"
