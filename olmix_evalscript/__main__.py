"""Start the command line, as ``olmix-evalscript`` or ``python -m olmix_evalscript``."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

EXIT_INTERRUPTED = 130
CLEARED = "\r\x1b[2K\x1b[?25h"  # the line erased, the cursor shown


def main() -> NoReturn:
    """Run the command line, which Ctrl-C ends at once, even while its modules load.

    A KeyboardInterrupt that strikes between two steps of one of Python's locks would leave it held,
    or end as another error. Whoever writes files holds interrupts back.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not so behind nohup
        signal.signal(signal.SIGINT, lambda *_: _interrupt())
    from olmix_evalscript.cli import main as run

    run()


def _interrupt() -> None:
    if os.isatty(2):
        os.write(2, CLEARED.encode())
    os._exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    main()
