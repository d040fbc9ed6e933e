"""What the script itself costs for each variant, and what submitting several at a time gains."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.measure import seconds, verdict
from tests.desk import BASH, Desk, names

FEW, MANY = 8, 136  # variants; the difference leaves out what a run costs anyway

# What version 0.1 started for each variant besides olmo-cookbook-eval, as strace showed it.
OF_0_1 = """
for i in $(seq 128); do
  for subshell in 1 2 3 4 5 6 7 8 9 10 11 12; do (:); done
  awk 1 </dev/null; awk 1 </dev/null; sort </dev/null; cksum </dev/null >/dev/null
  grep x </dev/null; grep x </dev/null; grep x </dev/null
  mv --version >/dev/null; mv --version >/dev/null
done
"""
STAND_IN = "for i in $(seq 128); do olmo-cookbook-eval evaluate x; done"


def cost_of_a_variant() -> bool:
    """CPU of the script for each variant beyond the stand-in, against what 0.1 started for it."""
    ratios = []
    for _ in range(3):
        few, many = _run(FEW), _run(MANY)
        stand_in, before = _run(0, STAND_IN), _run(0, OF_0_1)
        ratios.append(((many - few - stand_in) / before, (many - few - stand_in) / 128 * 1000))
    ratio, milliseconds = sorted(ratios)[1]
    detail = f"{milliseconds:.1f} ms of CPU a variant beyond the stand-in"
    return verdict("(g) cost of a variant, against 0.1", ratio, 0.5, at_least=False, detail=detail)


def four_at_a_time() -> bool:
    """16 variants of which each takes 5 s, one at a time and four."""
    took = {}
    for jobs in (1, 4):
        with tempfile.TemporaryDirectory() as name:
            desk = _desk(Path(name), 16, "sleep 5")
            command = (BASH, str(desk.path), "--jobs", str(jobs))
            took[jobs] = seconds(command, desk.environment, desk.folder)
    detail = f"{took[4]:.1f} s against {took[1]:.1f} s"
    ratio = took[1] / took[4]
    return verdict("(g) 4 at a time, times faster", ratio, 3, at_least=True, detail=detail)


def _desk(folder: Path, count: int, command: str) -> Desk:
    """A desk with a script of so many variants, and this for olmo-cookbook-eval."""
    desk = Desk(folder)
    desk.tool("olmo-cookbook-eval", command)
    for run in names(count):
        desk.save(run, "step5")
    desk.write(names(count))
    return desk


def _run(count: int, commands: str = "") -> float:
    """Seconds of CPU that a script of so many variants takes, or that these commands do."""
    with tempfile.TemporaryDirectory() as name:
        desk = _desk(Path(name), max(count, 1), "exit 0")
        path = f"{desk.environment['PATH']}:/usr/bin:/bin"
        if commands:  # in a shell as large as the script's, since that is what a fork copies
            desk.path.write_text(desk.path.read_text().replace('\nmain "$@"\n', f"\n{commands}\n"))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [BASH, str(desk.path)],
            env={**desk.environment, "PATH": path if commands else desk.environment["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(0 if all([cost_of_a_variant(), four_at_a_time()]) else 1)
