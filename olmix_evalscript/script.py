"""A swarm and what to evaluate it on in, the text of a bash script out.

The template is a script that works; the blocks between its ``#@begin`` and ``#@end`` lines are
replaced, and nothing else. Every value goes in single quotes or, checked, into a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files

from olmix_evalscript import __version__
from olmix_evalscript.clusters import cluster_warnings
from olmix_evalscript.errors import InvalidInputError, SwarmError, UsageError
from olmix_evalscript.model import FINISHED, Swarm
from olmix_evalscript.scriptfile import with_checksum
from olmix_evalscript.storage import can_read, check_root
from olmix_evalscript.tasks import check_tasks, task_warnings
from olmix_evalscript.text import check_cluster, check_name, printable, variants_named


@dataclass(frozen=True)
class EvaluationTool:
    """What is particular to a program that evaluates. The template has a section for it, too."""

    name: str
    model_backends: tuple[str, ...]
    shows: tuple[str, ...]  # arguments with which it shows something, and submits nothing


COOKBOOK = EvaluationTool(
    name="olmo-cookbook-eval",
    model_backends=("olmo_core", "hf", "vllm"),
    shows=("--help", "--version"),
)


@dataclass(frozen=True)
class Evaluation:
    """What to evaluate each variant on, and where."""

    tasks: tuple[str, ...]
    dashboard: str
    cluster: str = "aus"
    model_backend: str = "olmo_core"  # one of COOKBOOK.model_backends
    extra_arguments: tuple[str, ...] = ()  # for olmo-cookbook-eval, as they are
    collect_options: tuple[str, ...] = ()  # those with which collect expects these tasks


def check_evaluation(evaluation: Evaluation) -> Evaluation:
    """Return an evaluation that makes sense, without repeated tasks.

    Raises:
        UsageError: If a task, the cluster, the dashboard, the backend or an argument
            cannot be meant.
    """
    if evaluation.dashboard:
        check_name("dashboard", evaluation.dashboard)
    check_cluster("evaluation cluster", evaluation.cluster)
    *backends, last = COOKBOOK.model_backends
    if evaluation.model_backend not in COOKBOOK.model_backends:
        raise UsageError(
            f"{evaluation.model_backend!r} is not a model backend: expected "
            f"{', '.join(backends)} or {last}"
        )
    for argument in evaluation.extra_arguments:
        if argument in COOKBOOK.shows:
            raise UsageError(f"{COOKBOOK.name} would submit nothing with {argument}")
    return replace(evaluation, tasks=check_tasks(evaluation.tasks))


def evaluation_warnings(evaluation: Evaluation) -> list[str]:
    """What may be typed wrong in it, a line each."""
    return [*task_warnings(evaluation.tasks), *cluster_warnings(evaluation.cluster)]


def render(swarm: Swarm, evaluation: Evaluation, today: date) -> str:
    """Write the evaluation script of a swarm.

    Args:
        swarm: With at least one variant whose checkpoints are not lost.
        evaluation: On what and where.
        today: The date in the header, in UTC.

    Returns:
        The text of the script; the same for the same arguments, to the byte.

    Raises:
        InvalidInputError: If the evaluation cannot be meant, or cannot read the checkpoints.
        SwarmError: If there is nothing to evaluate.
    """
    evaluation = check_evaluation(evaluation)
    if not swarm.ready:
        raise SwarmError(f"no variant of {swarm.group_id} has checkpoints left to evaluate")
    roots = _roots(swarm)
    for root in roots:
        if not can_read(evaluation.cluster, root):
            raise InvalidInputError(
                f"the cluster {evaluation.cluster} cannot read checkpoints on {root}; "
                "try --eval-cluster aus"
            )
    text = (files("olmix_evalscript") / "templates" / "eval_script.sh").read_text(encoding="utf-8")
    blocks = {
        "header": _header(swarm, evaluation, today),
        "settings": _settings(swarm, evaluation, roots),
        "variants": _variants(swarm, roots),
    }
    return with_checksum(_fill(text, blocks))


def _fill(template: str, blocks: Mapping[str, Iterable[str]]) -> str:
    """Put lines in the place of all blocks at once: what is put in may look like a block."""
    return re.sub(
        r"^#@begin (\w+)\n.*?^#@end \1\n",
        lambda block: "".join(f"{line}\n" for line in blocks[block[1]]),
        template,
        flags=re.M | re.S,
    )


def _quote(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _comment(text: str) -> str:
    """A comment of one line, whatever the text holds."""
    return f"# {printable(text)}"


def _array(name: str, values: Sequence[str]) -> list[str]:
    if not values:
        return [f"{name}=()"]
    lines = [f"{name}=(", *(f"  {_quote(value)}" for value in values), ")"]
    if any(set("$`") & set(value) for value in values):
        lines.insert(0, _comment("shellcheck disable=SC2016"))
    return lines


def _roots(swarm: Swarm) -> dict[str, str]:
    """Each directory that holds run directories, to the shell variable that stands for it."""
    roots = dict.fromkeys(
        check_root(variant.checkpoint_dir.rpartition("/")[0]) for variant in swarm.ready
    )
    if len(roots) == 1:
        return dict.fromkeys(roots, "ROOT")
    return {root: f"ROOT_{number}" for number, root in enumerate(roots, 1)}


def _header(swarm: Swarm, evaluation: Evaluation, today: date) -> list[str]:
    count = len(swarm.ready)
    name = f"olmix-{swarm.group_id}.sh"
    lines = [
        f"Evaluate the {count} variant{'s' * (count != 1)} of swarm {swarm.name} "
        f"(group {swarm.group_id}).",
        f"Made by olmix-evalscript {__version__} on {today.isoformat()} (UTC).",
        "",
        "Run it in the olmo-cookbook environment:",
        f"  bash {name} --list      see each variant's latest complete checkpoint",
        f"  bash {name} --dry-run   try it without submitting",
        f"  bash {name}             submit; see --help for the other options",
        "Only the settings below and the variants at its end differ between such scripts.",
    ]
    training = [v.number for v in swarm.ready if v.status and v.status not in FINISHED]
    if training:
        lines += ["", f"Not finished when this was made: {variants_named(training)}."]
    warnings = [
        *evaluation_warnings(evaluation),
        *swarm.warnings,
        *(f"left out, cannot be read: {reason}" for reason in swarm.unreadable),
    ]
    if warnings:
        lines += ["", "Check this before you use it:", *(f"- {warning}" for warning in warnings)]
    return [_comment(line).rstrip() for line in lines]


def _settings(swarm: Swarm, evaluation: Evaluation, roots: dict[str, str]) -> list[str]:
    return [
        f"GROUP_ID={_quote(swarm.group_id)}",
        f"DASHBOARD={_quote(evaluation.dashboard)}",
        f"CLUSTER={_quote(evaluation.cluster)}",
        f"MODEL_BACKEND={_quote(evaluation.model_backend)}",
        *(f"{variable}={_quote(root)}" for root, variable in roots.items()),
        *_array("TASKS", evaluation.tasks),
        *_array("EXTRA_ARGS", evaluation.extra_arguments),
        *_array("COLLECT_OPTIONS", evaluation.collect_options),
    ]


def _variants(swarm: Swarm, roots: dict[str, str]) -> list[str]:
    lines = ["variants() {"]
    for variant in swarm.variants:
        check_name("run name", variant.run_name)  # it stands between double quotes
        if variant.is_lost:
            lines.append("  " + _comment(f"variant {variant.number} {variant.run_name} is lost"))
        else:
            root = roots[variant.checkpoint_dir.rpartition("/")[0]]
            lines.append(f'  variant {variant.number} "${root}/{variant.run_name}"')
    return [*lines, "}"]
