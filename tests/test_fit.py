"""The fit's files have every number exactly, and nothing that is not comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from olmix_evalscript.config import Priors
from olmix_evalscript.errors import FitError
from olmix_evalscript.evaluator import Result
from olmix_evalscript.fit import (
    Collected,
    check_priors,
    collect,
    fit_yaml,
)
from olmix_evalscript.model import EvaluationJob
from olmix_evalscript.results import Results
from olmix_evalscript.tasks import Metric, metric
from tests.factories import GROUP, START, job, run_name, swarm_of

HALVES = {"wiki": 0.5, "web": 0.5}
TASKS = ("piqa:rc::olmes:full", "lambada", "mbpp:3shot:bpb::none")
METRICS = tuple(metric(task) for task in TASKS)


def results(*steps: Mapping[int, Mapping[str, float | None]]) -> Results:
    """Results of variant 0, 1, ..."""
    return Results([
        result(number, step, task, bpb)
        for number, found in enumerate(steps)
        for step, of_step in found.items()
        for task, bpb in of_step.items()
    ])  # fmt: skip


def result(number: int, step: int, task: str, bpb: float | None) -> Result:
    run = run_name(number)
    return Result(f"{run}_step{step}", run, step, False, task, bpb, START, "file:1", "bpb", 9, "a")


def everything(value: float = 0.8) -> dict[str, float | None]:
    return dict.fromkeys(TASKS, value)


def collected(
    *steps: Mapping[int, Mapping[str, float | None]], step: int | None = None
) -> Collected:
    return collect(swarm_of(*[HALVES] * len(steps)), results(*steps), METRICS, step=step)


def problems(found: Collected) -> dict[int, str]:
    """What is wrong with each variant that is not complete."""
    return {each.variant.number: each.problem for each in found.coverage if each.problem}


# --- results at one step ------------------------------------------------------------------


def test_the_step_of_more_than_half_of_the_variants_counts() -> None:
    found = collected({100: everything()}, {100: everything(), 200: everything()}, {200: {}})

    assert found.step == 100


def test_half_of_the_variants_are_not_most_of_them() -> None:
    with pytest.raises(FitError, match=r"at step 100 \(1 of 2 variants\). Choose one with --step"):
        collected({100: everything()}, {})


def test_a_step_can_be_chosen() -> None:
    both = {100: everything(0.9), 200: everything(0.8)}

    assert collected(both, both, step=100).bpb == [[0.9] * 3] * 2


def test_a_step_without_results_is_refused_with_one_that_has_them() -> None:
    with pytest.raises(FitError) as caught:
        collected({200: everything()}, {100: everything(), 200: everything()}, step=150)

    assert str(caught.value) == (
        "no results at step 150; there are results at step 200 (2 of 2 variants), "
        "100 (1 of 2 variants). Choose one with --step."
    )


def test_results_of_other_tasks_are_refused_with_the_options_for_them() -> None:
    with pytest.raises(FitError) as caught:
        collect(swarm_of(HALVES), Results(tasks=("a b", "winogrande")), METRICS)

    assert str(caught.value) == (
        f"the results of {GROUP} are of other tasks; to collect those, use -t 'a b' -t winogrande"
    )


def test_results_without_bpb_are_refused_as_such() -> None:
    with pytest.raises(FitError, match="are without bits per byte of these tasks, so a fit"):
        collected({100: dict.fromkeys(TASKS)})


def test_only_complete_variants_are_in_the_table_and_the_others_say_what_they_lack() -> None:
    rest = {task: 0.8 for task in TASKS if task != "lambada"}
    found = collected(
        {100: everything()},
        {100: everything()},
        {200: everything()},
        {100: rest},
        {100: everything()},
        {},
        {100: {**everything(), "lambada": None}},
        {100: {"lambada": None}},
    )

    assert [variant.number for variant in found.complete] == [0, 1, 4]
    assert problems(found) == {
        2: "no results at step 100, only at 200; evaluation jobs: none",
        3: "missing other (1 of 1): lambada; evaluation jobs: none",
        5: "no results; evaluation jobs: none",
        6: "without BPB other (1 of 1): lambada",
        7: "missing core (1 of 1), code (1 of 1): piqa:rc::olmes:full, mbpp:3shot:bpb::none; "
        "without BPB other (1 of 1): lambada; evaluation jobs: none",
    }


@pytest.mark.parametrize(
    ("found", "change", "needs_evaluation"),
    [
        ({}, {}, True),
        ({100: {"lambada": 0.8}}, {}, True),
        ({100: {**everything(), "lambada": None}}, {}, False),
        ({}, {"checkpoint_dir": "/tmp/mix/checkpoints/kylel/mix"}, False),
        ({}, {"evaluations": (EvaluationJob(job("evaluate", status="running"), 100),)}, False),
        ({}, {"evaluations": (EvaluationJob(job("evaluate", status="failed"), 100),)}, True),
        ({}, {"evaluations": (EvaluationJob(job("evaluate", status="running"), 200),)}, True),
    ],
    ids=["none", "some", "without BPB", "lost", "running", "failed", "another step"],
)
def test_a_variant_is_evaluated_again_if_that_can_give_what_it_lacks(
    found: dict[int, dict[str, float | None]], change: dict[str, Any], needs_evaluation: bool
) -> None:
    swarm = swarm_of(*[HALVES] * 3)
    swarm = replace(swarm, variants=(replace(swarm.variants[0], **change), *swarm.variants[1:]))

    at_100 = collect(swarm, results(found, {100: everything()}, {100: everything()}), METRICS)

    assert at_100.coverage[0].needs_evaluation == needs_evaluation


@pytest.mark.parametrize("others", [[{100: {**everything(), "lambada": None}}], [{}]])
def test_a_task_that_no_variant_has_a_bpb_of_is_skipped(
    others: list[dict[int, dict[str, float | None]]],
) -> None:
    without = {100: {**everything(), "lambada": None}}

    found = collected(without, without, *others)

    assert [metric.task for metric in found.metrics] == [TASKS[0], TASKS[2]]
    assert found.warnings == ("skipped, as the results are without BPB: lambada",)


def test_a_task_that_only_some_variants_were_evaluated_on_is_not_skipped() -> None:
    rest = {task: 0.8 for task in TASKS if task != "lambada"}

    found = collected({100: {**rest, "lambada": None}}, {100: rest}, {100: rest})

    assert (found.metrics, found.complete) == (METRICS, ())


def test_results_that_cannot_be_compared_are_refused() -> None:
    *others, last = results({100: everything()}, {100: everything()}).newest
    found = Results([*others, replace(last, num_instances=5)])

    with pytest.raises(FitError, match="cannot be compared: num_instances is 9 in"):
        collect(swarm_of(HALVES, HALVES), found, METRICS)


@pytest.mark.parametrize(
    "metrics",
    [
        [metric("minerva_math_algebra::olmes"), metric("minerva_math_algebra:bpb::olmes")],
        [Metric("lambada", "lambada", "a"), Metric("lambada", "lambada_again", "b")],
    ],
    ids=["one column of two tasks", "two columns of one task"],
)
def test_metrics_that_are_the_same_column_or_task_are_refused(metrics: list[Metric]) -> None:
    with pytest.raises(FitError, match="or the same task twice"):
        collect(swarm_of(HALVES), results({100: {m.task: 0.8 for m in metrics}}), metrics)


# --- fit.yaml -----------------------------------------------------------------------------

WIKI = Priors({"wiki": 1.0}, {"wiki": 1})
LAMBADA = [Metric("lambada", "lambada", "mine")]


def test_the_fit_has_paths_priors_and_metrics_by_family() -> None:
    priors = Priors({"wiki": 1e-05, "web": 0.5, "unused": 0.1}, {"wiki": 7, "web": 5, "unused": 1})
    metrics = (*METRICS, metric("hellaswag:rc::olmes:full"))

    text = fit_yaml(Path("/fit"), ("web", "wiki"), metrics, priors, {})

    assert yaml.safe_load(text) == {
        "swarm": {"ratios": "/fit/ratios.csv", "metrics": "/fit/metrics.csv"},
        "priors": {
            "relative_sizes": {"web": 0.5, "wiki": 1e-05},
            "token_counts": {"web": 5, "wiki": 7},
        },
        "eval": {
            "type": "offline",
            "tasks": {
                "core": ["piqa:rc::olmes", "hellaswag:rc::olmes"],
                "other": ["lambada"],
                "code": ["mbpp:3shot::none"],
            },
        },
        "proposer": {"kl_reg": 0.1},
    }


def test_settings_of_another_fit_are_carried_over() -> None:
    settings: dict[str, dict[str, Any]] = {
        "proposer": {"type": "search", "kl_reg": None},
        "constraints": {"enabled": True, "target_tokens": 10**12},
        "filtering": {"obj_weights": {"lambada": "7/52.0"}},
    }

    text = fit_yaml(Path("/fit"), ("wiki",), LAMBADA, WIKI, settings)

    found = yaml.safe_load(text)
    assert {name: found[name] for name in settings} == settings
    assert "kl_reg was chosen" not in text


@pytest.mark.parametrize("settings", [{}, {"proposer": {"type": "exact", "kl_reg": None}}])
def test_what_the_exact_proposer_needs_is_chosen_with_a_reason(
    settings: dict[str, dict[str, Any]],
) -> None:
    text = fit_yaml(Path("/fit"), ("wiki",), LAMBADA, WIKI, settings)

    assert yaml.safe_load(text)["proposer"]["kl_reg"] == 0.1
    assert "# kl_reg was chosen by olmix-evalscript: olmix's exact proposer fails" in text


def test_domains_that_priors_and_swarm_do_not_share_are_named() -> None:
    priors = Priors({"stack edu": 0.5, "wiki": 0.5}, {"stack edu": 1, "wiki": 1})

    with pytest.raises(FitError) as caught:
        check_priors(("stackedu", "wiki"), priors)

    assert str(caught.value) == (
        "the priors lack stackedu and have 'stack edu'. The trainer drops blanks and single quotes "
        "from names: drop them from the priors, too. Or do they belong to another config?"
    )
