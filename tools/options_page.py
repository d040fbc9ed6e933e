"""Write docs/options.md from the help of the commands and of the script.

Usage: python tools/options_page.py [FILE]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import typer

from olmix_evalscript.cli import PROGRAM, app, load_commands

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "options.md"
BY_HAND = "## More about "  # the first heading of what is written by hand


def main() -> None:
    """Write the page; what is written by hand stays."""
    by_hand = PAGE.read_text(encoding="utf-8").partition(BY_HAND)[2]
    text = "# Options\n\nFrom the help, by `make options`, except for the last sections.\n\n"
    text += f"{commands()}## The script\n\n```text\n{script()}```\n\n{BY_HAND}{by_hand}"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    path.write_text(text, encoding="utf-8")


def commands() -> str:
    """A table for each panel of the help: option, commands that have it, what it does."""
    load_commands()
    group: Any = typer.main.get_command(app)
    root = group.make_context(PROGRAM, [], resilient_parsing=True)
    contexts = [
        command.make_context(name, [], parent=root, resilient_parsing=True)
        for name, command in group.commands.items()
    ]
    panels: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for context in (*contexts, root):
        for option in context.command.get_params(context):
            if option.param_type_name == "option":
                names = ", ".join(sorted(option.opts, key=len))
                form = f"`{names} {option.metavar}".strip() + "`"
                panels[option.rich_help_panel][form, option.help].append(context.info_name)
    text = ""
    for panel, options in panels.items():
        text += f"## {panel}\n\n| option | command | what it does |\n|---|---|---|\n"
        for (form, help), having in options.items():
            where = "all" if len(having) > len(contexts) else ", ".join(having)
            text += f"| {form} | {where} | {help} |\n"
        text += "\n"
    return text


def script() -> str:
    """The options in the help of a script."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "script.sh"
        program = Path(sys.executable).with_name(PROGRAM)
        snapshot = ROOT / "fixtures" / "58362402.yaml"
        subprocess.run(
            [program, "generate", "58362402", "--snapshot", snapshot, "-q", "-o", path],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        help = subprocess.check_output(["bash", path, "--help"], text=True)
    return "".join(line for line in help.splitlines(True) if line.startswith(("  --", "Exit")))


if __name__ == "__main__":
    main()
