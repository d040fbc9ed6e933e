"""How long the script's own lookup takes against one lookup after another, as written by hand."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import date
from pathlib import Path

from bench.measure import seconds, verdict
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.swarm import build_swarm
from tests.factories import GROUP, experiment
from tests.storage import s3_server

VARIANTS = 128
BY_HAND = 12  # variants looked up one after another; the time for all is reckoned from these
FOLDER = "checkpoints/kylel"
RUNS = [f"mix-{GROUP}-{number:04d}" for number in range(VARIANTS)]
# Some of a checkpoint's files; a real one has dozens.
FILES = (
    ".metadata.json",
    "config.json",
    "model_and_optim/.metadata",
    "model_and_optim/__0_0.distcp",
)
STEPS = (0, 1000, 2000, 3000)

# What people wrote before: the run's directories, then whether the newest of them is complete.
LOOP = f"""
for i in $(seq -f %04g 0 {BY_HAND - 1}); do
  run="s3://ai2-llm/{FOLDER}/mix-{GROUP}-$i"
  step=$(aws s3 ls "$run/" | sed -n 's|.*PRE step\\([0-9]*\\)/$|\\1|p' | sort -n | tail -n 1)
  aws s3 ls "$run/step$step/.metadata.json" || exit 1
done
"""


def steps_at_once() -> bool:
    """128 variants on S3, by the script's --list and by a loop over `aws s3 ls`."""
    with tempfile.TemporaryDirectory() as name, s3_server(Path(name), "ai2-llm") as bucket:
        folder = Path(name)
        script = folder / "script.sh"
        script.write_text(_script())
        for run in RUNS:
            bucket.put(*(f"{FOLDER}/{run}/step{step}/{file}" for step in STEPS for file in FILES))
        environment = {"PATH": os.environ["PATH"], "HOME": name, **bucket.environment}
        listing = ("bash", str(script), "--list")
        loop = ("bash", "-c", LOOP)
        here = min(seconds(listing, environment, folder) for _ in range(3))
        by_hand = seconds(loop, environment, folder) * VARIANTS / BY_HAND
    return verdict(
        f"(e) {VARIANTS} steps on S3 against one after another",
        here / by_hand,
        1 / 8,
        at_least=False,
        detail=f"{here:.1f} s against {by_hand:.0f} s, reckoned from {BY_HAND} variants",
    )


def _script() -> str:
    experiments = [experiment(run) for run in RUNS]
    swarm = build_swarm(GROUP, experiments)
    return render(swarm, Evaluation(("lambada",), f"olmix-{GROUP}"), date(2026, 3, 6))


if __name__ == "__main__":
    sys.exit(0 if steps_at_once() else 1)
