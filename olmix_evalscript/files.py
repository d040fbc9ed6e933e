"""Write whole files, or none, and tell whether somebody edited them."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from olmix_evalscript.errors import InvalidInputError

_CHECKSUM = re.compile(r"^# (?:Made by olmix-evalscript\. )?Checksum ([0-9a-f]{16}): .*\n", re.M)
_DATE = re.compile(r"^(# Made by .*) on \d{4}-\d{2}-\d{2} \(UTC\)\.$", re.M)
#: Stands in a text for its checksum until `signed` fills it in.
NO_CHECKSUM = "Checksum 0000000000000000"


def checksum(text: str) -> str:
    """A checksum of all but the line that has it, and the date."""
    text = _DATE.sub(r"\1.", _CHECKSUM.sub("", text, count=1), count=1)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def signed(text: str) -> str:
    """A text with its checksum in place of `NO_CHECKSUM`, so that an edit shows."""
    return text.replace(NO_CHECKSUM, f"Checksum {checksum(text)}", 1)


def is_edited(path: Path) -> bool:
    """Whether there is a file that is not as `signed` left it.

    Raises:
        InvalidInputError: If it cannot be read.
    """
    try:
        text = path.read_bytes().decode(errors="backslashreplace")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from None
    match = _CHECKSUM.search(text)
    return match is None or match[1] != checksum(text)


@contextmanager
def _interrupts_delayed() -> Iterator[None]:
    """Let Ctrl-C take effect afterwards; only Python's main thread can."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[Any] = []
    signal.signal(signal.SIGINT, lambda *signaled: caught.append(signaled))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if caught:
            handler(*caught[0])


@_interrupts_delayed()
def write_whole(texts: Mapping[Path, str], mode: int) -> None:
    """Write files so that a reader sees all of an old one or all of a new one.

    None is written if one of them cannot be. They are renamed one after the other, once all are on
    disk. Ctrl-C waits until then.

    Args:
        texts: Each file's text, written as UTF-8; missing folders are made, a link is followed.
        mode: Their permissions, such as 0o755.

    Raises:
        InvalidInputError: If one cannot be written.
    """
    written: dict[Path, str] = {}  # each file's temporary name
    try:
        for path, text in texts.items():
            real = Path(os.path.realpath(path))
            if real.exists() and not real.is_file():
                raise OSError("it exists and is not a file")
            if real in written:
                raise OSError(f"another of these files is the same, {real}")
            real.parent.mkdir(parents=True, exist_ok=True)
            descriptor, written[real] = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(written[real], mode)
        for path, temporary in written.items():
            os.replace(temporary, path)
    except OSError as error:
        raise InvalidInputError(
            f"cannot write {path}: {error.strerror or error}. Choose another with --output."
        ) from None
    finally:
        for temporary in written.values():
            Path(temporary).unlink(missing_ok=True)
