"""A task's command line in; the training run it starts, or None for any other command, out.

The trainers are click programs, and click hands each option of theirs to a getopt-like
parser: ``-n X``, ``-nX``, ``--run-name X`` and ``--run-name=X`` are one and the same, and so
is the single word ``"-n X"`` that the launchers write. The standard library's getopt follows
the same rules.
"""

from __future__ import annotations

import ast
import getopt
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.trainers import TRAINERS, Trainer

#: What click takes for true and for false (``click.BOOL``).
BOOLEANS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}

#: A trainer's script or module in a shell's text, with the subcommand behind it.
_RUNS = re.compile(
    "|".join(
        re.escape(trainer.script.removesuffix(".py")).replace("/", "[/.]")
        + r"(\.py)?['\"]?\s+train\s"
        for trainer in TRAINERS.values()
    )
)
_SHELL_OPERATORS = ";&|<>()\n"
#: Programs that run the script named after them. Anything else in front of a trainer's script
#: (``cat``, ``grep``, ``echo``) is not known to train.
_RUNNERS = re.compile(
    r"python[0-9.]*|torchrun|srun|conda|uv|exec|env|time|nohup|entrypoint\.sh|bash|sh"
)


#: No launcher's source comes near it; the largest holds a few hundred paths.
MAX_SOURCE_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Source:
    """One domain of a mixture, as one ``-s`` gives it."""

    name: str  # such as "dclm:adult_content", as in the priors
    ratio: float  # its share of the mixture, 0 to 1
    repetition: float  # how often its data may be repeated
    paths: tuple[str, ...]


