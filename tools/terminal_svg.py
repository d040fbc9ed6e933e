"""Draw docs/terminal.svg: real commands, run on the demo snapshot, and what they print.

Usage: python tools/terminal_svg.py [FILE]

The date in the script's header is SOURCE_DATE_EPOCH's, or else a fixed one, so that the same code
draws the same picture.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
DATE = "1773014400"  # 2026-03-09
WIDTH = 100  # columns
COMMANDS = (
    "olmix-evalscript generate 58362402 --snapshot fixtures/58362402.yaml",
    "head -n 16 output/eval_scripts/olmix-58362402.sh",
    "grep '^  variant ' output/eval_scripts/olmix-58362402.sh",
)


def transcript() -> list[tuple[str, str]]:
    """Run the commands in an empty folder that holds the fixtures alone.

    Returns:
        Each command, and what it printed to stdout and stderr.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"SOURCE_DATE_EPOCH": DATE, **os.environ, "PATH": path, "COLUMNS": str(WIDTH)}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "fixtures").symlink_to(ROOT / "fixtures")
        return [
            (
                command,
                subprocess.run(
                    ["bash", "-c", command],
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=True,
                ).stdout,
            )
            for command in COMMANDS
        ]


def draw() -> str:
    """The picture as SVG text."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for command, output in transcript():
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")), soft_wrap=True)
        console.print(Text(output.rstrip("\n")), soft_wrap=True)
    svg = console.export_svg(title="olmix-evalscript")
    # Without the fonts that rich would have a reader's browser fetch.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


if __name__ == "__main__":
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "terminal.svg"
    picture.write_text(draw(), encoding="utf-8")
