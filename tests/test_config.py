"""What olmix's YAML files say about the evaluation and the fit, and the priors."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from olmix_evalscript.config import EvalConfig, Priors, load, load_priors
from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.tasks import Metric
from tests.conftest import FIXTURES

INLOOP = "eval: {type: inloop, tasks: {math: {gsm8k: eval/downstream/gsm8k (BPB v2)}}}\n"


def config(tmp_path: Path, text: str) -> EvalConfig:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return load(str(path))


def test_a_launch_yaml_has_tasks_cluster_and_backend(tmp_path: Path) -> None:
    tasks = "eval_tasks: ['arc_easy:rc::olmes', piqa]\n"

    found = config(tmp_path, tasks + "eval_cluster: h100\neval_model_backend: vllm\n")

    assert [metric.task for metric in found.metrics] == ["arc_easy:rc::olmes", "piqa"]
    assert (found.cluster, found.model_backend) == ("h100", "vllm")


@pytest.mark.parametrize("kind", ["type: offline, ", ""])
def test_a_fit_yaml_has_columns_by_family_that_mean_known_tasks(tmp_path: Path, kind: str) -> None:
    found = config(tmp_path, f"eval: {{{kind}tasks: {{a: ['arc_easy:rc::olmes'], b: ['c:d']}}}}\n")

    assert found.metrics == (
        Metric("arc_easy:rc::olmes:full", "arc_easy:rc::olmes", "a"),
        Metric("c:d", "c:d", "b"),
    )


def test_tasks_of_the_training_are_no_task_list(tmp_path: Path) -> None:
    assert config(tmp_path, INLOOP + "eval_cluster: h100\n").metrics == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "name: mix",
        "eval_tasks: lambada",
        "eval_tasks: [{a: b}]",
        "regression: log_linear",
        "filtering: {drop_metrics: piqa}",
        "eval_cluster: aus\neval_task: [piqa]",
        "eval_cluster: aus\neval_tasks: []",
        "eval: 5",
        "eval: {tasks: []}",
        "eval: {tasks: {math: lambada}}",
        "{",
        "\x00",
    ],
)
def test_an_unusable_config_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInputError, match="config"):
        config(tmp_path, text)


def test_a_missing_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"no\.yaml"):
        load(str(tmp_path / "no.yaml"))


FIT = """
eval: {tasks: {math: [lambada, piqa]}}
regression: {type: log_linear, seed: 3}
proposer: {kl_reg: null, type: search}
constraints: {enabled: true, target_tokens: 1_000_000_000_000}
filtering: {drop_metrics: [piqa], obj_weights: {lambada: 7/52.0}}
"""


def test_settings_of_a_fit_of_inloop_metrics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="an inloop eval block is about training"):
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


# --- priors -------------------------------------------------------------------------------

REUSE = FIXTURES / "mixture-reuse"
GENERATION = """
data:
  sources:
  - name: old
    topics: [{name: a, weight: 0.3}, {name: 'b:c', weight: 0.7}]
  - name: code
    topics: [{name: C}, {name: Go}]
  - name: wiki
priors:
  relative_sizes: {'old:a': 0.1, 'old:b:c': 0.2, 'code:C': 0.3, 'code:Go': 0.1, wiki: 0.3}
  token_counts: {'old:a': 10, 'old:b:c': 20, 'code:C': 30, 'code:Go': 10, wiki: 30}
"""


def priors(tmp_path: Path, text: str) -> Priors:
    path = tmp_path / "priors.yaml"
    path.write_text(text)
    return load_priors(path)


def test_priors_are_read_from_any_file_with_such_a_block(tmp_path: Path) -> None:
    text = """
name: mix
priors:
  relative_sizes: {wiki: 1e-05, "dclm:a": 0.99999}
  token_counts: {wiki: 45_000_000_000, "dclm:a": 1.5e10}
"""

    assert priors(tmp_path, text) == Priors(
        {"wiki": 1e-05, "dclm:a": 0.99999}, {"wiki": 45_000_000_000, "dclm:a": 15_000_000_000}
    )


def test_a_source_with_pinned_topics_is_one_domain(tmp_path: Path) -> None:
    found = priors(tmp_path, GENERATION)

    assert found.relative_sizes == pytest.approx(
        {"old": 0.3, "code:C": 0.3, "code:Go": 0.1, "wiki": 0.3}
    )
    assert found.token_counts == {"old": 30, "code:C": 30, "code:Go": 10, "wiki": 30}


def test_a_source_without_a_manual_prior_keeps_its_size_and_all_sum_to_one(tmp_path: Path) -> None:
    text = GENERATION + "swarm: {manual_prior: {old: 0.9}}\n"

    assert priors(tmp_path, text).relative_sizes == pytest.approx(
        {"old": 0.5625, "code:C": 0.1875, "code:Go": 0.0625, "wiki": 0.1875}
    )


@pytest.mark.parametrize(
    ("kind", "published"),
    [
        ("stage-1", {"dclm": 0.75, "stack-edu:C": 0.00865014067293728}),
        ("stage-2", {"existing": 0.7, "arxiv": 0.04, "s2pdfv2": 0.1}),
        ("stage-3", {"existing": 0.98, "s2pdfv1": 0.02}),
        ("stage-5", {"existing": 0.7}),
    ],
)
def test_the_priors_of_a_generation_config_are_those_of_its_published_fit(
    kind: str, published: dict[str, float]
) -> None:
    sizes = load_priors(REUSE / f"{kind}.yaml").relative_sizes

    assert {name: sizes[name] for name in published} == pytest.approx(published)
    assert math.fsum(sizes.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: mix", "expected a priors block"),
        ("priors: {relative_sizes: [1], token_counts: {}}", "expected a priors block"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {b: 1}}", "differ in a, b"),
        ("priors: {relative_sizes: {a: x}, token_counts: {}}", "'x'"),
        ("priors: {relative_sizes: {a: nan}, token_counts: {}}", "a has nan"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {a: -1}}", "a has -1"),
        ("priors: {relative_sizes: {a: 0}, token_counts: {a: 1}}", "relative_sizes are 0"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {a: 0}}", "a relative size, but no token"),
        (GENERATION + "swarm: {manual_prior: {web: 1}}", "has web, which is no source"),
        (GENERATION.replace("{name: C}", "{name: C, weight: 1}"), "code pins 1 of 2 topics"),
        (GENERATION + "swarm: {manual_topic_prior: {'code:C': 1}}", "has swarm.manual_topic_prior"),
        (GENERATION + "swarm: {manual_prior: {old: 0, code: 0, wiki: 0}}", "ZeroDivisionError"),
        (GENERATION.replace("- name: wiki", "- 5"), "in a generation config its data.sources and"),
    ],
)  # fmt: skip
def test_unusable_priors_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        priors(tmp_path, text)
