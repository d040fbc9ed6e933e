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
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS, bpb_name
from tests.factories import GROUP, experiment, result_line

VARIANTS = 1000
FILES = 2  # of results for each variant
RUNS = [f"mix-{GROUP}-{number:04d}" for number in range(VARIANTS)]
#: What else a line of results has: oe-eval's settings of task, model and machine.
MORE = {"compute_config": dict.fromkeys(map(str, range(40)), "some setting or other")}
#: json alone, on one file or on each line of many.
PARSE = """
import json, os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        for line in open(os.path.join(folder, name), "rb"):
            json.loads(line)
if os.path.isfile(sys.argv[1]):
    json.load(open(sys.argv[1]))
"""


def collecting() -> bool:
    """1,000 variants and 106 tasks, from olmo-cookbook's JSON and from 2,000 files."""
    verdicts: list[bool] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_swarm(folder)
        for what, results in (("JSON", "results.json"), ("files", "results")):
            verdicts += _measure(what, results, folder)
    return all(verdicts)


def _measure(what: str, results: str, folder: Path) -> Iterator[bool]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    collect = ("olmix-evalscript", "collect", GROUP, "--snapshot", "s.yaml")
    start = (*collect, "-o", "ratios")
    here = (*collect, "-o", "fit", "--results", results)
    commands = {
        "here": here,
        "json": (sys.executable, "-c", PARSE, results),
        "start": start,
    }
    took = in_turn(commands, environment, folder, times=5)
    yield verdict(
        f"(g) collect from {what}, times json",
        (took["here"] - took["start"]) / took["json"],
        3,
        at_least=False,
        detail=f"{took['here']:.2f} s with {took['start']:.2f} s for start-up and ratios, "
        f"against {took['json']:.2f} s of json alone",
    )
    paths = [folder / results, *(folder / results).rglob("*")]
    size = sum(path.stat().st_size for path in paths if path.is_file()) / 1024
    more = peak_memory(here, environment, folder) - peak_memory(start, environment, folder)
    yield verdict(
        f"(g) memory for {what}, times their size",
        more / size,
        4,
        at_least=False,
        detail=f"{more / 1024:.0f} MiB for {size / 1024:.0f} MiB",
    )


def _write_swarm(folder: Path) -> None:
    draw = random.Random(1).random
    mixture = [word for name in ("wiki", "web") for word in ("-s", f'("{name}",["a"],0.5,1.0)')]
    runs = [experiment(run, minutes=number, more=mixture) for number, run in enumerate(RUNS)]
    (folder / "s.yaml").write_text(snapshot.dump(GROUP, runs))
    columns: dict[str, dict[str, float]] = {}
    for run in RUNS:
        for part in range(FILES):
            path = folder / "results" / f"{run}_step100" / f"{part}-metrics-all.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                for task in OLMO3_OFFLINE_TASKS[part::FILES]:
                    bpb = draw()
                    line = json.loads(result_line(run, task, bpb)) | MORE
                    file.write(json.dumps(line) + "\n")
                    columns.setdefault(task, {})[f"{run}_step100"] = 0.5
                    if name := bpb_name(task):
                        columns.setdefault(name, {})[f"{run}_step100"] = bpb
    (folder / "results.json").write_text(json.dumps(columns))


if __name__ == "__main__":
    sys.exit(0 if collecting() else 1)
