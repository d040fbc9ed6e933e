"""What a test leaves behind is found, whoever started it."""

from __future__ import annotations

import subprocess

from tests import leftovers


def test_an_orphan_is_told_of_and_killed() -> None:
    subprocess.run(["bash", "-c", "sleep 600 & disown"], check=True)

    assert len(leftovers.end_processes(spare=set(), grace=0)) == 1
    assert leftovers.processes() == {}


def test_an_orphan_that_ends_by_itself_is_waited_for() -> None:
    subprocess.run(["bash", "-c", "sleep 0.1 & disown"], check=True)

    assert leftovers.end_processes(spare=set()) == []


def test_a_process_that_was_there_before_stays() -> None:
    subprocess.run(["bash", "-c", "sleep 600 & disown"], check=True)
    before = set(leftovers.processes())

    assert leftovers.end_processes(spare=before, grace=0) == []
    assert set(leftovers.processes()) == before
    leftovers.end_processes(spare=set(), grace=0)
