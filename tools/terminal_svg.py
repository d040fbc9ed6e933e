"""Draw docs/terminal.svg: what tools/demo.sh prints.

Usage: python tools/terminal_svg.py [FILE]
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
WIDTH = 110  # columns


def transcript() -> str:
    """What the demo prints, in an empty folder that the picture does not name."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as folder:
        output = subprocess.run(
            ["bash", str(ROOT / "tools" / "demo.sh"), folder],
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    text = re.sub(r"fit-[0-9a-f]{8}", "fit-12345678", output.replace(folder, "FOLDER"))
    return text.expandtabs(4).strip()


def draw() -> str:
    """The picture as SVG text."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in transcript().splitlines():
        console.print(Text(line, style="bold" if line.startswith(("$ ", "    --")) else ""))
    svg = console.export_svg(title="olmix-evalscript")
    # Without the fonts that rich would have a reader's browser fetch.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)
    return "".join(f"{line.rstrip()}\n" for line in svg.splitlines())


if __name__ == "__main__":
    picture = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "terminal.svg"
    picture.write_text(draw(), encoding="utf-8")
