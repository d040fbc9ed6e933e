"""Wall time and peak memory of commands, as medians of repeated runs taken in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fake_beaker import FakeBeaker

Command = Sequence[str]


@contextmanager
def serving(beaker: FakeBeaker) -> Iterator[tuple[dict[str, str], Path]]:
    """The environment and folder of a process that asks this Beaker."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with beaker.running(folder) as more:
            yield {"PATH": os.environ["PATH"], "HOME": name, **more}, folder


def seconds(command: Command, environment: dict[str, str], cwd: Path) -> float:
    """How long one run takes; it must succeed."""
    started = time.perf_counter()
    subprocess.run(
        command,
        env=environment,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started


def in_turn(
    commands: Mapping[str, Command], environment: dict[str, str], cwd: Path, times: int
) -> dict[str, float]:
    """The median seconds of each command, run one after the other so that noise hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            taken[name].append(seconds(command, environment, cwd))
    return {name: statistics.median(values) for name, values in taken.items()}


#: Runs a command and prints its peak; a process of its own, since what a process held before it
#: became another program counts as that program's.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=-3, stderr=-3, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_memory(command: Command, environment: dict[str, str], cwd: Path) -> int:
    """The largest resident size of one run, in KiB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *command],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def verdict(name: str, value: float, bound: float, at_least: bool, detail: str) -> bool:
    """Print one line of the report; whether the bound holds."""
    holds = value >= bound if at_least else value <= bound
    sign = ">=" if at_least else "<="
    print(
        f"{'ok    ' if holds else 'NOT OK'} {name}: {value:.2f} (wanted {sign} {bound:g}); {detail}"
    )
    return holds
