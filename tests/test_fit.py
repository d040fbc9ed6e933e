"""The fit's files have every number exactly, and nothing that is not comparable."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript.config import Priors
from olmix_evalscript.errors import FitError
from olmix_evalscript.fit import (
    Collected,
    collect,
    fit_yaml,
    mixtures,
    numbers_to_evaluate,
    shortfall,
)
from olmix_evalscript.model import Swarm
from olmix_evalscript.results import Results
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tasks import Metric, metric, task_sets
from tests.factories import GROUP, experiment

HALVES = {"wiki": 0.5, "web": 0.5}
TASKS = ("piqa:rc::olmes:full", "lambada", "mbpp:3shot:bpb::none")
METRICS = tuple(metric(task) for task in TASKS)


def source(domain: str, ratio: float) -> str:
    return f"({ascii(domain).replace(chr(39), chr(34))},[],{ratio!r},1.0)"


def swarm_of(*commands: Sequence[str]) -> Swarm:
    """A swarm whose variants have these sources (-s)."""
    return build_swarm(
        GROUP,
        [
            experiment(name(number), more=[word for s in sources for word in ("-s", s)])
            for number, sources in enumerate(commands)
        ],
    )


def swarm(*ratios: Mapping[str, float]) -> Swarm:
    return swarm_of(*([source(domain, ratio) for domain, ratio in r.items()] for r in ratios))


def name(number: int) -> str:
    return f"mix-{GROUP}-{number:04d}"


def results(*steps: Mapping[int, Mapping[str, float | None]]) -> Results:
    """Results of variant 0, 1, ..."""
    return Results({name(number): found for number, found in enumerate(steps)})


def everything(value: float = 0.8) -> dict[str, float | None]:
    return dict.fromkeys(TASKS, value)


def collected(
    *steps: Mapping[int, Mapping[str, float | None]], step: int | None = None
) -> Collected:
    return collect(swarm(*[HALVES] * len(steps)), results(*steps), METRICS, step=step)


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


# --- ratios.csv ---------------------------------------------------------------------------


def test_a_variant_has_a_row_and_a_domain_a_column() -> None:
    found = swarm({"wiki": 0.25, "dclm:a": 0.75}, {"wiki": 1.0})

    assert mixtures(found).csv(found.variants) == (
        "run,name,index,dclm:a,wiki\n"
        f"{name(0)},{name(0)},0,0.75,0.25\n"
        f"{name(1)},{name(1)},1,0.0,1.0\n"
    )


def test_a_domain_that_no_written_row_has_is_no_column() -> None:
    found = swarm({"wiki": 1.0, "web": 0.0}, {"web": 1.0})

    assert mixtures(found).csv(found.variants[:1]).startswith("run,name,index,wiki\n")


@st.composite
def _mixtures(draw: st.DrawFn) -> dict[str, float]:
    # The trainers drop blanks and single quotes from a source, so none is in a domain's name.
    text = st.text(st.characters(codec="utf-8", exclude_characters=" '\\\""), min_size=1)
    names = draw(
        st.lists(
            text.filter(lambda t: t.isprintable() and not t.startswith("Unnamed")),
            min_size=1,
            max_size=6,
            unique=True,
        )
    )
    weights = draw(st.lists(st.floats(1e-9, 1), min_size=len(names), max_size=len(names)))
    return {n: w / math.fsum(weights) for n, w in zip(names, weights, strict=True)}


@given(_mixtures())
def test_any_mixture_is_read_back_as_the_same_numbers(mixture: dict[str, float]) -> None:
    found = swarm({f"d{domain}": ratio for domain, ratio in mixture.items()})

    head, row = rows(mixtures(found).csv(found.variants))

    numbers = {n: float(v) for n, v in zip(head[3:], row[3:], strict=True)}
    assert numbers == {f"d{domain}": ratio for domain, ratio in mixture.items()}


def test_the_forms_that_launchers_wrote_are_read() -> None:
    found = swarm_of(
        [
            '("wiki",["a"],0.5)',
            "('\"web\"', ['\"b\"'], 0.49999, 4.0)",
            '("code", ["c", "d"], 1e-05, 1.0)',
        ]
    )

    assert mixtures(found).ratios[name(0)] == {"wiki": 0.5, "web": 0.49999, "code": 1e-05}


def test_several_sources_of_one_domain_are_summed_and_mentioned() -> None:
    found = mixtures(swarm_of([source("wiki", 0.25), source("web", 0.5), source("wiki", 0.25)]))

    assert found.ratios[name(0)] == HALVES
    assert found.notes == ("variant 0: several sources of wiki, summed",)


@pytest.mark.parametrize("ratio", [0.4, 0.48, 0.52])
def test_ratios_that_do_not_sum_to_one_are_refused(ratio: float) -> None:
    with pytest.raises(FitError, match=rf"of variant 1 .* sum to {ratio + 0.5:g}, not to 1"):
        mixtures(swarm(HALVES, {"wiki": 0.5, "web": ratio}))


@pytest.mark.parametrize("ratio", [0.495, 0.505])
def test_ratios_may_sum_to_one_as_nearly_as_olmix_demands(ratio: float) -> None:
    assert mixtures(swarm({"wiki": 0.5, "web": ratio})).domains == ("web", "wiki")


def test_a_variant_without_sources_is_refused() -> None:
    with pytest.raises(FitError, match=r"of variant 0 .* sum to 0"):
        mixtures(swarm({}))


def test_a_source_that_cannot_be_read_names_its_variant() -> None:
    with pytest.raises(FitError, match=r"variant 1 \(.*\): its source .* cannot be read"):
        mixtures(swarm_of([source("wiki", 1.0)], ["(wiki"]))


@pytest.mark.parametrize("domain", ["run", "run_id", "name", "index", "Unnamed: 0", "\n", "\ud800"])
def test_a_domain_that_olmix_would_lose_is_refused(domain: str) -> None:
    with pytest.raises(FitError, match="olmix cannot read a domain called"):
        mixtures(swarm({domain: 1.0}))


# --- metrics.csv --------------------------------------------------------------------------


def test_a_metric_has_the_name_that_the_fit_gives_it() -> None:
    found = collected({100: {**everything(), "lambada": 0.7}})

    assert found.csv() == (
        "run,name,index,piqa:rc::olmes,lambada,mbpp:3shot::none\n"
        f"{name(0)},{name(0)},0,0.8,0.7,0.8\n"
    )


@given(st.lists(st.floats(0, allow_infinity=False), min_size=3, max_size=3))
def test_any_results_are_read_back_as_the_same_numbers(values: list[float]) -> None:
    found = collected({100: dict(zip(TASKS, values, strict=True))})

    assert [float(cell) for cell in rows(found.csv())[1][3:]] == values


def test_the_step_of_more_than_half_of_the_variants_counts() -> None:
    found = collected({100: everything()}, {100: everything(), 200: everything()}, {200: {}})

    assert found.step == 100


def test_half_of_the_variants_are_not_most_of_them() -> None:
    with pytest.raises(FitError, match=r"at step 100 \(1 of 2 variants\). Choose one with --step"):
        collected({100: everything()}, {})


def test_two_steps_of_most_variants_are_a_choice() -> None:
    both = {100: everything(), 200: everything()}

    with pytest.raises(FitError, match="more than one step is shared by more than half"):
        collected(both, both)


def test_a_step_can_be_chosen() -> None:
    both = {100: everything(0.9), 200: everything(0.8)}

    assert ",0.9," in collected(both, both, step=100).csv()


def test_a_step_without_results_is_refused_with_one_that_has_them() -> None:
    with pytest.raises(FitError) as caught:
        collected({200: everything()}, {100: everything(), 200: everything()}, step=150)

    assert str(caught.value) == (
        "no results at step 150, only at 100, 200: leave out --step, or use --step 200"
    )


def test_results_without_any_bits_per_byte_are_refused() -> None:
    with pytest.raises(FitError, match="no bits per byte of these tasks"):
        collected({}, {})


def test_only_complete_variants_are_in_the_table() -> None:
    found = collected(
        {100: everything()},
        {100: everything()},
        {200: everything()},
        {100: {**everything(), "lambada": None}},
        {100: everything()},
        {},
        {},
    )

    assert [row[2] for row in rows(found.csv())[1:]] == ["0", "1", "4"]
    assert shortfall(found) == [
        "variant 2: no results at step 100, only at 200",
        "variant 3: lacks other (1 of 1): lambada",
        "variants 5-6: no results",
    ]
    assert numbers_to_evaluate(found) == "2-3,5-6"


def test_a_task_that_no_variant_has_a_bpb_of_is_left_out() -> None:
    found = collected(*[{100: {**everything(), "lambada": None}}] * 2)

    assert (found.without_bpb, len(found.complete)) == (("lambada",), 2)


def test_a_task_that_only_some_variants_were_evaluated_on_is_not_left_out() -> None:
    rest = {task: 0.8 for task in TASKS if task != "lambada"}

    found = collected({100: {**rest, "lambada": None}}, {100: rest}, {100: rest})

    assert (found.without_bpb, shortfall(found)) == (
        (),
        ["variants 0-2: lacks other (1 of 1): lambada"],
    )


def test_a_task_is_left_out_even_if_a_variant_has_no_results() -> None:
    without = {100: {**everything(), "lambada": None}}

    found = collected(without, without, {})

    assert (found.without_bpb, len(found.complete)) == (("lambada",), 2)


def test_a_task_that_was_never_evaluated_is_lacked_by_all() -> None:
    found = collected({100: {"lambada": 0.8}})

    assert shortfall(found) == [
        "variant 0: lacks core (1 of 1), code (1 of 1): piqa:rc::olmes:full, mbpp:3shot:bpb::none"
    ]


def test_the_masked_perplexity_tasks_are_left_out_even_if_never_evaluated() -> None:
    metrics = [metric("lambada"), metric("ultrachat_masked_ppl")]

    found = collect(swarm(HALVES), results({100: {"lambada": 0.8}}), metrics)

    assert found.without_bpb == ("ultrachat_masked_ppl",)


def test_a_fit_s_own_metrics_are_not_left_out() -> None:
    metrics = [metric("lambada"), metric("ultrachat_masked_ppl")]

    with pytest.raises(FitError, match="no bits per byte of ultrachat_masked_ppl"):
        collect(swarm(HALVES), results({100: {"lambada": 0.8}}), metrics, exact=True)


def test_some_of_mmlu_is_refused() -> None:
    some = [metric("mmlu_anatomy:rc::olmes"), metric("lambada")]

    with pytest.raises(FitError, match=r"needs all 57 subjects of MMLU or none; mmlu_abstract_alg"):
        collect(swarm(HALVES), results({100: {m.task: 0.8 for m in some}}), some)


def test_all_of_mmlu_and_its_averages_are_taken() -> None:
    whole = [metric(task) for task in task_sets()["olmo3-offline"]["mmlu"]]
    averages = [metric("mmlu_stem:rc::olmes")]

    for metrics in (whole, averages):
        found = collect(swarm(HALVES), results({100: {m.task: 0.8 for m in metrics}}), metrics)
        assert found.metrics == tuple(metrics)


def test_results_that_cannot_be_compared_are_refused_at_their_step() -> None:
    steps = {100: everything(), 200: everything()}
    found = replace(results(steps, steps), conflicts={200: "they cannot be compared"})

    assert collect(swarm(HALVES, HALVES), found, METRICS, step=100).step == 100
    with pytest.raises(FitError, match="they cannot be compared"):
        collect(swarm(HALVES, HALVES), found, METRICS, step=200)


def test_one_task_in_two_columns_is_refused() -> None:
    twice = [Metric("lambada", "lambada", "a"), Metric("lambada", "lambada:full", "a")]

    with pytest.raises(FitError, match="lambada and lambada:full are the same task, lambada"):
        collect(swarm(HALVES), results({100: everything()}), twice)


def test_a_later_step_with_results_is_doubtful() -> None:
    found = collected({100: everything(), 200: everything()}, *[{100: everything()}] * 2)

    assert (found.step, found.warnings) == (
        100,
        ("1 variant also evaluated at the later step 200",),
    )


def test_a_step_that_was_asked_for_is_not_doubtful() -> None:
    found = collected({100: everything(), 200: everything()}, {100: everything()}, step=100)

    assert found.warnings == ()


def test_two_tasks_that_share_a_column_are_refused() -> None:
    metrics = [metric("minerva_math_algebra::olmes"), metric("minerva_math_algebra:bpb::olmes")]

    with pytest.raises(FitError, match=r"minerva_math_algebra::olmes and .*:bpb::olmes share"):
        collect(swarm(HALVES), Results({}), metrics)


def test_a_variant_whose_checkpoints_are_lost_is_not_evaluated_again() -> None:
    lost = build_swarm(
        GROUP, [experiment(name(0), script="src/regmixer/train.py", weka=False, minutes=0)]
    )

    found = collect(lost, results({}), METRICS, step=100)

    assert (len(found.lacking), numbers_to_evaluate(found)) == (1, "")


# --- fit.yaml -----------------------------------------------------------------------------


def test_the_fit_has_paths_priors_and_metrics_by_family() -> None:
    priors = Priors({"wiki": 1e-05, "web": 0.5, "unused": 0.1}, {"wiki": 7, "web": 5, "unused": 1})
    metrics = (*METRICS, metric("hellaswag:rc::olmes:full"))

    text = fit_yaml(Path("/fit"), ("web", "wiki"), metrics, priors)

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


def test_domains_that_priors_and_swarm_do_not_share_are_named() -> None:
    priors = Priors({"dclm_a": 0.5, "wiki": 0.5}, {"dclm_a": 1})

    with pytest.raises(FitError) as caught:
        fit_yaml(Path("/fit"), ("dclm:a", "wiki"), METRICS, priors)

    assert str(caught.value) == (
        "the priors' relative_sizes lack dclm:a; the priors' token_counts lack dclm:a, wiki; "
        "ratios.csv does not have dclm_a. Do they belong to another config?"
    )


def test_a_family_of_the_fit_s_own_is_kept() -> None:
    priors = Priors({"wiki": 1.0}, {"wiki": 1})

    text = fit_yaml(Path("/fit"), ("wiki",), [Metric("lambada", "lambada", "mine")], priors)

    assert yaml.safe_load(text)["eval"]["tasks"] == {"mine": ["lambada"]}
