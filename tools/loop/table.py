"""Show the mixtures and BPB of a swarm, and what olmix fit proposed if it ran.

Usage: table.py FOLDER, with ratios.csv and metrics.csv of `olmix-evalscript collect` in it.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table


def show(folder: Path) -> None:
    """Print a line for each variant, and one for the proposal."""
    (_, _, _, *domains), *ratios = csv.reader((folder / "ratios.csv").open(encoding="utf-8"))
    (_, _, _, *tasks), *metrics = csv.reader((folder / "metrics.csv").open(encoding="utf-8"))
    table = Table(title="Share of each domain, and bits per byte of each task")
    for column in ("variant", *domains, *tasks):
        table.add_column(column.replace(":", " ").replace("_", " "), justify="right")
    scores = {run: numbers for run, _, _, *numbers in metrics}
    for run, _, _, *shares in ratios:
        table.add_row(run[-4:], *(f"{float(each):.3f}" for each in (*shares, *scores[run])))
    for path in folder.glob("proposal/*/*_optimal.json"):
        weights = {each["domain"]: each["weight"] for each in json.loads(path.read_text())}
        table.add_section()
        table.add_row("olmix fit", *(f"{weights[domain]:.3f}" for domain in domains))
    Console().print(table)


if __name__ == "__main__":
    show(Path(sys.argv[1]))
