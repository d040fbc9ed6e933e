"""Show the mixtures and BPB of a swarm beside what olmix fit proposed, if it ran.

Usage: table.py FOLDER, with ratios.csv and metrics.csv of `olmix-evalscript collect` in it.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

NOT_DATA = ("run", "name", "index")


def read(path: Path) -> dict[str, dict[str, float]]:
    """The numbers of each run in a file of ``collect``."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        row["run"]: {name: float(row[name]) for name in row if name not in NOT_DATA} for row in rows
    }


def main() -> None:
    folder = Path(sys.argv[1])
    ratios, metrics = read(folder / "ratios.csv"), read(folder / "metrics.csv")
    domains = list(next(iter(ratios.values())))
    tasks = list(next(iter(metrics.values())))
    table = Table("mixture", *domains, *(f"BPB of {task}" for task in tasks))
    for run, mixture in ratios.items():
        scores = (f"{metrics[run][task]:.3f}" for task in tasks)
        table.add_row(run[-4:], *(f"{mixture[domain]:.3f}" for domain in domains), *scores)
    for path in folder.glob("proposal/*/*_optimal.json"):
        proposal = {each["domain"]: each["weight"] for each in json.loads(path.read_text())}
        table.add_section()
        table.add_row("olmix fit", *(f"{proposal[domain]:.3f}" for domain in domains))
    Console().print(table)


if __name__ == "__main__":
    main()
