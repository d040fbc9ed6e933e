"""Build the evaluation script of a swarm.

The template's lines between ``#@begin`` and ``#@end`` are replaced (header, settings), or kept only
in the scripts that need them. Every value is checked or quoted.
"""

from __future__ import annotations

import os
import re
import shlex
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from importlib.resources import files
from pathlib import Path

from olmix_evalscript import __version__
from olmix_evalscript.cookbook import COOKBOOK
from olmix_evalscript.errors import InvalidInputError, SwarmError, UsageError
from olmix_evalscript.evaluator import PRIORITIES, Evaluator
from olmix_evalscript.files import NO_CHECKSUM, is_edited, signed, write_whole
from olmix_evalscript.model import FINISHED, Swarm
from olmix_evalscript.storage import check_root
from olmix_evalscript.tasks import check_tasks, task_warnings
from olmix_evalscript.text import check_cluster, check_name, counted, printable, variants_named

WIDTH = 100  # columns
FOLDER = "output/eval_scripts"  # of scripts, unless another is named


@dataclass(frozen=True)
class Evaluation:
    """What to evaluate each variant on, and where."""

    tasks: tuple[str, ...]
    dashboard: str
    evaluator: Evaluator = COOKBOOK
    cluster: str = "aus"
    model_backend: str = "olmo_core"  # one of the evaluator's backends
    priority: str = "normal"  # one of PRIORITIES
    arguments: tuple[str, ...] = ()  # other options of the evaluator, one a word


