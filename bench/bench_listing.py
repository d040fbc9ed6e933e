"""How long the tool takes over long listings, against one page after another."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

from bench.measure import in_turn, serving, verdict
from tests.fake_beaker import FakeBeaker, FakeWorkload, evaluations, variants

LATENCY = 0.05  # seconds for each call
TOOL = ("olmix-evalscript",)
PLAIN = (sys.executable, str(Path(__file__).with_name("page_after_page.py")))
LIST = (*TOOL, "list", "--since", "30d", "--timeout", "600")
GENERATE = (*TOOL, "generate", "58362402", "-o", "-", "--timeout", "600")
SCAN = (*GENERATE, "--scan", "--since", "30d")


def spread(count: int, swarm: int, within: timedelta) -> list[FakeWorkload]:
    """A swarm and evaluation jobs, evenly spread over a time that ended a day ago."""
    workloads = [*evaluations(count - swarm), *variants(swarm)]
    newest = datetime.now(timezone.utc) - timedelta(days=1)
    for number, workload in enumerate(workloads):
        workload.created = newest - within * number / count
    return workloads


def _compared(
    name: str,
    command: Sequence[str],
    bound: float,
    workloads: list[FakeWorkload],
    lists_commands: bool = True,
    times: int = 1,
) -> bool:
    beaker = FakeBeaker(workloads, lists_commands=lists_commands, latency=LATENCY)
    with serving(beaker) as (environment, folder):
        commands = {"here": command, "plain": (*PLAIN, *command[1:])}
        took = in_turn(commands, environment, folder, times)
    ratio = took["here"] / took["plain"]
    detail = f"{took['here']:.1f} s against {took['plain']:.1f} s, one page after another"
    return verdict(f"(g) {name}", ratio, bound, at_least=False, detail=detail)


def long_listings() -> bool:
    """10,000 workloads, evenly spread over 28 days or all in one."""
    verdicts = []
    for days in (28, 1):
        workloads = spread(10_000, 128, timedelta(days=days))
        name = f"10,000 in {days} days"
        verdicts.append(_compared(f"list of {name}", LIST, 0.3, workloads))
        verdicts.append(_compared(f"scan of {name}, no commands", SCAN, 0.5, workloads, False))
    return all(verdicts)


def many_matches() -> bool:
    """1,000 variants among 5,000 matches, and a swarm of the usual size; no date bounds them."""
    large = [*variants(1_000), *evaluations(4_000)]
    return all(
        [
            _compared("1,000 variants among 5,000", GENERATE, 0.65, large, times=3),
            _compared("128 variants", GENERATE, 1.05, variants(128), times=9),
        ]
    )


if __name__ == "__main__":
    sys.exit(0 if all([long_listings(), many_matches()]) else 1)
