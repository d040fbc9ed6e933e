"""A shell's text in, its simple commands out, each with what may keep it from running as it stands.

Read as bash reads it: quotes, comments, continued lines, here-documents, redirections, groups,
loops and functions (bash(1), "SHELL GRAMMAR"). Nothing is expanded: ``$name`` stays in the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

MAX_NESTED = 50  # compound commands within each other; people write five


@dataclass(eq=False)
class Scope:
    """What a command stands in: the text, a compound command, a job or a part of a pipeline."""

    outer: Scope | None = None
    doubt: str = ""  # why it is open whether it runs, and once, if what is around it does
    is_conditional: bool = False  # something else decides whether it runs, doubtful or not
    is_subshell: bool = False

    @cached_property
    def whole_doubt(self) -> str:
        """Its own doubt, or that of what is around it."""
        return self.doubt or (self.outer.whole_doubt if self.outer else "")

    @cached_property
    def shell(self) -> Scope:
        """The shell that runs it: the subshell around it, or the whole text."""
        return self if self.is_subshell or not self.outer else self.outer.shell

    @cached_property
    def is_certain(self) -> bool:
        """Whether it runs whenever its shell does."""
        if self.is_subshell or not self.outer:
            return True
        return not self.is_conditional and self.outer.is_certain

    @cached_property
    def shells(self) -> tuple[Scope, ...]:
        """Its shell and those around that, the innermost first."""
        shell = self.shell
        return (shell, *(shell.outer.shells if shell.outer else ()))


@dataclass(eq=False)
class SimpleCommand:
    """One program with its arguments, assignments alone, or what a compound command reads."""

    words: list[str] = field(default_factory=list)
    substitutions: list[str] = field(default_factory=list)  # texts of $(…), `…`, <(…) and >(…)
    input: str = ""  # a here-document or here-string
    source: str = ""  # the file it reads
    output: str = ""  # the file it writes to
    feeder: SimpleCommand | None = None  # the one before it in a pipeline
    scope: Scope = field(default_factory=Scope)


@dataclass
class _Here:
    """A here-document that is still to come."""

    command: SimpleCommand
    end: str
    strips_tabs: bool
    is_expanded: bool


_OPERATOR = re.compile(r"&&|\|\||;;&?|;&|\|&|&>>|&>|<<<|<<-|<<|<>|<&|>>|>&|>\||[;&|<>()\n]")
_PLAIN = re.compile(r"[^ \t\r\n;&|<>()'\"\\$`]+")
_BRACED = re.compile(r"\$\{(?:'[^']*'|\"(?:[^\"\\]|\\.)*\"|\\.|[^}'\"\\])*\}", re.DOTALL)
_ARITHMETIC = re.compile(r"\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)", re.DOTALL)
_CLOSED = re.compile(r"[ \t]*\)")
_IN_DOUBLE_QUOTES = re.compile(r"[^\"\\$`]+")
_UNEXPANDED = re.compile(r"(?:[^\\$`]|\\.)+", re.DOTALL)
_ARRAY = re.compile(r"[A-Za-z_]\w*(?:\[[^]]*\])?\+?=")
_DESCRIPTOR = re.compile(r"[0-9]+|\{[A-Za-z_]\w*\}")
_REDIRECTIONS = frozenset(("<", ">", ">>", "&>", "&>>", "<>", ">|", "<&", ">&", "<<<", "<<", "<<-"))
_IN_BRANCH = "it is in a branch"
_IN_FUNCTION = "it is in a function"
_IN_LOOP = "it is in a loop"
_BEHIND_FAILURE = "it runs only if another command fails"
_BEHIND_TEST = "it runs only if a test succeeds"
#: The word that opens a compound command, to the word that ends it and what it leaves open.
_OPENING = {
    "{": ("}", ""),
    "if": ("fi", ""),
    "case": ("esac", _IN_BRANCH),
    "for": ("done", _IN_LOOP),
    "select": ("done", _IN_LOOP),
    "while": ("done", _IN_LOOP),
    "until": ("done", _IN_LOOP),
}
_CLOSING = frozenset(end for end, _ in _OPENING.values())
#: The words between, to the end of the compound command that they are of.
_MIDDLE = {"then": "fi", "elif": "fi", "else": "fi", "do": "done"}
_RESERVED = _CLOSING | _OPENING.keys() | _MIDDLE.keys() | {"!", "[["}
#: Programs that are called to succeed or to fail, and those that never succeed.
_TESTS = frozenset("[ [[ (( test false exit grep egrep fgrep rg cmp diff".split())  # noqa: SIM905


class _List:
    """A list of commands that is being read: of the whole text, or of a compound command.

    It consists of jobs, those of pipelines joined by ``&&`` and ``||``, those of parts.
    """

    def __init__(self, scope: Scope, end: str = "", feeder: SimpleCommand | None = None) -> None:
        self.scope = scope
        self.end = end  # the word that closes it
        self.is_function = False
        self.last = ""  # why it is open whether the last job succeeded; empty: taken for granted
        self._input = feeder
        self._start_job()

    def _start_job(self) -> None:
        self._job = Scope(self.scope)
        self.part = Scope(self._job)
        self.feeder = self._input
        self.is_negated = False
        self._joint = ""  # the && or || before the pipeline
        self._chain = ""  # why it is open whether what stands before that succeeded
        self._outcome: str | None = None  # the same of the part that was read last
        self._awaits_command = False

    def branch(self) -> None:
        """Start a branch, which may not run."""
        if self.scope.doubt != _IN_BRANCH:
            self.scope = Scope(self.scope, _IN_BRANCH, is_conditional=True)
        self._start_job()

    def finish(self, outcome: str, *, replaces: bool = True) -> None:
        """Note how a command ends: a reason to doubt its success, or nothing."""
        if replaces or self._outcome is None:
            self._outcome = outcome
        self._awaits_command = False

    def operate(self, operator: str, command: SimpleCommand | None) -> None:
        """Go on behind an operator; `command` is the one before it."""
        if operator in ("|", "|&"):
            self.part.is_subshell = True
            self.part = Scope(self._job, self.part.doubt, self.part.is_conditional, True)
            self.feeder = command
            self._awaits_command = True
        elif operator in ("&&", "||"):
            self._chain = self._joined()
            doubt = self._chain if operator == "&&" else _BEHIND_FAILURE
            self.part = Scope(self._job, doubt, is_conditional=True)
            self.feeder = self._input
            self.is_negated = False
            self._joint = operator
            self._awaits_command = True
        elif operator != "\n" or not self._awaits_command:
            self._job.is_subshell = operator == "&"
            if self._outcome is not None:
                self.last = "" if operator == "&" else self._joined()
            self._start_job()

    def _joined(self) -> str:
        """Why it is open whether the pipelines so far succeeded, taken together."""
        outcome = _BEHIND_TEST if self.is_negated else self._outcome or ""
        if self._joint == "&&":
            return self._chain or outcome
        return self._chain and outcome if self._joint else outcome


def simple_commands(text: str) -> list[SimpleCommand]:
    """The simple commands of a shell's text, in order.

    Raises:
        ValueError: If a quote, a substitution or a compound command does not end.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str, at: int = 0) -> None:
        self._text = text
        self._at = at
        self._commands: list[SimpleCommand] = []
        self._current = SimpleCommand()
        self._heres: list[_Here] = []
        self._lists = [_List(Scope())]
        self._awaits_body = False  # a function was named, and its body comes

    def read(self) -> list[SimpleCommand]:
        while self._at < len(self._text):
            self._step()
        self._end_command("")
        if len(self._lists) > 1:
            raise ValueError(f"a {self._lists[-1].end} is missing")
        return self._commands

    def _step(self) -> None:
        text, at = self._text, self._at
        if text[at] in " \t\r":
            self._at += 1
        elif text.startswith("\\\n", at):
            self._at += 2
        elif text[at] == "#":
            end = text.find("\n", at)
            self._at = len(text) if end < 0 else end
        elif self._current.words in ([], ["for"]) and (arithmetic := _ARITHMETIC.match(text, at)):
            self._expand("((", arithmetic.end())
            self._current.words.append("((")
        elif text.startswith(("<(", ">("), at):
            self._current.substitutions.append(self._balanced(at + 2))
            self._current.words.append(text[at : self._at])
        elif operator := _OPERATOR.match(text, at):
            self._at = operator.end()
            self._operate(operator[0])
        else:
            start = self._at
            word = self._word()
            self._take(word, is_bare=text[start : self._at] == word)

    def _operate(self, operator: str) -> None:
        if operator in _REDIRECTIONS:
            self._redirect(operator)
        elif operator == "(":
            is_name = self._awaits_body or len(self._current.words) == 1
            if is_name and (closing := _CLOSED.match(self._text, self._at)):
                self._at = closing.end()  # NAME ()
                self._start_function()
                return
            self._end_command(operator)
            self._open(")", "")
        elif operator == ")":
            self._close(operator)
        elif operator in (";;", ";&", ";;&"):
            self._end_command(operator)
            self._patterns()
        else:
            self._end_command(operator)
            if operator == "\n":
                self._read_heres()

    def _start_function(self) -> None:
        self._current = SimpleCommand()
        self._awaits_body = True

    def _open(self, end: str, doubt: str) -> None:
        if len(self._lists) > MAX_NESTED:
            raise ValueError("it is nested too deeply")
        around = self._lists[-1]
        is_function, self._awaits_body = self._awaits_body, False
        doubt = _IN_FUNCTION if is_function else doubt
        scope = Scope(around.part, doubt, bool(doubt), is_subshell=end == ")")
        self._lists.append(_List(scope, end, around.feeder))
        self._lists[-1].is_function = is_function

    def _close(self, end: str) -> None:
        self._end_command(";")
        if self._lists[-1].end != end:
            raise ValueError(f"a {end} ends nothing")
        closed = self._lists.pop()
        self._lists[-1].finish("" if closed.is_function else closed.last)

    def _end_command(self, operator: str) -> None:
        here, command = self._lists[-1], self._current
        self._current = SimpleCommand()
        reads = command.input or command.source or command in (here.command for here in self._heres)
        if command.words or command.substitutions or reads:
            if self._awaits_body:
                raise ValueError("a function has no body")
            command.scope, command.feeder = here.part, here.feeder
            self._commands.append(command)
            is_test = command.words[:1] and command.words[0] in _TESTS
            here.finish(_BEHIND_TEST if is_test else "", replaces=bool(command.words))
        if operator != "(":
            here.operate(operator, self._commands[-1] if self._commands else None)

    def _take(self, word: str, is_bare: bool) -> None:
        """Add a word, or act on it where it is one of the shell's own."""
        words = self._current.words
        if is_bare and word in _RESERVED and words in ([], ["time"], ["time", "-p"]):
            words.clear()
            self._reserved(word)
        elif words == ["function"]:
            self._start_function()
        else:
            words.append(word)

    def _reserved(self, word: str) -> None:
        here = self._lists[-1]
        if word == "!":
            here.is_negated = True
        elif word == "[[":
            self._test()
        elif word in _CLOSING:
            self._close(word)
        elif word in _MIDDLE:
            if here.end != _MIDDLE[word]:
                raise ValueError(f"a {word} is out of place")
            if word != "do":
                here.branch()
        else:
            self._open(*_OPENING[word])
            if word == "case":
                self._case()
            elif word in ("for", "select"):
                self._current.words.append(word)

    def _test(self) -> None:
        """Read ``[[ … ]]``, where operators are none of the shell's."""
        words = self._current.words
        words.append("[[")
        while words[-1] != "]]":
            self._skip(" \t\r\n")
            start = self._at
            word = self._word()
            if self._at == start:
                self._at += 1
                word = self._text[start : self._at]
            if not self._text[start:]:
                raise ValueError("a test does not end")
            words.append(word)

    def _case(self) -> None:
        """Read ``WORD in`` and the first patterns."""
        self._skip(" \t")
        self._word()
        self._skip(" \t\r\n")
        if self._word() != "in":
            raise ValueError("a case has no patterns")
        self._patterns()

    def _patterns(self) -> None:
        """Read the patterns of a case's branch, or the word that ends the case."""
        if self._lists[-1].end != "esac":
            raise ValueError("a branch ends outside of a case")
        depth, is_first = 0, True
        while self._at < len(self._text):
            self._skip(" \t\r")
            character = self._text[self._at : self._at + 1]
            if character == "\n" or (character == "#" and is_first):
                self._step()
            elif character == ")" and not depth:
                self._at += 1
                return
            elif character and character in "()|":
                self._at += 1
                depth += (character == "(" and not is_first) - (character == ")")
                is_first = False
            else:
                word = self._word()
                if word == "esac" and is_first:
                    self._close(word)
                    return
                if not word and self._text[self._at : self._at + 1] in ("", *";&<>"):
                    break
                is_first = False
        raise ValueError("a case does not end")

    def _skip(self, characters: str) -> None:
        while self._text[self._at : self._at + 1] in tuple(characters):
            self._at += 1

    def _redirect(self, operator: str) -> None:
        """Read the target of a redirection; the ``2`` of ``2>`` is not an argument."""
        words = self._current.words
        if words and _DESCRIPTOR.fullmatch(words[-1]):
            before = self._at - len(operator)
            if self._text.endswith(words[-1], 0, before):
                words.pop()
        self._skip(" \t")
        if self._text.startswith(("<(", ">("), self._at):
            self._current.substitutions.append(self._balanced(self._at + 2))
            return
        start = self._at
        target = self._word()
        if operator in ("<<", "<<-"):
            is_expanded = self._text[start : self._at] == target
            self._heres.append(_Here(self._current, target, operator == "<<-", is_expanded))
        elif operator == "<<<":
            self._current.input = target
        elif operator == "<":
            self._current.source = target
        elif operator in (">", ">>", "&>", "&>>", ">|"):
            self._current.output = target

    def _read_heres(self) -> None:
        for here in self._heres:
            lines = []
            for line in self._lines():
                bare = line.lstrip("\t") if here.strips_tabs else line
                if bare == here.end:
                    break
                lines.append(bare)
            here.command.input = "\n".join(lines)
            if here.is_expanded:
                here.command.substitutions += _substitutions(here.command.input)
        self._heres = []

    def _lines(self) -> Iterator[str]:
        while self._at < len(self._text):
            end = self._text.find("\n", self._at)
            end = len(self._text) if end < 0 else end
            line = self._text[self._at : end]
            self._at = end + 1
            yield line

    def _word(self) -> str:
        """One word from here on, without its quotes; empty at an operator."""
        text, parts = self._text, []
        start = self._at
        while self._at < len(text):
            at = self._at
            character = text[at]
            if plain := _PLAIN.match(text, at):
                parts.append(plain[0])
                self._at = plain.end()
            elif character == "\\":
                parts.append("" if text.startswith("\n", at + 1) else text[at + 1 : at + 2])
                self._at = at + 2
            elif character == "'":
                end = text.find("'", at + 1)
                if end < 0:
                    raise ValueError("a quote does not end")
                parts.append(text[at + 1 : end])
                self._at = end + 1
            elif character == '"':
                self._at += 1
                parts.append(self._double_quoted())
            elif character in "$`":
                parts.append(self._dollar())
            elif character == "(" and _ARRAY.fullmatch(text, start, at):
                parts.append(self._array())
            else:
                break
        return "".join(parts)

    def _array(self) -> str:
        """The words of ``NAME=(…)``, which no shell runs."""
        words = []
        self._at += 1
        while self._text[self._at : self._at + 1] != ")":
            at = self._at
            self._skip(" \t\r\n")
            if self._text.startswith("#", self._at):
                self._step()
            elif self._text.startswith(("<(", ">("), self._at):
                self._current.substitutions.append(self._balanced(self._at + 2))
            elif word := self._word():
                words.append(word)
            if self._at == at:
                raise ValueError("an array does not end")
        self._at += 1
        return f"({' '.join(words)})"

    def _double_quoted(self) -> str:
        text, parts = self._text, []
        while self._at < len(text):
            at = self._at
            character = text[at]
            if plain := _IN_DOUBLE_QUOTES.match(text, at):
                parts.append(plain[0])
                self._at = plain.end()
            elif character == '"':
                self._at += 1
                return "".join(parts)
            elif character == "\\":
                following = text[at + 1 : at + 2]
                if following != "\n":
                    parts.append(following if following in '$`"\\' else f"\\{following}")
                self._at = at + 2
            else:
                parts.append(self._dollar())
        raise ValueError("a quote does not end")

    def _dollar(self) -> str:
        """What a ``$`` or a backquote begins, as it is written."""
        text, at = self._text, self._at
        if text[at] == "`":
            end = re.compile(r"(?:[^`\\]|\\.)*`", re.DOTALL).match(text, at + 1)
            if end is None:
                raise ValueError("a quote does not end")
            self._at = end.end()
            self._current.substitutions.append(text[at + 1 : self._at - 1])
        elif arithmetic := text.startswith("$((", at) and _ARITHMETIC.match(text, at + 1):
            self._expand("$((", arithmetic.end())
        elif text.startswith("$(", at):
            self._current.substitutions.append(self._balanced(at + 2))
        elif text.startswith("${", at):
            end_brace = _BRACED.match(text, at)
            if end_brace is None:
                raise ValueError("a substitution does not end")
            self._expand("${", end_brace.end())
        elif text.startswith("$'", at):
            end_quote = re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL).match(text, at + 2)
            if end_quote is None:
                raise ValueError("a quote does not end")
            self._at = end_quote.end()
        else:
            self._at = at + 1
        return text[at : self._at]

    def _expand(self, opening: str, end: int) -> None:
        """Pass over an expansion, which may hold substitutions."""
        closing = len(opening.lstrip("$"))
        inner = self._text[self._at + len(opening) : end - closing]
        if "$(" in inner or "`" in inner:
            self._current.substitutions.append(inner)
        self._at = end

    def _balanced(self, start: int) -> str:
        """The text up to the parenthesis that closes the one before `start`."""
        inner = _Reader(self._text, start)
        while inner._at < len(self._text):
            if self._text[inner._at] == ")" and len(inner._lists) == 1:
                self._at = inner._at + 1
                return self._text[start : inner._at]
            inner._step()
        raise ValueError("a substitution does not end")


def _substitutions(document: str) -> list[str]:
    """The substitutions in a here-document, where quotes mean nothing."""
    reader = _Reader(document)
    while reader._at < len(document):
        if plain := _UNEXPANDED.match(document, reader._at):
            reader._at = plain.end()
        elif document[reader._at] == "\\":
            reader._at += 1
        else:
            reader._dollar()
    return reader._current.substitutions
