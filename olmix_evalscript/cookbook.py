"""Run olmo-cookbook-eval: its command, backends, options, clusters and results.

Source: src/cookbook/cli/eval.py, constants.py and utils/clusters.py of allenai/olmo-cookbook at
c226eb6a. `COOKBOOK`, at the end, is what the rest of the tool uses.
"""

from __future__ import annotations

import difflib
import getopt
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from olmix_evalscript.errors import FitError, UsageError
from olmix_evalscript.evaluator import Backend, Evaluator, Result

COMMAND = "olmo-cookbook-eval"
DEFAULT_CLUSTER = "aus"
DEFAULT_PRIORITY = "normal"

#: The files that OLMo-core's ``Checkpointer.latest_checkpoint`` asks for.
_SAVED = Backend("", ("/.metadata.json", "/model_and_optim/.metadata", "/train/rank0.pt"))
#: A conversion to Hugging Face format writes its config before its weights; model.safetensors
#: stands for any form of the weights.
_CONVERTED = Backend("-hf", ("-hf/config.json", "-hf/model.safetensors"))
BACKENDS = {"olmo_core": _SAVED, "hf": _CONVERTED, "vllm": _CONVERTED}
#: Tasks that do not run on vllm; hf runs them.
NOT_ON_VLLM = ("ultrachat_masked_ppl", "wildchat_masked_ppl")

# --- options of its evaluate command -------------------------------------------------------

_VALUES = {
    "c": "cluster",
    "d": "dashboard",
    "b": "budget",
    "w": "workspace",
    "t": "tasks",
    "p": "partition-size",
    "y": "priority",
    "n": "num-gpus",
    "x": "extra-args",
    "s": "huggingface-secret",
    "j": "aws-access-key-id",
    "k": "aws-secret-access-key",
    "l": "gantry-args",
    "i": "beaker-image",
    "z": "batch-size",
    "o": "remote-output-prefix",
    "v": "model-backend",
}
_FLAGS = {"a": "add-bos-token", "r": "dry-run", "g": "use-gantry"}
_LONG = """
    beaker-retries= oe-eval-branch= oe-eval-commit= env-name= vllm-memory-utilization= task-args=
    model-args= revision= fim-tokens= name-suffix= num-shots= help version use-hf-token
    no-use-hf-token force-venv vllm-for-mc no-vllm-for-mc compute-gold-bpb no-compute-gold-bpb
    vllm-use-v1-spec no-vllm-use-v1-spec use-backend-in-run-name no-use-backend-in-run-name
    backfill no-backfill
""".split()  # noqa: SIM905
_SECRET = "it would stand in the script for all to read; set it in your environment"
_REFUSED = {
    "cluster": "use --eval-cluster",
    "dashboard": "use --dashboard",
    "tasks": "use --task or --task-set",
    "model-backend": "use --model-backend",
    "env-name": "the script's --jobs names environments",
    "dry-run": "it is an option of the script itself",
    "help": "nothing would be submitted",
    "version": "nothing would be submitted",
    "huggingface-secret": _SECRET,
    "aws-access-key-id": _SECRET,
    "aws-secret-access-key": _SECRET,
}


