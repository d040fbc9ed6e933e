"""What an olmix YAML file says about the evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from olmix_evalscript.config import EvalConfig, load
from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.tasks import Metric

INLOOP = "eval: {type: inloop, tasks: {math: {gsm8k: eval/downstream/gsm8k (BPB v2)}}}\n"


def config(tmp_path: Path, text: str) -> EvalConfig:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(path)


def test_a_launch_yaml_has_tasks_cluster_and_backend(tmp_path: Path) -> None:
    text = "name: mix\neval_tasks: [lambada, piqa]\neval_cluster: h100\neval_model_backend: vllm\n"

    assert config(tmp_path, text) == EvalConfig(("lambada", "piqa"), "h100", "vllm")


@pytest.mark.parametrize("kind", ["type: offline, ", ""])
def test_a_fit_yaml_has_its_offline_tasks_family_by_family(tmp_path: Path, kind: str) -> None:
    text = f"eval: {{{kind}tasks: {{math: [b, a], code: ['c:3shot::none']}}}}\n"

    assert config(tmp_path, text).tasks == ("b", "a", "c:3shot::none")


def test_a_name_in_a_fit_yaml_is_looked_up_among_the_known_tasks(tmp_path: Path) -> None:
    found = config(tmp_path, "eval: {tasks: {mine: ['arc_easy:rc::olmes', 'a:b']}}\n")

    assert found.tasks == ("arc_easy:rc::olmes:full", "a:b")
    assert found.metrics == (
        Metric("arc_easy:rc::olmes:full", "arc_easy:rc::olmes", "mine"),
        Metric("a:b", "a:b", "mine"),
    )


def test_a_name_in_a_launch_yaml_is_taken_as_it_is(tmp_path: Path) -> None:
    found = config(tmp_path, "eval_tasks: ['arc_easy:rc::olmes']\n")

    assert (found.tasks, found.metrics) == (("arc_easy:rc::olmes",), ())


def test_tasks_of_the_training_are_no_task_list(tmp_path: Path) -> None:
    found = config(tmp_path, INLOOP + "eval_cluster: h100\n")

    assert (found.tasks, found.has_inloop_tasks) == ((), True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "name: mix",
        "eval_tasks: lambada",
        "eval_tasks: []",
        "eval_tasks: [{a: b}]",
        "eval_cluster: [a]",
        "eval_cluster: ''",
        "regression: log_linear",
        "filtering: {drop_metrics: piqa}",
        "eval_cluster: aus\neval_task: [piqa]",
        "eval_cluster: aus\neval_tasks: []",
        "eval: 5",
        "eval: {tasks: []}",
        "eval: {tasks: {math: lambada}}",
        "eval: {tasks: {math: []}}",
        "{",
        "\x00",
    ],
)
def test_an_unusable_config_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInputError, match="config"):
        config(tmp_path, text)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no\.yaml"):
        load(tmp_path / "no.yaml")


FIT = """
eval: {tasks: {math: [lambada, piqa]}}
regression: {type: log_linear, seed: 3}
proposer: {kl_reg: null, type: search}
constraints: {enabled: true, target_tokens: 1_000_000_000_000}
filtering: {drop_metrics: [piqa], obj_weights: {lambada: 7/52.0}}
"""


def test_settings_of_a_fit_of_inloop_metrics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="inloop eval block is not a task list"):
        config(tmp_path, INLOOP + "regression: {seed: 3}\n")


def test_the_settings_of_a_fit_are_read_with_their_types(tmp_path: Path) -> None:
    found = config(tmp_path, FIT)

    assert found.fit == {
        "regression": {"type": "log_linear", "seed": 3},
        "proposer": {"kl_reg": None, "type": "search"},
        "constraints": {"enabled": True, "target_tokens": 10**12},
        "filtering": {"drop_metrics": ["piqa"], "obj_weights": {"lambada": "7/52.0"}},
    }
    assert found.drop_metrics == ("piqa",)
