"""How long commands take to be read, against the splitting of their text alone."""

from __future__ import annotations

import shlex
import statistics
import sys
import time
from collections.abc import Callable

from bench.measure import verdict
from olmix_evalscript.command import parse_trainer

EXPERIMENTS = 10_000
WORDS = 100


def commands_read() -> bool:
    """10,000 commands of 100 words, as a launcher writes them and as one text for a shell."""
    commands = [_command(number) for number in range(EXPERIMENTS)]
    texts = [shlex.join(command) for command in commands]
    shells = [("bash", "-c", text) for text in texts]
    taken: dict[str, list[float]] = {"split": [], "words": [], "text": []}
    for _ in range(3):
        taken["split"].append(_seconds(lambda: [shlex.split(text) for text in texts]))
        taken["words"].append(_seconds(lambda: [parse_trainer(words) for words in commands]))
        taken["text"].append(_seconds(lambda: [parse_trainer(words) for words in shells]))
    split, words, text = (statistics.median(values) for values in taken.values())
    holds = [
        verdict(
            f"(g) {EXPERIMENTS} commands as {form} against shlex.split",
            value / split,
            3,
            at_least=False,
            detail=f"{value:.2f} s against {split:.2f} s",
        )
        for form, value in (("words", words), ("a shell's text", text))
    ]
    return all(holds)


def _command(number: int) -> list[str]:
    command = ["bash", "/gantry/entrypoint.sh", "python", "olmix/launch/train.py", "train"]
    command += [f"-n mix-58362402-{number:04d}", "-g 58362402", "-x 0.5", "-S 42", "-u KYLEL"]
    command += ["-c ai2/jupiter-cirrascale-2", "-w True", "-m olmo3_30m", "-y pretrain"]
    while len(command) < WORDS:
        source = f'-s ("domain:{len(command)}",["s3://ai2-llm/data/{len(command)}/*.npy"],0.01,1.0)'
        command.append(source)
    return command


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(0 if commands_read() else 1)
