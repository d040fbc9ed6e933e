"""A shell's text in, its simple commands out, each with what may keep it from running as it stands.

Read as bash reads it: quotes, comments, continued lines, here-documents, redirections, groups,
loops and functions (bash(1), "SHELL GRAMMAR"). Nothing is expanded: ``$name`` stays in the words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class SimpleCommand:
    """One program with its arguments, or assignments alone."""

    words: list[str] = field(default_factory=list)
    substitutions: list[str] = field(default_factory=list)  # texts of $(…), `…`, <(…) and >(…)
    input: str = ""  # a here-document or here-string
    output: str = ""  # the file it writes to
    feeder: SimpleCommand | None = None  # the one before it in a pipeline
    within: str = ""  # the loop, function or branch around it
    depth: int = 0  # how many subshells it is in


@dataclass
class _Here:
    """A here-document that is still to come."""

    command: SimpleCommand
    end: str
    strips_tabs: bool


_OPERATOR = re.compile(r"&&|\|\||;;&?|;&|\|&|&>>|&>|<<<|<<-|<<|<>|<&|>>|>&|>\||[;&|<>()\n]")
_PLAIN = re.compile(r"[^ \t\r\n;&|<>()'\"\\$`]+")
_CLOSED = re.compile(r"[ \t]*\)")
_IN_DOUBLE_QUOTES = re.compile(r"[^\"\\$`]+")
_REDIRECTIONS = frozenset(("<", ">", ">>", "&>", "&>>", "<>", ">|", "<&", ">&", "<<<", "<<", "<<-"))
_OPENING = {
    "for": "a loop",
    "while": "a loop",
    "until": "a loop",
    "select": "a loop",
    "case": "a branch",
    "then": "a branch",
}
_CLOSING = frozenset(("done", "esac", "fi", "}"))
_WITH_WORDS = frozenset(("for", "select", "case"))
_RESERVED = _CLOSING | frozenset(_OPENING) | frozenset(("{", "if", "elif", "else", "do", "!"))


def simple_commands(text: str) -> list[SimpleCommand]:
    """The simple commands of a shell's text, in order.

    Raises:
        ValueError: If a quote, substitution or here-document does not end.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._commands: list[SimpleCommand] = []
        self._current = SimpleCommand()
        self._heres: list[_Here] = []
        self._around: list[str] = []  # the compound commands that are open
        self._awaits_body = False  # a function was named, and its body comes
        self._depth = 0

    def read(self) -> list[SimpleCommand]:
        while self._at < len(self._text):
            self._step()
        self._end_command("")
        if self._heres:
            raise ValueError("a here-document does not end")
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
            if len(self._current.words) == 1 and (closing := _CLOSED.match(self._text, self._at)):
                self._at = closing.end()  # NAME ()
                self._start_function()
                return
            self._end_command(operator)
            self._depth += 1
        elif operator == ")":
            self._end_command(operator)
            self._depth = max(0, self._depth - 1)
        else:
            self._end_command(operator)
            if operator == "\n":
                self._read_heres()

    def _start_function(self) -> None:
        self._current = SimpleCommand()
        self._around.append("a function")
        self._awaits_body = True

    def _end_command(self, operator: str) -> None:
        command = self._current
        command.within = next((around for around in reversed(self._around) if around), "")
        command.depth = self._depth
        self._current = SimpleCommand()
        if command.words or command.substitutions:
            self._commands.append(command)
            if operator in ("|", "|&"):
                self._current.feeder = command
        elif operator in ("\n", ""):
            self._current.feeder = command.feeder

    def _take(self, word: str, is_bare: bool) -> None:
        """Add a word, or act on it where it is one of the shell's own."""
        words = self._current.words
        if is_bare and not words and word in _RESERVED:
            self._reserved(word)
        elif words == ["function"]:
            self._start_function()
        elif word == "in" and words[:1] == ["case"]:
            self._current = SimpleCommand()
        else:
            words.append(word)

    def _reserved(self, word: str) -> None:
        if word in _CLOSING:
            del self._around[-1:]
        elif word == "{":
            if not self._awaits_body:
                self._around.append("")
            self._awaits_body = False
        elif word == "elif":
            del self._around[-1:]
        elif word in _OPENING:
            self._around.append(_OPENING[word])
            if word in _WITH_WORDS:
                self._current.words.append(word)

    def _redirect(self, operator: str) -> None:
        """Read the target of a redirection; the ``2`` of ``2>`` is not an argument."""
        words = self._current.words
        if words and words[-1].isdecimal() and self._text[self._at - len(operator) - 1].isdecimal():
            words.pop()
        while self._text[self._at : self._at + 1] in (" ", "\t"):
            self._at += 1
        if self._text.startswith(("<(", ">("), self._at):
            self._current.substitutions.append(self._balanced(self._at + 2))
            return
        target = self._word()
        if operator in ("<<", "<<-"):
            self._heres.append(_Here(self._current, target, operator == "<<-"))
        elif operator == "<<<":
            self._current.input = target
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
            else:
                raise ValueError("a here-document does not end")
            here.command.input = "\n".join(lines)
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
            else:
                break
        return "".join(parts)

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
        elif text.startswith("$(", at):
            self._current.substitutions.append(self._balanced(at + 2))
        elif text.startswith("${", at):
            end_brace = text.find("}", at)
            if end_brace < 0:
                raise ValueError("a substitution does not end")
            self._at = end_brace + 1
        elif text.startswith("$'", at):
            end_quote = re.compile(r"(?:[^'\\]|\\.)*'", re.DOTALL).match(text, at + 2)
            if end_quote is None:
                raise ValueError("a quote does not end")
            self._at = end_quote.end()
        else:
            self._at = at + 1
        return text[at : self._at]

    def _balanced(self, start: int) -> str:
        """The text up to the parenthesis that closes the one before `start`."""
        inner = _Reader(self._text)
        inner._at = start
        while inner._at < len(self._text):
            if self._text[inner._at] == ")" and not inner._depth:
                self._at = inner._at + 1
                return self._text[start : inner._at]
            inner._step()
        raise ValueError("a substitution does not end")
