"""Start the command line, as ``olmix-evalscript`` or ``python -m olmix_evalscript``."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

EXIT_INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line, which Ctrl-C ends at once even while its modules load."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not so behind nohup
        signal.signal(signal.SIGINT, lambda *_: os._exit(EXIT_INTERRUPTED))
    from olmix_evalscript.cli import main as run

    run()


if __name__ == "__main__":
    main()
