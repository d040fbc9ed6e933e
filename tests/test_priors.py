"""Priors are those that olmix's generator uses, by source and topic."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.priors import Priors, load_priors
from tests.conftest import FIXTURES

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


def test_a_manual_prior_is_split_over_free_topics_by_their_sizes(tmp_path: Path) -> None:
    text = GENERATION + "swarm: {manual_prior: {old: 0.5, code: 0.4, wiki: 0.1}}\n"

    assert priors(tmp_path, text).relative_sizes == pytest.approx(
        {"old": 0.5, "code:C": 0.3, "code:Go": 0.1, "wiki": 0.1}
    )


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
        ("name: mix", "no priors block"),
        ("priors: {}", "relative_sizes does not map"),
        ("priors: {relative_sizes: [1], token_counts: {}}", "relative_sizes does not map"),
        ("priors: {relative_sizes: {a: 1}}", "token_counts does not map"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {b: 1}}", "differ in a, b"),
        ("priors: {relative_sizes: {a: x}, token_counts: {}}", "a has 'x'; expected a number"),
        ("priors: {relative_sizes: {a: nan}, token_counts: {}}", "a has 'nan'"),
        ("priors: {relative_sizes: {a: -1}, token_counts: {}}", "a has -1"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {a: 1.5}}", "a has 1.5"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {a: -1}}", "a has -1"),
        ("priors: {relative_sizes: {a: yes}, token_counts: {}}", "a has True"),
        ("priors: {relative_sizes: {a: 0}, token_counts: {a: 1}}", "relative_sizes are 0"),
        ("priors: {relative_sizes: {a: 1}, token_counts: {a: 0}}", "size 1, but no tokens"),
        (GENERATION + "swarm: {manual_prior: {old: 0, code: 0, wiki: 0}}", "not those of"),
        (GENERATION + "swarm: {manual_prior: {web: 1}}", "has web, which is no source"),
        (GENERATION.replace("{name: C}", "{name: C, weight: 1}"), "code pins 1 of 2 topics"),
        (GENERATION + "swarm: {manual_topic_prior: {'code:C': 1}}", "has swarm.manual_topic_prior"),
        ("data: {sources: [5]}\npriors: {relative_sizes: {a: 1}, token_counts: {a: 1}}", "not th"),
    ],
)  # fmt: skip
def test_unusable_priors_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        priors(tmp_path, text)
