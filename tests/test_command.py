"""Commands: the run that each trains, in every form that launchers, bash and click accept."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from olmix_evalscript.beaker import parse_spec
from olmix_evalscript.command import parse_trainer, trainer_words
from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import Source, TrainerRun

VERIFY = "verify-tokens-140m-58362402-0000"
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
    "model-identifier": "olmo3_30m",
    "chinchilla-multiple": "0.5",
    "seed": "42",
    "tokenizer": "dolma2",
    "dtype": "uint32",
    "train-type": "pretrain",
}
REGMIXER_SETTINGS = {
    **{name: value for name, value in SETTINGS.items() if name != "chinchilla-multiple"},
    "model-identifier": "olmo_30m",
    "max-tokens": "3000000000",
    "sequence-length": "4096",
}
SOURCES = (
    '("dclm:adult_content",["s3://ai2-llm/preprocessed/dclm/**/*.npy"],0.25,1.0)',
    '("wiki",["s3://ai2-llm/preprocessed/wiki/part-0-00000.npy"],0.75,1.0)',
)
RUN = TrainerRun("olmix", "run-58362402-0000", "58362402", "ai2/jupiter", "kylel", weka=True)
WORDS = ["-n", RUN.run_name, "-g", "58362402", "-c", "ai2/jupiter", "-u", "KYLEL", "-w", "True"]
SCRIPT = "olmix/launch/train.py"
COMMAND = [SCRIPT, "train", *WORDS]
TEXT = shlex.join(COMMAND)
ARGS = shlex.join(WORDS)
ENTRY = ["bash", "/gantry/entrypoint.sh"]


def shell(text: str, *arguments: str) -> list[str]:
    return ["bash", "-c", text, *arguments]


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
    ("file", "run_name", "cluster", "weka"),
    [
        ("olmix-gantry-augusta-torchrun", VERIFY, "ai2/augusta-google-1", False),
        ("olmix-gantry-handwritten-name", "mix-heavy-code", "ai2/jupiter-cirrascale-2", False),
        ("olmix-gantry-s3", VERIFY, "ai2/neptune-cirrascale", False),
        ("olmix-gantry-weka", VERIFY, "ai2/jupiter-cirrascale-2", True),
        ("regmixer-weka", "olmo2-5xC-30m-dense-6cf425be-0049", "ai2/jupiter-cirrascale-2", True),
    ],
)
def test_the_launchers_specs_are_read(file: str, run_name: str, cluster: str, weka: bool) -> None:
    (task,) = parse_spec((SPECS / f"{file}.yaml").read_text())
    trainer = file.partition("-")[0]
    group_id = {"mix-heavy-code": "8f3a9c2b", VERIFY: "58362402"}.get(run_name, "6cf425be")
    settings = REGMIXER_SETTINGS if trainer == "regmixer" else SETTINGS

    run = parse_trainer(task.words)

    assert run is not None
    assert {name: run.settings.get(name) for name in settings} == settings
    assert replace(run, settings={}) == TrainerRun(
        trainer, run_name, group_id, cluster, "kylel", weka, source_literals=SOURCES
    )


#: One form a row: the words of a task that trains RUN.
TRAINS: dict[str, list[str]] = {
    "gantry and one text": [*ENTRY, f"cd /w && python {TEXT}"],
    "gantry and bash -c": [*ENTRY, "bash", "-c", f"python {TEXT}"],
    "OLMo-core's entry point": ["bash", "/olmo-core/entrypoint.sh", *COMMAND],
    "one text": [f"python {TEXT}"],
    "the script below a folder": [f"/workspace/src/{SCRIPT}", *COMMAND[1:]],
    "python with flags": ["/opt/conda/bin/python3.11", "-uB", "-Wignore", *COMMAND],
    "a module": ["python", "-um", "olmix.launch.train", *COMMAND[1:]],
    "assignments": ["A=1", "B=2 3", "python", *COMMAND],
    "env": ["/usr/bin/env", "A=1", "python", *COMMAND],
    "nohup": ["nohup", "python", *COMMAND],
    "timeout": ["timeout", "-k", "60", "10h", "python", *COMMAND],
    "srun": ["srun", "--ntasks=1", "-u", "python", *COMMAND],
    "uv run": ["uv", "run", "--extra", "gpu", "--", "python", *COMMAND],
    "torchrun with underscores": ["torchrun", "--nproc_per_node", "8", "--nnodes=2", *COMMAND],
    "torchrun -m": ["torchrun", "--standalone", "-m", "olmix.launch.train", *COMMAND[1:]],
    "torch.distributed.run": ["python", "-m", "torch.distributed.run", "--nnodes", "1", *COMMAND],
    "shell options": ["/bin/bash", "-euo", "pipefail", "-c", f"python {TEXT}"],
    "a login shell": ["bash", "-lc", f"set -ex\npython {TEXT}"],
    "a continued line": shell(f"python {SCRIPT} \\\n  train \\\n  {ARGS}"),
    "a quoted script": shell(f"python '{SCRIPT}' \"train\" {ARGS}"),
    "Python in a folder of a variable": shell(f'cd "$HOME" && $CONDA/bin/torchrun {TEXT}'),
    "redirections and a pipe": shell(f"python {TEXT} </dev/null 2>&1 >>out | tee log"),
    "other commands": shell(f"pip install -e '.[all]' && nvidia-smi; python {TEXT}; ls -l"),
    "a sourced file": shell(f"source env.sh && export A=$B && python {TEXT}"),
    "guards": shell(f"cd x || exit 1; python {TEXT} || echo failed"),
    "the background": shell(f"python {TEXT} & wait"),
    "a comment": shell(f"# python {SCRIPT} train -n other -g 58362402\npython {TEXT}"),
    "the same run again": shell(f"python {TEXT} || python {TEXT}"),
}
#: What trains nothing, whatever it mentions.
TRAINS_NOTHING: dict[str, list[str]] = {
    "nothing": [],
    "an evaluation": [*ENTRY, "python", "-m", "oe_eval.launch", "--model", RUN.run_name],
    "a look at the script": [*ENTRY, "cat", SCRIPT],
    "a command that is shown": ["echo", "python", *COMMAND],
    "a command that a shell shows": shell(f"echo 'python {TEXT}' && grep '{TEXT}' log"),
    "a trainer without a group": ["python", "src/train.py", "train", "-n", "x"],
    "OLMo-core's own trainer": shell("torchrun src/scripts/train/OLMo2.py train x ai2/jupiter"),
}
#: What is unreadable, and a part of the reason.
UNREADABLE: dict[str, tuple[list[str], str]] = {
    "no run name": (["python", SCRIPT, "train", "-g", "58362402"], "no run name"),
    "no group": (["python", SCRIPT, "train", "-n", "x"], "no group ID"),
    "an unknown option": ([*COMMAND, "--unknown", "x"], "cannot be read at '--unknown'"),
    "no value": ([*COMMAND, "-n"], "cannot be read at '-n'"),
    "a stray argument": ([*COMMAND, "stray"], "cannot be read at 'stray'"),
    "neither true nor false": ([*COMMAND, "-w", "maybe"], "neither True nor False"),
    "an unknown trainer": (["python", "src/cookbook/train.py", "train", *WORDS], "'src/cookbook"),
    "an unknown folder": (shell(f"cd x && python train.py train {ARGS}"), "'python train.py"),
    "an unknown program": (["run-with-retries", "python", *COMMAND], "'run-with-retries"),
    "an unknown option of a starter": (["env", "-S", f"python {TEXT}"], "'env -S"),
    "a script that runs words": (["python", "retry.py", "python", *COMMAND], "'retry.py"),
    "code": (["python", "-c", "import olmix", *COMMAND], "'python -c"),
    "gantry's bash method": ([*ENTRY, "cd", "olmix", "&&", "python", *COMMAND], "'cd olmix"),
    "xargs": (shell(f"xargs -I% python {SCRIPT} train -n % < names"), "'xargs"),
    "two runs": (shell(f"python {TEXT}; python {TEXT} -n other"), "not plain"),
    "a group in a variable": ([*COMMAND, "-g", "$G"], "group ID is left to a shell"),
    "a subcommand in a variable": (shell(f"python {SCRIPT} $SUB {ARGS}"), "not plain"),
    "a command in a variable": (shell(f"CMD='python {TEXT}'; $CMD"), "'CMD=python"),
    "a variable for a shell": ([f"X=python {TEXT}", *shell("$X")], "'bash -c"),
    "a script in a variable": (shell(f"S={SCRIPT}; torchrun $S train {ARGS}"), "'torchrun .S"),
    "a pipe into a shell": (shell(f"echo 'python {TEXT}' | bash"), "'echo python"),
    "a command in a file": (shell(f"echo 'python {TEXT}' > r.sh; bash r.sh"), "'echo python"),
    "a shell in a shell": (shell(shlex.join(shell(f"python {TEXT}"))), "'bash -c"),
    "a here-document": (shell(f"bash <<EOF\npython {TEXT}\nEOF"), "'<<EOF"),
    "a substitution": (shell(f"echo $(python {TEXT})"), "'.[(]python"),
    "a subshell": (shell(f"(python {TEXT})"), "'[(]python"),
    "an open quote": (shell(f"python {TEXT} 'open"), '"\'open"'),
    "a loop": (shell(f"for i in 0 1; do python {TEXT}; done"), "'do python"),
}


@pytest.mark.parametrize("words", TRAINS.values(), ids=TRAINS)
def test_a_plain_command_is_read(words: list[str]) -> None:
    assert parse_trainer(words) == RUN


@pytest.mark.parametrize("words", TRAINS_NOTHING.values(), ids=TRAINS_NOTHING)
def test_what_trains_nothing_is_no_run(words: list[str]) -> None:
    assert parse_trainer(words) is None


@pytest.mark.parametrize(("words", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_not_plain_is_unreadable(words: list[str], reason: str) -> None:
    with pytest.raises(TrainerCommandError, match=reason):
        parse_trainer(words)


@pytest.mark.parametrize(
    ("words", "group_id"),
    [
        (["python", "src/cookbook/train.py", "train", "-n", "x", "-g", "6cf425be"], "6cf425be"),
        (["retry", "-g", "8", "python", *COMMAND], "58362402"),
        (["python", SCRIPT, "train", "-g", "11111111", *WORDS, "--unknown"], None),
        (shell(f"retry python {TEXT} -g $OTHER"), None),
    ],
)
def test_an_unreadable_command_names_its_group_only_if_certain(
    words: list[str], group_id: str | None
) -> None:
    with pytest.raises(TrainerCommandError) as caught:
        parse_trainer(words)

    assert caught.value.group_id == group_id


#: Parts of texts that bash runs, with a python that only says what it was given.
PARTS = (
    *(f"python {TEXT}", f"python {TEXT} -n other", f"python -m olmix.launch.train train {ARGS}"),
    *(f"env A=1 python {TEXT}", f"bash -c 'python {TEXT}'", f"python {TEXT} -S '1 # 2' 2>&1"),
    *(f"'python {TEXT}'", f"echo 'python {TEXT}'", f"echo 'python {TEXT}' > r.sh", "bash r.sh"),
    *(f"X='python {TEXT}'", "$X", 'eval "$X"', f"A='{ARGS}'", f"python {SCRIPT} train $A"),
    *(f"( python {TEXT} )", f"{{ python {TEXT}; }}", f"f() {{ python {TEXT}; }}", "f"),
    *(f"if true; then python {TEXT}; fi", f"$(python {TEXT})", f"bash <<E\npython {TEXT}\nE\n"),
    *(
        f"# python {TEXT}",
        f"2>err python \\\n{TEXT}",
        f"xargs python {TEXT}",
        f"exec python {TEXT}",
    ),
    *(
        "cd olmix",
        f"python launch/train.py train {ARGS}",
        "true",
        "false",
        "set -- a",
        "cat",
        "bash",
    ),
)
JOINTS = ("; ", "\n", " && ", " || ", " | ", " & ", " &&\n")
NOISE = ("", "", "", "'", '"', "\\", "$", "`", ";", "&", "(", "#", "{", "\n")


@pytest.fixture(scope="module")
def trained_by_bash(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], set[TrainerRun]]:
    """Runs a text in bash, and tells which runs its calls of python train."""
    folder = tmp_path_factory.mktemp("bash")
    for name in ("bash", "cat", "env", "xargs"):
        (folder / name).symlink_to(shutil.which(name) or name)
    (folder / "python").write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" $\'\\1\' >> {folder}/log\n')
    (folder / "python").chmod(0o755)

    def run(text: str) -> set[TrainerRun]:
        (folder / "log").write_text("")
        subprocess.run(
            ["/bin/bash", "-c", f"{text}\nwait"],
            cwd=tempfile.mkdtemp(dir=folder),
            env={"PATH": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=10,
        )
        calls = (folder / "log").read_text().split("\1\0")[:-1]
        return {run for call in calls if (run := run_of_call(call.split("\0")[:-1]))}

    return run


def run_of_call(arguments: list[str]) -> TrainerRun | None:
    """The run of the group that python trains if it is given these arguments."""
    if arguments and arguments[0] == "launch/train.py":
        arguments[0] = SCRIPT
    try:
        run = parse_trainer(["python", *arguments])
    except TrainerCommandError:
        return None  # click ends it as well
    return run if run and run.group_id == RUN.group_id else None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_bash_trains_no_run_but_the_one_that_is_read(
    trained_by_bash: Callable[[str], set[TrainerRun]], data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from(PARTS))
    for part in data.draw(st.lists(st.sampled_from(PARTS), max_size=2)):
        text += data.draw(st.sampled_from(JOINTS)) + part
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.sampled_from(NOISE)) + text[at:]

    try:
        run = parse_trainer(shell(text))
    except TrainerCommandError:
        return

    assert trained_by_bash(text) <= ({run} if run else set())


@pytest.mark.parametrize(
    "words",
    [
        shell(f'{TEXT} "{"a" * 90_000}'),
        shell("olmix." * 15_000 + TEXT),
        shell("$(" * 45_000 + TEXT),
        shell("a;" * 45_000 + f"x {TEXT}"),
        shell("x '" + "\\" * 90_000 + TEXT),
        shell(f"python {TEXT}" + " " * 200_000),
        ["env"] * 30_000 + COMMAND,
    ],
)
def test_a_hostile_command_is_refused_at_once(words: list[str]) -> None:
    with pytest.raises(TrainerCommandError):
        parse_trainer(words)


def test_an_option_inside_another_ones_value_is_none() -> None:
    words = [*COMMAND, "-y", "pretrain", '-s ("-n evil -g 99999999",["-c ai2/augusta"],1,1)']

    run = parse_trainer(words)

    assert run is not None
    assert (run.run_name, run.group_id, run.cluster) == (RUN.run_name, RUN.group_id, RUN.cluster)


def test_an_empty_word_for_no_checkpoint_is_passed_over() -> None:
    assert parse_trainer(["src/regmixer/train.py", "train", "", *WORDS]) is not None


def test_words_before_and_after_the_trainer_are_dropped() -> None:
    words = shell(f"SECRET=x python {TEXT} && upload --key y")

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
        needed = ("run_name", "group_id", "cluster", "beaker_user")
        assert not all(str(read[name]).strip() for name in needed)
        return

    assert run is not None
    assert run.run_name == str(read["run_name"]).strip()
    assert run.group_id == str(read["group_id"]).strip()
    assert run.cluster == str(read["cluster"]).strip()
    assert run.user == str(read["beaker_user"]).strip().lower()
    assert run.weka == read["weka"]


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ('("wiki",["s3://x/*.npy"],0.75,2.0)', Source("wiki", 0.75, 2.0, ("s3://x/*.npy",))),
        ('("wiki",["s3://x/*.npy"],0.75)', Source("wiki", 0.75, 1.0, ("s3://x/*.npy",))),
        ('(\'"wiki"\', ["a", "b"], 1e-05, 1)', Source("wiki", 1e-05, 1.0, ("a", "b"))),
        ('("dclm: art", ["a b"], "0.5", "1")', Source("dclm:art", 0.5, 1.0, ("ab",))),
    ],
)
def test_a_source_is_read_as_the_trainer_reads_it(literal: str, expected: Source) -> None:
    assert replace(RUN, source_literals=(literal,)).sources == (expected,)


@pytest.mark.parametrize(
    "literal",
    [
        "",
        '("wiki",["x"])',
        '("wiki",["x"],0.5,1,2)',
        '("wiki","x",0.5,1)',
        '(1,["x"],0.5,1)',
        '("wiki",["x"],1.5,1)',
        '("wiki",["x"],"nan",1)',
        '__import__("os").getcwd()',
        "(" * 100_000,
        "-" * 100_000 + "1",
    ],
)
def test_a_source_that_no_trainer_reads_is_refused(literal: str) -> None:
    run = replace(RUN, source_literals=(literal,))

    with pytest.raises(TrainerCommandError, match="source"):
        _ = run.sources
