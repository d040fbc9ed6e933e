"""Run olmo-eval, the public successor of what olmo-cookbook-eval runs.

Source: src/olmo_eval/ of allenai/olmo-eval at e8b88f19, mainly cli/beaker/launch.py and runners/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

from olmix_evalscript.errors import FitError, UsageError
from olmix_evalscript.evaluator import SAVED, Evaluator, Result
from olmix_evalscript.tasks import fit_column, known_task, known_tasks

#: Found in "CLUSTER ROOT".
_OUT_OF_REACH = {
    r"^\S*(goog|augusta)": "olmo-eval does not run on Google's clusters; try --eval-cluster aus",
    r" gs://": "olmo-eval cannot read Google's storage",
    r" /weka/(?!oe-(training|eval|adapt)-default\b)": "olmo-eval does not mount that bucket",
}

#: Of its ``beaker launch`` command, those that somebody may want to set.
_OPTIONS = """
    w/workspace= B/budget= p/priority= G/gpus= T/timeout= r/retries= I/image= o/override=
    preemptible no-preemptible c/cluster= g/group= t/task= d/dry-run
""".split()  # noqa: SIM905
_REFUSED = {
    "cluster": "is --eval-cluster here, before the --",
    "group": "is --dashboard here, before the --",
    "task": "goes before the --",
    "dry-run": "is an option of the script itself",
}

#: Those that give bits per byte only if its variants are named in this order.
_SUITE_FIRST = ("arc_challenge", "arc_easy", "csqa", "piqa")
_LACKING = ("ultrachat_masked_ppl", "wildchat_masked_ppl")
_REFUSED_TASKS = {"sciq:bpb::olmo1": "its sciq asks without the supporting passage"}


def task_name(task: str) -> str:
    """What olmo-eval calls a known task; it then measures bits per byte, and nothing else.

    Raises:
        UsageError: If it has no such task.
    """
    if task not in known_tasks() or task in _REFUSED_TASKS:
        reason = _REFUSED_TASKS.get(task, "only the tasks of `olmix-evalscript tasks` are known")
        raise UsageError(f"olmo-eval cannot evaluate {task}: {reason}")
    name, _, rest = task.partition(":")
    if name == "mt_mbpp_v2fix":
        name = f"{name}_{rest}"
    if name.startswith("mmlu_"):
        return f"{name}:rc:bpb"
    return f"{name}:olmo3base:bpb" if name in _SUITE_FIRST else f"{name}:bpb:olmo3base"


def result_task(task: str) -> str:
    """One name for the known tasks that are the same to olmo-eval; the fit names them alike."""
    task_name(task)
    return known_task(fit_column(task)) or task


@cache
def _tasks() -> Mapping[str, str]:
    """What olmo-eval calls each task, to our name."""
    tasks = (task for task in known_tasks() if task not in (*_LACKING, *_REFUSED_TASKS))
    return {task_name(task): result_task(task) for task in tasks}


def has_bpb(task: str) -> bool:
    """Whether a task has bits per byte: all that olmo-eval has do, as they are named here."""
    return task not in _LACKING


# --- results -------------------------------------------------------------------------------

_CHECKPOINT = re.compile(r"(?:.*/)?(?P<run>[^/]+)/step(?P<step>[1-9][0-9]{0,11})/?", re.DOTALL)


def read_results(path: Path) -> Iterator[Result]:
    """The results in a ``metrics.json`` (``MetricsOutput`` in runners/common/models.py).

    Raises:
        FitError: If something failed, or a task has no bits per byte.
    """
    data = json.loads(path.read_bytes())
    provider = data["config"]["provider"]
    model = provider.pop("model")
    if data["errors"]:
        raise FitError(
            f"{path}: olmo-eval failed on a part of it ({data['errors'][0]!a:.200}). Evaluate "
            f"{model!a} again; then fetch the results, take this file out, and use --results."
        )
    for number, entry in enumerate(data["tasks"], start=1):
        yield _result(model, provider, data["timestamp"], entry, f"{path}, task {number}")


def _result(model: str, provider: Any, timestamp: str, entry: Any, location: str) -> Result:
    task, metrics = entry["task"], entry["metrics"]
    if "bits_per_byte" not in metrics:
        raise FitError(
            f"{location}: {task!a} has no bits_per_byte, but {', '.join(metrics) or 'nothing'}. "
            "Take this file out of the folder, and use --results."
        )
    match = _CHECKPOINT.fullmatch(model)
    return Result(
        model=model,
        run_name=match["run"] if match else "",
        step=int(match["step"]) if match else 0,
        is_converted=False,
        task=_tasks().get(task, task),
        bpb=metrics["bits_per_byte"]["bits_per_byte"],
        date=datetime.fromisoformat(timestamp).replace(tzinfo=timezone.utc),  # has no time zone
        location=location,
        metric=f"bits_per_byte with {provider}",  # task_hash does not depend on these settings
        num_instances=entry["num_instances"],
        task_hash=entry["task_hash"],
    )


OLMO_EVAL = Evaluator(
    name="olmo-eval",
    command="olmo-eval",
    environment="in the root of a clean, pushed checkout of olmo-eval",
    clusters=("aus", "aus80g", "h100", "a100", "l40", "80g"),
    backends={"olmo_core": SAVED},
    options=_OPTIONS,
    refused=_REFUSED,
    required=("workspace",),
    # The ai2-olmo-core that reads the checkpoints, and the longest prompt: others are cut to it.
    arguments=("--override=provider.package=2.6.0", "--override=provider.max_model_len=8192"),
    out_of_reach=_OUT_OF_REACH,
    skipped=_LACKING,
    task_name=task_name,
    result_task=result_task,
    has_bpb=has_bpb,
    results_url="s3://ai2-llm/olmo-eval/{dashboard}/",
    results_suffix="metrics.json",  # predictions and requests lie beside it
    read_results=read_results,
)
