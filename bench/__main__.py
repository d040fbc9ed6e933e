"""All timings of the project: ``make bench``. Each is a ratio of things measured in one run."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

from bench import bench_script
from bench.bench_commands import commands_read
from bench.bench_fit import collecting
from bench.bench_listing import GENERATE, LATENCY, LIST, TOOL, long_listings, many_matches, spread
from bench.measure import in_turn, peak_memory, serving, verdict
from tests.fake_beaker import FakeBeaker, variants

HERE = Path(__file__).parent


def specs_at_once() -> bool:
    """128 variants whose commands the listing lacks."""
    sequential = (sys.executable, str(HERE / "sequential.py"), "58362402")
    beaker = FakeBeaker(variants(128), lists_commands=False, latency=LATENCY)
    with serving(beaker) as (environment, folder):
        took = in_turn({"here": GENERATE, "one by one": sequential}, environment, folder, times=5)
    ratio = took["one by one"] / took["here"]
    detail = f"{took['here']:.2f} s against {took['one by one']:.2f} s by beaker-py one by one"
    return verdict("(a) 128 specs, times faster", ratio, 8, at_least=True, detail=detail)


def listing_alone() -> bool:
    """128 variants whose commands the listing has, against the listing itself and a start."""
    listing = (sys.executable, str(HERE / "sequential.py"), "58362402", "--list-only")
    beaker = FakeBeaker(variants(128), latency=LATENCY)
    with serving(beaker) as (environment, folder):
        commands = {"here": GENERATE, "listing": listing, "start": (*TOOL, "tasks")}
        took = in_turn(commands, environment, folder, times=7)
        specs = beaker.calls["GetExperimentYamlSpec"]
    floor = took["listing"] + took["start"]
    detail = (
        f"{took['here']:.2f} s against {took['listing']:.2f} s of beaker-py's listing "
        f"and {took['start']:.2f} s of start-up; {specs} specs fetched"
    )
    return (
        verdict("(b) listing with commands", took["here"] / floor, 1.3, False, detail) and not specs
    )


def start_up() -> bool:
    """``--help`` and ``--version`` against ``gantry --help``."""
    commands = {
        "help": (*TOOL, "--help"),
        "version": (*TOOL, "--version"),
        "gantry": ("gantry", "--help"),
    }
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    took = in_turn(commands, environment, HERE, times=15)
    verdicts = [
        verdict(
            f"(c) --{name} against gantry --help",
            took[name] / took["gantry"],
            0.5,
            at_least=False,
            detail=f"{took[name]:.3f} s against {took['gantry']:.3f} s",
        )
        for name in ("help", "version")
    ]
    return all(verdicts)


def a_large_snapshot() -> bool:
    """1,024 variants from a snapshot, against a command that reads nothing."""
    with serving(FakeBeaker(variants(1024))) as (environment, folder):
        snapshot = (*TOOL, "snapshot", "58362402", "-o", "s.yaml")
        in_turn({"snapshot": snapshot}, environment, folder, times=1)
        commands = {"here": (*GENERATE, "--snapshot", "s.yaml"), "start": (*TOOL, "tasks")}
        took = in_turn(commands, environment, folder, times=5)
    ratio = took["here"] / took["start"]
    detail = f"{took['here']:.2f} s against {took['start']:.2f} s of a start"
    return verdict("(d) a snapshot of 1,024 variants", ratio, 5, at_least=False, detail=detail)


def memory_of_a_long_list() -> bool:
    """``list`` over 10,000 workloads against 100."""
    peaks = {}
    for count in (100, 10_000):
        workloads = spread(count, count // 10, timedelta(days=7))
        with serving(FakeBeaker(workloads)) as (environment, folder):
            peaks[count] = peak_memory(LIST, environment, folder)
    detail = f"{peaks[10_000] / 1024:.0f} MiB against {peaks[100] / 1024:.0f} MiB"
    ratio = peaks[10_000] / peaks[100]
    return verdict("(d) memory, 10,000 against 100", ratio, 1.5, at_least=False, detail=detail)


def main() -> int:
    """The exit status: 0 if every bound holds."""
    measurements = (
        specs_at_once,
        listing_alone,
        start_up,
        a_large_snapshot,
        memory_of_a_long_list,
        *bench_script.MEASUREMENTS,
        long_listings,
        many_matches,
        commands_read,
        collecting,
    )
    verdicts = [measurement() for measurement in measurements]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
