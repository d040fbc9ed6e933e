"""A task's command line in; the training run it starts, or None for any other command, out.

The trainers are click programs, and click hands each option of theirs to a getopt-like
parser: ``-n X``, ``-nX``, ``--run-name X`` and ``--run-name=X`` are one and the same, and so
is the single word ``"-n X"`` that the launchers write. The standard library's getopt follows
the same rules.
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import TrainerRun
from olmix_evalscript.programs import (
    NEEDED,
    Budget,
    Program,
    may_start_a_chain,
    programs,
)
from olmix_evalscript.trainers import TRAINERS, Trainer

#: What click takes for true and for false (``click.BOOL``).
BOOLEANS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}

#: A trainer's path in a text, whatever stands around it.
_MENTION = re.compile(
    r"\btrain\.py\b|"
    + "|".join(
        re.escape(trainer.script.removesuffix(".py")).replace("/", "[/.]")
        for trainer in TRAINERS.values()
    )
)
#: The option that names a group, in each of its forms.
_GROUP = re.compile(r"(?:--group-id(?:=|\s+|$)|-g=?\s*)(.*)", re.DOTALL)


@dataclass(frozen=True)
class _Call:
    """A call of a trainer's ``train``."""

    trainer: Trainer
    words: tuple[str, ...]  # its script, "train", and the options


def trainer_words(words: Sequence[str]) -> tuple[str, ...] | None:
    """Cut a task's command line down to the trainer's script and its arguments.

    Args:
        words: The task's command and arguments.

    Returns:
        The words from the trainer's script on, or None if no trainer is run. What stands before
        (launchers, environment variables) and after (redirections, further commands) is dropped.

    Raises:
        TrainerCommandError: If it cannot be told which trainer is run, or whether one is.
    """
    call = _call(words)
    return call.words if call else None


def parse_trainer(words: Sequence[str]) -> TrainerRun | None:
    """Read the training run off a task's command line.

    Args:
        words: The task's command and arguments.

    Returns:
        The run, or None if the command trains nothing.

    Raises:
        TrainerCommandError: If it cannot be told which run is trained, or whether one is.
    """
    call = _call(words)
    return _run(call) if call else None


def _call(words: Sequence[str]) -> _Call | None:
    """The one call of a trainer that a command line makes."""
    if not any(NEEDED in word for word in words):
        return None
    try:
        certain, open_cases = _calls(words)
    except (ValueError, RecursionError) as error:
        if any(_MENTION.search(word) for word in words):
            reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
            raise TrainerCommandError(f"its shell command cannot be read: {reason}") from None
        return None
    if len(certain) > 1:
        raise TrainerCommandError("its command runs a trainer more than once")
    for program in open_cases:
        if program.words not in certain and not (certain and program.is_hidden):
            raise TrainerCommandError(
                f"its command names a trainer, but {program.doubt}", _group_id(program.words)
            )
    return next(iter(certain.values()), None)


def _calls(words: Sequence[str]) -> tuple[dict[tuple[str, ...], _Call], list[Program]]:
    """The calls of trainers that are certain, by their words, and what else may be one."""
    certain: dict[tuple[str, ...], _Call] = {}
    open_cases: list[Program] = []
    budget = Budget()
    for program in programs(words, budget):
        call = _trainer_call(program)
        if call is not None and not program.doubt:
            certain[call.words] = call
        elif call is not None or program.is_hidden:
            open_cases.append(program)
        else:
            _refuse_unknown_trainer(program)
            open_cases += _given(program, budget)
    return certain, open_cases


def _trainer_call(program: Program) -> _Call | None:
    if program.is_hidden or "--help" in program.words:
        return None
    for trainer in TRAINERS.values():
        if not f"/{program.words[0]}".endswith(f"/{trainer.script}"):
            continue
        if program.words[1:2] == ("train",):
            return _Call(trainer, program.words)
        if "$" in "".join(program.words[1:2]):
            raise TrainerCommandError(
                f"its command leaves a trainer's arguments to a shell: {program.words[1]!a}"
            )
    return None


