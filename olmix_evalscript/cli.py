"""The command line: arguments in, exit statuses out."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from olmix_evalscript.console import Console

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line; what stands after ``--`` is for olmo-cookbook-eval."""
    takes_interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if takes_interrupts:  # not so behind nohup
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
    import olmix_evalscript.commands  # noqa: F401 - each adds itself to the app
    from olmix_evalscript.app import EXIT_FAILED, Session, app
    from olmix_evalscript.console import Console, open_streams, writing_to_stdout
    from olmix_evalscript.errors import EvalScriptError, UsageError

    open_streams()
    console = Console()
    if takes_interrupts:
        signal.signal(signal.SIGINT, lambda *_: _interrupt(console))
    words = sys.argv[1:]
    for word in words:
        if not _is_text(word):
            console.error(UsageError(f"the argument {os.fsencode(word)!r} is not UTF-8"))
            sys.exit(EXIT_USAGE)
    split = words.index("--") if "--" in words else len(words)
    try:
        with writing_to_stdout():
            try:
                app(words[:split], obj=Session(console, tuple(words[split + 1 :])))
            except OSError as error:
                if hasattr(error.__context__, "exit_code"):  # a full stderr hid what was wrong
                    raise UsageError(str(error.__context__)) from None
                raise
    except EvalScriptError as error:
        console.error(error)
        sys.exit(EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED)
    sys.exit(0)


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
