"""What a command line says about a training run, in every form that click accepts."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript.beaker import parse_spec
from olmix_evalscript.command import parse_trainer, trainer_words
from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import Source, TrainerRun

SPECS = Path(__file__).parent / "specs"
#: As the trainers declare them; the flag apart.
OPTIONS = {
    "-n": "--run-name",
    "-g": "--group-id",
    "-S": "--seed",
    "-c": "--cluster",
    "-u": "--beaker-user",
    "-d": "--dtype",
    "-T": "--tokenizer",
    "-m": "--model-identifier",
    "-C": "--checkpoint-path",
    "-y": "--train-type",
    "-b": "--device-batch-size",
    "-B": "--global-batch-size",
    "-s": "--source",
    "-x": "--chinchilla-multiple",
    "-e": "--eval-task",
    "-E": "--eval-interval",
    "-t": "--max-tokens",
    "-l": "--sequence-length",
}
#: What the specs' own commands say besides.
SETTINGS = {
    "model": "olmo3_30m",
    "chinchilla_multiple": "0.5",
    "seed": "42",
    "tokenizer": "dolma2",
    "dtype": "uint32",
    "train_type": "pretrain",
    "source_literals": (
        '("dclm:adult_content",["s3://ai2-llm/preprocessed/dclm/**/*.npy"],0.25,1.0)',
        '("wiki",["s3://ai2-llm/preprocessed/wiki/part-0-00000.npy"],0.75,1.0)',
    ),
}
REGMIXER_SETTINGS = {
    **{key: value for key, value in SETTINGS.items() if not key.startswith(("eval", "chinch"))},
    "model": "olmo_30m",
    "max_tokens": "3000000000",
    "sequence_length": "4096",
}
RUN = TrainerRun("olmix", "run-58362402-0000", "58362402", "ai2/jupiter", "kylel", weka=True)
WORDS = ["-n", RUN.run_name, "-g", "58362402", "-c", "ai2/jupiter", "-u", "KYLEL", "-w", "True"]
COMMAND = ["olmix/launch/train.py", "train", *WORDS]
TEXT = shlex.join(COMMAND)


def click_reads(arguments: list[str]) -> dict[str, object]:
    """What a click program with the trainers' options reads; ClickException if it refuses."""
    options = [click.Option([short, long]) for short, long in OPTIONS.items()]
    options += [
        click.Option(["-w", "--weka"], type=bool),
        click.Option(["--no-eval"], is_flag=True),
    ]
    command = click.Command("train", params=[*options])
    return command.make_context("train", list(arguments)).params


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (
            "olmix-gantry-augusta-torchrun",
            TrainerRun(
                "olmix",
                "verify-tokens-140m-58362402-0000",
                "58362402",
                "ai2/augusta-google-1",
                "kylel",
                False,
            ),
        ),
        (
            "olmix-gantry-handwritten-name",
            TrainerRun(
                "olmix", "mix-heavy-code", "8f3a9c2b", "ai2/jupiter-cirrascale-2", "kylel", False
            ),
        ),
        (
            "olmix-gantry-s3",
            TrainerRun(
                "olmix",
                "verify-tokens-140m-58362402-0000",
                "58362402",
                "ai2/neptune-cirrascale",
                "kylel",
                False,
            ),
        ),
        (
            "olmix-gantry-weka",
            TrainerRun(
                "olmix",
                "verify-tokens-140m-58362402-0000",
                "58362402",
                "ai2/jupiter-cirrascale-2",
                "kylel",
                True,
            ),
        ),
        (
            "regmixer-weka",
            TrainerRun(
                "regmixer",
                "olmo2-5xC-30m-dense-6cf425be-0049",
                "6cf425be",
                "ai2/jupiter-cirrascale-2",
                "kylel",
                True,
            ),
        ),
    ],
)
def test_the_launchers_specs_are_read(file: str, expected: TrainerRun) -> None:
    (task,) = parse_spec((SPECS / f"{file}.yaml").read_text())

    settings = REGMIXER_SETTINGS if expected.trainer == "regmixer" else SETTINGS
    run = parse_trainer(task.words)

    assert run is not None
    assert replace(run, global_batch_size=None) == replace(expected, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", sorted(SPECS.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.parametrize(
    "form",
    [
        lambda short, value: [short, value],
        lambda short, value: [f"{short}{value}"],
        lambda short, value: [f"{short} {value}"],
        lambda short, value: [OPTIONS.get(short, "--weka"), value],
        lambda short, value: [f"{OPTIONS.get(short, '--weka')}={value}"],
    ],
    ids=["-n X", "-nX", "'-n X'", "--run-name X", "--run-name=X"],
)
def test_every_form_of_the_options_means_the_same(file: Path, form: object) -> None:
    assert callable(form)
    (task,) = parse_spec(file.read_text())
    start = task.words.index("train") + 1
    joined = " ".join(task.words[start:]).split(" -")
    pairs = [part.removeprefix("-").split(" ", 1) for part in joined]

    rewritten = [word for letter, value in pairs for word in form(f"-{letter}", value)]

    assert parse_trainer([*task.words[:start], *rewritten]) == parse_trainer(task.words)


