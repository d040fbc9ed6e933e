"""Tables: on a terminal, as tab-separated text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from olmix_evalscript import snapshot
from olmix_evalscript.mixtures import mixtures
from olmix_evalscript.model import Experiment
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tables import (
    GAP,
    Column,
    Layout,
    Listed,
    Table,
    mixture_table,
    swarm_data,
    swarm_table,
    variant_table,
)
from tests.conftest import FIXTURES
from tests.factories import GROUP, START, experiment, job

RUN, OTHER = (f"mix-{GROUP}-{number:04d}" for number in (0, 1))

# --- what fits a terminal -----------------------------------------------------------------

NAMES = Column[Any]("run_name", "run name", lambda row: row[0], is_key=True)
STATUSES = Column[Any]("status", "status", lambda row: row[1], is_key=True, is_coloured=True)
USERS = Column[Any]("user", "user", lambda row: row[2])
ROWS = (
    ("a-rather-long-name-0001", "succeeded", "kylel"),
    ("a-rather-long-name-0002", "failed", "mayeec"),
)
TABLE = Table("variant", (NAMES, STATUSES, USERS), ROWS, ("2 variants",))


def heads(layout: Layout) -> list[str]:
    return [column.head.strip() for column in layout.columns]


def width(layout: Layout) -> int:
    return sum(column.width for column in layout.columns) + GAP * (len(layout.columns) - 1)


def test_what_all_rows_share_is_said_once_above() -> None:
    layout = Table("variant", (NAMES, USERS), [(name, "", "kylel") for name, *_ in ROWS]).fitted(80)

    assert layout.above == ("All variants:", "  user: kylel", "")
    assert heads(layout) == ["run name"]


def test_a_key_stays_a_column_though_all_its_cells_are_the_same() -> None:
    layout = Table("variant", (NAMES, STATUSES), [ROWS[0], ROWS[0]]).fitted(80)

    assert heads(layout) == ["run name", "status"]


def test_an_empty_column_is_not_mentioned() -> None:
    layout = Table("variant", (NAMES, USERS), [(name, "", "") for name, *_ in ROWS]).fitted(80)

    assert (heads(layout), layout.above) == (["run name"], ())


@pytest.mark.parametrize(
    ("limit", "names", "statuses", "below"),
    [
        (42, ["a-rather-long-name-0001", "a-rather-long-name-0002"], ["succeeded", "failed"], ()),
        (40, ["a-rather-long-name-0001", "a-rather-long-name-0002"], ["ok", "failed"], ()),
        (30, ["a-rath…me-0001", "a-rath…me-0002"], ["ok", "failed"], ()),
        (
            24,
            ["a-rathe…ame-0001", "a-rathe…ame-0002"],
            ["ok", "failed"],
            ("Not shown at this width: user",),
        ),
    ],
)
def test_a_table_that_is_too_wide_says_ok_then_cuts_names_then_drops_columns(
    limit: int, names: list[str], statuses: list[str], below: tuple[str, ...]
) -> None:
    layout = TABLE.fitted(limit)

    assert [list(column.cells) for column in layout.columns[:2]] == [names, statuses]
    assert layout.below == ("2 variants", *below)
    assert width(layout) <= limit


# --- the other forms ----------------------------------------------------------------------


def test_tab_separated_text_has_the_fields_and_a_line_for_each_row() -> None:
    assert Table("variant", (NAMES, USERS), ROWS[:1]).tab_separated() == (
        "run_name\tuser\na-rather-long-name-0001\tkylel\n"
    )


def test_a_cell_can_break_neither_line_nor_column() -> None:
    table = Table("variant", (NAMES, USERS), [("a\tb\nc\x1b[2J", "", "ü")])

    assert table.tab_separated().splitlines()[1] == "a?b?c?[2J\tü"


# --- variants and swarms ------------------------------------------------------------------


def evaluation(run: str, minutes: int, status: str = "succeeded") -> Experiment:
    return job("evaluate", f"{run}/step100", name="eval", minutes=minutes, status=status)


def column(layout: Layout, head: str) -> Sequence[str]:
    (found,) = [column for column in layout.columns if column.head.strip() == head]
    return found.cells


def row_of(table: Table[Any]) -> dict[str, str]:
    """The only row of tab-separated text."""
    fields, row = table.tab_separated().splitlines()
    return dict(zip(fields.split("\t"), row.split("\t"), strict=True))


def listed(*experiments: Experiment, script: str | None = None) -> Listed:
    return Listed(build_swarm(GROUP, experiments), script)


def test_a_run_name_links_to_the_experiment_that_counts() -> None:
    swarm = build_swarm(
        GROUP, [experiment(RUN, minutes=1), experiment(RUN, minutes=2, status="failed")]
    )

    layout = variant_table(swarm).fitted(80)

    assert layout.columns[1].urls == ("https://beaker.org/ex/01J00001",)


def test_numbers_are_aligned() -> None:
    swarm = build_swarm(GROUP, [experiment(f"mix-{GROUP}-{n:04d}") for n in (2, 10)])

    assert column(variant_table(swarm).fitted(80), "#") == (" 2", "10")


def test_evaluations_are_counted_successes_first() -> None:
    jobs = [evaluation(RUN, 1, "failed"), evaluation(RUN, 2, "failed"), evaluation(RUN, 3)]
    swarm = build_swarm(GROUP, [experiment(RUN), *jobs])

    assert row_of(variant_table(swarm))["evaluations"] == "1 succeeded, 2 failed"


def test_totals_count_a_job_that_evaluates_two_variants_once() -> None:
    both = job("evaluate", f"{RUN}/step100", f"{OTHER}/step100", minutes=1)
    swarm = build_swarm(GROUP, [experiment(RUN), experiment(OTHER, status="failed"), both])

    assert variant_table(swarm).below == (
        "2 variants: 1 succeeded, 1 failed",
        "1 evaluation: 1 succeeded",
    )


def test_a_swarm_that_cannot_be_read_has_a_table_of_heads() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN, cluster=None)])

    tables = (variant_table(swarm), mixture_table(swarm, mixtures(swarm)))

    layouts = [table.fitted(80) for table in tables]
    assert [(layout.columns[0].cells, layout.below) for layout in layouts] == [((), ())] * 2


def test_tab_separated_text_has_directories_links_notes_and_mixtures() -> None:
    source = ["-s", '("wiki",["s3://x"],1.0,1.0)']
    again = experiment(RUN, status="failed")

    row = row_of(
        variant_table(build_swarm(GROUP, [experiment(RUN, minutes=1, more=source), again]))
    )

    assert row["checkpoint_dir"] == f"s3://ai2-llm/checkpoints/kylel/{RUN}"
    assert row["experiments"].split(", ")[0] == "https://beaker.org/ex/01J00001"
    assert row["notes"] == "its launches differ in mixture; launched 2 times"
    assert row["sources"] == "wiki 1.0"


def test_a_source_that_cannot_be_read_is_null_in_json() -> None:
    swarm = build_swarm(GROUP, [experiment(RUN, more=["-s", "("])])

    assert swarm_data(swarm)["variants"][0]["sources"] is None


def test_a_swarm_is_a_row() -> None:
    table = swarm_table([listed(experiment(RUN), evaluation(RUN, 1), script="a.sh")])

    assert row_of(table) == {
        "group_id": GROUP,
        "name": "mix",
        "created": START.isoformat(),
        "variants": "1 succeeded",
        "unreadable": "0",
        "evaluations": "1 succeeded",
        "users": "kylel",
        "script": "a.sh",
        "clusters": "ai2/neptune-cirrascale",
        "trainers": "olmix",
    }


def test_unreadable_experiments_are_counted_with_the_variants() -> None:
    table = swarm_table([listed(experiment(RUN), experiment(OTHER, cluster=None))])

    assert column(table.fitted(80), "variants") == ("1 succeeded, 1 unreadable",)


def test_a_list_ends_with_the_totals_of_all_swarms() -> None:
    swarm = listed(experiment(RUN))

    assert swarm_table([swarm, swarm]).below == ("2 swarms", "2 variants: 2 succeeded")


def test_a_swarm_is_dated_by_its_newest_launch() -> None:
    day = timedelta(days=1) // timedelta(minutes=1)
    table = swarm_table([listed(experiment(RUN), experiment(OTHER, minutes=day))])

    assert column(table.fitted(80), "created") == ("2026-03-03",)


# --- mixtures -----------------------------------------------------------------------------


def mixed(*mixed: dict[str, float]) -> Table[Any]:
    """The table of a swarm with a variant of each mixture."""
    experiments = []
    for number, mixture in enumerate(mixed):
        sources = [f'("{name}",["s3://x"],{ratio},1.0)' for name, ratio in mixture.items()]
        more = [word for source in sources for word in ("-s", source)]
        experiments.append(experiment(f"mix-{GROUP}-{number:04d}", minutes=number, more=more))
    swarm = build_swarm(GROUP, experiments)
    return mixture_table(swarm, mixtures(swarm))


def test_the_domain_that_varies_most_comes_first() -> None:
    table = mixed(
        {"arxiv": 0.1, "wiki": 0.3, "code": 0.6}, {"arxiv": 0.12, "wiki": 0.5, "code": 0.38}
    )

    assert [column.field for column in table.columns[2:]] == ["code", "wiki", "arxiv"]


def test_programs_get_weights_in_full_precision_and_0_for_a_domain_that_is_missing() -> None:
    table = mixed({"wiki": 1.0}, {"wiki": 0.123456789012345, "code": 0.876543210987655})

    lines = [line.split("\t") for line in table.tab_separated().splitlines()]

    assert lines == [
        ["number", "run_name", "code", "wiki"],
        ["0", RUN, "0.0", "1.0"],
        ["1", OTHER, "0.876543210987655", "0.123456789012345"],
    ]


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
    table = mixed({"a": weight, "b": 1 - weight}, {"a": 1.0, "b": 0.0})

    assert column(table.fitted(80), "A")[0] == cell


def test_each_column_is_named_below_with_its_range() -> None:
    table = mixed({"wiki": 0.996, "code": 0.004}, {"wiki": 0.25, "code": 0.75})

    assert table.below == (
        "░ below 5 %, ▒ from 5 %, ▓ from 15 %, █ from 40 %",
        "2 domains, the one that varies most first:",
        "   A   <1 to  75 %  code",
        "   B   25 to 100 %  wiki",
    )


def test_domains_that_do_not_fit_are_named_below_with_their_ranges() -> None:
    even = {f"domain-{n:02d}": 0.025 for n in range(40)}

    layout = mixed(even, {**even, "domain-00": 0.035, "domain-01": 0.015}).fitted(40)

    assert heads(layout) == ["#", *"ABCDE"]
    assert layout.below[-1].startswith("Not shown at this width: F, G, H")
    assert "   F    2 to   2 %  domain-05" in layout.below
    assert "        2 to   2 %  domain-39" in layout.below


# --- real swarms --------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.yaml")), ids=lambda path: path.stem)
def test_tables_fit_80_columns(path: Path) -> None:
    group_id = yaml.safe_load(path.read_text())["group_id"]
    swarm = build_swarm(group_id, snapshot.load(path, group_id))
    tables = (variant_table(swarm), mixture_table(swarm, mixtures(swarm)))

    layouts = [
        *(table.fitted(80) for table in tables),
        swarm_table([Listed(swarm, "x")]).fitted(80),
    ]

    assert max(width(layout) for layout in layouts) <= 80
