"""Snapshots: what they keep of experiments, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript import snapshot
from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import Experiment
from olmix_evalscript.swarm import build_swarm
from tests.conftest import FIXTURES
from tests.factories import GROUP, experiment, job, trainer_words

TEXT = (FIXTURES / f"{GROUP}.yaml").read_text()


def round_trip(folder: Path, *experiments: Experiment) -> list[Experiment]:
    path = folder / "snapshot.yaml"
    path.write_text(snapshot.dump(GROUP, experiments), encoding="utf-8")
    return snapshot.load(path, GROUP)


def test_only_the_trainers_words_are_saved(tmp_path: Path) -> None:
    secret = job("SECRET=x", "python", *trainer_words("run"))

    assert round_trip(tmp_path, secret) == [job(*trainer_words("run"))]


def test_other_jobs_are_not_saved(tmp_path: Path) -> None:
    assert round_trip(tmp_path, job("python", "-m", "oe_eval")) == []


def test_what_cannot_be_read_stays_unreadable(tmp_path: Path) -> None:
    missing = job(problem="Beaker does not give its spec")
    live = build_swarm(GROUP, [missing]).unreadable

    assert build_swarm(GROUP, round_trip(tmp_path, missing)).unreadable == live


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    original = job(*trainer_words("run", more=("-s", text)), name=text)

    assert round_trip(tmp_path_factory.mktemp("snapshot"), original) == [original]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "mapping"),
        ("{", "cannot read the snapshot"),
        (TEXT.replace("version: '1'", "version: '2'"), "version is '2'"),
        (TEXT.replace("status: succeeded", "status: splendid", 1), "not a status"),
        (TEXT.replace("2026-03-02T17:04:11Z", "yesterday"), "does not match"),
        (TEXT.replace("  status: succeeded\n", "", 1), "'status' is missing"),
        (TEXT.replace("    - train\n", "    - [train]\n", 1), "not a list of strings"),
    ],
)
def test_a_file_that_is_no_snapshot_of_the_group_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)

    with pytest.raises(InvalidInputError, match=reason):
        snapshot.load(path, GROUP)


def test_an_evaluation_is_saved_by_the_checkpoint_it_names(tmp_path: Path) -> None:
    evaluation = job("python", "oe_eval.py", "--secret", "s3://x/run/step100/", name="lmeval")

    _, saved = round_trip(tmp_path, experiment("run"), evaluation)

    assert saved.tasks[0].words == ("run_step100",)
