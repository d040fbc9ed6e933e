"""Read the training run off a task's command.

Launchers write one form: an entry point, python or torchrun, a trainer's script, ``train`` and
options. That, known programs in front of it, and a shell's text that is a list of such commands are
read. Whatever else names a trainer and may name a group is an error, so that no run is missed.
Nothing is expanded or evaluated.

The trainers are click programs: ``-n X``, ``-nX``, ``--run-name X`` and ``--run-name=X`` are one
and the same, and so is the single word ``"-n X"`` that the launchers write.
"""

from __future__ import annotations

import getopt
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from olmix_evalscript.errors import TrainerCommandError
from olmix_evalscript.model import TrainerRun
from olmix_evalscript.trainers import TRAINERS, Trainer

MAX_CHARACTERS = 128 * 1024  # of a shell's text; Linux takes no more in one word
MAX_DEPTH = 5  # shells within shells
MAX_STARTERS = 20  # programs that start each other

#: What click takes for true and for false (``click.BOOL``).
BOOLEANS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}

_KNOWN = r"\b(?:olmix|regmixer)[\w./-]{0,60}?\btrain\b"
#: What names a trainer for certain.
_TRAINER = re.compile(rf"\btrain\.py\b|{_KNOWN}")
#: A known trainer with its subcommand, wherever its group stands.
_TRAINER_CALL = re.compile(rf"{_KNOWN}(?:\.py)?['\"]?\s+['\"]?train\b")
#: What may be a trainer if there is a group, and if there is a variable.
_TRAIN = re.compile(r"\btrain\b")
_TRAIN_AND_VARIABLE = re.compile(rf"{_KNOWN}|\btrain(?:\.py)?['\"]?\s+['\"]?(?:train\b|[$`])")
#: The option that names a group, and the group if it is plain.
_GROUP = re.compile(
    r"(?<![\w-])(?:-g|--group-id)[=\s'\"\\]*(?:([0-9a-f]{8})(?![\w$`])|[0-9a-f]{4}|[$`{%])"
)
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_PYTHON = re.compile(r"python[0-9.]*")
_PYTHON_FLAG = re.compile(r"-[BbdEIOPqsSuv]+|-[WX].+")
_PYTHON_MODULE = re.compile(r"-[BbdEIOPqsSuv]*m")
_SHELLS = frozenset(("bash", "sh", "dash"))
_SHELL_OPTIONS = "ceiluvxo:", ["login", "norc", "noprofile"]
#: What gantry and OLMo-core start a job with.
_ENTRY_POINT = "entrypoint.sh"


#: Programs that run the one behind their own options, with those in getopt's notation. An option
#: that is not here makes a command unreadable.
_STARTERS = {
    "env": ("iu:", "ignore-environment unset="),
    "exec": ("", ""),
    "nohup": ("", ""),
    "srun": (
        "n:N:p:t:c:J:G:u",
        "ntasks= nodes= partition= time= cpus-per-task= job-name= gpus= gpus-per-node= "
        "gpus-per-task= ntasks-per-node= mem= unbuffered",
    ),
    "time": ("pv", ""),
    "timeout": ("k:s:v", "kill-after= signal= foreground preserve-status"),
    "torchrun": (
        "mr:t:",
        "module standalone nnodes= nproc-per-node= node-rank= master-addr= master-port= "
        "rdzv-backend= rdzv-endpoint= rdzv-id= rdzv-conf= max-restarts= monitor-interval= "
        "start-method= role= log-dir= redirects= tee= local-addr=",
    ),
    "uv run": ("mp:", "module python= with= extra= group= all-extras no-sync frozen locked active"),
}
_TORCHRUN_MODULES = ("torch.distributed.run", "torch.distributed.launch")
#: Programs that show or move what they are given, and run none of it.
_HARMLESS = frozenset(": cat cp echo grep head ls mkdir mv rm tail touch wc".split())  # noqa: SIM905
#: Programs that are called to succeed or to fail.
_TESTS = frozenset("[ [[ cmp diff false grep test".split())  # noqa: SIM905
#: Words of a shell that decide whether, where or how often commands run.
_CONTROL = frozenset(
    """
    ! break builtin case command continue coproc do done elif else esac eval exit fi for function if
    popd pushd return select then until while { }
    """.split()  # noqa: SIM905 - one word a line would hide the rest
)
_SHELL_SETTING = re.compile(r"[-+][aeux]*o?|pipefail")

