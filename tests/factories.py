"""Experiments and variants as the launchers make them, for any test to begin with."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from olmix_evalscript.model import Experiment, Swarm, Task, TrainerRun, Variant
from olmix_evalscript.swarm import build_swarm

GROUP = "58362402"
START = datetime(2026, 3, 2, tzinfo=timezone.utc)
S3_ROOT = "s3://ai2-llm/checkpoints/kylel"


def trainer_words(
    run_name: str,
    *,
    group: str = GROUP,
    cluster: str | None = "ai2/neptune-cirrascale",
    user: str | None = "KYLEL",
    weka: bool = False,
    script: str = "olmix/launch/train.py",
    more: Sequence[str] = (),
) -> tuple[str, ...]:
    """A trainer's command; None leaves an option out."""
    words = [script, "train", "-n", run_name, "-g", group, "-w", str(weka)]
    words += ["-c", cluster] if cluster else []
    words += ["-u", user] if user else []
    return (*words, *more)


def job(
    *words: str,
    name: str = "run",
    minutes: int = 0,
    status: str = "succeeded",
    tasks: int = 1,
    problem: str = "",
) -> Experiment:
    """An experiment that runs these words, launched some minutes after START."""
    return Experiment(
        id=f"01J{minutes:05d}",
        name=name,
        created=START + timedelta(minutes=minutes),
        status=status,
        tasks=(Task(words),) * tasks,
        problem=problem,
    )


def experiment(
    run_name: str,
    *,
    name: str | None = None,
    minutes: int = 0,
    status: str = "succeeded",
    tasks: int = 1,
    **options: Any,
) -> Experiment:
    """An experiment that trains a run; the options are those of `trainer_words`."""
    return job(
        *trainer_words(run_name, **options),
        name=name or run_name,
        minutes=minutes,
        status=status,
        tasks=tasks,
    )


def variant(number: int, root: str = S3_ROOT) -> Variant:
    """A variant of the swarm `mix`, whose run directories lie below a root."""
    run = TrainerRun("olmix", f"mix-{GROUP}-{number:04d}", GROUP, "ai2/neptune", "kylel", False)
    return Variant(number, run, f"{root}/{run.run_name}")


def run_name(number: int) -> str:
    """The run name of a variant of the swarm `mix`."""
    return f"mix-{GROUP}-{number:04d}"


def source(domain: str, ratio: float) -> str:
    """A source as a trainer's command has it after ``-s``."""
    return f"({ascii(domain).replace(chr(39), chr(34))},[],{ratio!r},1.0)"


def experiments_of_sources(*commands: Sequence[str]) -> list[Experiment]:
    """Experiments of a swarm whose variants have these sources."""
    return [
        experiment(run_name(number), minutes=number, more=[w for s in sources for w in ("-s", s)])
        for number, sources in enumerate(commands)
    ]


def experiments_of(*mixtures: Mapping[str, float]) -> list[Experiment]:
    """Experiments of a swarm whose variants have these mixtures, domain to ratio."""
    return experiments_of_sources(*([source(d, ratio) for d, ratio in m.items()] for m in mixtures))


def swarm_of_sources(*commands: Sequence[str]) -> Swarm:
    """A swarm whose variants have these sources."""
    return build_swarm(GROUP, experiments_of_sources(*commands))


def swarm_of(*mixtures: Mapping[str, float]) -> Swarm:
    """A swarm whose variants have these mixtures, domain to ratio."""
    return build_swarm(GROUP, experiments_of(*mixtures))


def generated(kind: str) -> list[Experiment]:
    """Experiments of a swarm that olmix's own generator made, of fixtures/mixture-reuse."""
    path = Path(__file__).parent.parent / "fixtures" / "mixture-reuse" / f"{kind}.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return experiments_of(*({d: float(ratio) for d, ratio in row.items() if ratio} for row in rows))


def result_line(
    run_name: str,
    task: str,
    bpb: object = 0.8,
    *,
    step: int = 100,
    model: str | None = None,
    date: str = "2026-03-05 00:00:00 UTC",
    metrics: dict[str, object] | None = None,
    num_tasks: int | None = None,
    **more: object,
) -> str:
    """A line of a metrics-all.jsonl file, as oe-eval writes it."""
    metadata = {"alias": task} | ({} if num_tasks is None else {"num_tasks": num_tasks})
    record = {
        "task_name": task.partition(":")[0],
        "task_config": {} if task.endswith("_masked_ppl") else {"metadata": metadata},
        "model_config": {"model": model or f"{run_name}_step{step}"},
        "current_date": date,
        "metrics": metrics or {"primary_score": 0.5, "bits_per_byte_corr": bpb},
        **more,
    }
    return json.dumps(record) + "\n"


def settings(script: str, name: str) -> list[str]:
    """The values of one of a script's settings, as bash reads them."""
    top = script.partition("# --- From here")[0].replace("exit 2", ":")
    words = f'printf "%s\\0" "${{{name}[@]}}"'
    done = subprocess.run(["bash", "-c", top + words], capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]
