"""Draw docs/terminal.svg: what tools/demo.sh prints.

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
WIDTH = 120  # columns


def transcript() -> str:
    """What the demo prints, in an empty folder that the picture does not name."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"SOURCE_DATE_EPOCH": DATE, **os.environ, "PATH": path, "COLUMNS": str(WIDTH)}
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            ["bash", str(ROOT / "tools" / "demo.sh"), folder],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        ).stdout
    return re.sub(r"\b\d+ s\b", "0 s", output.replace(folder, "FOLDER")).strip()


def draw() -> str:
    """The picture as SVG text."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in transcript().splitlines():
        is_command, is_comment = line.startswith("$ "), re.match(r"\d\. ", line)
        style = "bold" if is_command else "bold green" if is_comment else ""
        console.print(Text(line, style=style), soft_wrap=True)
    svg = console.export_svg(title="olmix-evalscript")
    # Without the fonts that rich would have a reader's browser fetch.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


if __name__ == "__main__":
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "terminal.svg"
    picture.write_text(draw(), encoding="utf-8")
