"""Commands: the run that each trains, in every form that launchers, bash and click accept."""

from __future__ import annotations

import functools
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
    assert replace(run, global_batch_size=None) == TrainerRun(
        trainer,
        run_name,
        group_id,
        cluster,
        "kylel",
        weka,
        **settings,  # type: ignore[arg-type]
    )


#: One form a row: the words of a task that trains RUN.
TRAINS: dict[str, list[str]] = {
    "gantry": [*ENTRY, "python", *COMMAND],
    "gantry and torchrun": [*ENTRY, "torchrun", "--nproc-per-node=8", *COMMAND],
    "gantry and one text": [*ENTRY, f"cd /w && python {TEXT}"],
    "gantry and bash -c": [*ENTRY, "bash", "-c", f"python {TEXT}"],
    "OLMo-core's entry point": ["bash", "/olmo-core/entrypoint.sh", *COMMAND],
    "the entry point itself": ["/gantry/entrypoint.sh", "python", *COMMAND],
    "one text": [f"python {TEXT}"],
    "the script below a folder": [f"/workspace/src/{SCRIPT}", *COMMAND[1:]],
    "python with flags": ["/opt/conda/bin/python3.11", "-uB", "-Wignore", *COMMAND],
    "a module": ["python", "-um", "olmix.launch.train", *COMMAND[1:]],
    "assignments": ["A=1", "B=2 3", "python", *COMMAND],
    "env": ["/usr/bin/env", "-i", "-u", "B", "A=1", "python", *COMMAND],
    "nohup": ["nohup", "python", *COMMAND],
    "timeout": ["timeout", "-k", "30", "--signal=INT", "23h", "python", *COMMAND],
    "srun": ["srun", "-n", "1", "--gpus-per-node", "8", "--mem=0", "python", *COMMAND],
    "uv run": ["uv", "run", "--extra", "gpu", "--", "python", *COMMAND],
    "uv run and a script": ["uv", "run", "--no-sync", *COMMAND],
    "torchrun with underscores": ["torchrun", "--nproc_per_node", "8", "--nnodes=2", *COMMAND],
    "torchrun -m": ["torchrun", "--standalone", "-m", "olmix.launch.train", *COMMAND[1:]],
    "torch.distributed.run": ["python", "-m", "torch.distributed.run", "--nnodes", "1", *COMMAND],
    "shell options": ["/bin/bash", "-euo", "pipefail", "-c", f"python {TEXT}"],
    "a login shell": ["bash", "--norc", "-lc", f"set -ex\npython {TEXT}"],
    "a shell in a shell": shell(shlex.join(shell(f"python {TEXT}"))),
    "a continued line": shell(f"python {SCRIPT} \\\n  train \\\n  {ARGS}"),
    "a quoted script": shell(f"python '{SCRIPT}' \"train\" {ARGS}"),
    "a folder": shell(f"cd /w; cd olmix && python launch/train.py train {ARGS}"),
    "a folder in a variable": shell(f'cd "$HOME/olmix" && python {TEXT}'),
    "Python in a folder of a variable": shell(f"$CONDA/bin/python {TEXT}"),
    "exec and a pipe": shell(f"exec python {TEXT} 2>&1 | tee log"),
    "time": shell(f"time python {TEXT}"),
    "redirections": shell(f"2>err python {TEXT} >out </dev/null"),
    "other commands": shell(f"pip install -e '.[all]' && nvidia-smi; python {TEXT}; ls -l"),
    "a sourced file": shell(f"source env.sh && export A=$B && python {TEXT}"),
    "a guard": shell(f"cd x || exit 1; python {TEXT} || echo failed"),
    "a comment": shell(f"# python {SCRIPT} train -n other -g 58362402\npython {TEXT}"),
    "a report": shell(f"echo 'python {SCRIPT} train -n other'; python {TEXT}"),
}
#: What trains nothing, whatever it mentions.
TRAINS_NOTHING: dict[str, list[str]] = {
    "nothing": [],
    "an evaluation": [*ENTRY, "python", "-m", "oe_eval.launch", "--model", RUN.run_name],
    "an evaluation in a shell": shell("olmo-cookbook-eval evaluate s3://x/run-58362402-0000"),
    "help": ["python", SCRIPT, "train", "--help"],
    "echo": [*ENTRY, "echo", "python", *COMMAND],
    "echo in a shell": shell(f"echo 'python {TEXT}'"),
    "a search": [*ENTRY, "grep", "-r", f"{SCRIPT} train -g 58362402", "logs"],
    "a comment": shell(f"ls # python {TEXT}"),
    "a trainer without a group": ["python", "src/train.py", "train", "-n", "x"],
    "another task's text": shell(f"echo {SCRIPT} && cd $HOME && ls train"),
}
#: What is unreadable, and a part of the reason.
UNREADABLE: dict[str, tuple[list[str], str]] = {
    "no run name": (["python", SCRIPT, "train", "-g", "58362402"], "no run name"),
    "no group": (["python", SCRIPT, "train", "-n", "x"], "no group ID"),
    "an unknown option": ([*COMMAND, "--unknown", "x"], "an option that the trainer lacks"),
    "an option cut short": ([*COMMAND, "--run", "x"], "an option that the trainer lacks"),
    "no value": ([*COMMAND, "-n"], "no value"),
    "a stray argument": ([*COMMAND, "stray"], "stray argument"),
    "neither true nor false": ([*COMMAND, "-w", "maybe"], "neither True nor False"),
    "an unknown trainer": (["python", "src/cookbook/train.py", "train", *WORDS], "not a known"),
    "an unknown folder": (shell(f"cd x && python train.py train {ARGS}"), "not a known"),
    "an unknown program": (["run-with-retries", "python", *COMMAND], "may run it"),
    "an unknown option of a starter": (["env", "-S", f"python {TEXT}"], "may run it"),
    "a script that runs words": (["python", "retry.py", "python", *COMMAND], "may run it"),
    "code": (["python", "-c", "import olmix", *COMMAND], "may run it"),
    "gantry's bash method": ([*ENTRY, "cd", "olmix", "&&", "python", *COMMAND], "may run it"),
    "gantry's bash method and echo": ([*ENTRY, "echo", "a;", "python", *COMMAND], "may run it"),
    "xargs": (shell(f"xargs -I% python {SCRIPT} train -n % < names"), "may run it"),
    "two runs": (shell(f"python {TEXT}; python {TEXT} -n other"), "more than once"),
    "arguments of a text": (shell(f'python {SCRIPT} "$@"', "_", "train", *WORDS), "may run it"),
    "an option in a variable": (shell(f"python {TEXT} -n run-$i"), "fills in"),
    "a subcommand in a variable": (shell(f"python {SCRIPT} $SUB {ARGS}"), "may run it"),
    "a command in a variable": (shell(f"CMD='python {TEXT}'; $CMD"), "may run it"),
    "a script in a variable": (shell(f"S={SCRIPT}; torchrun $S train {ARGS}"), "may run it"),
    "a script as a pattern": (shell(f"python */{TEXT}"), "fills in"),
    "a written file": (shell(f"echo 'python {TEXT}' > run.sh; bash run.sh"), "writes"),
    "a pipe into a shell": (shell(f"echo 'python {TEXT}' | bash"), "writes"),
    "a file written in parts": (
        shell(f"echo 'python {SCRIPT} \\' > r; echo 'train {ARGS}' >> r; . r"),
        "writes",
    ),
    "a here-document": (shell(f"bash <<EOF\npython {TEXT}\nEOF"), "cannot be read"),
    "a substitution": (shell(f"echo $(python {TEXT})"), "only a shell"),
    "a subshell": (shell(f"(python {TEXT})"), "only a shell"),
    "an open quote": (shell(f"python {TEXT} 'open"), "only a shell"),
    "a loop": (shell(f"for i in 0 1; do python {TEXT}; done"), "`for` decides"),
    "a branch": (shell(f"if true; then python {TEXT}; fi"), "`if` decides"),
    "a test": (shell(f"[ -d x ] && python {TEXT}"), "decides"),
    "a failure": (shell(f"pip install x || python {TEXT}"), "if another command fails"),
    "a success that exits": (shell(f"mkdir x && exit; python {TEXT}"), "`exit` decides"),
    "a folder behind a failure": (
        shell(f"cd x || cd olmix; python launch/train.py train {ARGS}"),
        "its folder",
    ),
    "the background": (shell(f"python {TEXT} && echo & wait"), "background"),
    "a shell's own word behind an assignment": (shell(f"A=1 exit; python {TEXT}"), "`exit`"),
    "a variable for a shell": ([f"X=python {TEXT}", *shell("$X")], "may run it"),
    "no end": (shell(f"python {TEXT} &&"), "no end"),
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


#: Parts of texts that bash runs, with a python and a torchrun that only say what they were given.
PARTS = [
    part.replace("TEXT", TEXT).replace("ARGS", ARGS)
    for part in """
python TEXT|python TEXT -n other|torchrun --nnodes 1 TEXT|python launch/train.py train ARGS
python -m olmix.launch.train train ARGS|env A=1 python TEXT|exec python TEXT|bash -c 'python TEXT'
'python TEXT'|echo 'python TEXT'|echo 'python TEXT' > r.sh|bash r.sh|. ./r.sh|bash < r.sh|set -- a
X='python TEXT'|$X|eval "$X"|A='ARGS'|python olmix/launch/train.py train $A|cd olmix|cd ..|true
python TEXT -S '1 # 2'|python report.py 'python TEXT'|false|exit|[ -d nope ]|! true|set -ex|cat
tee log|xargs python|cp olmix/launch/train.py t.py|python t.py train ARGS|exec true|trap : EXIT
""".strip()
    .replace("\n", "|")
    .split("|")
]
FRAMES = (
    """
@|@|@|@|( @ )|{ @; }|if true; then @; fi|for i in 1 2; do @; done|f() { @; }|f() { @; }; f|$(@)|`@`
cat <<E~@~E|bash <<E~@~E|@ > >(cat)|[ -d nope ] OR @|# @|2>err @|@ 2>&1|python TEXT \\~ -S 1; @
""".strip()
    .replace("\n", "|")
    .replace("~", "\n")
    .replace("OR", "||")
    .replace("TEXT", TEXT)
    .split("|")
)
JOINTS = ("; ", "\n", " && ", " || ", " | ", " & ", " &&\n")
NOISE = ("", "", "", "'", '"', "\\", "$", "`", ";", "&", "(", "#", "{", "\n")


@pytest.fixture(scope="module")
def said_by_bash(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], set[TrainerRun]]:
    """Runs a text in bash, and tells which runs trainers were called for."""
    folder = tmp_path_factory.mktemp("bash")
    programs = folder / "programs"
    programs.mkdir()
    for name in ("bash", "cat", "cp", "env", "tee", "xargs"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name in ("python", "torchrun"):
        said = '{ printf "%s\\0" "$PWD" "$@"; printf "\\1\\0"; } >> "$LOG"'
        (programs / name).write_text(f"#!/bin/bash\n{said}\n")
        (programs / name).chmod(0o755)

    def run(text: str) -> set[TrainerRun]:
        here = Path(tempfile.mkdtemp(dir=folder))
        (here / "olmix/launch").mkdir(parents=True)
        (here / SCRIPT).touch()
        log = here / "log of calls"
        log.touch()
        environment = {"PATH": str(programs), "LOG": str(log)}
        subprocess.run(
            ["/bin/bash", "-c", f"{text}\nwait"],
            cwd=here,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        calls = (call.split("\0")[:-1] for call in log.read_text().split("\1\0")[:-1])
        return {run for call in calls if (run := called(call)) is not None}

    return run


def called(call: list[str]) -> TrainerRun | None:
    """The run that a trainer trains that was called so: its folder and arguments."""
    folder, *arguments = call
    if arguments[:1] == ["-m"]:
        arguments = [arguments[1].replace(".", "/") + ".py", *arguments[2:]]
    if arguments[:1] == ["--nnodes"]:
        arguments = arguments[2:]
    is_trainer = f"{folder}/{arguments[0]}".endswith(f"/{SCRIPT}") if arguments else False
    try:
        return parse_trainer([SCRIPT, *arguments[1:]]) if is_trainer else None
    except TrainerCommandError:
        return None  # click ends it as well


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_bash_misses_no_run_and_invents_none(
    said_by_bash: Callable[[str], set[TrainerRun]], data: st.DataObject
) -> None:
    parts = data.draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3))
    framed = [data.draw(st.sampled_from(FRAMES)).replace("@", part) for part in parts]
    text = framed[0]
    for part in framed[1:]:
        text += data.draw(st.sampled_from(JOINTS)) + part
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.sampled_from(NOISE)) + text[at:]

    try:
        run = parse_trainer(shell(text))
    except TrainerCommandError:
        return

    assert said_by_bash(text) == ({run} if run else set())


@pytest.mark.parametrize(
    "words",
    [
        shell(f'{TEXT} "{"a" * 90_000}'),
        shell("olmix." * 15_000 + TEXT),
        shell("$(" * 45_000 + TEXT),
        shell("a;" * 45_000 + f"x {TEXT}"),
        shell("bash -c 'python train.py train -g $X';" * 2_500),
        shell("x '" + "\\" * 90_000 + TEXT),
        shell(functools.reduce(lambda text, _: shlex.join(shell(text)), range(8), f"x {TEXT}")),
        shell(f"python {TEXT}" + " " * 200_000),
        ["env"] * 30_000 + COMMAND,
        [*ENTRY, *["python", "-m", "torch.distributed.run"] * 10_000, *COMMAND],
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
