"""The text of the script, what may not be asked for, and when a script on disk is replaced."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript import snapshot
from olmix_evalscript.cookbook import COOKBOOK
from olmix_evalscript.errors import InvalidInputError, SwarmError, UsageError
from olmix_evalscript.model import Swarm, Variant
from olmix_evalscript.script import Evaluation, render, write_script
from olmix_evalscript.swarm import build_swarm
from olmix_evalscript.tasks import OLMO3_OFFLINE_TASKS
from tests.conftest import FIXTURES
from tests.factories import GROUP, settings, variant

TODAY, TOMORROW = date(2026, 1, 1), date(2026, 1, 2)
EVALUATION = Evaluation(("arc_easy:rc::olmes:full", "lambada"), f"olmix-{GROUP}")
WEKA = "/weka/oe-training-default/ai2-llm/checkpoints/kylel"


def swarm(*variants: Variant, warnings: tuple[str, ...] = ()) -> Swarm:
    return Swarm(GROUP, "mix", variants, warnings)


# --- what stands in it --------------------------------------------------------------------


def demo(variants: int) -> str:
    found = build_swarm(GROUP, snapshot.load(FIXTURES / f"{GROUP}.yaml", GROUP))
    more = [
        replace(v, run=replace(v.run, run_name=f"{v.run.run_name[:-4]}{n:04d}"), number=n)
        for n in range(variants)
        for v in found.variants[:1]
    ]
    return render(
        replace(
            found,
            variants=tuple(
                replace(v, checkpoint_dir=f"{v.checkpoint_root}/{v.run_name}") for v in more
            ),
        ),
        replace(EVALUATION, tasks=OLMO3_OFFLINE_TASKS),
        TODAY,
    )


def test_the_script_can_be_read_in_five_minutes() -> None:
    lines = demo(8).splitlines()
    engine = next(n for n, line in enumerate(lines) if line.startswith("# --- From here"))
    functions = re.findall(r"(?ms)^\w+\(\) \{\n.*?^\}", demo(8))
    programs = re.findall(r"(?s)awk [^\n]*'\n(.*?)'", demo(8))

    assert len(lines) <= 300
    assert max(map(len, lines)) <= 100
    assert len(lines) - engine <= 220
    assert max(function.count("\n") + 1 for function in functions) <= 30
    assert max(program.count("\n") + 1 for program in programs) <= 15


@pytest.mark.parametrize("width", [80, 120])
def test_the_variants_stand_on_the_first_two_screens(width: int) -> None:
    top = demo(8).partition("\n)\n")[0].splitlines()

    assert "[7]=" in top[-1]
    assert sum(1 + (len(line) - 1) // width if line else 1 for line in top) <= 2 * 24


def test_each_further_variant_is_one_line() -> None:
    assert demo(128).count("\n") == demo(8).count("\n") + 120


def test_the_header_tells_name_group_tasks_and_date() -> None:
    script = render(swarm(variant(0), variant(1)), EVALUATION, TODAY)

    assert f"# Evaluate the 2 variants of swarm mix (group {GROUP}) on 2 tasks.\n" in script
    assert " on 2026-01-01 (UTC).\n" in script


def test_every_variant_has_its_folder() -> None:
    other = replace(variant(3, WEKA), run=replace(variant(3).run, run_name="by-hand"))
    other = replace(other, checkpoint_dir=f"{WEKA}/by-hand")
    runs = (variant(0), variant(1), variant(2, WEKA), other)

    assert settings(render(swarm(*runs), EVALUATION, TODAY), "RUNS") == [
        run.checkpoint_dir for run in runs
    ]


def test_a_lost_variant_is_a_comment_and_not_counted() -> None:
    lost = replace(variant(1), checkpoint_dir="/tmp/x/checkpoints/kylel/x")
    script = render(swarm(variant(0), lost), EVALUATION, TODAY)

    assert "# Evaluate the 1 variant of" in script
    assert f"  # 1: mix-{GROUP}-0001 is lost (it was saved to /tmp)\n" in script


def test_nothing_but_lost_variants_is_an_error() -> None:
    lost = replace(variant(1), checkpoint_dir="/tmp/x/checkpoints/kylel/x")

    with pytest.raises(SwarmError, match="no variant"):
        render(swarm(lost), EVALUATION, TODAY)


@given(st.text(min_size=1))
def test_no_warning_breaks_out_of_its_comment(warning: str) -> None:
    clean = render(swarm(variant(0)), EVALUATION, TODAY)
    script = render(swarm(variant(0), warnings=(warning,)), EVALUATION, TODAY)

    code = [line for line in script.split("\n") if not line.startswith("#")]
    assert code == [line for line in clean.split("\n") if not line.startswith("#")]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("running", "variants 1-3 had not finished when this was made"),
        ("failed", ""),
        ("", ""),
    ],
)
def test_variants_that_had_not_finished_are_named(status: str, text: str) -> None:
    variants = [replace(variant(number), status=status) for number in (1, 2, 3)]
    script = render(swarm(replace(variant(0), status="succeeded"), *variants), EVALUATION, TODAY)

    assert settings(script, "UNFINISHED") == [text]


def test_tasks_that_vllm_cannot_run_are_told_apart() -> None:
    tasks = ("lambada", "ultrachat_masked_ppl", "mmlu_pro_computer science:mc::none")
    script = render(swarm(variant(0)), Evaluation(tasks, "x", model_backend="vllm"), TODAY)

    assert settings(script, "TASKS") == [tasks[0], tasks[2]]
    assert settings(script, "HF_TASKS") == [tasks[1]]


def test_tasks_that_vllm_cannot_run_alone_are_run_by_hf() -> None:
    evaluation = Evaluation(("wildchat_masked_ppl",), "x", model_backend="vllm")
    script = render(swarm(variant(0)), evaluation, TODAY)

    assert settings(script, "MODEL_BACKEND") == ["hf"]
    assert settings(script, "TASKS") == ["wildchat_masked_ppl"]


# --- what may not be asked for ------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tasks": ()}, "no tasks"),
        ({"tasks": ("-x",)}, "not a task name"),
        ({"tasks": ("$(id)",)}, "not a task name"),
        ({"tasks": ("lambada:bpb",)}, "launches nothing for lambada:bpb"),
        ({"dashboard": "a'b"}, "dashboard"),
        ({"cluster": "a;b"}, "cluster"),
        ({"model_backend": "tgi"}, "not a model backend"),
        ({"priority": "URGENT"}, "not a priority: expected low, normal, high, urgent"),
    ],
)
def test_an_invalid_evaluation_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        render(swarm(variant(0)), replace(EVALUATION, **change), TODAY)  # type: ignore[arg-type]


@pytest.mark.parametrize("cluster", ["goog", "ai2/augusta-google-1"])
def test_a_cluster_of_google_cannot_read_weka(cluster: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{cluster} cannot evaluate checkpoints on /weka"):
        render(swarm(variant(0, WEKA)), replace(EVALUATION, cluster=cluster), TODAY)


@pytest.mark.parametrize(
    ("arguments", "priority", "others"),
    [
        ([], "normal", ()),
        (["--priority", "high", "-g"], "high", ("--use-gantry",)),
        (["-yhigh", "-gn2"], "high", ("--use-gantry", "--num-gpus=2")),
        (
            ["--model-args=dtype=bfloat16", "--task-args", 'a="x y"'],
            "normal",
            ("--model-args=dtype=bfloat16", '--task-args=a="x y"'),
        ),
    ],
)
def test_arguments_are_read_as_olmo_cookbook_reads_them(
    arguments: list[str], priority: str, others: tuple[str, ...]
) -> None:
    assert COOKBOOK.parse_arguments(arguments) == (priority, others)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-d", "x"], "--dashboard goes before the --"),
        (["--dashboard=x"], "goes before the --"),
        (["-gtx"], "--tasks is --task or --task-set here"),
        (["-gcx"], "--cluster is --eval-cluster here"),
        (["--model-backend", "hf"], "--model-backend goes before the --"),
        (["-gr"], "is an option of the script itself"),
        (["-k", "secret"], "is a secret, and the script is for all to read"),
        (["--no-such"], "option --no-such not recognized.*add it to EVAL_ARGS in the script"),
        (["--num-gpus"], "option --num-gpus requires argument"),
        (["x"], "'x' is not an option of olmo-cookbook-eval"),
        (["--name-suffix", "a\nb"], "not plain text"),
    ],
)
def test_arguments_that_the_script_sets_or_that_do_not_exist_are_refused(
    arguments: list[str], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        COOKBOOK.parse_arguments(arguments)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_a_value_reaches_bash_as_it_was_given(value: str) -> None:
    _, arguments = COOKBOOK.parse_arguments(["--model-args", value if value.isprintable() else "x"])
    script = render(swarm(variant(0)), replace(EVALUATION, arguments=arguments), TODAY)

    assert settings(script, "EVAL_ARGS") == list(arguments)


# --- the file -----------------------------------------------------------------------------


def script(variants: int = 2, evaluation: Evaluation = EVALUATION, day: date = TODAY) -> str:
    return render(swarm(*map(variant, range(variants))), evaluation, day)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A script as it was written."""
    path = tmp_path / "script.sh"
    write_script(path, script())
    return path


@pytest.mark.parametrize("new", [script(day=TOMORROW), script(variants=3)])
def test_a_script_that_nobody_edited_is_replaced(path: Path, new: str) -> None:
    write_script(path, new)

    assert path.read_text() == new
    assert os.access(path, os.X_OK)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("\nmain ", "\n: main "),
        lambda text: text.replace("lambada", "piqa"),
        lambda text: text + "\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("# Checksum ", "# Checksum 0", 1),
        lambda text: "notes\n",
    ],
)
def test_a_file_that_somebody_edited_is_kept(path: Path, edit: Callable[[str], str]) -> None:
    edited = edit(path.read_text()).encode()
    path.write_bytes(edited)

    with pytest.raises(InvalidInputError, match=r"script\.sh was edited.* \| diff .*--force"):
        write_script(path, script(variants=3))

    assert path.read_bytes() == edited


def test_force_replaces_any_file(path: Path) -> None:
    path.write_text("notes\n")

    write_script(path, script(), force=True)

    assert path.read_text() == script()


def test_a_path_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot read"):
        write_script(tmp_path, script())