def check_evaluation(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation without repeated tasks.

    Raises:
        UsageError: If a name in it cannot be right, or there are no tasks.
    """
    if evaluation.dashboard:
        check_name("dashboard", evaluation.dashboard)
    check_cluster("evaluation cluster", evaluation.cluster)
    for what, value, expected in (
        ("model backend", evaluation.model_backend, evaluation.evaluator.backends),
        ("priority", evaluation.priority, PRIORITIES),
    ):
        if value not in expected:
            raise UsageError(f"{value!r} is not a {what}: expected {', '.join(expected)}")
    evaluation = replace(evaluation, tasks=check_tasks(evaluation.tasks))
    _task_names(evaluation)
    return evaluation


def _task_names(evaluation: Evaluation) -> tuple[str, ...]:
    """What the evaluator calls the tasks; those that it does not have are skipped."""
    name, skipped = evaluation.evaluator.task_name, evaluation.evaluator.skipped
    return check_tasks(name(task) for task in evaluation.tasks if task not in skipped)


def evaluation_warnings(evaluation: Evaluation) -> list[str]:
    """Warn about names that may be typed wrong, a line each."""
    evaluator = evaluation.evaluator
    warnings = task_warnings(evaluation.tasks) + evaluator.cluster_warnings(evaluation.cluster)
    if skipped := [task for task in evaluation.tasks if task in evaluator.skipped]:
        warnings.append(f"skipped, {evaluator.name} does not have them: {', '.join(skipped)}")
    return warnings


def render(swarm: Swarm, evaluation: Evaluation, today: date) -> str:
    """Write the evaluation script of a swarm.

    Args:
        swarm: With at least one variant whose checkpoints are not lost.
        evaluation: On what and where.
        today: The date in the header, in UTC.

    Returns:
        The text of the script; the same for the same arguments, to the byte.

    Raises:
        InvalidInputError: If the evaluation is not valid, or its cluster cannot read the
            checkpoints.
        SwarmError: If there is nothing to evaluate.
    """
    evaluation = check_evaluation(evaluation)
    if not swarm.ready:
        raise SwarmError(f"no variant of {swarm.group_id} has checkpoints left to evaluate")
    roots = list(dict.fromkeys(check_root(variant.checkpoint_root) for variant in swarm.ready))
    evaluator, backend = evaluation.evaluator, evaluation.model_backend
    for root in roots:
        for place, reason in evaluator.out_of_reach.items():
            if re.search(place, f"{evaluation.cluster} {root}"):
                raise InvalidInputError(
                    f"the cluster {evaluation.cluster} cannot evaluate checkpoints on {root}: "
                    f"{reason}"
                )
    tasks = _task_names(evaluation)
    hf_tasks: tuple[str, ...] = ()
    if backend == "vllm":
        hf_tasks = tuple(task for task in tasks if task in evaluator.not_on_vllm)
        tasks = tuple(task for task in tasks if task not in hf_tasks)
    if not tasks:
        backend, tasks, hf_tasks = "hf", hf_tasks, ()
    kept = {evaluator.name, *map(_storage, roots), "hf_tasks" if hf_tasks else "one_call"}
    kept |= {"converted"} if evaluator.backends[backend].suffix else set()
    written = {
        "header": _header(swarm, evaluation, len(tasks) + len(hf_tasks), today),
        "settings": [
            *_settings(swarm, replace(evaluation, model_backend=backend)),
            "",
            *_variants(swarm, roots),
            "",
            *_array("TASKS", tasks),
            *(_array("HF_TASKS", hf_tasks, "do not run on vllm") if hf_tasks else ()),
        ],
    }

    def fill(block: re.Match[str]) -> str:
        if block[1] in written:
            return "".join(f"{line}\n" for line in written[block[1]])
        return block[2] if kept & set(block[1].split()) else ""

    text = (files("olmix_evalscript") / "templates" / "eval_script.sh").read_text(encoding="utf-8")
    return signed(
        re.sub(r"^ *#@begin ([\w -]+)\n(.*?)^ *#@end \1\n", fill, text, flags=re.M | re.S)
    )


def _storage(root: str) -> str:
    """The name of a root's storage in the template: s3, gs or weka."""
    return re.split("[:/]", root.lstrip("/"), maxsplit=1)[0]


def _header(swarm: Swarm, evaluation: Evaluation, tasks: int, today: date) -> list[str]:
    evaluator = evaluation.evaluator
    lines = [
        f"Evaluate the {counted(len(swarm.ready), 'variant')} of swarm {swarm.name} "
        f"(group {swarm.group_id}) on {counted(tasks, 'task')}.",
        f"Made by olmix-evalscript {__version__} on {today.isoformat()} (UTC).",
        f"{NO_CHECKSUM}: generate does not overwrite this file once it is edited.",
        "",
    ]
    warnings = [
        *evaluation_warnings(evaluation),
        *swarm.warnings,
        *(f"skipped, cannot be read: {reason}" for reason in swarm.unreadable),
    ]
    if warnings:
        lines.append("Check this before you use it:")
        for warning in warnings:
            lines += textwrap.wrap(
                f"- {printable(warning)}", WIDTH - 2, subsequent_indent="  ", break_on_hyphens=False
            )
        lines.append("")
    lines += [
        f"Run it {evaluator.environment}: bash FILE [OPTIONS]",
        "  --list        show each variant's checkpoint, or why it is held back; submit nothing",
        f"  --dry-run     pass --dry-run on to {evaluator.command}; submit and record nothing",
        "  --only LIST   only these variants, such as 0,3,5-9",
        "  --step N      evaluate step N; by default the latest of more than half of all variants",
        "  --again       also submit what was submitted before; by default it is skipped",
        "  --jobs N      submit N variants at a time",
        "  --yes         do not ask before submitting; without a terminal it never asks",
        "Exit status: 0 all is submitted (with --list: could be), 1 some is not, 2 wrong usage.",
    ]
    return [f"# {printable(line)}".rstrip() for line in lines]


def _settings(swarm: Swarm, evaluation: Evaluation) -> list[str]:
    evaluator = evaluation.evaluator
    arguments = evaluator.arguments + evaluation.arguments
    option = "" if evaluator is COOKBOOK else f" --evaluator {evaluator.name}"
    backend = evaluator.backends[evaluation.model_backend]
    training = [v.number for v in swarm.ready if v.status and v.status not in FINISHED]
    unfinished = ""
    if training:
        unfinished = f"{variants_named(training)} had not finished when this was made"
    return [
        f"GROUP_ID={_quote(swarm.group_id)}",
        f'COLLECT="olmix-evalscript collect $GROUP_ID{option}" # once all are evaluated',
        f"DASHBOARD={_quote(evaluation.dashboard)}",
        f"CLUSTER={_quote(evaluation.cluster)}",
        f"PRIORITY={_quote(evaluation.priority)}",
        f"EVALUATOR={_quote(evaluator.command)} MODEL_BACKEND={_quote(evaluation.model_backend)} "
        f"SUFFIX={_quote(backend.suffix)} # it reads stepN{backend.suffix}",
        f"NEEDED={_quote(' '.join(backend.needed))} # else stepN is incomplete",
        *_array("EVAL_ARGS", arguments, f"other options of {evaluator.command}"),
        f"UNFINISHED={_quote(unfinished)} # which variants had not finished when this was made",
    ]


def _variants(swarm: Swarm, roots: Sequence[str]) -> list[str]:
    """The roots, the run folders, and the function that lists the files in them."""
    lines: list[str] = []
    rows: dict[int, str] = {}
    calls: list[str] = []
    for number, root in enumerate(roots, 1):
        suffix = f"_{number}" if number > 1 else ""
        names = {v.number: v.run_name for v in swarm.ready if v.checkpoint_root == root}
        shared = _shared_beginning(list(names.values()), swarm.group_id)
        lines.append(f"ROOT{suffix}={_quote(root)}")
        if shared:
            lines.append(f"NAME{suffix}={_quote(shared)}")
        for variant, name in names.items():
            check_name("run name", name)  # it stands between double quotes
            beginning = f"${{NAME{suffix}}}" if shared else ""
            rows[variant] = f'  [{variant}]="$ROOT{suffix}/{beginning}{name.removeprefix(shared)}"'
        # The delimiter makes one entry of all tensors; Weka's S3 interface may know only the slash.
        options = " --delimiter __" if _storage(root) == "s3" else ""
        calls += [
            f'list_{_storage(root)} "$ROOT{suffix}/{prefix}"{options}'
            for prefix in ([f"$NAME{suffix}"] if shared else names.values())
        ]
    for lost in (variant for variant in swarm.variants if variant.is_lost):
        rows[lost.number] = f"  # {lost.number}: {lost.run_name} is lost (it was saved to /tmp)"
    return [
        *lines,
        "RUNS=( # [variant]=the folder of its checkpoints",
        *(rows[number] for number in sorted(rows)),
        ")",
        f"list_files() {{ {' && '.join(calls)}; }} # all tensors as one entry",
    ]


def _shared_beginning(names: Sequence[str], group_id: str) -> str:
    """What many run names begin with, up to their numbers; empty if that is not the swarm's own."""
    shared = os.path.commonprefix(list(names)).rstrip("0123456789")  # noqa: RUF071 - names
    return shared if len(names) > 1 and group_id in shared else ""


def _quote(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _array(name: str, values: Sequence[str], comment: str = "") -> list[str]:
    """An array of bash, several values a line."""
    remark = f" # {comment}" if comment else ""
    if not values:
        return [f"{name}=(){remark}"]
    # A blank within quotes is no place for the end of a line.
    words = " ".join(shlex.quote(value).replace(" ", "\0") for value in values)
    lines = textwrap.wrap(words, WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return [f"{name}=({remark}", *("  " + line.replace("\0", " ") for line in lines), ")"]


# --- the file ------------------------------------------------------------------------------


def write_script(path: Path, script: str, *, force: bool = False) -> None:
    """Write a script that can be executed.

    Raises:
        InvalidInputError: If it cannot be written, or, without force, the file there was edited or
            is no script of this tool.
    """
    if not force and is_edited(path):
        raise InvalidInputError(
            f"{path} was edited, or is no script of olmix-evalscript. Nothing was written. Compare "
            f"with `generate ... -o - | diff {shlex.quote(str(path))} -`; then replace it with "
            "--force, or write another file with --output."
        )
    write_whole({path: script}, 0o755)


def script_path(group_id: str, folder: Path | str = FOLDER) -> Path:
    """Where the script of a group lies."""
    return Path(folder) / f"olmix-{group_id}.sh"


def today() -> date:
    """The day in UTC; SOURCE_DATE_EPOCH, in seconds since 1970, sets another."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return datetime.fromtimestamp(seconds, timezone.utc).date()
