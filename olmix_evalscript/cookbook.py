"""What the tool knows of olmo-cookbook-eval: its command, backends, clusters and options.

Source: src/cookbook/cli/eval.py, constants.py and utils/clusters.py of allenai/olmo-cookbook at
c226eb6a. Another evaluator is another such file.
"""

from __future__ import annotations

import difflib
import getopt
from collections.abc import Sequence
from dataclasses import dataclass

from olmix_evalscript.errors import UsageError

COMMAND = "olmo-cookbook-eval"
DEFAULT_CLUSTER = "aus"
DEFAULT_PRIORITY = "normal"


@dataclass(frozen=True)
class Backend:
    """A model backend, and which form of a checkpoint it reads."""

    suffix: str  # of the folder, after stepN
    needed: tuple[str, ...]  # what a complete one has, behind stepN


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