@pytest.mark.parametrize(
    "words",
    [
        ["bash", "/gantry/entrypoint.sh", "python", *COMMAND],
        ["torchrun", "--nproc-per-node", "8", *COMMAND],
        ["python", "-m", "olmix.launch.train", *COMMAND[1:]],
        ["/opt/conda/bin/python3.11", "./olmix/launch/train.py", *COMMAND[1:]],
        ["OMP_NUM_THREADS=1", "python", "src/olmix/launch/train.py", *COMMAND[1:]],
        ["bash", "-c", f"cd olmix && torchrun --nproc-per-node=8 {shlex.join(COMMAND)}"],
        ["/bin/bash", "-euo", "pipefail", "-c", f"exec python {shlex.join(COMMAND)} 2>&1 | tee x"],
        [
            "bash",
            "-lc",
            f"set -ex\npython {shlex.join(COMMAND)} \\\n  -n run-58362402-0000; echo done",
        ],
        [shlex.join(["python", *COMMAND])],
        ["bash", "-c", "python -m olmix.launch.train " + shlex.join(COMMAND[1:])],
    ],
)
def test_what_stands_around_the_trainer_does_not_matter(words: list[str]) -> None:
    assert parse_trainer(words) == RUN


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["python", "-m", "oe_eval.launch", "--model", RUN.run_name],
        ["python", "eval/convert_checkpoint.py", "train", "-n", RUN.run_name, "-g", "58362402"],
        ["olmix/launch/train.py", "--help"],
        ["bash", "-c", "olmo-cookbook-eval evaluate s3://x/run-58362402-0000"],
        ["xolmix/launch/train.py.bak", "train", *WORDS],
    ],
)
def test_what_trains_nothing_is_no_run(words: list[str]) -> None:
    assert parse_trainer(words) is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([*COMMAND[:2], "-g", "58362402"], "no run name"),
        ([*COMMAND[:2], "-n", "x"], "no group ID"),
        ([*COMMAND, "-w", "maybe"], "neither True nor False"),
        ([*COMMAND, "--unknown", "x"], "cannot be read"),
        ([*COMMAND, "stray"], "stray argument"),
        ([*COMMAND, "-n"], "cannot be read"),
        (["bash", "-c", f"python {TEXT}; python {TEXT} -n other"], "more than"),
        (["bash", "-c", f"python {' '.join(COMMAND)} -n run-$i"], "left to a shell"),
        (["bash", "-c", f"python {' '.join(COMMAND)} 'open"], "cannot be read"),
    ],
)
def test_what_leaves_the_run_open_is_said(words: list[str], reason: str) -> None:
    with pytest.raises(TrainerCommandError, match=reason):
        parse_trainer(words)


def test_an_option_inside_another_ones_value_is_none() -> None:
    words = [*COMMAND, "-y", "pretrain", '-s ("-n evil -g 99999999",["-c ai2/augusta"],1,1)']

    run = parse_trainer(words)

    assert run is not None
    assert (run.run_name, run.group_id, run.cluster) == (RUN.run_name, RUN.group_id, RUN.cluster)


