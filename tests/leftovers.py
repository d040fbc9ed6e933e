"""What a test leaves behind: processes of its own, and files in the folder for temporary ones."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

GRACE = 10  # seconds that what is ending has to end
_SET_CHILD_SUBREAPER = 36  # of prctl(2)


def adopt_orphans() -> None:
    """Become the parent of each process below this one whose own parent ends, where Linux can."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processes() -> dict[int, str]:
    """This process's children, the orphans it adopted among them: their command lines by ID."""
    found = {}
    for children in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError):
            for pid in map(int, children.read_text().split()):
                words = Path(f"/proc/{pid}/cmdline").read_bytes()
                found[pid] = words.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def end_processes(spare: set[int], grace: float = GRACE) -> list[str]:
    """Wait a little for this process's children but these, kill the rest, and tell of those."""
    deadline = time.monotonic() + grace
    killed = []
    while left := {pid: command for pid, command in processes().items() if pid not in spare}:
        for pid, command in left.items():
            with suppress(ChildProcessError, ProcessLookupError):
                if os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(command)
                    os.waitpid(pid, 0)
        time.sleep(0.02)
    return killed