@dataclass(frozen=True)
class TrainerRun:
    """One training run, as its command line tells it; None and empty are what it leaves out."""

    trainer: str  # one of TRAINERS
    run_name: str
    group_id: str
    cluster: str | None  # as written after -c, such as "ai2/jupiter-cirrascale-2"
    user: str | None  # lower case, as in checkpoint paths
    weka: bool
    model: str | None = None
    chinchilla_multiple: str | None = None  # olmix's length: 20 tokens a parameter, times this
    max_tokens: str | None = None  # regmixer's length
    sequence_length: str | None = None
    seed: str | None = None
    tokenizer: str | None = None
    dtype: str | None = None
    train_type: str | None = None
    device_batch_size: str | None = None
    global_batch_size: str | None = None
    start_checkpoint: str | None = None
    eval_tasks: tuple[str, ...] = ()  # of the training itself
    eval_interval: str | None = None
    no_eval: bool = False
    source_literals: tuple[str, ...] = ()  # each as written after -s

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The mixture, in the order of the command.

        Raises:
            TrainerCommandError: If a source cannot be read.
        """
        return tuple(_source(literal) for literal in self.source_literals)


def _source(literal: str) -> Source:
    """Read one source as the trainers do (``PythonLiteralOption`` in both): without blanks and
    single quotes, as a tuple of name, paths, ratio and, but for early regmixer, repetition."""
    if len(literal) > MAX_SOURCE_CHARACTERS:
        raise TrainerCommandError(f"its source {literal[:40]!a}... is too long to be read")
    try:
        value = ast.literal_eval(literal.replace(" ", "").replace("'", ""))
        name, paths, ratio, repetition = value if len(value) == 4 else (*value, 1.0)
        source = Source(name, float(ratio), float(repetition), tuple(paths))
    except (ValueError, TypeError, OverflowError, SyntaxError, MemoryError, RecursionError):
        raise TrainerCommandError(f"its source {literal[:80]!a} cannot be read") from None
    if not isinstance(name, str) or not name or not isinstance(paths, list | tuple):
        raise TrainerCommandError(f"its source {literal[:80]!a} has no name or paths")
    if not 0 <= source.ratio <= 1:
        raise TrainerCommandError(f"its source {literal[:80]!a} has a ratio outside 0 to 1")
    return source


def trainer_words(words: Sequence[str]) -> tuple[str, ...] | None:
    """Cut a task's command line down to the trainer's script and its arguments.

    Args:
        words: The task's command and arguments.

    Returns:
        The words from the trainer's script on, or None if no trainer is run. What stands before
        (launchers, environment variables) and after (redirections, further commands) is dropped.

    Raises:
        TrainerCommandError: If the command names a trainer in a way that leaves it open what runs.
    """
    found = [
        (command[: place.start], command[place.start :])
        for command in _commands(words)
        if (place := _locate(command)) is not None
    ]
    if not found:
        return None
    if len(found) > 1:
        raise TrainerCommandError("its command runs a trainer more than once")
    before, trainer = found[0]
    program = next((word for word in before if not _is_assignment(word)), None)
    if program is not None and not _RUNNERS.fullmatch(program.rsplit("/", 1)[-1]):
        raise TrainerCommandError(f"its command names a trainer's script after {program!a}")
    return tuple(trainer)


def parse_trainer(words: Sequence[str]) -> TrainerRun | None:
    """Read the training run off a task's command line.

    Args:
        words: The task's command and arguments.

    Returns:
        The run, or None if the command trains nothing.

    Raises:
        TrainerCommandError: If the command runs a trainer, but not in a way the trainer accepts.
    """
    trainer = trainer_words(words)
    place = _locate(trainer or ())
    if trainer is None or place is None:
        return None
    options = _options(place.trainer, trainer[place.arguments :])
    last = {name: values[-1] for name, values in options.items()}
    run_name, group_id = last.get("run-name", ""), last.get("group-id", "")
    if not run_name or not group_id:
        missing = "run name (-n)" if not run_name else "group ID (-g)"
        raise TrainerCommandError(f"its trainer command has no {missing}")
    for name in ("run-name", "group-id", "cluster", "beaker-user", "weka"):
        if re.search(r"[$`]", last.get(name, "")):
            raise TrainerCommandError(f"its {name} is left to a shell: {last[name]!a}")
    weka = BOOLEANS.get((last.get("weka") or str(place.trainer.default_weka)).lower())
    if weka is None:
        raise TrainerCommandError(f"its option -w is {last['weka']!a}, neither True nor False")
    return TrainerRun(
        trainer=place.trainer.name,
        run_name=run_name,
        group_id=group_id,
        cluster=last.get("cluster") or None,
        user=last.get("beaker-user", "").lower() or None,
        weka=weka,
        model=last.get("model-identifier"),
        chinchilla_multiple=last.get("chinchilla-multiple"),
        max_tokens=last.get("max-tokens"),
        sequence_length=last.get("sequence-length"),
        seed=last.get("seed"),
        tokenizer=last.get("tokenizer"),
        dtype=last.get("dtype"),
        train_type=last.get("train-type"),
        device_batch_size=last.get("device-batch-size"),
        global_batch_size=last.get("global-batch-size"),
        start_checkpoint=last.get("checkpoint-path") or None,
        eval_tasks=tuple(options.get("eval-task", ())),
        eval_interval=last.get("eval-interval"),
        no_eval="no-eval" in options,
        source_literals=tuple(options.get("source", ())),
    )


def _options(trainer: Trainer, arguments: Sequence[str]) -> dict[str, list[str]]:
    """Long option name to all its values, stripped as the trainers do; the last one counts."""
    short = "".join(f"{letter}:" for letter in trainer.options)
    long = [*(f"{name}=" for name in trainer.options.values()), *trainer.flags]
    options: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        try:
            pairs, rest = getopt.getopt(rest, short, long)
        except getopt.GetoptError as error:
            raise TrainerCommandError(f"its trainer command cannot be read: {error}") from None
        if rest and rest.pop(0) != "":  # early 2025's regmixer passed "" for no -C
            raise TrainerCommandError("its trainer command has a stray argument")
        for name, value in pairs:
            bare = name.lstrip("-")
            options.setdefault(trainer.options.get(bare, bare), []).append(value.strip())
    return options


class _Place(NamedTuple):
    trainer: Trainer
    start: int  # index of the script, or of the -m before a module
    arguments: int  # index of the first word after the subcommand


def _locate(words: Sequence[str]) -> _Place | None:
    for index, word in enumerate(words[:-1]):
        if words[index + 1] != "train":
            continue
        is_module = index > 0 and words[index - 1] == "-m"
        script = f"{word.replace('.', '/')}.py" if is_module else word
        for trainer in TRAINERS.values():
            if f"/{script}".endswith(f"/{trainer.script}"):
                return _Place(trainer, start=index - is_module, arguments=index + 2)
    return None


def _is_assignment(word: str) -> bool:
    return re.match(r"[A-Za-z_][A-Za-z0-9_]*=", word) is not None


def _commands(words: Sequence[str]) -> list[list[str]]:
    """The simple commands of a command line: itself, or those of the shell text in it.

    A shell's text is a word of several words that runs a trainer's script: what ``bash -c`` is
    given, or gantry with ``--exec-method bash``.
    """
    if _locate(words) is not None:
        return [list(words)]
    return [command for word in words if _RUNS.search(word) for command in _split_shell(word)]


def _split_shell(text: str) -> list[list[str]]:
    lexer = shlex.shlex(text.replace("\\\n", " "), posix=True, punctuation_chars=_SHELL_OPERATORS)
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    commands: list[list[str]] = [[]]
    try:
        for word in lexer:
            if not set(word) <= set(_SHELL_OPERATORS):
                commands[-1].append(word)
            elif set(word) & set("<>"):
                next(lexer, None)  # the file redirected to
                if commands[-1] and commands[-1][-1] in ("1", "2"):
                    commands[-1].pop()  # the "2" of "2>"
            else:
                commands.append([])
    except ValueError as error:
        raise TrainerCommandError(f"its shell command cannot be read: {error}") from None
    return commands
