"""The function that a launcher calls right after submitting."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmix_evalscript import generate_eval_script
from olmix_evalscript.errors import EvalScriptError, InvalidInputError
from tests.conftest import DATE, Run, Serve
from tests.fake_beaker import FakeBeaker, variants

RUN_NAMES = [f"verify-tokens-140m-58362402-{number:04d}" for number in range(3)]


def generate(tmp_path: Path, **change: object) -> Path:
    arguments: dict[str, object] = {
        "run_names": RUN_NAMES,
        "user": "KYLEL",
        "cluster": "ai2/neptune-cirrascale",
        "weka": False,
        "output_dir": tmp_path / "scripts",
    }
    return generate_eval_script("58362402", **{**arguments, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "options"),
    [({}, ()), ({"tasks": ["lambada", "a:b"]}, ("-t", "lambada", "-t", "a:b"))],
)
def test_it_writes_the_bytes_that_generate_writes_later(
    tmp_path: Path,
    run: Run,
    beaker_of: Serve,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    options: tuple[str, ...],
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", DATE)
    at_launch = generate(tmp_path, **change).read_text()
    beaker_of(FakeBeaker(variants(3)))

    assert run("generate", "58362402", "-o", "-", *options).stdout == at_launch


def test_the_script_is_named_by_the_group_and_can_be_executed(tmp_path: Path) -> None:
    path = generate(tmp_path)

    assert path == tmp_path / "scripts" / "olmix-58362402.sh"
    assert path.stat().st_mode & 0o777 == 0o755


def test_weka_runs_are_looked_for_on_weka(tmp_path: Path) -> None:
    path = generate(tmp_path, cluster="ai2/jupiter-cirrascale-2", weka=True)

    root = "ROOT='/weka/oe-training-default/ai2-llm/checkpoints/kylel'"
    assert root in path.read_text()


def test_the_header_takes_the_swarms_name(tmp_path: Path) -> None:
    path = generate(tmp_path, run_names=["web", "code"], swarm_name="by-hand")

    assert "variants of swarm by-hand (group 58362402)" in path.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"run_names": ["-rf"]}, "run name"),
        ({"run_names": ["a b"]}, "run name"),
        ({"run_names": []}, "no variant of 58362402"),
        ({"run_names": "verify-58362402-0000"}, "run_names is one text: expected a list"),
        ({"user": "a/b"}, "user"),
        ({"cluster": "a;b"}, "cluster"),
        ({"tasks": ["a;b"]}, "not a task name"),
        ({"tasks": "lambada"}, "tasks is one text: expected a list"),
    ],
)
def test_a_wrong_argument_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(EvalScriptError, match=message):
        generate(tmp_path, **change)


def test_a_wrong_group_id_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="not a group ID"):
        generate_eval_script("x", run_names=["a"], user="k", cluster="c", weka=False)
