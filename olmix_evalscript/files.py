"""Text in, a whole file out: never half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from olmix_evalscript.errors import InvalidInputError


def write_whole(path: Path, text: str, mode: int) -> None:
    """Write a file so that whoever looks sees all of the old one or all of the new one.

    Args:
        path: Where to; missing folders are made, a link is followed.
        text: What, written as UTF-8.
        mode: The file's permissions, such as 0o755.

    Raises:
        InvalidInputError: If it cannot be written there.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is there, and no file")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InvalidInputError(
            f"cannot write {path}: {error.strerror or error}. Name another with --output."
        ) from None
