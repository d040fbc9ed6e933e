"""What all tests share: a fake Beaker, the installed command, and no access to the network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest
import responses
from hypothesis import HealthCheck, settings

from olmix_evalscript.cli import main
from tests.fake_beaker import FakeBeaker, authority
from tests.storage import Bucket, need, s3_server

FIXTURES = Path(__file__).parent.parent / "fixtures"
DATE = "1767225600"  # 2026-01-01
Run = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[[FakeBeaker], FakeBeaker]

# A machine that is busy is no defect.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure() -> None:
    """Let no child inherit an ignored signal: it gets what is caught here back as the default."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for temporary files, of this process and of the commands that it runs."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def no_temporary_file_is_left(temporary: Path) -> Iterator[None]:
    """Fail the test that leaves a temporary file behind."""
    before = set(temporary.iterdir())
    yield
    assert set(temporary.iterdir()) == before


@pytest.fixture(autouse=True)
def no_http() -> Iterator[None]:
    """Fail the test in whose time this process makes an HTTP request, even one given up on."""
    with responses.RequestsMock() as requests:
        yield
        assert not list(requests.calls)


@pytest.fixture
def environment(tmp_path: Path, temporary: Path) -> dict[str, str]:
    """The environment of a user without a Beaker token; HTTP goes nowhere."""
    home = tmp_path / "home"
    home.mkdir()
    dead_end = "http://127.0.0.1:9"
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "BEAKER_CONFIG": str(home / ".beaker" / "config.yml"),
        "TMPDIR": str(temporary),
        "SOURCE_DATE_EPOCH": DATE,
        "HTTP_PROXY": dead_end,
        "HTTPS_PROXY": dead_end,
        "NO_PROXY": "localhost",
        "COLUMNS": "80",
        **{name: value for name, value in os.environ.items() if name.startswith("COV")},
    }


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """The bucket of checkpoints and results."""
    need("aws")
    with s3_server(tmp_path_factory.mktemp("s3"), "ai2-llm") as bucket:
        yield bucket


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str], capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process and in an empty folder."""
    folder = tmp_path / "work"
    folder.mkdir()

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        capfd.readouterr()
        with (
            mock.patch.dict(os.environ, {**environment, **more}, clear=True),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.chdir(folder)
            patch.setattr(sys, "argv", ["olmix-evalscript", *arguments])
            with pytest.raises(SystemExit) as end:
                main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def beaker_of(tmp_path: Path, environment: dict[str, str]) -> Iterator[Serve]:
    """Serve a Beaker, and make the installed command ask it."""
    with ExitStack() as stack:

        def serve(beaker: FakeBeaker) -> FakeBeaker:
            environment.update(stack.enter_context(beaker.running(tmp_path)))
            return beaker

        yield serve


@pytest.fixture(scope="session")
def beaker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Beaker configuration that this process reads."""
    folder = tmp_path_factory.mktemp("beaker")
    authority().cert_pem.write_to_path(folder / "ca.pem")  # gRPC reads it with the first call
    os.environ.pop("BEAKER_TOKEN", None)
    os.environ["BEAKER_CONFIG"] = str(folder / "beaker.yml")
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(folder / "ca.pem")
    return folder


@pytest.fixture
def serve(beaker_folder: Path) -> Iterator[Serve]:
    """Serve a Beaker, and make this process ask it."""
    with ExitStack() as stack:

        def serve(beaker: FakeBeaker) -> FakeBeaker:
            stack.enter_context(beaker.running(beaker_folder))
            return beaker

        yield serve