def parse_arguments(arguments: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Read what is to be passed on to its evaluate command.

    Returns:
        The priority, and all other options as ``--name=value`` or ``--name``, in order.

    Raises:
        UsageError: If it has no such option, or the script sets that option itself.
    """
    names = {**_VALUES, **_FLAGS}
    short = "".join(f"{letter}:" for letter in _VALUES) + "".join(_FLAGS)
    long = [*(f"{name}=" for name in _VALUES.values()), *_FLAGS.values(), *_LONG]
    try:
        pairs, rest = getopt.gnu_getopt(list(arguments), short, long)
    except getopt.GetoptError as error:
        raise UsageError(
            f"after --: {error}. If {COMMAND} has it, add it to EVAL_ARGS in the script."
        ) from None
    if rest:
        raise UsageError(f"after --: {rest[0]!a} is not an option of {COMMAND}")
    priority, others = DEFAULT_PRIORITY, []
    for option, value in pairs:
        name = names.get(option.lstrip("-"), option.lstrip("-"))
        if name in _REFUSED:
            raise UsageError(f"after --: --{name} is not for {COMMAND} here: {_REFUSED[name]}")
        if not value.isprintable():
            raise UsageError(f"after --: the value {value!a} of --{name} is not plain text")
        takes_value = name in _VALUES.values() or f"{name}=" in _LONG
        if name == "priority":
            priority = value
        else:
            others.append(f"--{name}={value}" if takes_value else f"--{name}")
    return priority, tuple(others)


# --- clusters ------------------------------------------------------------------------------

#: Names of several clusters at once.
NICKNAMES = {
    "aus": ("ai2/jupiter", "ai2/neptune", "ai2/saturn", "ai2/ceres"),
    "aus80g": ("ai2/jupiter", "ai2/saturn", "ai2/ceres"),
    "goog": ("ai2/augusta",),
    "h100": ("ai2/augusta", "ai2/jupiter", "ai2/ceres"),
    "a100": ("ai2/saturn",),
    "l40": ("ai2/neptune",),
    "80g": ("ai2/augusta", "ai2/jupiter", "ai2/saturn", "ai2/ceres"),
}
#: Former names to today's.
FORMER_NAMES = {
    "ai2/allennlp-elanding-a100-40g": "ai2/allennlp",
    "ai2/allennlp-dev-a100-sea": "ai2/allennlp",
    "ai2/augusta-batch-h100-dsm-tcpxo": "ai2/augusta",
    "ai2/augusta-google-1": "ai2/augusta",
    "ai2/ceres-dev-h100-aus-ib": "ai2/ceres",
    "ai2/ceres-cirrascale": "ai2/ceres",
    "ai2/jupiter-batch-h100-aus-ib": "ai2/jupiter",
    "ai2/jupiter-cirrascale-2": "ai2/jupiter",
    "ai2/neptune-dev-l40-aus": "ai2/neptune",
    "ai2/neptune-cirrascale": "ai2/neptune",
    "ai2/phobos-dev-aus": "ai2/phobos",
    "ai2/phobos-cirrascale": "ai2/phobos",
    "ai2/prior-dev-a6000-sea": "ai2/prior",
    "ai2/prior-elanding": "ai2/prior",
    "ai2/prior-elanding-rtx8000": "ai2/prior-rtx8000",
    "ai2/prior-dev-rtx8000-sea": "ai2/prior-rtx8000",
    "ai2/rhea-dev-a6000-aus": "ai2/rhea",
    "ai2/rhea-cirrascale": "ai2/rhea",
    "ai2/saturn-dev-a100-aus": "ai2/saturn",
    "ai2/saturn-cirrascale": "ai2/saturn",
    "ai2/titan-batch-b200-aus-ib": "ai2/titan",
    "ai2/titan-cirrascale": "ai2/titan",
    "ai2/triton-dev-l40-aus": "ai2/triton",
    "ai2/triton-cirrascale": "ai2/triton",
}
#: Nicknames, then today's names, then former ones.
KNOWN_CLUSTERS = tuple(
    dict.fromkeys(
        (
            *NICKNAMES,
            *(cluster for clusters in NICKNAMES.values() for cluster in clusters),
            *FORMER_NAMES.values(),
            *FORMER_NAMES,
        )
    )
)


def cluster_warnings(name: str) -> list[str]:
    """What to say of a name that olmo-cookbook-eval does not know."""
    if name in KNOWN_CLUSTERS:
        return []
    similar = similar_clusters(name)
    hint = f": did you mean {' or '.join(similar)}?" if similar else "; passed on unchanged"
    return [f"unknown cluster {name}{hint}"]


def similar_clusters(name: str) -> list[str]:
    """The known names nearest to one, which may lack its ``ai2/``; none if it is like no other."""
    found = difflib.get_close_matches(name, KNOWN_CLUSTERS, n=3, cutoff=0.7)
    full = difflib.get_close_matches(f"ai2/{name}", KNOWN_CLUSTERS, n=3, cutoff=0.8)
    return list(dict.fromkeys((*found, *full)))[:3]


# --- results -------------------------------------------------------------------------------

#: Where a result has its BPB; the first one counts. The order is that of ``get_offline_evals`` in
#: olmix (before 957ef4e) and regmixer; the last is what olmo-cookbook falls back on.
BPB_KEYS = (
    "bits_per_byte_corr",
    "bits_per_byte_corr_macro",
    "bits_per_byte",
    "logits_per_byte_corr",
)
#: ``make_eval_run_name`` in cookbook/cli/utils.py, without the suffixes of options. At step 0
#: nothing is trained yet.
_MODEL = re.compile(r"(?P<run>.+)_step(?P<step>[1-9][0-9]{0,11})(?P<converted>-hf)?", re.DOTALL)
_BPB_TASK = re.compile(r":bpb(?=:|$)")
_NO_BPB_TASK = re.compile(r":mc(?=:|$)|_masked_ppl$|:bpb")


def read_results(path: Path) -> Iterator[Result]:
    """The results in a file, one a line, without aggregates.

    Raises:
        FitError: If a line is not a result.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            location = f"{path}:{number}"
            try:
                record = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise FitError(
                    f"{location}: it is not a line of JSON, or is truncated ({error}). "
                    "Fetch it again."
                ) from None
            try:
                metadata = record["task_config"].get("metadata") or {}
                if not (metadata.get("num_tasks") or 0) > 0:
                    yield _result(record, metadata, location)
            except (AttributeError, KeyError, TypeError, ValueError):
                raise FitError(
                    f"{location}: it is not a result as oe-eval writes it; expected task_name, "
                    "task_config, metrics, model_config and current_date"
                ) from None


def _result(record: Any, metadata: Any, location: str) -> Result:
    """A line's result. The fields are those of ``MetricsAll`` in cookbook/eval/datalake.py."""
    task = metadata.get("alias") or record["task_name"]
    config, metrics = record["model_config"], record["metrics"]
    model, revision = config["model"], config.get("revision")
    match = _MODEL.fullmatch(model) if revision is None else None
    keys = (*BPB_KEYS, "primary_score") if _BPB_TASK.search(task) else BPB_KEYS
    found = (key for key in keys if metrics.get(key) is not None)
    metric = next(found, "") if has_bpb(task) else ""
    return Result(
        model=model if revision is None else f"{model}:{revision}",
        run_name=match["run"] if match else "",
        step=int(match["step"]) if match else 0,
        is_converted=bool(match and match["converted"]),
        task=task,
        bpb=metrics.get(metric),
        date=_date(record["current_date"]),
        location=location,
        metric=metric,
        num_instances=record.get("num_instances"),
        task_hash=record.get("task_hash"),
    )


def _date(text: str) -> datetime:
    """A time such as ``2026-02-01 00:00:00 UTC``."""
    moment = datetime.fromisoformat(re.sub(r" ?(UTC|Z)$", "+00:00", text))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def has_bpb(task: str) -> bool:
    """Whether a task has bits per byte. Multiple choice and masked perplexity have none, nor have
    names that only begin like a task of bits per byte, such as ``x:bpb_acc``.

    Source: ``make_bpb_name`` in cookbook/eval/results.py.
    """
    return bool(_BPB_TASK.search(task)) or not _NO_BPB_TASK.search(task)


COOKBOOK = Evaluator(
    default_cluster=DEFAULT_CLUSTER,
    default_priority=DEFAULT_PRIORITY,
    cluster_warnings=cluster_warnings,
    backends=BACKENDS,
    not_on_vllm=NOT_ON_VLLM,
    parse_arguments=parse_arguments,
    results_url="s3://ai2-llm/evaluation/{dashboard}/",
    results_suffix="metrics-all.jsonl",  # other files lie beside them
    read_results=read_results,
    has_bpb=has_bpb,
)
