"""Swarms: which experiments make up one, in what order, and with which warnings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.model import Experiment, Swarm, Task
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.swarm import all_swarms, build_swarm
from olmix_evalscript.text import check_group_id, ranges
from tests.factories import GROUP, START, experiment, job, settings


def numbered(*numbers: int, **fields: object) -> list[Experiment]:
    return [experiment(f"mix-{GROUP}-{number:04d}", **fields) for number in numbers]  # type: ignore[arg-type]


def with_each(option: str, *values: str) -> list[Experiment]:
    """A variant for each value of an option."""
    return [
        experiment(f"mix-{GROUP}-{number:04d}", more=(option, value))
        for number, value in enumerate(values)
    ]


def swarm(*experiments: Experiment, **options: str) -> Swarm:
    return build_swarm(GROUP, experiments, **options)


def test_variants_come_in_the_order_of_their_numbers() -> None:
    found = swarm(*numbered(10, 2, 0, 1))

    assert [variant.number for variant in found.variants] == [0, 1, 2, 10]


def test_a_swarm_named_by_hand_is_named_by_what_all_begin_with() -> None:
    assert swarm(experiment("mix-heavy-code"), experiment("mix-natural")).name == "mix"


def test_regmixers_first_names_have_the_number_first() -> None:
    found = swarm(experiment(f"dclm-0003-{GROUP}", script="src/regmixer/train.py"))

    assert (found.name, found.variants[0].number) == ("dclm", 3)


def test_names_without_a_number_are_numbered_by_name_after_the_others() -> None:
    found = swarm(experiment("web"), experiment("code"), *numbered(4))

    assert [(v.number, v.run_name) for v in found.variants] == [
        (4, f"mix-{GROUP}-0004"),
        (5, "code"),
        (6, "web"),
    ]


def test_runs_that_share_a_number_are_all_in_the_script() -> None:
    found = swarm(*numbered(0, 3), experiment(f"b-{GROUP}-0003"))

    script = render(found, Evaluation(("lambada",), "mine"), START.date())

    assert [run.rpartition("/")[2] for run in settings(script, "RUNS")] == [
        f"mix-{GROUP}-0000",
        f"mix-{GROUP}-0003",
        f"b-{GROUP}-0003",
    ]


def test_replicas_are_one_variant() -> None:
    assert len(swarm(experiment("code", tasks=4)).variants) == 1


def test_a_relaunch_under_another_name_is_the_same_variant() -> None:
    first, again = numbered(3)[0], experiment(f"mix-{GROUP}-0003", name="mix-0003-3f9c", minutes=9)

    (variant,) = swarm(first, again).variants

    assert [e.name for e in variant.experiments] == ["mix-0003-3f9c", f"mix-{GROUP}-0003"]


def test_a_success_counts_before_a_newer_failure() -> None:
    (variant,) = swarm(
        *numbered(0, status="succeeded"), *numbered(0, status="failed", minutes=5)
    ).variants

    assert variant.status == "succeeded"


def test_relaunches_that_saved_elsewhere_are_a_warning() -> None:
    found = swarm(*numbered(0), *numbered(0, cluster="ai2/augusta-google-1", minutes=5))

    assert found.variants[0].checkpoint_dir.startswith("gs://")
    assert "other launches saved to s3://ai2-llm/checkpoints/kylel" in found.warnings[0]


def test_only_variants_of_the_wanted_status_are_kept() -> None:
    found = swarm(*numbered(0), *numbered(1, status="failed"), status="succeeded")

    assert [variant.number for variant in found.variants] == [0]
    assert found.other_statuses == ("failed",)


def test_a_checkpoint_root_overrides_every_rule() -> None:
    (variant,) = swarm(*numbered(0), checkpoint_root="/weka/oe-data-default/moved").variants

    assert variant.checkpoint_dir == f"/weka/oe-data-default/moved/mix-{GROUP}-0000"


@pytest.mark.parametrize("option", ["cluster", "user"])
def test_a_command_without_cluster_or_user_cannot_be_read(option: str) -> None:
    assert "does not name" in swarm(*numbered(0, **{option: None})).unreadable[0]


@pytest.mark.parametrize(
    ("experiments", "warning"),
    [
        (numbered(0, 1, 5, 7), "no experiment was found for variants 2-4, 6"),
        (numbered(0) + numbered(1, user="MAYEEC"), "more than one user: kylel"),
        (numbered(0) + numbered(1, cluster="ai2/rhea"), "more than one cluster: ai2/neptune"),
        (numbered(0) + numbered(1, weka=True), "more than one checkpoint root: s3://"),
        (
            numbered(0) + numbered(1, script="src/regmixer/train.py"),
            "more than one trainer: olmix (1), regmixer (1: variant 1)",
        ),
        ([*numbered(0), experiment(f"b-{GROUP}-0001")], "swarm name: mix (1), b (1: variant 1)"),
        (
            [*numbered(0, 1), experiment(f"b-{GROUP}-0000")],
            f"more than one run has the number 0: b-{GROUP}-0000 got 2",
        ),
        (with_each("-m", "a", "a", "b"), "more than one model: a (2), b (1: variant 2)"),
        (with_each("-x", "1", "1", "5"), "more than one length: 1xC (2), 5xC (1: variant 2)"),
        (with_each("-S", "1", "1", "2"), "more than one seed: 1 (2), 2 (1: variant 2)"),
        (with_each("-T", "a", "b"), "more than one tokenizer: a (1), b (1: variant 1)"),
        (with_each("-C", "a", "b"), "more than one start checkpoint"),
        (with_each("-B", "1", "2"), "more than one global batch size"),
        ([*with_each("-m", "a"), *numbered(1)], "more than one model: a (1), none (1: variant 1)"),
        (numbered(0, 1, status="canceled"), "variants 0-1: canceled"),
        (
            numbered(0, script="src/regmixer/train.py"),
            "variant 0: checkpoints lost (saved to the node's /tmp)",
        ),
    ],
)
def test_what_is_odd_is_a_warning(experiments: list[Experiment], warning: str) -> None:
    assert any(warning in text for text in swarm(*experiments).warnings)


def test_one_cluster_under_two_names_is_no_warning() -> None:
    former, today = numbered(0, cluster="ai2/saturn-cirrascale"), numbered(1, cluster="ai2/saturn")

    assert swarm(*former, *today).warnings == ()


def test_a_seed_for_each_variant_is_no_warning() -> None:
    assert swarm(*with_each("-S", "1", "2", "3")).warnings == ()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("-m", "other"), "model"),
        (("-S", "7"), "seed"),
        (("-s", '("wiki",["x"],1.0,1.0)'), "mixture"),
    ],
)
def test_a_relaunch_with_another_setting_is_a_warning(options: tuple[str, str], what: str) -> None:
    first, again = numbered(0)[0], experiment(f"mix-{GROUP}-0000", minutes=9, more=options)

    assert swarm(first, again).warnings == (f"variant 0: its launches differ in {what}",)


def test_a_mixture_written_in_another_way_is_the_same_mixture() -> None:
    sources = [("-s", '("wiki",["x"],1.0,1.0)'), ("-s", '("wiki", ["x"], 1.0, 1)')]
    launches = [experiment(f"mix-{GROUP}-0000", more=more) for more in sources]

    assert swarm(*launches).warnings == ()


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", f"s3://ai2-llm/checkpoints/kylel/mix-{GROUP}-0001/step2000"),
        ("evaluate", f"--model=/weka/x/mix-{GROUP}-0001/step2000-hf/", "--x"),
        ("evaluate", f"mix-{GROUP}-0001_step2000"),
        ("bash", "-c", f"evaluate 'mix-{GROUP}-0001/step2000' mix-{GROUP}-0001_step2000-hf"),
    ],
)
def test_a_job_that_names_a_checkpoint_is_an_evaluation_of_its_variant(
    words: tuple[str, ...],
) -> None:
    found = swarm(*numbered(0, 1), job(*words, name="evaluation"))

    assert [[e.step for e in v.evaluations] for v in found.variants] == [[], [2000]]


def test_a_job_with_a_checkpoint_in_its_own_name_is_an_evaluation() -> None:
    found = swarm(*numbered(0), job("ls", name=f"lmeval-mix-{GROUP}-0000_step100-hf-3fe2"))

    assert [e.experiment.name for e in found.variants[0].evaluations] == [
        f"lmeval-mix-{GROUP}-0000_step100-hf-3fe2"
    ]


@pytest.mark.parametrize(
    "mention",
    [
        f"mix-{GROUP}-0000",
        f"mix-{GROUP}-0000-b_step100",
        f"mix-{GROUP}-0000_step100x",
    ],
)
def test_a_job_that_names_no_checkpoint_of_the_swarm_is_no_evaluation(mention: str) -> None:
    assert swarm(*numbered(0), job("evaluate", mention)).variants[0].evaluations == ()


def test_the_longest_run_name_that_fits_is_the_one_evaluated() -> None:
    runs = [experiment("natural"), experiment("mix-natural")]

    found = swarm(*runs, job("ls", name="lmeval-mix-natural_step5"))

    assert {v.run_name: len(v.evaluations) for v in found.variants} == {
        "mix-natural": 1,
        "natural": 0,
    }


def test_an_unreadable_trainer_of_another_group_is_skipped() -> None:
    other = job("python", "train.py", "train", "-n", "x", "-g", "99999999")

    found = swarm(*numbered(0), other)

    assert (found.unreadable, found.ignored) == ((), 1)


def test_an_unknown_trainer_of_the_group_is_unreadable() -> None:
    found = swarm(*numbered(0), job("python", "train.py", "train", "-n", "x", "-g", GROUP))

    assert "is not plain: 'train.py train" in found.unreadable[0]


def pages(*experiments: Experiment) -> list[list[Experiment]]:
    return [[each] for each in experiments]


def test_all_swarms_are_those_that_each_group_makes_up() -> None:
    everything = [
        *numbered(0, 1, status="failed"),
        experiment("other-99999999-0000", group="99999999", minutes=9),
        job("evaluate", f"mix-{GROUP}-0001_step5"),
        job("ls"),
    ]

    newer, older = all_swarms(pages(*everything))

    assert newer == build_swarm("99999999", [everything[2]])
    assert older.variants == swarm(*everything).variants
    assert older.warnings == swarm(*everything).warnings


def test_a_swarm_of_unreadable_runs_alone_is_listed_as_such() -> None:
    (found,) = all_swarms(pages(job(name=f"mix-{GROUP}-0000", problem="no spec")))

    assert (found.group_id, found.variants, len(found.unreadable)) == (GROUP, (), 1)


def test_an_early_regmixer_run_is_a_warning() -> None:
    early = experiment(f"mix-{GROUP}-0000", script="src/regmixer/train.py", minutes=-60 * 24 * 400)

    assert any("branches saved to different places" in warning for warning in swarm(early).warnings)


@pytest.mark.parametrize(
    "run_name",
    ["-rf", "..", "a..b", "a b", "a/b", "a'b", "a\nb", "é", "a" * 256],
)
def test_a_hostile_run_name_is_refused_by_name(run_name: str) -> None:
    hostile = experiment("x", name="innocent")
    words = ("olmix/launch/train.py", "train", f"--run-name={run_name}", "-g", GROUP, "-u", "k")
    found = swarm(Experiment(**{**vars(hostile), "tasks": (Task((*words, "-c", "ai2/neptune")),)}))

    assert found.variants == ()
    assert "innocent" in found.unreadable[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [("user", "../root"), ("user", "a b"), ("cluster", "ai2/../x"), ("cluster", "a;b")],
)
def test_a_hostile_user_or_cluster_is_refused(field: str, value: str) -> None:
    assert field in swarm(*numbered(0, **{field: value})).unreadable[0]


@given(st.text(), st.text(), st.text())
def test_messages_are_plain_lines(name: str, user: str, cluster: str) -> None:
    found = swarm(experiment(name, name=name, user=user, cluster=cluster))

    for text in (*found.warnings, *found.unreadable):
        assert text.isprintable()
        assert text.isascii()


@pytest.mark.parametrize("group_id", ["", "5836240", "583624020", "DEADBEEF", "5836240g", "x\n"])
def test_what_is_not_eight_hexadecimal_characters_is_no_group_id(group_id: str) -> None:
    with pytest.raises(InvalidInputError, match="not a group ID"):
        check_group_id(group_id)


@given(st.sets(st.integers(0, 30)))
def test_ranges_name_each_number_once(numbers: set[int]) -> None:
    named: list[int] = []
    for part in ranges(numbers).split(", ") if numbers else []:
        first, _, last = part.partition("-")
        named += range(int(first), int(last or first) + 1)

    assert named == sorted(numbers)
