"""Tables: on a terminal, as tab-separated text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from olmix_evalscript.mixtures import mixtures
from olmix_evalscript.model import Experiment, Swarm
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tables import (
    SWARM_COLUMNS,
    Column,
    Table,
    mixture_table,
    swarm_data,
    variant_table,
)
from tests.factories import GROUP, START, experiment, job, swarm_of

RUN, OTHER = (f"mix-{GROUP}-{number:04d}" for number in (0, 1))


def table_of(*rows: Sequence[str]) -> Table[Any]:
    names = Column[Any]("run_name", lambda row: row[0], head="run name")
    return Table((names, Column("user", lambda row: row[1])), rows)


def test_tab_separated_text_has_the_fields_and_a_line_for_each_row() -> None:
    assert table_of(("mix-0001", "kylel")).tab_separated() == "run_name\tuser\nmix-0001\tkylel\n"


def test_a_cell_can_break_neither_line_nor_column() -> None:
    text = table_of(("a\tb\nc\x1b[2J", "ü")).tab_separated()

    assert text.splitlines()[1] == "a?b?c?[2J\tü"


# --- variants and swarms ------------------------------------------------------------------


def evaluation(run: str, minutes: int, status: str = "succeeded") -> Experiment:
    return job("evaluate", f"{run}/step100", name="eval", minutes=minutes, status=status)


def cells(table: Table[Any], field: str) -> list[str]:
    """What a terminal shows of a column."""
    (column,) = [column for column in table.columns if column.field == field]
    return [column.cell_of(row) for row in table.rows]


def row_of(table: Table[Any]) -> dict[str, str]:
    """The only row of tab-separated text."""
    fields, row = table.tab_separated().splitlines()
    return dict(zip(fields.split("\t"), row.split("\t"), strict=True))


def listed(*experiments: Experiment) -> Table[Swarm]:
    return Table(SWARM_COLUMNS, [build_swarm(GROUP, experiments)])


def test_what_variants_share_is_above_and_all_values_where_they_differ() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN), experiment(OTHER, user="MAYEEC")])

    assert list(variant_table(swarm).above) == [
        "user: kylel, mayeec",
        "cluster: ai2/neptune-cirrascale",
        "trainer: olmix",
        "checkpoint root: s3://ai2-llm/checkpoints/kylel, s3://ai2-llm/checkpoints/mayeec",
    ]


def test_evaluations_are_counted_successes_first() -> None:
    jobs = [evaluation(RUN, 1, "failed"), evaluation(RUN, 2, "failed"), evaluation(RUN, 3)]
    swarm = build_swarm(GROUP, [experiment(RUN), *jobs])

    assert row_of(variant_table(swarm))["evaluations"] == "1 succeeded, 2 failed"


def test_totals_count_a_job_that_evaluates_two_variants_once() -> None:
    both = job("evaluate", f"{RUN}/step100", f"{OTHER}/step100", minutes=1)
    swarm = build_swarm(GROUP, [experiment(RUN), experiment(OTHER, status="failed"), both])

    assert list(variant_table(swarm).below) == [
        "2 variants: 1 succeeded, 1 failed",
        "1 evaluation: 1 succeeded",
    ]


def test_a_swarm_that_cannot_be_read_has_a_table_of_heads() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN, cluster=None)])

    for table in (variant_table(swarm), mixture_table(swarm, mixtures(swarm))):
        assert (list(table.rows), list(table.above), list(table.below)) == ([], [], [])


def test_tab_separated_text_has_directories_links_notes_and_mixtures() -> None:
    source = ["-s", '("wiki",["s3://x"],1.0,1.0)']
    again = experiment(RUN, status="failed")

    row = row_of(
        variant_table(build_swarm(GROUP, [experiment(RUN, minutes=1, more=source), again]))
    )

    assert row["checkpoint_dir"] == f"s3://ai2-llm/checkpoints/kylel/{RUN}"
    assert row["experiments"].split(", ")[0] == "https://beaker.org/ex/01J00001"
    assert row["notes"] == "its launches differ in mixture"
    assert row["sources"] == "wiki 1.0"


def test_a_source_that_cannot_be_read_is_null_in_json() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN, more=["-s", "("])])

    assert swarm_data(swarm)["variants"][0]["sources"] is None


def test_a_swarm_is_a_row() -> None:
    table = listed(experiment(RUN), evaluation(RUN, 1))

    assert row_of(table) == {
        "group_id": GROUP,
        "name": "mix",
        "created": START.isoformat(),
        "variants": "1 succeeded",
        "unreadable": "0",
        "evaluations": "1 succeeded",
        "users": "kylel",
        "clusters": "ai2/neptune-cirrascale",
        "trainers": "olmix",
    }


def test_unreadable_experiments_are_counted_with_the_variants() -> None:
    table = listed(experiment(RUN), experiment(OTHER, cluster=None))

    assert cells(table, "variants") == ["1 succeeded, 1 unreadable"]


def test_a_swarm_is_dated_by_its_newest_launch() -> None:
    day = timedelta(days=1) // timedelta(minutes=1)
    table = listed(experiment(RUN), experiment(OTHER, minutes=day))

    assert cells(table, "created") == ["2026-03-03"]


# --- mixtures -----------------------------------------------------------------------------

MIXED = swarm_of({"wiki": 1.0}, {"wiki": 0.123456789012345, "code": 0.876543210987655})


def test_a_terminal_has_the_largest_domain_of_each_variant_first() -> None:
    table = mixture_table(MIXED, mixtures(MIXED))

    assert cells(table, "run_name") == ["wiki 100 %", "code 87.7 %, wiki 12.3 %"]


def test_programs_get_weights_in_full_precision_and_0_for_a_domain_that_is_missing() -> None:
    text = mixture_table(MIXED, mixtures(MIXED)).tab_separated()

    assert [line.split("\t") for line in text.splitlines()] == [
        ["number", "run_name", "code", "wiki"],
        ["0", RUN, "0.0", "1.0"],
        ["1", OTHER, "0.876543210987655", "0.123456789012345"],
    ]
