"""Define the options of the commands, each once, in the panel where the help shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from olmix_evalscript.cli import Panel, opt
from olmix_evalscript.cookbook import COOKBOOK
from olmix_evalscript.errors import UsageError
from olmix_evalscript.evaluator import Evaluator
from olmix_evalscript.model import STATUSES, Search
from olmix_evalscript.olmo_eval import OLMO_EVAL
from olmix_evalscript.script import FOLDER
from olmix_evalscript.source import ExperimentSource, parse_since
from olmix_evalscript.storage import STORAGES, check_root
from olmix_evalscript.text import check_group_id, check_name

EVALUATORS = {evaluator.name: evaluator for evaluator in (COOKBOOK, OLMO_EVAL)}


def _checked(group_ids: Any) -> list[str]:  # under Python 3.10 typer fails on list[str] here
    return [check_group_id(group_id) for group_id in dict.fromkeys(group_ids)]


GroupId = Annotated[str, typer.Argument(metavar="GROUP_ID", hidden=True, callback=check_group_id)]
GroupIds = Annotated[list[str], typer.Argument(metavar="GROUP_ID", hidden=True, callback=_checked)]


def _matching(
    option: str, pattern: str, expected: str, kind: Callable[[str], object] = str
) -> Callable[[str], object]:
    """A function that reads text of this form, and refuses any other."""

    def parse(text: str) -> object:
        if not re.fullmatch(pattern, text):
            raise UsageError(f"{option}: {text!r} is not {expected}")
        return kind(text)

    return parse


@dataclass(frozen=True)
class TaskOptions(Panel, panel="Evaluation"):
    """The evaluator, the tasks and the dashboard of an evaluation."""

    evaluator: Evaluator = opt(
        "--evaluator NAME",
        f"{' or '.join(EVALUATORS)}. Default: olmo-cookbook.",
        default=COOKBOOK,
        parse=_matching(
            "--evaluator", "|".join(EVALUATORS), " or ".join(EVALUATORS), EVALUATORS.__getitem__
        ),
    )
    config: str | None = opt(
        "--config FILE",
        "Launch YAML with this tool's own keys eval_tasks, eval_cluster, eval_model_backend; or "
        "fit YAML with offline eval.tasks, of which collect uses the other settings, too.",
    )
    task: tuple[str, ...] = opt("-t, --task NAME...", "Use this task (repeatable).")
    task_set: tuple[str, ...] = opt(
        "--task-set NAME...",
        "Use this task set (repeatable; see olmix-evalscript tasks). Default: olmo3-offline.",
    )
    dashboard: str | None = opt(
        "--dashboard NAME",
        "Dashboard of the results. Default: olmix-GROUP_ID.",
        parse=lambda text: check_name("dashboard", text),
    )


@dataclass(frozen=True)
class EvaluationOptions(TaskOptions):
    """What to evaluate on, and where."""

    eval_cluster: str | None = opt(
        "--eval-cluster NAME",
        "Cluster to evaluate on, such as ai2/jupiter. Default: aus (Jupiter, Neptune, Saturn and "
        "Ceres).",
    )
    model_backend: str | None = opt(
        "--model-backend NAME",
        "olmo_core, hf or vllm. Default: olmo_core.",
    )


@dataclass(frozen=True)
class SearchOptions(Panel, panel="Finding"):
    """Where on Beaker to look."""

    workspace: tuple[str, ...] = opt(
        "-w, --workspace OWNER/NAME...",
        "Look only in this workspace (repeatable). Default: the whole organization.",
    )
    author: str | None = opt("--author USER", "Only experiments launched by this user.")
    since: datetime | None = opt(
        "--since DATE",
        "Only experiments launched since: 2026-01-31, 30d, 2w, 12h.",
        parse=parse_since,
    )
    timeout: float = opt(
        "--timeout SECONDS",
        "Time limit for all Beaker calls together. Default: 120.",
        default=120.0,
        parse=_matching("--timeout", "[1-9][0-9]{0,8}", "a number of seconds above 0", float),
    )

    def source(self) -> ExperimentSource:
        """Where experiments come from; raises UsageError if options make no sense."""
        for workspace in self.workspace:
            if not re.fullmatch("[^/]+/[^/]+", workspace):
                raise UsageError(f"--workspace: {workspace!r} is not OWNER/NAME, such as ai2/olmix")
        return ExperimentSource(
            Search(self.workspace, self.author, since=self.since, timeout=self.timeout)
        )


@dataclass(frozen=True)
class SwarmOptions(SearchOptions):
    """Whether to read a swarm from Beaker or from a snapshot."""

    scan: bool = opt(
        "--scan",
        "Read every experiment, to find runs whose names lack the ID. Looks back 30d unless "
        "--since is given.",
    )
    snapshot: str | None = opt("--snapshot FILE", "Read a snapshot instead of asking Beaker.")

    def source(self) -> ExperimentSource:
        """Where experiments come from; raises as `SearchOptions.source`."""
        if self.snapshot is None:
            return replace(super().source(), scan=self.scan)
        if self.workspace or self.author or self.since or self.scan:
            raise UsageError(
                "--snapshot cannot be combined with --workspace, --author, --since or --scan"
            )
        return ExperimentSource(snapshot=Path(self.snapshot))


@dataclass(frozen=True)
class VariantOptions(Panel, panel="Variants"):
    """Which variants, and where their checkpoints are."""

    checkpoint_root: str | None = opt(
        "--checkpoint-root DIR",
        f"Folder that holds the run folders, if they were moved: {', '.join(STORAGES)}.",
        parse=check_root,
    )
    status: str | None = opt(
        "--status STATUS",
        f"Only variants with this status: {', '.join(STATUSES)}.",
        parse=_matching("--status", "|".join(STATUSES), f"a status: {' or '.join(STATUSES)}"),
    )


@dataclass(frozen=True)
class FileOptions(Panel, panel="Output"):
    """Where a file goes."""

    output: str | None = opt("-o, --output FILE", "File to write; - is stdout.")


@dataclass(frozen=True)
class ScriptOptions(FileOptions):
    """Where the script goes."""

    output_dir: str | None = opt(
        "--output-dir DIR", f"Folder of olmix-GROUP_ID.sh. Default: {FOLDER}."
    )
    force: bool = opt("--force", "Replace a script that was edited.")


@dataclass(frozen=True)
class TableOptions(Panel, panel="Output"):
    """How a table is shown."""

    json: bool = opt("--json", "Print JSON instead of a table.")


@dataclass(frozen=True)
class ShowOptions(TableOptions):
    """How a swarm is shown."""

    mixtures: bool = opt("--mixtures", "Show the weight of each domain in each variant.")


@dataclass(frozen=True)
class FitOptions(Panel, panel="Fit"):
    """What the fit's files are made of, and where they go."""

    without_task: tuple[str, ...] = opt(
        "--without-task NAME...",
        "Skip this task, such as one that some variants lack (repeatable).",
    )
    results: str | None = opt(
        "--results FOLDER",
        "Read the metrics-all.jsonl files in this folder instead of fetching them.",
    )
    no_results: bool = opt("--no-results", "Write only ratios.csv, without any results.")
    priors: str | None = opt(
        "--priors FILE",
        "YAML with a `priors` block: a generation config, output of `olmix priors compute`, or a "
        "fit config.",
    )
    step: int | None = opt(
        "--step N",
        "Use the results at this step. Default: the one that more than half of the variants have.",
        parse=_matching("--step", "[1-9][0-9]{0,11}", "a step: expected a number above 0", int),
    )
    output: str | None = opt(
        "-o, --output DIR", "Folder to write to. Default: output/fit/olmix-GROUP_ID."
    )
    force: bool = opt("--force", "Replace a fit.yaml that was edited.")

    def __post_init__(self) -> None:
        if self.output == "-":
            raise UsageError("--output: collect writes several files, so they cannot go to stdout")
        if self.no_results and (self.results is not None or self.step):
            raise UsageError("--no-results cannot be combined with --results or --step")


@dataclass(frozen=True)
class SafetyOptions(Panel, panel="Safety"):
    """What is refused."""

    strict: bool = opt("--strict", "Fail if there are warnings.")
    allow_partial: bool = opt(
        "--allow-partial",
        "Skip experiments that cannot be read and, in collect, variants that lack results.",
    )