_TOKEN = re.compile(
    r"""
    (?:[ \t]|\\\n)*
    (?:
        (?P<comment> \#[^\n]* )
      | (?P<redirection> [0-9]*(?:>>|>&|>\||>|<&|<) | &>>? )
      | (?P<operator> && | \|\| | [;&|\n] )
      | (?P<word>
            (?:
                [^\s\\'"`$;&|<>()]
              | \\.
              | '[^']*'
              | "(?:[^\\"`$]|\\.|VARIABLE)*"
              | VARIABLE
            )+
        )
      | (?P<end> \Z )
    )
    """.replace("VARIABLE", r"\$(?:\w+|[?@*\#$!-]|\{\w+\})"),
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\\\"]|\\.)*)\"|\\(.)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\\"`$\n])")


@dataclass(frozen=True)
class _Call:
    """A call of a trainer's ``train``."""

    trainer: Trainer
    words: tuple[str, ...]  # its script, "train", and the options


def trainer_words(words: Sequence[str]) -> tuple[str, ...] | None:
    """The words from the trainer's script on, or None if a task's command trains nothing.

    Raises:
        TrainerCommandError: If it names a trainer and does not plainly run it.
    """
    call = _call_of(words)
    return call.words if call else None


def parse_trainer(words: Sequence[str]) -> TrainerRun | None:
    """Read the training run off a task's command.

    Args:
        words: The task's command and arguments.

    Returns:
        The run, or None if the command trains nothing.

    Raises:
        TrainerCommandError: If it names a trainer and does not plainly say which run it trains.
    """
    call = _call_of(words)
    return _run(call) if call else None


def _call_of(words: Sequence[str]) -> _Call | None:
    """The one call of a trainer that a command makes."""
    if not any("train" in word for word in words):
        return None
    if len(words) == 1 and re.search(r"\s", words[0]):
        return _in_text(words[0])
    return _in_words(words)


def _concerns(text: str) -> bool:
    """Whether a text names what may be a trainer, and a group or what may become one."""
    if _TRAIN.search(text) and (_GROUP.search(text) or _TRAINER_CALL.search(text)):
        return True
    return ("$" in text or "`" in text) and bool(_TRAIN_AND_VARIABLE.search(text))


def _unreadable(reason: str, text: str) -> TrainerCommandError:
    return TrainerCommandError(
        f"its command names a trainer, but is not plain: {reason}", _group_id(text)
    )


def _group_id(text: str) -> str | None:
    """The group that a command names for certain, where it cannot be read as a whole."""
    groups = set(_GROUP.findall(text))
    is_certain = len(groups) == 1 and "$" not in text and "`" not in text
    return (groups.pop() if is_certain else "") or None


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _in_words(words: Sequence[str], folder: str = "", depth: int = 0) -> _Call | None:
    """The call that one program with its arguments makes."""
    program = _behind_starters(words)
    if program and _name(program[0]) in _SHELLS:
        operands = _shell_text(program)
        if len(operands) == 1:
            return _in_text(operands[0], depth + 1)
    if trainer := _trainer(program, folder):
        if "--help" in program:
            return None
        if program[1:2] == ["train"]:
            return _Call(trainer, (posixpath.join(folder, program[0]), *program[1:]))
    text = "\n".join(words)
    if not _concerns(text) or _is_harmless(program):
        return None
    if program and _name(program[0]) == "train.py" and not trainer:
        raise _unreadable(f"{program[0][:60]!a} is not a known trainer", text)
    raise _unreadable(f"{(program or words)[0][:60]!a} may run it", text)


def _trainer(program: Sequence[str], folder: str) -> Trainer | None:
    path = "/" + posixpath.join(folder, program[0]) if program else ""
    return next((t for t in TRAINERS.values() if path.endswith(f"/{t.script}")), None)


def _is_harmless(program: Sequence[str]) -> bool:
    """Whether a program only shows or moves what it is given, which is no shell's text."""
    has_operator = any(word.endswith((";", "&", "|")) for word in program)
    return bool(program) and _name(program[0]) in _HARMLESS and not has_operator


def _behind_starters(words: Sequence[str]) -> list[str]:
    """The program that those in front of it start, with its arguments; a module as its file."""
    rest = list(words)
    for _ in range(MAX_STARTERS):
        while rest and _ASSIGNMENT.match(rest[0]) and not _TRAINER.search(rest[0]):
            rest.pop(0)
        if not rest:
            break
        name = _name(rest[0])
        is_shell = name in _SHELLS and _name("".join(rest[1:2])) == _ENTRY_POINT
        if is_shell or name == _ENTRY_POINT:
            rest = rest[is_shell + 1 :]
            if len(rest) == 1 and re.search(r"\s", rest[0]):
                return ["bash", "-c", rest[0]]  # gantry's bash method
        elif _PYTHON.fullmatch(name):
            rest = _behind_python(rest)
            if rest[0] != "torchrun":
                break
        elif name in _STARTERS or " ".join((name, *rest[1:2])) in _STARTERS:
            behind = _behind_options(rest, name)
            if behind is None:
                break
            rest = behind
            if name == "torchrun":
                break
        else:
            break
    return rest


def _behind_options(words: list[str], name: str) -> list[str] | None:
    """What a starter runs; None where one of its options is not known."""
    size = 1 if name in _STARTERS else 2
    short, long = _STARTERS[" ".join((name, *words[1:size]))]
    names = [*long.split(), *long.replace("-", "_").split()]
    try:
        options, rest = getopt.getopt(words[size:], short, names)
    except getopt.GetoptError:
        return None
    if name == "timeout":
        return rest[1:]  # its duration
    is_module = ("-m", "") in options or ("--module", "") in options
    return _module(rest) if is_module else rest


def _behind_python(words: list[str]) -> list[str]:
    """The script or module that Python runs; all the words where that is not plain."""
    for at, word in enumerate(words[1:], 1):
        if _PYTHON_MODULE.fullmatch(word):
            if words[at + 1 : at + 2] and words[at + 1] in _TORCHRUN_MODULES:
                return ["torchrun", *words[at + 2 :]]
            return _module(words[at + 1 :]) or words
        if word[:1] != "-":
            return words[at:]
        if not _PYTHON_FLAG.fullmatch(word):
            break
    return words


def _module(words: list[str]) -> list[str]:
    is_name = words and re.fullmatch(r"[\w.]+", words[0])
    return [words[0].replace(".", "/") + ".py", *words[1:]] if is_name else []


def _shell_text(words: Sequence[str]) -> list[str]:
    """The text behind a shell's ``-c`` and its arguments; empty if it has none."""
    try:
        options, operands = getopt.getopt(words[1:], *_SHELL_OPTIONS)
    except getopt.GetoptError:
        return []
    return list(operands) if ("-c", "") in options else []


@dataclass
class _Command:
    """A simple command of a shell's text."""

    before: str  # the operator in front of it
    words: list[str] = field(default_factory=list)
    after: str = ""
    writes: bool = False  # to a file

    @property
    def name(self) -> str:
        """The shell's own word or the program, behind assignments."""
        names = (w for w in self.words if w not in ("time", "-p") and not _ASSIGNMENT.match(w))
        return next(names, "")


def _in_text(text: str, depth: int = 0) -> _Call | None:
    """The call that a shell's text makes, if it is a list of simple commands."""
    if not _concerns(text):
        return None
    if depth > MAX_DEPTH or len(text) > MAX_CHARACTERS:
        raise _unreadable("its shell command is too long or too deep", text)
    calls: dict[tuple[str, ...], _Call] = {}
    suspect = folder = ""
    is_alternative = False  # behind a ||
    for command in _commands(text):
        is_alternative = command.before == "||" or (is_alternative and command.before == "|")
        if command.name == "cd":
            folder = posixpath.join(folder, _entered(command, is_alternative, text))
            continue
        call = _in_words(command.words, folder, depth)
        reason = _control(command, is_alternative, call)
        if call and not reason:
            calls[call.words] = call
        elif not reason:
            suspect = suspect or _suspect(command)
        if reason or (suspect and not call and _concerns("\n".join(command.words))):
            raise _unreadable(reason or suspect, text)
    if len(calls) > 1:
        raise _unreadable("it runs a trainer more than once", text)
    if suspect and not calls:
        raise _unreadable(suspect, text)
    return next(iter(calls.values()), None)


def _entered(command: _Command, is_alternative: bool, text: str) -> str:
    """The folder that a ``cd`` enters for all commands behind it."""
    is_certain = not is_alternative and command.before != "|" and command.after != "|"
    if not is_certain or len(command.words) != 2 or command.words[1][:1] == "-":
        raise _unreadable("its folder is left to a shell", text)
    return command.words[1]


def _control(command: _Command, is_alternative: bool, call: _Call | None) -> str:
    """Why a shell decides what a command does, or what others do because of it."""
    name = command.name
    is_guard = name == "exit" and is_alternative  # cd x || exit 1
    is_test = name in _TESTS and command.after in ("&&", "||")
    is_odd_set = name == "set" and not all(map(_SHELL_SETTING.fullmatch, command.words[1:]))
    if (
        (name in _CONTROL and not is_guard)
        or is_test
        or is_odd_set
        or (name == "exec" and not call)
    ):
        return f"`{name}` decides what runs"
    if call is None:
        return ""
    if re.search(r"[*?\[{]", call.words[0]) or "$" in "".join(call.words[1:]):
        return "a shell fills in its script or options"
    return "it runs only if another command fails" if is_alternative else ""


def _suspect(command: _Command) -> str:
    """Why a command that calls no trainer itself may still make one run; empty if it does not."""
    name, words = command.words[0], "\n".join(command.words)
    mentions = _TRAINER.search(words) or _GROUP.search(words)
    if _is_harmless(command.words):
        passes_on = command.writes or command.after == "|"
        return f"what `{name}` writes may be run" if mentions and passes_on else ""
    return f"{name[:60]!a} may run it" if mentions or "$" in words else ""


def _commands(text: str) -> Iterator[_Command]:
    """The simple commands of a shell's text, without redirections and quotes."""
    command = _Command("")
    redirection = ""  # whose target comes next
    at = 0
    while True:
        token = _TOKEN.match(text, at)
        if token is None:
            snippet = text[at : at + 20].strip()
            raise _unreadable(f"only a shell can tell what {snippet!a} means", text)
        at = token.end()
        kind, value = token.lastgroup, token[token.lastgroup or 0]
        if kind == "word" and redirection:
            is_descriptor = redirection.endswith("&") and re.fullmatch(r"[0-9]+|-", value)
            command.writes |= ">" in redirection and not is_descriptor
            redirection = ""
        elif kind == "word":
            command.words.append(_unquoted(value))
        elif kind == "redirection" and not redirection:
            redirection = value
        elif kind == "comment":
            continue
        elif value == "&":
            raise _unreadable("it runs commands in the background", text)
        elif redirection or (not command.words and value not in ("", "\n")):
            raise _unreadable("its shell command cannot be read", text)
        elif command.words:
            command.after = value
            yield command
            command = _Command(value)
        if kind == "end":
            break
    if command.before in ("&&", "||", "|"):
        raise _unreadable("its shell command has no end", text)


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


def _run(call: _Call) -> TrainerRun:
    options = _options(call)
    last = {name: values[-1] for name, values in options.items() if values}
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
        source_literals=tuple(options["source"]),
    )


def _options(call: _Call) -> dict[str, list[str]]:
    """Long option name to all its values, stripped as the trainers do; the last one counts."""
    options: dict[str, list[str]] = {name: [] for name in call.trainer.options.values()}
    words = iter(call.words[2:])
    for word in words:
        if word == "" or word.removeprefix("--") in call.trainer.flags:
            continue  # early 2025's regmixer passed "" for no -C
        if word.startswith("--"):
            name, is_joined, value = word[2:].partition("=")
        elif word.startswith("-"):
            name = call.trainer.options.get(word[1:2], "")
            is_joined = value = word[2:]
        else:
            raise _malformed(f"has a stray argument: {word[:60]!a}", call)
        if name not in options:
            raise _malformed(f"has an option that the trainer lacks: {word[:60]!a}", call)
        if not is_joined:
            following = next(words, None)
            if following is None:
                raise _malformed(f"has no value for {word!a}", call)
            value = following
        options[name].append(value.strip())
    return options


def _malformed(reason: str, call: _Call) -> TrainerCommandError:
    return TrainerCommandError(f"its trainer command {reason}", _group_id("\n".join(call.words)))
