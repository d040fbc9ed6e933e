"""A desk to run a generated script at, and what lies on it."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from itertools import cycle
from pathlib import Path
from typing import Any

from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.swarm import build_swarm
from tests.factories import GROUP, experiment
from tests.storage import need

TASKS = ("arc_easy:rc::olmes:full", "lambada")
STUB = Path(__file__).with_name("olmo_cookbook_eval.py")
BASH = os.environ.get("TEST_BASH") or shutil.which("bash") or "bash"
LONG = 60  # seconds; what takes longer hangs

# All the programs that a script may use besides olmo-cookbook-eval and those for storage.
USERLAND = (
    "awk", "basename", "cat", "cksum", "cut", "date", "find", "grep", "ls", "mkdir", "mktemp", "mv",
    "paste", "ps", "rm", "sed", "sleep", "sort", "tail", "tee", "tr", "uname", "uniq",
)  # fmt: skip

# What OLMo-core's Checkpointer.latest_checkpoint looks for in a step.
RAW = ("train/rank0.pt", "model_and_optim/.metadata", ".metadata.json")

# Where the trainers save, by cluster, with -w True on jupiter.
USER_FOLDER = "checkpoints/kylel"  # in the bucket ai2-llm, or in a folder of that name on Weka
WEKA, S3, GS = "ai2/jupiter-cirrascale-2", "ai2/neptune-cirrascale", "ai2/augusta-google-1"


def names(count: int) -> list[str]:
    return [f"mix-{GROUP}-{number:04d}" for number in range(count)]


class Desk:
    """A folder with a script in it, and all that the script sees of the world."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / f"olmix-{GROUP}.sh"
        self.record = folder / f"olmix-{GROUP}.sh.submitted"
        self.mount = folder / "weka mount"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for program in USERLAND:
            self.link(program, need(program))
        self.tool("olmo-cookbook-eval", f'exec "{sys.executable}" -S -E "{STUB}" "$@"')
        self._calls = folder / "calls"
        self.environment = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "COOKBOOK_CALLS": str(self._calls),
            "WEKA_MOUNT": str(self.mount),
            "LC_ALL": "C.UTF-8",
        }

    def link(self, name: str, target: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).symlink_to(target)

    def tool(self, name: str, body: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)  # it may be a link to the machine's own program
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def real(self, name: str) -> None:
        """Put an installed storage tool into the script's reach."""
        self.tool(name, f"PATH='{os.environ['PATH']}' exec '{need(name)}' \"$@\"")

    def write(
        self,
        runs: Sequence[str],
        *,
        clusters: Sequence[str] = (WEKA,),
        root: str | None = None,
        status: str = "succeeded",
        **evaluation: Any,
    ) -> None:
        """Write the script of these runs, the clusters taking turns."""
        swarm = build_swarm(
            GROUP,
            [
                experiment(run, cluster=cluster, weka=cluster == WEKA, status=status)
                for run, cluster in zip(runs, cycle(clusters))
            ],
            checkpoint_root=root,
        )
        chosen = {"tasks": TASKS, "dashboard": f"olmix-{GROUP}", **evaluation}
        self.path.write_text(render(swarm, Evaluation(**chosen), date(2026, 3, 6)))

    def save(self, run: str, *files: str) -> None:
        """Put files of a run on Weka; a step alone is a complete checkpoint."""
        folder = self.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER / run
        folder.mkdir(parents=True, exist_ok=True)
        for part in (part for file in files for part in complete(file)):
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            (folder / part).write_text("x")

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BASH, str(self.path), *options],
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [BASH, str(self.path), *options],
            env={**self.environment, **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run_at_terminal(
        self,
        *options: str,
        typed: bytes = b"",
        again: bytes = b"",
        wait_for: str = "",
        **environment: str,
    ) -> tuple[int, str]:
        """Run the script at a terminal of its own, and type once something has been started."""
        everything = {**self.environment, **environment}
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.execve(BASH, [BASH, str(self.path), *options], everything)
            finally:
                os._exit(127)
        if typed:
            until(lambda: wait_for in self.started())
            os.write(terminal, typed)
        if again:
            time.sleep(2.5)  # what comes sooner may be the same signal once more
            os.write(terminal, again)
        output = b""
        try:
            while more := os.read(terminal, 4096):
                output += more
        except OSError:
            pass  # how Linux tells that nobody has the terminal open any more
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), output.decode()

    def calls(self) -> list[dict[str, object]]:
        lines = self._calls.read_text().splitlines() if self._calls.exists() else []
        return [json.loads(line) for line in lines]

    def submitted(self) -> list[str]:
        """The last two parts of each submitted checkpoint, in order."""
        return ["/".join(str(call["checkpoint"]).split("/")[-2:]) for call in self.calls()]

    def started(self) -> str:
        file = Path(f"{self._calls}.started")
        return file.read_text() if file.exists() else ""


def complete(file: str) -> list[str]:
    """The files of a complete checkpoint, where a step alone is named."""
    if re.fullmatch(r"step\d+", file):
        return [f"{file}/{part}" for part in RAW]
    if re.fullmatch(r"step\d+-hf", file):
        return [f"{file}/config.json", f"{file}/model.safetensors"]
    return [file]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that ended and that nobody waited for yet is dead
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
