"""How long the script takes to look up a swarm and to submit it, against doing it by hand."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import date
from pathlib import Path

from bench.listing_server import listing_server
from bench.measure import in_turn, seconds, verdict
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.swarm import build_swarm
from tests.desk import BASH, Desk, names
from tests.factories import GROUP, experiment
from tests.storage import aws_environment

VARIANTS = 128
FOLDER = "checkpoints/kylel"
PAGE = 0.1  # seconds that the server takes for 1,000 keys
# 23 checkpoints of 36 files, as eight processes save them.
STEPS = (*range(0, 22000, 1000), 22100)
FILES = (
    *(".metadata.json", "config.json", "data_paths.txt", "model_and_optim/.metadata"),
    *(f"model_and_optim/__{rank}_{part}.distcp" for rank in range(8) for part in range(3)),
    *(f"train/rank{rank}.pt" for rank in range(8)),
)
# The steps of each variant, eight at a time; this does not even see which of them are complete.
BY_HAND = f"""
seq -f %04g 0 {VARIANTS - 1} |
  xargs -P 8 -I @ aws s3 ls "s3://ai2-llm/{FOLDER}/mix-{GROUP}-@/" >/dev/null
"""


def lookup() -> bool:
    """128 variants on S3, by the script's --list and by an `aws s3 ls` for each variant."""
    keys = (
        f"{FOLDER}/{run}/step{step}/{file}"
        for run in names(VARIANTS)
        for step in STEPS
        for file in FILES
    )
    swarm = build_swarm(GROUP, [experiment(run) for run in names(VARIANTS)])
    evaluation = Evaluation(("lambada",), f"olmix-{GROUP}")
    with tempfile.TemporaryDirectory() as name, listing_server(keys, PAGE) as listing:
        folder = Path(name)
        (folder / "script.sh").write_text(render(swarm, evaluation, date(2026, 3, 6)))
        environment = {"PATH": os.environ["PATH"], "HOME": name}
        environment |= aws_environment(folder, listing.url)
        commands = {"here": (BASH, "script.sh", "--list"), "by hand": (BASH, "-c", BY_HAND)}
        took = in_turn(commands, environment, folder, times=1)
    detail = f"{took['here']:.1f} s against {took['by hand']:.1f} s by aws s3 ls, 8 at a time"
    ratio = took["by hand"] / took["here"]
    return verdict("(e) lookup of 128, times faster", ratio, 8, at_least=True, detail=detail)


def four_at_a_time() -> bool:
    """16 variants of which each takes 5 s, one at a time and four."""
    took = {}
    for jobs in (1, 4):
        with tempfile.TemporaryDirectory() as name:
            desk = Desk(Path(name))
            desk.tool("olmo-cookbook-eval", "sleep 5")
            for run in names(16):
                desk.save(run, "step5")
            desk.write(names(16))
            command = (BASH, str(desk.path), "--jobs", str(jobs))
            took[jobs] = seconds(command, desk.environment, desk.folder)
    detail = f"{took[4]:.1f} s against {took[1]:.1f} s"
    ratio = took[1] / took[4]
    return verdict("(f) 4 at a time, times faster", ratio, 3, at_least=True, detail=detail)


MEASUREMENTS = (lookup, four_at_a_time)

if __name__ == "__main__":
    results = [measurement() for measurement in MEASUREMENTS]
    sys.exit(0 if all(results) else 1)
