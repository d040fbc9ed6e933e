"""Run olmo-cookbook-eval: its command, backends, options, clusters and results.

Source: src/cookbook/cli/eval.py, constants.py and utils/clusters.py of allenai/olmo-cookbook at
c226eb6a. `COOKBOOK`, at the end, is what the rest of the tool uses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from olmix_evalscript.errors import UsageError
from olmix_evalscript.evaluator import SAVED, Backend, Evaluator, Result

COMMAND = "olmo-cookbook-eval"

#: A conversion to Hugging Face format writes its config before its weights; model.safetensors
#: stands for any form of the weights.
_CONVERTED = Backend("-hf", ("-hf/config.json", "-hf/model.safetensors"))

_OPTIONS = """
    c/cluster= d/dashboard= b/budget= w/workspace= t/tasks= p/partition-size= y/priority=
    n/num-gpus= x/extra-args= s/huggingface-secret= j/aws-access-key-id= k/aws-secret-access-key=
    l/gantry-args= i/beaker-image= z/batch-size= o/remote-output-prefix= v/model-backend=
    a/add-bos-token r/dry-run g/use-gantry
    beaker-retries= oe-eval-branch= oe-eval-commit= env-name= vllm-memory-utilization= task-args=
    model-args= revision= fim-tokens= name-suffix= num-shots= use-hf-token no-use-hf-token
    help version force-venv vllm-for-mc no-vllm-for-mc compute-gold-bpb no-compute-gold-bpb
    vllm-use-v1-spec no-vllm-use-v1-spec use-backend-in-run-name no-use-backend-in-run-name
    backfill no-backfill
""".split()  # noqa: SIM905
_SECRETS = ("huggingface-secret", "aws-access-key-id", "aws-secret-access-key")
_REFUSED = {
    "cluster": "is --eval-cluster here, before the --",
    "dashboard": "goes before the --",
    "tasks": "is --task or --task-set here, before the --",
    "model-backend": "goes before the --",
    "env-name": "is set by the script, for its --jobs",
    "dry-run": "is an option of the script itself",
    "help": "would submit nothing",
    "version": "would submit nothing",
    **dict.fromkeys(
        _SECRETS, "is a secret, and the script is for all to read: set it in your environment"
    ),
}

# --- tasks ---------------------------------------------------------------------------------

#: Tasks that it drops without a word: ``EXCLUDE_FROM_LAUNCH`` in cookbook/eval/evaluation.py.
_NEVER_LAUNCHED = re.compile(r"mmlu_.*:bpb::olmes|lambada:bpb|.*:pass_at_.*")


def task_name(task: str) -> str:
    """Return the name of a task, which is olmo-cookbook's own.

    Raises:
        UsageError: If it launches nothing for it.
    """
    if _NEVER_LAUNCHED.fullmatch(task):
        raise UsageError(f"{COMMAND} launches nothing for {task}; use the task without :bpb")
    return task


def has_bpb(task: str) -> bool:
    """Whether a task has bits per byte. Multiple choice and masked perplexity have none.

    Source: ``make_bpb_name`` in cookbook/eval/results.py.
    """
    return not re.search(r":mc(?=:|$)|_masked_ppl$", task)


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


def read_results(path: Path) -> Iterator[Result]:
    """The results in a file, one a line, without aggregates.

    A line that is no result raises any error.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            record = json.loads(line)
            metadata = record["task_config"].get("metadata") or {}
            if not (metadata.get("num_tasks") or 0) > 0:
                yield _result(record, metadata, f"{path}:{number}")


def _result(record: Any, metadata: Any, location: str) -> Result:
    """A line's result. The fields are those of ``MetricsAll`` in cookbook/eval/datalake.py."""
    task = metadata.get("alias") or record["task_name"]
    model, metrics = record["model_config"]["model"], record["metrics"]
    match = _MODEL.fullmatch(model)
    keys = (*BPB_KEYS, "primary_score") if re.search(r":bpb(?=:|$)", task) else BPB_KEYS
    metric = next((key for key in keys if metrics.get(key) is not None), "")
    date = datetime.fromisoformat(re.sub(r" ?(UTC|Z)$", "+00:00", record["current_date"]))
    return Result(
        model=model,
        run_name=match["run"] if match else "",
        step=int(match["step"]) if match else 0,
        is_converted=bool(match and match["converted"]),
        task=task,
        bpb=metrics.get(metric),
        date=date if date.tzinfo else date.replace(tzinfo=timezone.utc),
        location=location,
        metric=metric,
        num_instances=record.get("num_instances"),
        task_hash=record.get("task_hash"),
    )


COOKBOOK = Evaluator(
    name="olmo-cookbook",
    command=COMMAND,
    environment="in the olmo-cookbook environment",
    clusters=("aus", "aus80g", "goog", "h100", "a100", "l40", "80g"),
    backends={"olmo_core": SAVED, "hf": _CONVERTED, "vllm": _CONVERTED},
    options=_OPTIONS,
    refused=_REFUSED,
    out_of_reach={
        r"^\S*(goog|augusta)\S* /weka/": "Google's clusters have no Weka; try --eval-cluster aus",
    },
    not_on_vllm=("ultrachat_masked_ppl", "wildchat_masked_ppl"),
    task_name=task_name,
    result_task=str,
    has_bpb=has_bpb,
    results_url="s3://ai2-llm/evaluation/{dashboard}/",
    results_suffix="metrics-all.jsonl",  # other files lie beside them
    read_results=read_results,
)
