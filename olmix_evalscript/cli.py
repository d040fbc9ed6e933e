"""The command line: arguments in, exit statuses out."""

from __future__ import annotations

import os
import re
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from olmix_evalscript.console import Console

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; what stands after ``--`` is for olmo-cookbook-eval."""
    takes_interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if takes_interrupts:  # not so behind nohup
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
    from olmix_evalscript.app import EXIT_FAILED, Session, app
    from olmix_evalscript.commands import add_to_app
    from olmix_evalscript.console import Console, open_streams, writing_to_stdout
    from olmix_evalscript.errors import EvalScriptError, UsageError

    open_streams()
    console = Console()
    if takes_interrupts:
        signal.signal(signal.SIGINT, lambda *_: _interrupt(console))
    words = sys.argv[1:] or ["--help"]
    split = words.index("--") if "--" in words else len(words)
    session = Session(console, tuple(words[split + 1 :]))
    try:
        for word in words:
            if not _is_text(word):
                raise UsageError(f"the argument {os.fsencode(word)!r} is not UTF-8")
        if any(re.fullmatch("(--[a-z-]+=)?", word) for word in words[:split]):
            raise UsageError("an argument is empty: is a variable of your shell not set?")
        add_to_app(words)
        with writing_to_stdout():
            sys.exit(app(words[:split], obj=session, standalone_mode=False))
    except EvalScriptError as error:
        console.error(error)
        sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        console.error(UsageError(_misuse(error)))
        sys.exit(EXIT_USAGE)


def _misuse(error: Any) -> str:
    """What click says of wrong usage, whichever click this typer has, and where to look."""
    message = error.format_message().rstrip(".")
    command = error.ctx.command_path if getattr(error, "ctx", None) else "olmix-evalscript"
    hint = f"Try `{command} --help`."
    if type(error).__name__ == "NoSuchOption" and command.endswith(" generate"):
        hint += " Options of olmo-cookbook-eval go after --."
    return f"{message}. {hint}"


def _interrupt(console: Console) -> None:
    """End at once: a KeyboardInterrupt that strikes between two steps of one of Python's locks
    leaves it held, or ends as another error. Whoever writes files holds interrupts back."""
    console.clear()
    os._exit(EXIT_INTERRUPTED)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
