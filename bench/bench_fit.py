"""How long ``collect`` takes, and how much memory, against json alone on the same bytes."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import in_turn, peak_memory, verdict
from olmix_evalscript import snapshot
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from tests.factories import GROUP, experiment, result_line

VARIANTS = 1000
FILES = 2  # of results for each variant
DOMAINS = 20
RUNS = [f"mix-{GROUP}-{number:04d}" for number in range(VARIANTS)]
#: What else a line of results has: oe-eval's settings of task, model and machine.
MORE = {"compute_config": dict.fromkeys(map(str, range(40)), "some setting or other")}
#: json alone, on each line of the files.
PARSE = """
import json, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        for line in open(os.path.join(folder, name), "rb"):
            json.loads(line)
"""


def collecting() -> bool:
    """1,000 variants and 106 tasks, from 2,000 files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_swarm(folder)
        return all(list(_measure(folder)))


def _measure(folder: Path) -> Iterator[bool]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    collect = ("olmix-evalscript", "collect", GROUP, "--snapshot", "s.yaml")
    start = (*collect, "-o", "ratios", "--no-results")
    here = (*collect, "-o", "fit", "--results", "results")
    commands = {
        "here": here,
        "json": (sys.executable, "-c", PARSE, "results"),
        "start": start,
    }
    took = in_turn(commands, environment, folder, times=5)
    yield verdict(
        "(g) collect from files, times json",
        (took["here"] - took["start"]) / took["json"],
        3,
        at_least=False,
        detail=f"{took['here']:.2f} s with {took['start']:.2f} s for start-up and ratios, "
        f"against {took['json']:.2f} s of json alone",
    )
    paths = (folder / "results").rglob("*.jsonl")
    size = sum(path.stat().st_size for path in paths) / 1024
    more = peak_memory(here, environment, folder) - peak_memory(start, environment, folder)
    yield verdict(
        "(g) memory, times the files' size",
        more / size,
        4,
        at_least=False,
        detail=f"{more / 1024:.0f} MiB for {size / 1024:.0f} MiB",
    )


def _write_swarm(folder: Path) -> None:
    draw = random.Random(1).random
    runs = []
    for number, run in enumerate(RUNS):
        weights = [draw() for _ in range(DOMAINS)]
        sources = [f'("d{d}",["a"],{w / sum(weights)!r},1.0)' for d, w in enumerate(weights)]
        mixture = [word for source in sources for word in ("-s", source)]
        runs.append(experiment(run, minutes=number, more=mixture))
    (folder / "s.yaml").write_text(snapshot.dump(GROUP, runs))
    for run in RUNS:
        for part in range(FILES):
            path = folder / "results" / f"{run}_step100" / f"{part}-metrics-all.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                for task in OLMO3_OFFLINE_TASKS[part::FILES]:
                    bpb = 1 - draw()
                    line = json.loads(result_line(run, task, bpb)) | MORE
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(0 if collecting() else 1)
