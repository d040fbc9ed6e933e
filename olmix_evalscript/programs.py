"""A task's words in, the programs that they execute in the end out.

Followed step by step, as the kernel and the shells would: an entry point runs its arguments,
``env`` and ``torchrun`` run the program behind their options, ``bash -c`` runs a shell's text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from olmix_evalscript.shelltext import Scope, SimpleCommand, simple_commands

MAX_DEPTH = 20  # shells within shells
#: Characters of all shells' texts that are read for one task; Linux takes 128 KiB in one word.
MAX_CHARACTERS = 512 * 1024
COMMAND_COSTS = 25  # characters that a command or text counts for besides its own
MAX_FEEDERS = 10  # commands of a pipeline that may have written what the last one reads
#: Without this word in it, no text starts a trainer.
NEEDED = "train"


@dataclass(frozen=True)
class Program:
    """What a chain of programs ends at."""

    words: tuple[str, ...]  # a script or executable as a path, and its arguments
    is_script: bool = False  # run by Python: what stands behind it is its own
    doubt: str = ""  # why it cannot be told that it runs, and runs once, as it stands
    is_hidden: bool = False  # not the program itself, but words and texts that may name it


@dataclass
class Budget:
    """How much may still be read, since a text can be written to be read again and again."""

    characters: int = MAX_CHARACTERS

    def spend(self, characters: int) -> None:
        """Count what is read.

        Raises:
            ValueError: If that is too much.
        """
        self.characters -= characters
        if self.characters < 0:
            raise ValueError("it is too long")


@dataclass(frozen=True)
class _Wrapper:
    """A program that runs the one behind its own options."""

    values: frozenset[str] = frozenset()  # options with a value in the next word
    folder: frozenset[str] = frozenset()  # those of them that change the folder
    text: frozenset[str] = frozenset()  # those of them whose value is a shell's text
    appends: bool = False  # what stands behind that text is part of it
    operands: int = 0  # words of its own behind the options
    subcommand: str = ""  # the word that makes it run others
    takes_script: bool = False  # a Python file, as torchrun does
    module: frozenset[str] = frozenset()  # flags before a module
    executable: frozenset[str] = frozenset()  # flags before any program


def _wrapper(
    values: str = "",
    *,
    folder: str = "",
    text: str = "",
    module: str = "",
    executable: str = "",
    appends: bool = False,
    operands: int = 0,
    subcommand: str = "",
    takes_script: bool = False,
) -> _Wrapper:
    return _Wrapper(
        values=frozenset(f"{values} {folder} {text}".split()),
        folder=frozenset(folder.split()),
        text=frozenset(text.split()),
        appends=appends,
        operands=operands,
        subcommand=subcommand,
        takes_script=takes_script,
        module=frozenset(module.split()),
        executable=frozenset(executable.split()),
    )


_TORCHRUN = _wrapper(
    "--nnodes --nproc-per-node --rdzv-backend --rdzv-endpoint --rdzv-id --rdzv-conf --max-restarts "
    "--monitor-interval --start-method --role --log-dir -r --redirects -t --tee "
    "--local-ranks-filter --node-rank --master-addr --master-port --local-addr --logs-specs "
    "--event-log-handler --numa-binding --duplicate-stdout-filters --duplicate-stderr-filters",
    takes_script=True,
    module="-m --module",
    executable="--no-python",
)
_ACCELERATE = _wrapper(
    "--config-file --num-processes --num-machines --machine-rank --main-process-ip "
    "--main-process-port --mixed-precision --num-cpu-threads-per-process --gpu-ids --rdzv-backend",
    takes_script=True,
    module="-m --module",
    executable="--no-python",
)

#: By their own manuals: env(1), timeout(1), nice(1), stdbuf(1), taskset(1), numactl(8), srun(1),
#: mpirun(1), su(1), script(1), flock(1), sudo(8), and the help of those written in Python.
_WRAPPERS: Mapping[str, _Wrapper] = {
    "env": _wrapper("-u --unset", folder="-C --chdir", text="-S --split-string", appends=True),
    "exec": _wrapper("-a"),
    "command": _wrapper(),
    "builtin": _wrapper(),
    "nohup": _wrapper(),
    "setsid": _wrapper(),
    "time": _wrapper("-f --format -o --output"),
    "timeout": _wrapper("-k --kill-after -s --signal", operands=1),
    "nice": _wrapper("-n --adjustment"),
    "ionice": _wrapper("-c --class -n --classdata"),
    "stdbuf": _wrapper("-i --input -o --output -e --error"),
    "taskset": _wrapper(operands=1),
    "numactl": _wrapper("-N -m -C -i -p -l"),
    "tini": _wrapper("-p -e"),
    "dumb-init": _wrapper("-r --rewrite"),
    "su": _wrapper(operands=1, text="-c --command"),
    "script": _wrapper(text="-c --command"),
    "flock": _wrapper("-w --timeout -E", operands=1, text="-c --command"),
    "sudo": _wrapper("-u --user -g --group -h --host -p --prompt", folder="-D --chdir"),
    "srun": _wrapper(
        "-n --ntasks -N --nodes -p --partition -t --time -c --cpus-per-task -J --job-name -w "
        "--nodelist -x --exclude -A --account -o --output -e --error -i --input -G --gpus --gres "
        "--gpus-per-node --gpus-per-task --gpu-bind --cpu-bind --mem --mem-per-cpu -q --qos -C "
        "--constraint -d --dependency -m --distribution --export --ntasks-per-node --mpi "
        "--container-image --container-mounts -r --relative",
        folder="-D --chdir --container-workdir",
    ),
    "mpirun": _wrapper(
        "-n -np -c -H --host --hostfile -x --map-by --bind-to -N --mca", folder="-wdir"
    ),
    "torchrun": _TORCHRUN,
    "deepspeed": _wrapper(
        "-H --hostfile -i --include -e --exclude --num_nodes --num_gpus --master_port "
        "--master_addr --launcher",
        takes_script=True,
        module="--module",
        executable="--no_python",
    ),
    "uv": _wrapper(
        "-p --python --with --with-editable --with-requirements --extra --group --no-group "
        "--only-group --env-file --package --project --index --index-url --cache-dir --config-file",
        folder="--directory",
        subcommand="run",
        takes_script=True,
        module="-m --module",
    ),
    "conda": _wrapper("-n --name -p --prefix", folder="--cwd", subcommand="run"),
    "poetry": _wrapper("-P --project", folder="-C --directory", subcommand="run"),
    "pixi": _wrapper("-e --environment --manifest-path", subcommand="run"),
    "accelerate": replace(_ACCELERATE, subcommand="launch"),
}
_SAME = {"mamba": "conda", "micromamba": "conda", "mpiexec": "mpirun", "gtime": "time"}

#: Modules that run the Python file behind their own options.
_RUNNING_MODULES: Mapping[str, _Wrapper] = {
    "torch.distributed.run": _TORCHRUN,
    "torch.distributed.launch": _TORCHRUN,
    "accelerate.commands.launch": _ACCELERATE,
    "cProfile": _wrapper("-o -s", takes_script=True, module="-m"),
    "pdb": _wrapper("-c", takes_script=True, module="-m"),
    "debugpy": _wrapper("--listen --connect --log-to", takes_script=True, module="-m"),
    "olmo_core.launch.reorder_ranks_in_gcp": _wrapper(),
}

_PYTHON = re.compile(r"python[0-9.]*|pypy[0-9.]*")
_SHELLS = frozenset(("bash", "sh", "dash", "zsh", "ksh"))
#: What gantry and OLMo-core start a job with; it ends in ``exec "$@"`` or, as gantry's bash
#: method does, in ``bash -c "$*"`` (gantry/entrypoint.sh of allenai/beaker-gantry).
_ENTRY_POINT = "entrypoint.sh"
#: Programs that never run what they are given.
_INERT = frozenset(
    """
    : (( [ [[ ack ag awk aws base64 beaker break case cat chmod chown cksum cmp continue cp curl
    cut date declare df diff du echo egrep exit export false fgrep file for function gantry gawk
    gcloud gh git grep gsutil gzip head hf huggingface-cli jq kill less ln local logger ls mapfile
    mawk md5sum mkdir more mv mypy nano nvidia-smi olmix olmo-cookbook-eval pip pip3 popd printf
    pushd read readonly regmixer return rg rm rmdir rsync ruff scp sed select set sha256sum
    shellcheck shift sleep sort stat tac tail tar tee test touch tr true typeset uniq unset
    unzip vi vim wait wandb wc wget yq zip
    """.split()  # noqa: SIM905 - one word a line would hide the rest
)
#: Programs that read a shell's text from a file.
_SOURCING = frozenset((".", "source"))
#: Builtins that put what they read in a variable.
_READING = frozenset(("mapfile", "read", "readarray"))
#: Programs that run a text or words at another time or place.
_RUNNING_LATER = frozenset(("alias", "find", "parallel", "ssh", "trap", "watch", "xargs"))
#: What names a trainer, whichever it is.
_TRAINER = re.compile(r"\btrain\.py\b|\w\.train\b")
#: A word that only a shell takes apart.
_OF_A_SHELL = re.compile(r"[;&|]+$|[0-9&]?>{1,2}|<{1,3}|[\w./-]+;")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[[^]]*\])?\+?=")
_ASSIGNS = re.compile(rf"^(?:{_ASSIGNMENT.pattern})|\$\{{\w+:?=")
_SUBSTITUTION = re.compile(r"\$\([^)]*\)+|`[^`]*`")
_NAMES_GROUP = re.compile(r"(?:^|\W)(?:-g|--group-id)")


@dataclass
class _Place:
    """Where a chain has come to."""

    folder: str = ""  # relative to where the task starts; empty: not changed
    doubt: str = ""
    depth: int = 0
    input: str = ""  # what a shell would read from standard input
    written: dict[str, str] = field(default_factory=dict)  # files that the text wrote before
    assigned: dict[str, None] = field(default_factory=dict)  # assignments so far
    exported: Sequence[str] = ()  # assignments that a program finds in its environment
    arguments: Sequence[str] = ()  # $0, $1 and so on
    budget: Budget = field(default_factory=Budget)

    def path(self, name: str) -> str:
        """A file's path from where the task starts."""
        return posixpath.normpath(posixpath.join(self.folder, name))


def programs(words: Sequence[str], budget: Budget) -> list[Program]:
    """The programs at the ends of a task's chains of programs.

    Raises:
        ValueError: If a shell's text in it that may start a trainer cannot be read, or if more
            is to be read than the budget allows.
    """
    place = _Place(budget=budget)
    if len(words) == 1 and re.search(r"\s", words[0]):
        return list(_text(words[0], place))
    return list(_follow(list(words), place))


def _follow(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """Take one step of a chain, and then the others."""
    start = 0
    while start < len(words) and _ASSIGNMENT.match(words[start]):
        start += 1
    place = replace(place, exported=(*place.exported, *words[:start])) if start else place
    words = words[start:]
    if not words:
        return
    name = words[0].rsplit("/", 1)[-1]
    name = _SAME.get(name, name)
    if place.depth > MAX_DEPTH:
        yield _end(words, replace(place, doubt="too many programs start each other"))
    elif name in _WRAPPERS:
        yield from _behind(_WRAPPERS[name], words[1:], place)
    elif _PYTHON.fullmatch(name):
        yield from _python(words[1:], place)
    elif name in _SHELLS:
        yield from _shell(words[1:], place)
    elif name == "eval":
        yield from _text(" ".join(words[1:]), place)
    elif name == _ENTRY_POINT:
        yield from _entry_point(words[1:], place)
    else:
        yield from _other(words, name, place)


def _other(words: Sequence[str], name: str, place: _Place) -> Iterator[Program]:
    """A program that is not known to run another, as far as it is one."""
    is_sourcing = name in _SOURCING
    if _is_left_to_shell(words[0]):
        yield from _variable(words, place)
    elif is_sourcing or place.path(words[0]) in place.written:
        yield from _file(words[is_sourcing:], place)
    elif name in _RUNNING_LATER:
        texts = (*words[1:], place.input, *place.arguments, *_written(words, place))
        yield from _hidden(name, texts, place)
    elif name not in _INERT:
        yield from _unknown(words, place)


def _unknown(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """A program of which all that is known is what it is given, in one way or another."""
    yield _end(words, place)
    place.budget.spend(len(place.exported))
    read = place.input if any(map(may_start_a_chain, words)) else ""
    exported = filter(_NAMES_GROUP.search, place.exported)
    yield from _hidden(words[0], (read, *exported, *_written(words, place)), place)


def _file(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """A file that a shell reads: followed if the job writes it, but that may come out otherwise."""
    name = words[0] if words else ""
    if place.path(name) in place.written:
        doubt = place.doubt or f"it is in {name}, which the job writes"
        yield from _text(place.written[place.path(name)], replace(place, doubt=doubt))
    elif name.startswith(("<(", "/dev/")):
        yield from _hidden(name, (*words, place.input), place)


def _hidden(name: str, texts: Sequence[str], place: _Place) -> Iterator[Program]:
    """The doubt that something runs a trainer named in these texts."""
    place.budget.spend(sum(map(len, texts)))
    if any(_TRAINER.search(text) for text in texts):
        doubt = place.doubt or f"what {name} runs is left to a shell"
        yield Program((name, *texts), doubt=doubt, is_hidden=True)


def _end(words: Sequence[str], place: _Place, *, is_script: bool = False) -> Program:
    words = tuple(words)
    if is_script and _is_left_to_shell(words[0]):
        texts = (*words, *place.assigned, *place.arguments)
        place.budget.spend(len(texts))
        found = any(_TRAINER.search(text) for text in texts)
        doubt = place.doubt or f"the script {words[0][:60]} is left to a shell"
        return Program(texts if found else words[:1], doubt=doubt if found else "", is_hidden=found)
    return Program((place.path(words[0]), *words[1:]), is_script, place.doubt)


@dataclass(frozen=True)
class _Passed:
    """What a wrapper's own words say."""

    rest: Sequence[str]  # the program that it runs, or the text if it is one for a shell
    folder: str = ""
    is_module: bool = False
    is_executable: bool = False
    is_text: bool = False
    is_other: bool = False  # another subcommand than the one that runs programs
    is_open: bool = False  # an option that is not known may take the first word of the rest


def _pass(wrapper: _Wrapper, words: Sequence[str]) -> _Passed:
    passed = _Passed(())
    own = [wrapper.subcommand] * bool(wrapper.subcommand) + [""] * wrapper.operands
    is_open = False
    at = 0
    while at < len(words):
        word = words[at]
        option, is_joined, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            if not own:
                return replace(passed, rest=words[at:], is_open=is_open)
            if own.pop(0) not in ("", word):
                return replace(passed, rest=words[at:], is_other=True)
            is_open = False
            at += 1
            continue
        short = _joined(word, wrapper)
        if short is not None:
            option, value, is_joined = short[:2], short[2:], "=" if short[2:] else ""
        names = {word, option, option.replace("_", "-")}
        takes_next = bool(names & wrapper.values) and not is_joined
        is_open = len(word) > 2 and word.startswith("--") and not takes_next and not is_joined
        if takes_next:
            value = words[at + 1] if at + 1 < len(words) else ""
        at += 2 if takes_next else 1
        if names & wrapper.text:
            behind = words[at:] if wrapper.appends else ()
            return replace(passed, rest=(" ".join((value, *behind)),), is_text=True)
        if names & wrapper.module:
            rest = [value] * bool(is_joined) + list(words[at:])
            return replace(passed, rest=rest, is_module=True)
        if names & wrapper.folder:
            passed = replace(passed, folder=value)
        if names & wrapper.executable:
            passed = replace(passed, is_executable=True)
    return passed


def _joined(word: str, wrapper: _Wrapper) -> str | None:
    """Of single letters in one word, the one with a text or module, and what is joined to it."""
    for option in wrapper.text | wrapper.module:
        if len(option) == 2 and re.match(rf"-[a-zA-Z]*{option[1]}", word) and word != option:
            return option + word.partition(option[1])[2]
    return None


def _behind(wrapper: _Wrapper, words: Sequence[str], place: _Place) -> Iterator[Program]:
    """Follow the program behind a wrapper's own words."""
    passed = _pass(wrapper, words)
    if not passed.rest:
        return
    folder = posixpath.join(place.folder, passed.folder)
    place = replace(place, folder=folder, depth=place.depth + 1)
    if passed.is_text:
        yield from _text(passed.rest[0], place)
    elif passed.is_module:
        yield from _module(passed.rest, place)
    elif passed.is_other:
        doubt = place.doubt or f"{passed.rest[0][:60]} is no subcommand that is known to run it"
        yield _end(passed.rest, replace(place, doubt=doubt))
    elif wrapper.takes_script and not passed.is_executable and passed.rest[0].endswith(".py"):
        yield _end(passed.rest, place, is_script=True)
    elif passed.is_open and passed.rest[0] in _INERT:
        yield _end(passed.rest, place)
    else:
        yield from _follow(passed.rest, place)


def _python(words: Sequence[str], place: _Place) -> Iterator[Program]:
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--":
            at += 1
            break
        if not word.startswith("-") or word == "-":
            break
        at += 1
        if word.startswith(("--help", "--version")) or re.match(r"-[bBdEiIOPqsSuvxR]*[hV?]", word):
            return
        flag = re.match(r"-[bBdEiIOPqsSuvxR]*([cmWX])(.*)", word, re.DOTALL)
        if flag is None:
            at += word == "--check-hash-based-pycs"
            continue
        rest = [flag[2]] if flag[2] else []
        if flag[1] == "c":
            yield from _code([*rest, *words[at:]], place)
            return
        if flag[1] == "m":
            yield from _module([*rest, *words[at:]], place)
            return
        at += not rest  # the value of -W or -X
    if at == len(words) or words[at] == "-":
        yield from _code([place.input, *words[at + 1 :]], place)
    elif place.path(words[at]) in place.written:
        yield from _code([place.written[place.path(words[at])], *words[at + 1 :]], place)
    else:
        yield _end(words[at:], place, is_script=True)


def _code(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """The doubt that Python code, with its arguments, starts a trainer."""
    if any(_NAMES_GROUP.search(word) for word in words) and re.search(r"\btrain\b", words[0]):
        doubt = place.doubt or "what its Python code runs cannot be told"
        yield Program(("python", *words), doubt=doubt, is_hidden=True)


def _module(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """What ``-m`` runs; a module of its own is named as the file that it is."""
    if not words:
        return
    name = words[0].strip()
    if name in _RUNNING_MODULES:
        wrapper = _RUNNING_MODULES[name]
        yield from _behind(wrapper, words[1:], replace(place, depth=place.depth + 1))
    else:
        yield _end((f"{name.replace('.', '/')}.py", *words[1:]), place, is_script=True)


def _shell(words: Sequence[str], place: _Place) -> Iterator[Program]:
    runs_text = False
    at = 0
    while at < len(words) and words[at][:1] in ("-", "+") and len(words[at]) > 1:
        word = words[at]
        at += 1
        if word == "--":
            break
        if word.startswith("--"):
            at += word in ("--rcfile", "--init-file")
        else:
            runs_text |= "c" in word and word[0] == "-"
            at += ("o" in word) + ("O" in word)  # each with the name of an option behind it
    rest = words[at:]
    if runs_text:
        if rest:
            arguments = (*rest[1:], *place.arguments)
            yield from _text(rest[0], replace(place, arguments=arguments))
    elif not rest or rest[0] in ("-", "/dev/stdin") or "-s" in words[:at]:
        fed = replace(place, doubt=place.doubt or "it is fed to a shell")
        yield from _text(place.input, fed)
    elif rest[0].rsplit("/", 1)[-1] == _ENTRY_POINT:
        yield from _entry_point(rest[1:], place)
    elif place.path(rest[0]) in place.written or rest[0].startswith("<("):
        yield from _file(rest, place)
    elif _is_left_to_shell(rest[0]):
        yield from _variable(rest, place)
    else:
        yield from _unknown(rest, place)


def _entry_point(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """Read the arguments as words or, where only a shell can have taken them apart, as text."""
    if not words:
        return
    place = replace(place, depth=place.depth + 1)
    if _needs_shell(words):
        yield from _either(words, place)
    elif words[0].startswith("-"):
        yield from _python(words, place)
    elif words[0].endswith(".py"):
        yield _end(words, place, is_script=True)
    else:
        yield from _follow(words, place)


def _needs_shell(words: Sequence[str]) -> bool:
    return re.search(r"\s", words[0]) is not None or any(_OF_A_SHELL.match(word) for word in words)


def _either(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """What a shell makes of the words; a doubt if, taken as they are, they run another script."""
    others = [program for program in _follow(words, place) if program.is_script]
    if any(not _TRAINER.search(program.words[0]) for program in others):
        place = replace(place, doubt=place.doubt or "it depends on gantry's --exec-method")
    yield from _text(" ".join(words), place)


def _text(text: str, place: _Place) -> Iterator[Program]:
    """Follow each simple command of a shell's text."""
    place.budget.spend(len(text) + COMMAND_COSTS)
    known = (*place.arguments, *place.assigned, *place.written.values(), place.input)
    place.budget.spend(len(known))
    if NEEDED not in text and not any(NEEDED in word for word in known):
        return
    folders: dict[Scope, str] = {}
    left: dict[Scope, str] = {}  # shells that a command ended, or may have, for this doubt
    written, assigned = place.written, place.assigned  # what a text leaves behind stays
    for command in simple_commands(text):
        place.budget.spend(COMMAND_COSTS)
        scope, words = command.scope, command.words
        doubts = [left[shell] for shell in scope.shells if shell in left]
        if "" in doubts:
            continue
        folder = next((folders[shell] for shell in scope.shells if shell in folders), place.folder)
        here = replace(
            place,
            folder=folder,
            doubt=next(filter(None, (place.doubt, scope.whole_doubt, *doubts)), ""),
            depth=place.depth + 1,
        )
        read = command.input or written.get(here.path(command.source), "")
        here.input = read or _fed(command.feeder, here) or place.input
        assigned.update(dict.fromkeys(_assignments(words, here.input)))
        if words[:1] in (["cd"], ["pushd"]) and len(words) > 1:
            folders[scope.shell] = posixpath.join(folder, words[-1])
        elif words[:1] == ["set"]:
            place = replace(place, arguments=(*place.arguments, *words[1:]))
        elif words[:1] == ["export"]:
            place = replace(place, exported=tuple(assigned))
        elif not words:
            yield from _hidden("a compound command", (read,), here)
        else:
            yield from _follow(words, here)
        files = [command.output] if command.output else []
        if "tee" in words or words[:1] in (["cp"], ["mv"]):
            files += words[1:]
        content = _printed(words, here.input, here) if files else ""
        for path in map(here.path, files):
            place.budget.spend(len(content))
            written[path] = _lines(written.get(path, ""), content)
        for inner in command.substitutions:
            yield from _text(inner, replace(here, doubt=here.doubt or "it is in a substitution"))
        if _ends_shell(words) and not here.doubt:
            left[scope.shell] = "" if scope.is_certain else "a command before it may end the shell"


def _assignments(words: Sequence[str], read: str) -> Iterator[str]:
    """What a command puts in variables, as far as its words and what it reads tell."""
    yield from words[1:] if words[:1] == ["for"] else filter(_ASSIGNS.search, words)
    if words[:2] == ["printf", "-v"]:
        yield " ".join(words[2:])
    elif words[:1] and words[0] in _READING:
        yield read


def _ends_shell(words: Sequence[str]) -> bool:
    """Whether nothing that a shell was to do behind a command is done."""
    return words[:1] == ["exit"] or (words[:1] == ["exec"] and len(words) > 1)


def _fed(feeder: SimpleCommand | None, place: _Place) -> str:
    """What the commands before it in a pipeline may print, as far as their words tell."""
    texts: list[str] = []
    for _ in range(MAX_FEEDERS):
        if feeder is None:
            break
        texts += (*_written([feeder.source], place), _printed(feeder.words, feeder.input, place))
        feeder = feeder.feeder
    return _lines(*texts)


def _printed(words: Sequence[str], read: str, place: _Place) -> str:
    """What a command may print, as far as its words and what it reads tell."""
    return _lines(read, *_written(words[1:], place), " ".join(words[1:]))


def _lines(*texts: str) -> str:
    return "\n".join(filter(None, texts))


def _written(words: Sequence[str], place: _Place) -> list[str]:
    """What is in those files among the words that were written before."""
    paths = map(place.path, words) if place.written else ()
    return [place.written[path] for path in paths if path in place.written]


def _is_left_to_shell(word: str) -> bool:
    """Whether a shell decides what a program's or script's name is: a variable, a pattern."""
    name = _SUBSTITUTION.sub("$", word).rsplit("/", 1)[-1]
    return bool(re.search(r"[$`*?{]", name)) or (name.startswith("[") and "]" in name)


def _variable(words: Sequence[str], place: _Place) -> Iterator[Program]:
    """A program named by a variable: whatever is known of it may run, but that cannot be told."""
    doubt = place.doubt or f"its program is {words[0][:60]}, left to a shell"
    yield from _behind(_TORCHRUN, words[1:], replace(place, doubt=doubt))
    given = words[1:] if any(re.fullmatch(r"-[a-z]*c", word) for word in words) else ()
    known = (*place.assigned, *place.arguments, *place.written.values(), place.input)
    texts = (*words[:1], *given, *known)
    yield from _hidden(words[0], texts, replace(place, doubt=doubt))


def may_start_a_chain(word: str) -> bool:
    """Whether a word is the name of a program that runs others, or of Python."""
    name = word.rsplit("/", 1)[-1]
    return (
        name in _WRAPPERS
        or name in _SAME
        or name in _SHELLS
        or name in ("eval", _ENTRY_POINT)
        or _PYTHON.fullmatch(name) is not None
    )
