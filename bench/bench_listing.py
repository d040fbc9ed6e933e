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
LIST = ("list", "--since", "30d", "--timeout", "600")
GENERATE = ("generate", "58362402", "-o", "-", "--timeout", "600")
SCAN = (*GENERATE, "--scan", "--since", "30d")


def _workloads(count: int, swarm: int, within: timedelta) -> list[FakeWorkload]:
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
        commands = {"here": (*TOOL, *command), "plain": (*PLAIN, *command)}
        took = in_turn(commands, environment, folder, times)
    ratio = took["here"] / took["plain"]
    detail = f"{took['here']:.1f} s against {took['plain']:.1f} s, one page after another"
    return verdict(f"(g) {name}", ratio, bound, at_least=False, detail=detail)


def long_listings() -> bool:
    """10,000 workloads, evenly spread over 28 days or all in one."""
    verdicts = []
    for spread, days in (("evenly spread", 28), ("in one day", 1)):
        for name, command in (("list", LIST), ("--scan", SCAN)):
            for with_commands, bound in ((True, 0.3), (False, 0.5)):
                what = f"{name} of 10,000 {spread}, {'with' if with_commands else 'no'} commands"
                workloads = _workloads(10_000, 128, timedelta(days=days))
                verdicts.append(_compared(what, command, bound, workloads, with_commands))
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