def _refuse_unknown_trainer(program: Program) -> None:
    """Refuse what looks like a trainer of a swarm and is none that is known.

    Raises:
        TrainerCommandError: If it does.
    """
    words = program.words
    is_named_train = words[0].rsplit("/", 1)[-1] == "train.py" and words[1:2] == ("train",)
    if is_named_train and _names_group(words) and "--help" not in words:
        raise TrainerCommandError(
            f"its command runs {words[0]!a}, which is not a known trainer", _group_id(words)
        )


def _given(program: Program, budget: Budget) -> Iterator[Program]:
    """The trainers' commands in the arguments of a program that is not known: it may run them.

    They may be words of it, or a text in one word; what Python runs takes no such text.
    """
    words = program.words
    if not any(_MENTION.search(word) for word in words[1:]):
        return
    for at, word in enumerate(words[1:], 1):
        budget.spend(len(word))
        if may_start_a_chain(word):
            budget.spend(sum(map(len, words[at:])))
            found = programs(words[at:], budget)
        elif word.endswith(".py"):
            found = [Program(words[at:])]
        elif not program.is_script and _MENTION.search(word) and re.search(r"\s", word):
            found = programs([word], budget)
        else:
            continue
        doubt = f"it is given to {words[0]!a}, which may run it"
        for inner in found:
            if inner.is_hidden or (_trainer_call(inner) and _names_group(inner.words)):
                yield replace(inner, doubt=doubt)
            else:
                yield from _given(inner, budget)


def _names_group(words: Sequence[str]) -> bool:
    """Whether a trainer's arguments name a group, or may once a shell has expanded them."""
    return any(_GROUP.match(word) for word in words) or "$" in " ".join(words[2:])


def _group_id(words: Sequence[str]) -> str | None:
    """The group that a command names for certain, where its options cannot be read as a whole.

    Returns:
        None if it names none, or another program's option may be taken for it.
    """
    found = set()
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if match := _GROUP.match(word):
            found.add((match[1] or following).strip())
    group_id = found.pop() if len(found) == 1 else ""
    return group_id if re.fullmatch(r"[0-9a-f]{8}", group_id) else None


def _run(call: _Call) -> TrainerRun:
    group_id = _group_id(call.words)
    options = _options(call.trainer, call.words[2:], group_id)
    last = {name: values[-1] for name, values in options.items()}
    run_name, group_id = last.get("run-name", ""), last.get("group-id", "")
    if not run_name or not group_id:
        missing = "run name (-n)" if not run_name else "group ID (-g)"
        raise TrainerCommandError(f"its trainer command has no {missing}", group_id or None)
    for name in ("group-id", "run-name", "cluster", "beaker-user", "weka"):
        if re.search(r"[$`]", last.get(name, "")):
            raise TrainerCommandError(
                f"its {name} is left to a shell: {last[name]!a}",
                None if name == "group-id" else group_id,
            )
    weka = BOOLEANS.get((last.get("weka") or str(call.trainer.default_weka)).lower())
    if weka is None:
        raise TrainerCommandError(
            f"its option -w is {last['weka']!a}, neither True nor False", group_id
        )
    return TrainerRun(
        trainer=call.trainer.name,
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
        global_batch_size=last.get("global-batch-size"),
        start_checkpoint=last.get("checkpoint-path") or None,
        source_literals=tuple(options.get("source", ())),
    )


def _options(
    trainer: Trainer, arguments: Sequence[str], group_id: str | None
) -> dict[str, list[str]]:
    """Long option name to all its values, stripped as the trainers do; the last one counts."""
    short = "".join(f"{letter}:" for letter in trainer.options)
    long = [*(f"{name}=" for name in trainer.options.values()), *trainer.flags]
    options: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest:
        try:
            pairs, rest = getopt.getopt(rest, short, long)
        except getopt.GetoptError as error:
            raise TrainerCommandError(
                f"its trainer command cannot be read: {error}", group_id
            ) from None
        if rest and rest.pop(0) != "":  # early 2025's regmixer passed "" for no -C
            raise TrainerCommandError("its trainer command has a stray argument", group_id)
        for name, value in pairs:
            bare = name.lstrip("-")
            options.setdefault(trainer.options.get(bare, bare), []).append(value.strip())
    return options
