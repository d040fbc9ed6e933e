"""Run the tests that need no other program on the oldest and the newest Python.

Python 3.10 gets the lowest versions of the dependencies that pyproject.toml allows, Python 3.13 the
newest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = {"3.10": "lowest-direct", "3.13": "highest"}
TOOLS = ("click", "hypothesis", "pytest", "pytest-xdist", "responses", "trustme")
ROOMS = (
    *("beaker", "command", "config", "end_to_end", "files", "fit", "library", "listing"),
    *("options", "results", "script", "snapshot", "swarm", "tasks", "trainers", "yamltext"),
)


def run_tests(python: str, resolution: str, folder: Path) -> int:
    """Install the package and what its tests need, and run them; pytest's exit status."""
    own = str(folder / "bin" / "python")
    install = ["uv", "pip", "install", "--quiet", "--python", own]
    subprocess.run(["uv", "venv", "--quiet", "--python", python, folder], check=True)
    subprocess.run([*install, "--resolution", resolution, str(ROOT)], check=True)
    subprocess.run([*install, *TOOLS], check=True)
    print(f"--- {python}, {resolution} versions of the dependencies", flush=True)
    files = [str(ROOT / "tests" / f"test_{room}.py") for room in ROOMS]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [own, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        env=environment,
        check=False,
    ).returncode


def interpreter(version: str) -> str | None:
    """A Python of that version: one that uv finds, or one of pyenv's."""
    find = ["uv", "python", "find", "--quiet", "--no-python-downloads", version]
    found = subprocess.run(find, capture_output=True, text=True, check=False)
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return found.stdout.strip() or next(map(str, own), None)


def main() -> int:
    """The exit status: 0 if all pass. Where CI is set, both versions must be installed."""
    statuses = []
    for version, resolution in VERSIONS.items():
        python = interpreter(version)
        if python is None:
            print(f"--- Python {version} is not installed: not tested", flush=True)
            statuses.append(1 if os.environ.get("CI") else 0)
            continue
        with tempfile.TemporaryDirectory() as folder:
            statuses.append(run_tests(python, resolution, Path(folder) / "venv"))
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
