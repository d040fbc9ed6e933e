"""Experiments to a file and back."""

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


def trainer(run_name: str, *before: str) -> Experiment:
    return job(*before, *trainer_words(run_name))


def round_trip(folder: Path, *experiments: Experiment) -> list[Experiment]:
    path = folder / "snapshot.yaml"
    path.write_text(snapshot.dump(GROUP, experiments), encoding="utf-8")
    return snapshot.load(path, GROUP)


def test_a_swarm_survives(tmp_path: Path) -> None:
    experiments = [trainer("run-58362402-0000"), trainer("run-58362402-0001")]

    assert round_trip(tmp_path, *experiments) == experiments


def test_words_around_the_trainer_are_not_saved(tmp_path: Path) -> None:
    (saved,) = round_trip(tmp_path, trainer("run", "SECRET=x", "python"))

    assert saved.tasks[0].words[0] == "olmix/launch/train.py"


def test_other_jobs_are_not_saved(tmp_path: Path) -> None:
    assert round_trip(tmp_path, job("python", "-m", "oe_eval")) == []


def test_what_cannot_be_read_stays_unreadable(tmp_path: Path) -> None:
    broken = job("echo", "olmix/launch/train.py", "train", "-n", "x")
    missing = job(problem="its spec cannot be had")
    live = build_swarm(GROUP, [broken, missing]).unreadable

    assert build_swarm(GROUP, round_trip(tmp_path, broken, missing)).unreadable == live


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text())
def test_any_text_survives(
    tmp_path_factory: pytest.TempPathFactory, name: str, source: str
) -> None:
    source = source.encode(errors="ignore").decode()
    words = (*trainer("run").tasks[0].words, "-s", source)
    original = job(*words, name=name)

    assert round_trip(tmp_path_factory.mktemp("snapshot"), original) == [original]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "mapping"),
        ("{", "cannot read"),
        (TEXT.replace("version: '1'", "version: '2'"), "version is '2'"),
        (TEXT.replace("group_id: '58362402'", "group_id: '6cf425be'"), "holds group 6cf425be"),
        (TEXT.replace("status: succeeded", "status: splendid", 1), "not a status"),
        (TEXT.replace("2026-03-02T17:04:11Z", "yesterday"), "does not match"),
        (TEXT.replace("  author: kylel\n", "", 1), "'author' is missing"),
        (TEXT.replace("    - train\n", "    - [train]\n", 1), "not a list of strings"),
        (TEXT.replace("experiments:", "experiments: 5 #"), "cannot read"),
    ],
)
def test_what_is_no_snapshot_of_the_group_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)

    with pytest.raises(InvalidInputError, match=reason):
        snapshot.load(path, GROUP)


def test_a_missing_snapshot_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read the snapshot"):
        snapshot.load(tmp_path / "none.yaml", GROUP)


@given(st.text())
def test_no_text_is_beyond_it(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("snapshot") / "x.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")

    with pytest.raises(InvalidInputError, match="snapshot"):
        snapshot.load(path, GROUP)


def test_the_clusters_of_a_run_that_names_its_own_are_not_saved(tmp_path: Path) -> None:
    (saved,) = round_trip(tmp_path, experiment("run", constraints=("ai2/jupiter",)))

    assert saved.tasks[0].clusters == ()


def test_an_evaluation_of_a_run_is_saved_by_the_checkpoint_it_names(tmp_path: Path) -> None:
    evaluation = job("python", "oe_eval.py", "--secret", "s3://x/run/step100/", name="lmeval")

    _, saved = round_trip(tmp_path, experiment("run"), evaluation)

    assert saved.tasks[0].words == ("run_step100",)
