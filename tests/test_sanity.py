"""What would make a poor fit is told before it is run."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from operator import mul
from statistics import fmean, linear_regression, median

import pytest

from olmix_evalscript.sanity import FitData, explained, fit_warnings
from tests.factories import variant


def swarm(
    count: int = 16,
    domains: int = 3,
    metrics: int = 4,
    *,
    noise: float = 0.001,
    ratios: Sequence[Sequence[float]] | None = None,
) -> FitData:
    """A swarm whose results follow from its mixtures, but for noise."""
    draw = random.Random(1)
    if ratios is None:
        rows = [[draw.expovariate(1) for _ in range(domains)] for _ in range(count)]
        ratios = [[weight / sum(row) for weight in row] for row in rows]
    effects = [[draw.uniform(-1, 1) for _ in ratios[0]] for _ in range(metrics)]
    bpb = [
        [math.exp(sum(map(mul, row, effect)) + draw.gauss(0, noise)) for effect in effects]
        for row in ratios
    ]
    return FitData(
        variants=[variant(number) for number in range(len(ratios))],
        domains=[f"d{number}" for number in range(len(ratios[0]))],
        ratios=ratios,
        metrics=[f"m{number}" for number in range(metrics)],
        bpb=bpb,
    )


def test_a_good_swarm_gives_no_warning() -> None:
    assert fit_warnings(swarm()) == []


def test_fewer_variants_than_domains_give_a_warning() -> None:
    assert fit_warnings(swarm(3, 4)) == [
        "domains that the mixtures of 3 variants cannot tell from the others (if topics were "
        "pinned, use --priors with the generation config): d3"
    ]


def test_frozen_topics_that_are_columns_give_a_warning() -> None:
    good = swarm(16, 3)
    ratios = [
        [0.3 * a + 0.0001 * (i % 2), 0.7 * a, *rest] for i, (a, *rest) in enumerate(good.ratios)
    ]

    (warning,) = fit_warnings(swarm(ratios=ratios))

    assert warning.startswith(
        "domains that the mixtures of 16 variants cannot tell from the others"
    )
    assert warning.endswith(": d1")


def test_variants_with_the_same_mixture_or_results_give_a_warning() -> None:
    good = swarm()
    twins = replace(
        good,
        ratios=[good.ratios[1], *good.ratios[1:]],
        bpb=[*good.bpb[:-2], good.bpb[-1], good.bpb[-1]],
    )

    assert fit_warnings(twins) == [
        "variants 0-1 have the same mixture",
        "variants 14-15 have the same results",
    ]


def test_a_variant_named_after_another_gives_a_warning() -> None:
    good = swarm()
    name = good.variants[3].run_name
    retry = replace(good.variants[15], run=replace(good.variants[3].run, run_name=f"{name}-retry"))

    assert fit_warnings(replace(good, variants=[*good.variants[:15], retry])) == [
        f"named after another variant, as if it were run again: {name}-retry"
    ]


def test_a_metric_that_is_constant_gives_a_warning() -> None:
    good = swarm()
    bpb = [[0.5, *row[1:]] for row in good.bpb]

    assert fit_warnings(replace(good, bpb=bpb)) == ["the same BPB for all variants: m0"]


@pytest.mark.parametrize(("far", "is_told"), [(1, False), (2, False), (3, True)])
def test_a_variant_far_from_the_others_on_most_tasks_gives_a_warning(
    far: int, is_told: bool
) -> None:
    good = swarm()
    broken = [*[20 * value for value in good.bpb[5][:far]], *good.bpb[5][far:]]

    warnings = fit_warnings(replace(good, bpb=[*good.bpb[:5], broken, *good.bpb[6:]]))

    assert (
        warnings
        == [
            "far from the others on most tasks (over 6 median absolute deviations): "
            + good.variants[5].run_name
        ]
        * is_told
    )


def test_a_variant_that_is_far_for_its_mixture_s_sake_gives_no_warning() -> None:
    ratios = [[0.98 + number / 1000, 0.02 - number / 1000] for number in range(15)]

    assert fit_warnings(swarm(ratios=[*ratios, [0.3, 0.7]], noise=0)) == []


def test_how_well_mixtures_explain_results_is_the_leave_one_out_r2() -> None:
    data = swarm(domains=2, noise=0.2)
    shares = [row[0] for row in data.ratios]
    scores = {}
    for metric, values in zip(data.metrics, zip(*data.bpb, strict=True), strict=True):
        logs = [math.log(value) for value in values]
        errors = []
        for i, (share, log) in enumerate(zip(shares, logs, strict=True)):
            others = linear_regression(shares[:i] + shares[i + 1 :], logs[:i] + logs[i + 1 :])
            errors.append(log - others.intercept - others.slope * share)
        total = sum((log - fmean(logs)) ** 2 for log in logs)
        scores[metric] = 1 - sum(error**2 for error in errors) / total
    worst = min(scores, key=lambda metric: scores[metric])

    assert explained(data) == f"{median(scores.values()):.2f} median, {scores[worst]:.2f} {worst}"


@pytest.mark.parametrize(("count", "domains"), [(2, 3), (3, 3)])
def test_too_few_variants_explain_nothing(count: int, domains: int) -> None:
    assert explained(swarm(count, domains)) == ""
