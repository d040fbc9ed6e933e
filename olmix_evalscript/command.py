"""Read the training run off a task's command.

Launchers write one form: an entry point, python or torchrun, a trainer's script, ``train`` and
options. That is read, alone or as one of the simple commands of a shell's text. Whatever else names
a trainer and may name a group is an error, so that no run is missed. Nothing is expanded, and
whether a shell gets as far as the trainer is not asked.

The trainers are click programs: ``-n X``, ``-nX``, ``--run-name X`` and ``--run-name=X`` are one
and the same, and so is the single word ``"-n X"`` that the launchers write.
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Iterator, Sequence

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import TrainerRun
from olmix_evalscript.trainers import TRAINERS, Trainer

MAX_CHARACTERS = 128 * 1024  # of a shell's text; Linux takes no more in one word
MAX_STARTERS = 20  # programs that start each other

# What follows is looked for in a text without its quotes.
_KNOWN = r"\b(?:olmix|regmixer)[\w./-]{0,60}?\btrain\b"
#: A known trainer with its subcommand, wherever its group stands.
_TRAINER_CALL = re.compile(rf"{_KNOWN}(?:\.py)?\s+train\b")
#: What may be a trainer if there is a group, and if there is a variable.
_TRAIN = re.compile(r"\btrain\b")
_TRAIN_AND_VARIABLE = re.compile(rf"{_KNOWN}|\btrain(?:\.py)?\s+(?:train\b|[$`])")
#: The option that names a group, and the group if it is plain.
_GROUP = re.compile(
    r"(?<![\w-])(?:-g|--group-id)[=\s]*(?:([0-9a-f]{8})(?![\w$`])|[0-9a-f]{4}|[$`{%])"
)

#: Programs that run the one behind their own options, with those in getopt's notation. An option
#: that is not here makes a command unreadable.
_STARTERS = {
    "bash entrypoint.sh": ("", ""),  # gantry's and OLMo-core's
    "env": ("", ""),
    "nohup": ("", ""),
    "python": ("BbdEIOPqsSuvmW:X:", ""),
    "srun": ("n:N:p:t:c:J:G:u", "ntasks= nodes= partition= time= gpus= unbuffered"),
    "timeout": ("k:s:v", "kill-after= signal= foreground preserve-status"),
    "torchrun": (
        "m",
        "module standalone nnodes= nproc-per-node= node-rank= master-addr= master-port= "
        "rdzv-backend= rdzv-endpoint= rdzv-id= rdzv-conf= max-restarts=",
    ),
    "uv run": ("mp:", "module python= with= extra= group= all-extras no-sync frozen locked active"),
}
#: Programs that only show what they are given.
_SHOWING = ("cat", "echo", "grep", "head", "ls", "printf", "tail")
#: What may hand on what they show: a pipe, or a file.
_HANDED_ON = re.compile(r"(?<!\|)\|(?!\|)|>")
_PYTHON = re.compile(r"python[0-9.]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")

_VARIABLE = r"\$(?:\w+|[?@*\#$!-]|\{\w+\})"
_WORD = rf"""(?:[^\s\\'"`$;&|<>()]|\\.|'[^']*'|"(?:[^\\"`$]|\\.|{_VARIABLE})*"|{_VARIABLE})+"""
#: What a shell's text consists of: simple commands, joined by operators.
_TOKEN = re.compile(
    rf"""
    (?:[ \t]|\\\n)*
    (?:
        (?P<comment> \#[^\n]* )
      | (?P<redirection> (?:[0-9]*[<>]|&>)[>&|]? [ \t]* {_WORD} )
      | (?P<operator> && | \|\| | [;&|\n] )
      | (?P<word> {_WORD} )
      | (?P<end> \Z )
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\\\"]|\\.)*)\"|\\(.)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\\"`$\n])")


def trainer_words(words: Sequence[str]) -> tuple[str, ...] | None:
    """The words from the trainer's script on, or None if a task's command trains nothing.

    Raises:
        TrainerCommandError: If it names a trainer and does not plainly run it.
    """
    program = _behind_starters(words)
    if _trainer(program):
        return tuple(program)
    everything = "\n".join(words)
    if not _concerns(everything) or _only_shows(program, ""):
        return None
    text = _shell_text(program)
    if text is None or len(text) > MAX_CHARACTERS:
        raise _unreadable(text or " ".join(program), everything)
    calls: set[tuple[str, ...]] = set()
    others = [word for word in words if word != text]
    for command in _commands(text):
        call = _behind_starters(command)
        if _trainer(call) and "$" not in "".join(call[1:]):
            calls.add(tuple(call))
        elif not _only_shows(command, text):
            others += command
            if _concerns("\n".join(command)):
                raise _unreadable(" ".join(command), text)
    if len(calls) > 1 or (not calls and _concerns("\n".join(others))):
        raise _unreadable(text if _concerns(text) else " ".join(program), everything)
    return next(iter(calls), None)


def parse_trainer(words: Sequence[str]) -> TrainerRun | None:
    """Read the training run off a task's command.

    Args:
        words: The task's command and arguments.

    Returns:
        The run, or None if the command trains nothing.

    Raises:
        TrainerCommandError: If it names a trainer and does not plainly say which run it trains.
    """
    call = trainer_words(words) or ()
    trainer = _trainer(call)
    if trainer is None:
        return None
    options = _options(trainer, call)
    sources = options.pop("source")
    settings = {name: values[-1] for name, values in options.items() if values}
    run_name, group_id = settings.pop("run-name", ""), settings.pop("group-id", "")
    if not run_name or not group_id:
        missing = "run name (-n)" if not run_name else "group ID (-g)"
        raise TrainerCommandError(f"its trainer command has no {missing}", group_id or None)
    if "$" in group_id or "`" in group_id:
        raise TrainerCommandError(f"its group ID is left to a shell: {group_id[:60]!a}")
    weka = settings.pop("weka", "False")
    if weka.lower() not in ("true", "false"):  # as the launchers write them
        raise TrainerCommandError(f"its option -w is {weka!a}, neither True nor False", group_id)
    cluster, user = settings.pop("cluster", ""), settings.pop("beaker-user", "")
    if not cluster or not user:  # both trainers then fail before they save anything
        raise TrainerCommandError(
            "its trainer command does not name a cluster (-c) and user (-u)", group_id
        )
    return TrainerRun(
        trainer=trainer.name,
        run_name=run_name,
        group_id=group_id,
        cluster=cluster,
        user=user.lower(),
        weka=weka.lower() == "true",
        settings=settings,
        source_literals=tuple(sources),
    )


def _trainer(program: Sequence[str]) -> Trainer | None:
    """The trainer whose ``train`` a program with its arguments is."""
    if "train" not in program[1:2]:
        return None
    script = f"/{program[0]}"
    return next((t for t in TRAINERS.values() if script.endswith(f"/{t.script}")), None)


def _concerns(text: str) -> bool:
    """Whether a text names what may be a trainer, and a group or what may become one."""
    text = _without_quotes(text)
    if _TRAIN.search(text) and (_GROUP.search(text) or _TRAINER_CALL.search(text)):
        return True
    return ("$" in text or "`" in text) and bool(_TRAIN_AND_VARIABLE.search(text))


def _unreadable(part: str, text: str) -> TrainerCommandError:
    """The error that a part of a command is not plain."""
    return TrainerCommandError(
        f"its command may run a trainer, but is not plain: {part[:60]!a}", _group_id(text)
    )


def _group_id(text: str) -> str | None:
    """The group that a command names for certain, where it cannot be read as a whole."""
    groups = set(_GROUP.findall(_without_quotes(text)))
    is_certain = len(groups) == 1 and "$" not in text and "`" not in text
    return (groups.pop() if is_certain else "") or None


def _without_quotes(text: str) -> str:
    return text.replace("'", "").replace('"', "").replace("\\", "")


def _behind_starters(words: Sequence[str]) -> list[str]:
    """The program that those in front of it start, with its arguments; a module as its file."""
    rest = list(words)
    for _ in range(MAX_STARTERS):
        while rest and _ASSIGNMENT.match(rest[0]):
            rest.pop(0)
        names = [word.rpartition("/")[2] for word in rest[:2]]
        if names and _PYTHON.fullmatch(names[0]):
            names[0] = "python"
        size = next((n for n in (1, 2) if " ".join(names[:n]) in _STARTERS), 0)
        if size == 0:
            break
        short, long = _STARTERS[" ".join(names[:size])]
        long_names = [*long.split(), *long.replace("-", "_").split()]
        try:
            options, behind = getopt.getopt(rest[size:], short, long_names)
        except getopt.GetoptError:
            break
        if behind and (("-m", "") in options or ("--module", "") in options):
            behind[0] = behind[0].replace(".", "/") + ".py"
            if behind[0] == "torch/distributed/run.py":
                behind[0] = "torchrun"
        rest = behind[1:] if names[0] == "timeout" else behind  # without its duration
    return rest


def _shell_text(program: Sequence[str]) -> str | None:
    """The text that a shell is to run: behind its ``-c``, or a whole command in one word."""
    if len(program) == 1 and re.search(r"\s", program[0]):
        return program[0]
    if not program or program[0].rpartition("/")[2] not in ("bash", "sh"):
        return None
    try:
        options, operands = getopt.getopt(list(program[1:]), "ceiluvxo:", ["login"])
    except getopt.GetoptError:
        return None
    return operands[0] if ("-c", "") in options and len(operands) == 1 else None


def _only_shows(words: Sequence[str], text: str) -> bool:
    """Whether a command only shows its arguments, and nothing in a shell's text may run them."""
    return bool(words) and words[0] in _SHOWING and not _HANDED_ON.search(text)


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each simple command of a shell's text, without redirections and quotes."""
    words: list[str] = []
    at = 0
    while True:
        token = _TOKEN.match(text, at)
        if token is None:
            raise _unreadable(text[at:].strip(), text)
        at = token.end()
        if token["word"]:
            words.append(_unquoted(token["word"]))
        elif token.lastgroup in ("operator", "end"):
            yield words
            words = []
        if token.lastgroup == "end":
            break


def _unquoted(word: str) -> str:
    """A word as a shell makes it of what is written, but for variables."""
    if word[0] == "'" and word.find("'", 1) == len(word) - 1:
        return word[1:-1]
    return _QUOTED.sub(_content, word)


def _content(quoted: re.Match[str]) -> str:
    single, double, escaped = quoted.groups()
    if double is not None:
        return _ESCAPED.sub(lambda match: match[1].strip("\n"), double)
    return single if single is not None else escaped.strip("\n")


def _options(trainer: Trainer, call: Sequence[str]) -> dict[str, list[str]]:
    """Long option name to all its values, stripped as the trainers do; the last one counts."""
    options: dict[str, list[str]] = {name: [] for name in trainer.options.values()}
    words = iter(call[2:])
    for word in words:
        if word == "" or word.removeprefix("--") in trainer.flags:
            continue  # early 2025's regmixer passed "" for no -C
        if word.startswith("--"):
            name, is_joined, value = word[2:].partition("=")
        else:
            name = trainer.options.get(word[1:2], "") if word[0] == "-" else ""
            is_joined = value = word[2:]
        following = value if is_joined else next(words, None)
        if name not in options or following is None:
            raise TrainerCommandError(
                f"its trainer command cannot be read at {word[:60]!a}", _group_id("\n".join(call))
            )
        options[name].append(following.strip())
    return options
