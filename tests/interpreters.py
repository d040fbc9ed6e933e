"""Run the tests that need no other program on every other Python there is.

The oldest Python gets the lowest versions of the dependencies that pyproject.toml allows, the
others the newest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13")
TOOLS = ("click", "hypothesis", "pytest", "pytest-xdist", "responses", "trustme")
TESTS = (
    *("command", "config", "files", "library", "options"),
    *("script", "snapshot", "swarm", "tasks", "trainers", "yamltext"),
)
SLOW_TESTS = ("beaker", "listing", "end_to_end")  # with the lowest versions alone


def interpreter(version: str) -> str | None:
    """A Python of that version: one that uv finds, or one of pyenv's."""
    found = subprocess.run(
        ["uv", "python", "find", "--no-python-downloads", version],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 0:
        return found.stdout.strip()
    own = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(own[-1]) if own else None


def run_tests(version: str, python: str, folder: Path) -> int:
    """Install the package and its tests' needs, and run them; pytest's exit status."""
    oldest = version == VERSIONS[0]
    bound = "lowest-direct" if oldest else "highest"
    own = folder / "bin" / "python"
    subprocess.run(["uv", "venv", "--quiet", "--python", python, folder], check=True)
    install = ["uv", "pip", "install", "--quiet", "--python", str(own)]
    subprocess.run([*install, "--resolution", bound, str(ROOT)], check=True)
    freeze = subprocess.run(
        ["uv", "pip", "freeze", "--python", own], capture_output=True, text=True, check=True
    ).stdout
    kept = folder / "kept.txt"
    kept.write_text("".join(f"{line}\n" for line in freeze.splitlines() if "==" in line))
    subprocess.run([*install, "--constraints", str(kept), *TOOLS], check=True)
    print(f"--- Python {version}, {bound} versions of the dependencies", flush=True)
    names = (*TESTS, *SLOW_TESTS) if oldest else TESTS
    files = [str(ROOT / "tests" / f"test_{name}.py") for name in names]
    options = ["-q", "-n", "2", "-p", "no:cacheprovider"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    environment["PATH"] = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [own, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env=environment,
        check=False,
    ).returncode


def main() -> int:
    """The exit status: 0 if all pass; where CI is set, all versions must be there."""
    statuses = []
    for version in VERSIONS:
        if version == f"{sys.version_info.major}.{sys.version_info.minor}":
            continue  # the one that runs all tests
        python = interpreter(version)
        if python is None:
            print(f"--- Python {version} is not here: not tested", flush=True)
            statuses.append(1 if os.environ.get("CI") else 0)
            continue
        with tempfile.TemporaryDirectory() as folder:
            statuses.append(run_tests(version, python, Path(folder) / "venv"))
    return max(statuses, default=0)


if __name__ == "__main__":
    sys.exit(main())
