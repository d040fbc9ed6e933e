"""How long the script's own lookup takes, against what it took at 0.1 and by hand."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from bench.listing_server import Listing, listing_server
from bench.measure import in_turn, seconds, verdict
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.swarm import build_swarm
from tests.factories import GROUP, experiment
from tests.storage import aws_environment

VARIANTS = 128
BY_HAND = 12  # variants looked up one after another; the time for all is reckoned from these
FOLDER = "checkpoints/kylel"
PAGE = 0.1  # seconds that the server takes for 1,000 keys
# 23 checkpoints of 36 files, as eight processes save them.
STEPS = (*range(0, 22000, 1000), 22100)
FILES = (
    *(".metadata.json", "config.json", "data_paths.txt", "model_and_optim/.metadata"),
    *(f"model_and_optim/__{rank}_{part}.distcp" for rank in range(8) for part in range(3)),
    *(f"train/rank{rank}.pt" for rank in range(8)),
)

# What people wrote before: the run's directories, then whether the newest of them is complete.
LOOP = f"""
for i in $(seq -f %04g 0 {BY_HAND - 1}); do
  run="s3://ai2-llm/{FOLDER}/mix-{GROUP}-$i"
  step=$(aws s3 ls "$run/" | sed -n 's|.*PRE step\\([0-9]*\\)/$|\\1|p' | sort -n | tail -n 1)
  aws s3 ls "$run/step$step/.metadata.json" || exit 1
done
"""

# What version 0.1 did: all files of more than eight variants, or else of each at the same time.
ALL_FILES = f"aws s3 ls --recursive s3://ai2-llm/{FOLDER}/mix-{GROUP}-"
EACH_RUN = f"""
for i in 0 1 2 3 4 5 6 7; do
  aws s3 ls --recursive "s3://ai2-llm/{FOLDER}/mix-{GROUP}-000$i/step" &
done
wait
"""


def names(count: int) -> list[str]:
    """The run names of a swarm."""
    return [f"mix-{GROUP}-{number:04d}" for number in range(count)]


@contextmanager
def swarm_on_s3() -> Iterator[tuple[dict[str, str], Path, Listing]]:
    """The environment and folder of a script whose variants are on S3, and the server."""
    keys = (
        f"{FOLDER}/{run}/step{step}/{file}"
        for run in names(VARIANTS)
        for step in STEPS
        for file in FILES
    )
    with tempfile.TemporaryDirectory() as name, listing_server(keys, PAGE) as listing:
        folder = Path(name)
        (folder / "script.sh").write_text(_script(VARIANTS))
        environment = {"PATH": os.environ["PATH"], "HOME": name}
        yield {**environment, **aws_environment(folder, listing.url)}, folder, listing


def steps_at_once() -> bool:
    """128 variants on S3, by the script's --list and by a loop over `aws s3 ls`."""
    with swarm_on_s3() as (environment, folder, _):
        listing = ("bash", "script.sh", "--list")
        here = min(seconds(listing, environment, folder) for _ in range(3))
        by_hand = seconds(("bash", "-c", LOOP), environment, folder) * VARIANTS / BY_HAND
    return verdict(
        f"(e) {VARIANTS} steps on S3 against one after another",
        here / by_hand,
        1 / 8,
        at_least=False,
        detail=f"{here:.1f} s against {by_hand:.0f} s, reckoned from {BY_HAND} variants",
    )


def steps_against_all_files() -> bool:
    """Lookups of 128 and 8 variants against version 0.1's, and how many pages 9 cost."""
    verdicts = []
    with swarm_on_s3() as (environment, folder, listing):
        for count, only, before, bound in (
            (VARIANTS, f"0-{VARIANTS - 1}", ALL_FILES, 0.5),
            (8, "0-7", EACH_RUN, 0.4),
        ):
            here = ("bash", "script.sh", "--list", "--only", only)
            commands = {"here": here, "before": ("bash", "-c", before)}
            took = in_turn(commands, environment, folder, times=3)
            verdicts.append(
                verdict(
                    f"(e) {count} steps on S3 against 0.1",
                    took["here"] / took["before"],
                    bound,
                    at_least=False,
                    detail=f"{took['here']:.1f} s against {took['before']:.1f} s",
                )
            )
        listing.calls.clear()
        seconds(("bash", "script.sh", "--list", "--only", "0-8"), environment, folder)
        pages = sum(listing.calls.values())
    detail = f"of {len(listing.keys) // 1000 + 1}"
    verdicts.append(verdict("(e) pages for --only 0-8", pages, 9, at_least=False, detail=detail))
    return all(verdicts)


def a_table_of_many_steps() -> bool:
    """``--list`` of variants that are each at a step of its own, on a mounted folder."""
    verdicts = []
    for count, bound in ((1000, 2), (5000, 10)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            script = folder / "script.sh"
            script.write_text(_script(count, f"/weka/bucket/{FOLDER}"))
            for number, run in enumerate(names(count)):
                step = folder / "bucket" / FOLDER / run / f"step{1000 + number}"
                for part in ("train/rank0.pt", "model_and_optim/.metadata", ".metadata.json"):
                    (step / part).parent.mkdir(parents=True, exist_ok=True)
                    (step / part).touch()
            environment = {"PATH": os.environ["PATH"], "WEKA_MOUNT": name}
            listing = ("bash", str(script), "--list", "--any-step")
            took = min(seconds(listing, environment, folder) for _ in range(3))
        verdicts.append(
            verdict(
                f"(e) --list of {count:,} variants at {count:,} steps, seconds",
                took,
                bound,
                at_least=False,
                detail="the shortest of 3",
            )
        )
    return all(verdicts)


def _script(count: int, root: str | None = None) -> str:
    swarm = build_swarm(GROUP, [experiment(run) for run in names(count)], checkpoint_root=root)
    return render(swarm, Evaluation(("lambada",), f"olmix-{GROUP}"), date(2026, 3, 6))


MEASUREMENTS = (steps_at_once, steps_against_all_files, a_table_of_many_steps)

if __name__ == "__main__":
    results = [measurement() for measurement in MEASUREMENTS]
    sys.exit(0 if all(results) else 1)