def test_the_last_of_a_repeated_option_counts() -> None:
    run = parse_trainer([*COMMAND, "-n", "again"])

    assert run is not None
    assert run.run_name == "again"


def test_an_empty_word_for_no_checkpoint_is_passed_over() -> None:
    assert parse_trainer(["src/regmixer/train.py", "train", "", *WORDS]) is not None


def test_words_before_and_after_the_trainer_are_dropped() -> None:
    words = ["bash", "-c", f"SECRET=x python {shlex.join(COMMAND)} && upload --key y"]

    assert trainer_words(words) == tuple(COMMAND)


VALUES = st.text(st.characters(exclude_characters="$`", exclude_categories=["Cs"]), min_size=1)


@st.composite
def option_words(draw: st.DrawFn) -> list[str]:
    """One option of the trainers in one of its forms."""
    short = draw(st.sampled_from(sorted(OPTIONS)))
    value = draw(VALUES)
    long = OPTIONS[short]
    forms = [[short, value], [short + value], [f"{short} {value}"], [long, value]]
    return draw(st.sampled_from([*forms, [f"{long}={value}"], ["--no-eval"]]))


@given(st.lists(option_words(), max_size=6))
def test_it_reads_what_click_reads(options: list[list[str]]) -> None:
    arguments = [*WORDS, *(word for option in options for word in option)]
    read = click_reads(arguments)

    try:
        run = parse_trainer(["olmix/launch/train.py", "train", *arguments])
    except TrainerCommandError:
        assert not str(read["run_name"]).strip() or not str(read["group_id"]).strip()
        return

    assert run is not None
    assert run.run_name == str(read["run_name"]).strip()
    assert run.group_id == str(read["group_id"]).strip()
    assert (run.cluster or "") == str(read["cluster"]).strip()
    assert (run.user or "") == str(read["beaker_user"]).strip().lower()
    assert run.weka == read["weka"]


@given(st.lists(st.one_of(st.sampled_from([*COMMAND, "bash", "-c"]), st.text())))
def test_no_command_line_is_beyond_it(words: list[str]) -> None:
    try:
        run = parse_trainer(words)
    except TrainerCommandError:
        return
    assert run is None or (run.run_name and run.group_id)


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ('("wiki",["s3://x/*.npy"],0.75,2.0)', Source("wiki", 0.75, 2.0, ("s3://x/*.npy",))),
        ('("wiki",["s3://x/*.npy"],0.75)', Source("wiki", 0.75, 1.0, ("s3://x/*.npy",))),
        ('(\'"wiki"\', ["a", "b"], 1e-05, 1)', Source("wiki", 1e-05, 1.0, ("a", "b"))),
        ('("dclm: art", ["a b"], "0.5", "1")', Source("dclm:art", 0.5, 1.0, ("ab",))),
        ('("a:b:c",(),0,1)', Source("a:b:c", 0.0, 1.0, ())),
    ],
)
def test_a_source_is_read_as_the_trainer_reads_it(literal: str, expected: Source) -> None:
    assert replace(RUN, source_literals=(literal,)).sources == (expected,)


@pytest.mark.parametrize(
    "literal",
    [
        "",
        "wiki",
        '("wiki",["x"])',
        '("wiki",["x"],0.5,1,2)',
        '("wiki","x",0.5,1)',
        '(1,["x"],0.5,1)',
        '("wiki",["x"],1.5,1)',
        '("wiki",["x"],-0.5,1)',
        '("wiki",["x"],1e999,1)',
        '("wiki",["x"],float("nan"),1)',
        '("wiki",["x"],"nan",1)',
        '("wiki",["x"],0.5,"twice")',
        '__import__("os").getcwd()',
        "(" * 100_000,
        "-" * 100_000 + "1",
    ],
)
def test_a_source_that_no_trainer_reads_is_refused(literal: str) -> None:
    run = replace(RUN, source_literals=(literal,))

    with pytest.raises(TrainerCommandError, match="source"):
        _ = run.sources
