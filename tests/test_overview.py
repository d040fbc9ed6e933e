"""The overview: what tables, rows and data say of swarms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from olmix_evalscript.mixtures import mixtures
from olmix_evalscript.model import Experiment, Swarm
from olmix_evalscript.overview import (
    count_by_status,
    in_words,
    mixture_rows,
    mixture_table,
    per_cent,
    summary_data,
    swarm_rows,
    swarm_table,
    variant_rows,
    variant_table,
)
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tables import Table, fitted
from tests.factories import GROUP, START, experiment, job

RUN = f"mix-{GROUP}-0000"


def evaluation(run: str, minutes: int, status: str = "succeeded") -> Experiment:
    return job("evaluate", f"{run}/step100", name="eval", minutes=minutes, status=status)


def swarm_of(*mixed: dict[str, float]) -> Swarm:
    """A swarm with a variant of each mixture."""
    return build_swarm(
        GROUP,
        [
            experiment(
                f"mix-{GROUP}-{number:04d}",
                minutes=number,
                more=[
                    word
                    for domain, ratio in mixture.items()
                    for word in ("-s", f'("{domain}",["s3://x"],{ratio},1.0)')
                ],
            )
            for number, mixture in enumerate(mixed)
        ],
    )


def column(table: Table, head: str) -> Sequence[str]:
    (found,) = [column for column in table.columns if column.head.strip() == head]
    return found.cells


# --- variants and swarms ------------------------------------------------------------------


def test_a_run_name_links_to_the_experiment_that_counts() -> None:
    swarm = build_swarm(
        GROUP,
        [experiment(RUN, minutes=1), experiment(RUN, minutes=2, status="failed")],
    )

    assert variant_table(swarm).columns[1].urls == ("https://beaker.org/ex/01J00001",)


def test_numbers_are_aligned() -> None:
    swarm = build_swarm(GROUP, [experiment(f"mix-{GROUP}-{n:04d}") for n in (2, 10)])

    assert column(variant_table(swarm), "#") == (" 2", "10")


def test_evaluations_are_counted_successes_first() -> None:
    jobs = [evaluation(RUN, 1, "failed"), evaluation(RUN, 2, "failed"), evaluation(RUN, 3)]
    swarm = build_swarm(GROUP, [experiment(RUN), *jobs])

    assert column(variant_table(swarm), "evaluations") == ("1 succeeded, 2 failed",)


def test_the_totals_are_those_of_variants_and_evaluations() -> None:
    runs = [experiment(RUN), experiment(f"mix-{GROUP}-0001", status="failed")]
    swarm = build_swarm(GROUP, [*runs, evaluation(RUN, 1)])

    assert variant_table(swarm).below == (
        "2 variants: 1 succeeded, 1 failed",
        "1 evaluation: 1 succeeded",
    )


def test_a_job_that_evaluates_two_variants_counts_once() -> None:
    other = f"mix-{GROUP}-0001"
    both = job("evaluate", f"{RUN}/step100", f"{other}/step100", minutes=1)
    swarm = build_swarm(GROUP, [experiment(RUN), experiment(other), both])

    jobs = [job for variant in swarm.variants for job in variant.evaluations]
    assert in_words(count_by_status(jobs)) == "1 succeeded"


def test_a_swarm_that_cannot_be_read_has_a_table_of_heads() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN, cluster=None)])

    tables = (variant_table(swarm), mixture_table(swarm, mixtures(swarm), 80))

    assert [(fitted(table, 80).columns[0].cells, table.below) for table in tables] == [((), ())] * 2


def test_rows_have_directories_links_and_notes() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN, minutes=1), experiment(RUN, status="failed")])

    heads, row = variant_rows(swarm)

    assert dict(zip(heads, row, strict=True)) == {
        "variant": 0,
        "run name": RUN,
        "status": "succeeded",
        "evaluations": "",
        "user": "kylel",
        "cluster": "ai2/neptune-cirrascale",
        "checkpoints": f"s3://ai2-llm/checkpoints/kylel/{RUN}",
        "trainer": "olmix",
        "experiment": "https://beaker.org/ex/01J00001",
        "notes": "launched 2 times",
    }


def test_a_swarm_is_a_row() -> None:
    summary = summary_data(build_swarm(GROUP, [experiment(RUN), evaluation(RUN, 1)]), "a.sh")

    heads, row = swarm_rows([summary])

    assert dict(zip(heads, row, strict=True)) == {
        "group": GROUP,
        "swarm": "mix",
        "created": str(START.date()),
        "variants": "1 succeeded",
        "unreadable": 0,
        "evaluations": "1 succeeded",
        "user": "kylel",
        "script": "a.sh",
        "cluster": "ai2/neptune-cirrascale",
        "trainer": "olmix",
    }


def test_what_cannot_be_read_is_counted_with_the_variants() -> None:
    broken = experiment(f"mix-{GROUP}-0001", cluster=None)
    summary = summary_data(build_swarm(GROUP, [experiment(RUN), broken]), None)

    assert column(swarm_table([summary]), "variants") == ("1 succeeded, 1 unreadable",)


def test_a_list_ends_with_the_totals_of_all_swarms() -> None:
    summary = summary_data(build_swarm(GROUP, [experiment(RUN)]), None)

    assert swarm_table([summary, summary]).below == ("2 swarms", "2 variants: 2 succeeded")


def test_a_swarm_is_dated_by_its_newest_launch() -> None:
    day = timedelta(days=1) // timedelta(minutes=1)
    swarm = build_swarm(GROUP, [experiment(RUN), experiment(f"mix-{GROUP}-0001", minutes=day)])

    assert column(swarm_table([summary_data(swarm, None)]), "created") == ("2026-03-03",)


# --- mixtures -----------------------------------------------------------------------------


def test_the_domain_that_varies_most_comes_first() -> None:
    swarm = swarm_of(
        {"arxiv": 0.1, "wiki": 0.3, "code": 0.6}, {"arxiv": 0.12, "wiki": 0.5, "code": 0.38}
    )

    heads, *_ = mixture_rows(swarm, mixtures(swarm))

    assert heads == ("variant", "run name", "code", "wiki", "arxiv")


def test_rows_have_weights_in_full_precision() -> None:
    swarm = swarm_of({"wiki": 0.123456789012345, "code": 0.876543210987655})

    _, row = mixture_rows(swarm, mixtures(swarm))

    assert row == (0, RUN, 0.876543210987655, 0.123456789012345)


def test_a_domain_that_a_variant_lacks_weighs_nothing() -> None:
    swarm = swarm_of({"wiki": 1.0}, {"wiki": 0.5, "code": 0.5})

    assert mixture_rows(swarm, mixtures(swarm))[1] == (0, RUN, 0.0, 1.0)


@pytest.mark.parametrize(
    ("weight", "cell"),
    [
        (1.0, "100██"),
        (0.4, " 40██"),
        (0.39, " 39▓▓"),
        (0.15, " 15▓▓"),
        (0.05, "  5▒▒"),
        (0.049, "  5░░"),
        (0.004, " <1░░"),
        (0.0, "     "),
    ],
)
def test_a_weight_is_a_number_and_a_shade(weight: float, cell: str) -> None:
    swarm = swarm_of({"a": weight, "b": 1 - weight}, {"a": 1.0, "b": 0.0})

    assert column(mixture_table(swarm, mixtures(swarm), 80), "A")[0] == cell


def test_each_column_is_named_below_with_its_range() -> None:
    swarm = swarm_of({"wiki": 0.996, "code": 0.004}, {"wiki": 0.25, "code": 0.75})

    table = mixture_table(swarm, mixtures(swarm), 80)

    assert table.below[1:] == (
        "2 domains, the one that varies most first:",
        "   A   <1 to  75 %  code",
        "   B   25 to 100 %  wiki",
    )


def wide_swarm() -> Swarm:
    """A swarm of 40 domains, of which 0 varies most."""
    even = {f"domain-{n:02d}": 0.025 for n in range(40)}
    return swarm_of(even, {**even, "domain-00": 0.035, "domain-01": 0.015})


@pytest.mark.parametrize("width", [40, 80, 140, 400])
def test_domains_that_do_not_fit_are_summed(width: int) -> None:
    swarm = wide_swarm()

    table = mixture_table(swarm, mixtures(swarm), width)

    shown = len(table.columns) - 2
    assert sum(c.width for c in table.columns) + 2 * (len(table.columns) - 1) <= width
    assert table.columns[-1].head == "rest"
    assert table.below[-1].endswith(f"the other {40 - shown} domains")
    assert column(table, "rest")[0].strip("█▓▒░ ") == per_cent(0.025 * (40 - shown))


def test_domains_that_just_fit_are_not_summed() -> None:
    swarm = swarm_of({f"domain-{n:02d}": 0.1 for n in range(10)})

    table = mixture_table(swarm, mixtures(swarm), 1 + 10 * (5 + 2))

    assert [c.head.strip() for c in table.columns] == ["#", *"ABCDEFGHIJ"]
