"""Files are written whole, or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from olmix_evalscript.errors import InvalidInputError
from olmix_evalscript.files import write_whole


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_whole({tmp_path / "a" / "b" / "x.sh": "text\n"}, 0o755)

    assert (tmp_path / "a" / "b" / "x.sh").read_text() == "text\n"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")

    write_whole({tmp_path / "link": "text"}, 0o644)

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "text"


def test_a_reader_of_the_old_file_sees_the_old_text(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    with path.open() as reader:
        write_whole({path: "new"}, 0o644)

        assert reader.read() == "old"


def test_a_failure_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInputError, match="No space left"):
        write_whole({path: "new"}, 0o644)

    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "old"


def test_two_links_to_one_file_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(tmp_path / "target")

    with pytest.raises(
        InvalidInputError, match=r"cannot write .*/b: another of these files is the same"
    ):
        write_whole({tmp_path / "a": "1", tmp_path / "b": "2"}, 0o644)

    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_several_files_are_written_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()

    with pytest.raises(InvalidInputError, match=r"cannot write .*/b"):
        write_whole({tmp_path / "a": "new", tmp_path / "b": "new"}, 0o644)

    assert (tmp_path / "a").read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


class _Interrupting(dict[Path, str]):
    """Texts with a Ctrl-C after the first."""

    def items(self) -> Any:
        first, *others = super().items()
        yield first
        os.kill(os.getpid(), signal.SIGINT)
        yield from others


def test_an_interrupt_takes_effect_once_all_files_are_written(tmp_path: Path) -> None:
    texts = _Interrupting({tmp_path / name: name for name in ("a", "b", "c")})

    with pytest.raises(KeyboardInterrupt):
        write_whole(texts, 0o644)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]
