"""What all tests share: a Beaker to ask, the installed command, and no way out to the network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import responses

from tests.fake_beaker import FakeBeaker

FIXTURES = Path(__file__).parent.parent / "fixtures"
DATE = "1767225600"  # 2026-01-01
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def no_http() -> Iterator[None]:
    """Fail any HTTP request that this process makes."""
    with responses.RequestsMock():
        yield


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a user without a Beaker token; HTTP goes nowhere."""
    home = tmp_path / "home"
    home.mkdir()
    dead_end = "http://127.0.0.1:9"
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "SOURCE_DATE_EPOCH": DATE,
        "HTTP_PROXY": dead_end,
        "HTTPS_PROXY": dead_end,
        "NO_PROXY": "localhost",
        "COLUMNS": "80",
        **{name: value for name, value in os.environ.items() if name.startswith("COV")},
    }


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run the installed command in an empty folder; give up after a minute."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["olmix-evalscript", *arguments],
            cwd=folder,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def beaker_of(
    tmp_path: Path, environment: dict[str, str]
) -> Iterator[Callable[[FakeBeaker], FakeBeaker]]:
    """Serve a Beaker, and make the command ask it."""
    with ExitStack() as stack:

        def serve(beaker: FakeBeaker) -> FakeBeaker:
            environment.update(stack.enter_context(beaker.running(tmp_path)))
            return beaker

        yield serve
