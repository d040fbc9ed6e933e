"""The wheel and the sdist: complete, and of use without this repository."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from olmix_evalscript import __version__
from tests.conftest import FIXTURES

ROOT = Path(__file__).parent.parent
DATA = ["data/tasks.yaml", "py.typed", "templates/eval_script.sh"]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(["uv", "build", "--quiet", "--out-dir", folder, ROOT], check=True)
    return folder


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with nothing but the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("venv")
    (wheel,) = distributions.glob("*.whl")
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--python", folder / "bin/python", wheel], check=True
    )
    return folder / "bin"


def test_the_wheel_has_the_package_with_its_data_and_nothing_else(distributions: Path) -> None:
    (wheel,) = distributions.glob("*.whl")

    names = zipfile.ZipFile(wheel).namelist()

    assert {f"olmix_evalscript/{name}" for name in DATA} <= set(names)
    assert {name.split("/")[0] for name in names} == {
        "olmix_evalscript",
        f"olmix_evalscript-{__version__}.dist-info",
    }


def test_the_sdist_has_what_the_tests_need(distributions: Path) -> None:
    (sdist,) = distributions.glob("*.tar.gz")

    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {f"olmix_evalscript/{name}" for name in DATA} <= names
    assert {"tests/fake_beaker.py", "fixtures/58362402.yaml", "LICENSE", "README.md"} <= names


def test_the_wheel_runs_where_the_repository_is_not(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text((FIXTURES / "58362402.yaml").read_text())

    done = subprocess.run(
        [installed / "olmix-evalscript", "generate", "58362402", "--snapshot", "demo.yaml"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output/eval_scripts/olmix-58362402.sh").stat().st_size > 0
