"""What the commands can be asked: each option once, in the panel where the help shows it.

Values are text, as typed; a property gives what they mean, or raises `UsageError`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from olmix_evalscript.app import Panel, Session
from olmix_evalscript.console import Console
from olmix_evalscript.errors import UsageError
from olmix_evalscript.model import STATUSES
from olmix_evalscript.trainers import STORAGES, check_root

if TYPE_CHECKING:
    from olmix_evalscript.source import Finding

WORKSPACE_VARIABLE = "OLMIX_EVALSCRIPT_WORKSPACE"  # workspaces with blanks between them
DEFAULT_OUTPUT_DIR = "output/eval_scripts"


def _option(
    *names: str,
    help: str,
    metavar: str | None = None,
    complete: Callable[[], list[str]] | None = None,
) -> Any:
    return typer.Option(
        *names, metavar=metavar, help=help, show_default=False, autocompletion=complete
    )


def _task_sets() -> list[str]:
    from olmix_evalscript.tasks import task_sets

    return list(task_sets())


def _tasks() -> list[str]:
    from olmix_evalscript.tasks import known_tasks

    return list(known_tasks())


def _clusters() -> list[str]:
    from olmix_evalscript.clusters import KNOWN_CLUSTERS

    return list(KNOWN_CLUSTERS)


def _statuses() -> list[str]:
    return list(STATUSES)


def _backends() -> list[str]:
    from olmix_evalscript.script import COOKBOOK

    return list(COOKBOOK.model_backends)


# --- Evaluation ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskOptions(Panel):
    """The tasks of an evaluation."""

    panel: ClassVar[str] = "Evaluation"

    config: Annotated[
        str | None,
        _option(
            "--config",
            metavar="FILE",
            help="Launch YAML (eval_tasks, eval_cluster, eval_model_backend) or fit YAML (offline "
            "eval.tasks).",
        ),
    ] = None
    task: Annotated[
        list[str] | None,
        _option(
            "-t",
            "--task",
            metavar="NAME",
            help="Evaluate on this task (repeatable).",
            complete=_tasks,
        ),
    ] = None
    task_set: Annotated[
        list[str] | None,
        _option(
            "--task-set",
            metavar="NAME",
            help="Evaluate on this task set (repeatable; see olmix-evalscript tasks). Default: "
            "olmo3-offline.",
            complete=_task_sets,
        ),
    ] = None

    @property
    def words(self) -> tuple[str, ...]:
        """The same options, to be written in a command line."""
        options = [("--config", self.config)]
        options += [("--task-set", name) for name in self.task_set or ()]
        options += [("--task", task) for task in self.task or ()]
        return tuple(word for option, value in options if value for word in (option, value))


@dataclass(frozen=True)
class ExpectedTaskOptions(TaskOptions):
    """The tasks that were evaluated."""

    helps: ClassVar[Mapping[str, str]] = {
        "config": "Launch YAML (eval_tasks) or fit YAML (offline eval.tasks, and settings of the "
        "fit).",
        "task": "Expect results of this task (repeatable).",
        "task_set": "Expect results of this task set (repeatable; see olmix-evalscript tasks). "
        "Default: olmo3-offline.",
    }

    without_task: Annotated[
        list[str] | None,
        _option(
            "--without-task",
            metavar="NAME",
            help="Skip this task, such as one that some variants lack (repeatable).",
            complete=_tasks,
        ),
    ] = None
    dashboard: Annotated[
        str | None,
        _option(
            "--dashboard",
            metavar="NAME",
            help="Dashboard that has the results. Default: olmix-GROUP_ID.",
        ),
    ] = None

    def __post_init__(self) -> None:
        from olmix_evalscript.text import check_name

        if self.dashboard is not None:
            check_name("dashboard", self.dashboard)


TaskSetName = Annotated[str | None, typer.Argument(hidden=True, autocompletion=_task_sets)]


@dataclass(frozen=True)
class EvaluationOptions(TaskOptions):
    """What to evaluate on, and where."""

    eval_cluster: Annotated[
        str | None,
        _option(
            "--eval-cluster",
            metavar="NAME",
            help="Cluster to evaluate on, such as ai2/jupiter. Default: aus (Jupiter, Neptune, "
            "Saturn and Ceres).",
            complete=_clusters,
        ),
    ] = None
    model_backend: Annotated[
        str | None,
        _option(
            "--model-backend",
            metavar="NAME",
            help="olmo_core, hf or vllm. Default: olmo_core.",
            complete=_backends,
        ),
    ] = None
    dashboard: Annotated[
        str | None,
        _option(
            "--dashboard",
            metavar="NAME",
            help="Dashboard that collects the results. Default: olmix-GROUP_ID.",
        ),
    ] = None


# --- Finding ------------------------------------------------------------------------------


@dataclass(frozen=True)
class SearchOptions(Panel):
    """Where on Beaker to look."""

    panel: ClassVar[str] = "Finding"

    workspace: Annotated[
        list[str] | None,
        _option(
            "-w",
            "--workspace",
            metavar="OWNER/NAME",
            help="Look only in this workspace (repeatable). Default: OLMIX_EVALSCRIPT_WORKSPACE, "
            "or else the whole organization.",
        ),
    ] = None
    author: Annotated[
        str | None,
        _option("--author", metavar="USER", help="Only experiments launched by this user."),
    ] = None
    since: Annotated[
        str | None,
        _option(
            "--since",
            metavar="DATE",
            help="Only experiments launched since: 2026-01-31, 30d, 2w, 12h.",
        ),
    ] = None
    timeout: Annotated[
        str,
        _option(
            "--timeout",
            metavar="SECONDS",
            help="Time limit for all Beaker calls together. Default: 120.",
        ),
    ] = "120"

    def source(self) -> Finding:
        """Where experiments come from.

        Raises:
            UsageError: If an option is not of the form it should have.
        """
        from olmix_evalscript.source import Finding

        default = os.environ.get(WORKSPACE_VARIABLE, "").split()
        for workspace in self.workspace or default:
            if workspace.count("/") != 1 or not all(workspace.split("/")):
                where = "--workspace" if self.workspace else WORKSPACE_VARIABLE
                raise UsageError(f"{where}: {workspace!r} is not OWNER/NAME, such as ai2/olmix")
        return Finding(
            parse_timeout(self.timeout),
            workspaces=tuple(self.workspace or default),
            author=self.author,
            since=parse_since(self.since),
            assumed=WORKSPACE_VARIABLE if default and not self.workspace else "",
        )


@dataclass(frozen=True)
class GroupOptions(SearchOptions):
    """Which group, and where on Beaker to look for it."""

    group_ids: Annotated[list[str] | None, typer.Argument(hidden=True)] = None
    group_id: Annotated[
        list[str] | None,
        _option(
            "-g",
            "--group-id",
            metavar="GROUP_ID",
            help="Same as the GROUP_ID argument.",
        ),
    ] = None
    scan: Annotated[
        bool,
        _option(
            "--scan",
            help="Read every experiment, to find runs whose names lack the ID. Looks back 30d "
            "unless --since is given.",
        ),
    ] = False

    def source(self) -> Finding:
        """Where experiments come from.

        Raises:
            UsageError: If an option is not of the form it should have.
        """
        return replace(super().source(), scan=self.scan)

    @property
    def groups(self) -> list[str]:
        """The group IDs, each once.

        Raises:
            UsageError: If there is none, or one is not a group ID.
        """
        from olmix_evalscript.text import check_group_id

        found = dict.fromkeys([*(self.group_ids or ()), *(self.group_id or ())])
        if not found:
            raise UsageError("missing GROUP_ID, such as 58362402")
        return [check_group_id(group_id) for group_id in found]

    @property
    def group(self) -> str:
        """The only group ID.

        Raises:
            UsageError: If there is none, more than one, or it is not a group ID.
        """
        first, *others = self.groups
        if others:
            raise UsageError(f"expected only one GROUP_ID, got {first} and {others[0]}")
        return first


@dataclass(frozen=True)
class FindingOptions(GroupOptions):
    """Which group, and where its experiments come from."""

    snapshot: Annotated[
        str | None,
        _option("--snapshot", metavar="FILE", help="Read a snapshot instead of asking Beaker."),
    ] = None

    def source(self) -> Finding:
        """Where experiments come from.

        Raises:
            UsageError: If an option is not of the form it should have, or cannot be
                combined with another.
        """
        from olmix_evalscript.source import Finding

        if self.snapshot is None:
            return super().source()
        if self.workspace or self.author or self.since or self.scan:
            raise UsageError(
                "--snapshot cannot be combined with --workspace, --author, --since or --scan"
            )
        return Finding(parse_timeout(self.timeout), snapshot=Path(self.snapshot))


# --- Output -------------------------------------------------------------------------------

OutputDir = Annotated[
    str | None,
    _option(
        "--output-dir",
        metavar="DIR",
        help=f"Folder of the scripts. Default: {DEFAULT_OUTPUT_DIR}.",
    ),
]
Json = Annotated[bool, _option("--json", help="Print JSON instead of a table.")]


@dataclass(frozen=True)
class ScriptOptions(Panel):
    """Where the script goes."""

    panel: ClassVar[str] = "Output"

    output: Annotated[
        str | None,
        _option(
            "-o",
            "--output",
            metavar="FILE",
            help="Script to write; - is stdout. Default: olmix-GROUP_ID.sh in --output-dir.",
        ),
    ] = None
    output_dir: OutputDir = None
    check: Annotated[
        bool,
        _option(
            "--check",
            help="Write nothing. Exit 3 and show a diff if the script on disk differs in more than "
            "its date.",
        ),
    ] = False
    force: Annotated[
        bool,
        _option(
            "--force",
            help="Replace a script that was edited, or is for another evaluation.",
        ),
    ] = False


@dataclass(frozen=True)
class SnapshotOptions(Panel):
    """Where the snapshot goes."""

    panel: ClassVar[str] = "Output"

    output: Annotated[
        str | None,
        _option(
            "-o",
            "--output",
            metavar="FILE",
            help="Snapshot to write; - is stdout. Default: GROUP_ID.yaml.",
        ),
    ] = None


@dataclass(frozen=True)
class TableOptions(Panel):
    """How a swarm is shown."""

    panel: ClassVar[str] = "Output"

    json: Json = False


@dataclass(frozen=True)
class ShowOptions(TableOptions):
    """What is shown of a swarm."""

    mixtures: Annotated[
        bool, _option("--mixtures", help="Show the weight of each domain in each variant.")
    ] = False

    def __post_init__(self) -> None:
        if self.mixtures and self.json:
            raise UsageError(
                "--mixtures cannot be combined with --json, which always has the mixtures"
            )


@dataclass(frozen=True)
class ListOptions(TableOptions):
    """How swarms are listed, and where their scripts are looked for."""

    helps: ClassVar[Mapping[str, str]] = {
        "output_dir": f"Look for each swarm's script in this folder. Default: {DEFAULT_OUTPUT_DIR}."
    }

    output_dir: OutputDir = None


@dataclass(frozen=True)
class FitOptions(Panel):
    """What the fit's files are made of, and where they go."""

    panel: ClassVar[str] = "Fit"

    results: Annotated[
        str | None,
        _option(
            "--results",
            metavar="FOLDER",
            help="Read the metrics-all.jsonl files in this folder instead of fetching them.",
        ),
    ] = None
    no_results: Annotated[
        bool, _option("--no-results", help="Write only ratios.csv, without any results.")
    ] = False
    priors: Annotated[
        str | None,
        _option(
            "--priors",
            metavar="FILE",
            help="YAML with a `priors` block: a generation config, output of `olmix priors "
            "compute`, or a fit config.",
        ),
    ] = None
    step: Annotated[
        str | None,
        _option(
            "--step",
            metavar="N",
            help="Use the results at this step. Default: the one that most variants have.",
        ),
    ] = None
    output: Annotated[
        str | None,
        _option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder to write to. Default: output/fit/olmix-GROUP_ID.",
        ),
    ] = None
    force: Annotated[bool, _option("--force", help="Replace a fit.yaml that was edited.")] = False

    def __post_init__(self) -> None:
        if self.results is not None and "://" in self.results:
            raise UsageError(
                "--results reads a folder; without it, collect fetches the results of --dashboard"
            )
        if self.output == "-":
            raise UsageError("--output: collect writes several files, so they cannot go to stdout")
        if self.step is not None and not re.fullmatch(r"[1-9][0-9]{0,11}", self.step):
            raise UsageError(f"--step: {self.step!r} is not a step: expected a number above 0")
        if self.no_results and (self.results is not None or self.step):
            other = "--step" if self.results is None else "--results"
            raise UsageError(f"--no-results cannot be combined with {other}")


# --- Variants -----------------------------------------------------------------------------


@dataclass(frozen=True)
class VariantOptions(Panel):
    """Which variants, and where their checkpoints are."""

    panel: ClassVar[str] = "Variants"

    checkpoint_root: Annotated[
        str | None,
        _option(
            "--checkpoint-root",
            metavar="DIR",
            help=f"Folder that holds the run folders, if they were moved: {', '.join(STORAGES)}.",
        ),
    ] = None
    status: Annotated[
        str | None,
        _option(
            "--status",
            metavar="STATUS",
            help=f"Only variants with this status: {', '.join(STATUSES)}.",
            complete=_statuses,
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in _statuses():
            raise UsageError(
                f"--status: {self.status!r} is not a status: expected {' or '.join(_statuses())}"
            )
        if self.checkpoint_root is not None:
            object.__setattr__(self, "checkpoint_root", check_root(self.checkpoint_root))


# --- Safety -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SafetyOptions(Panel):
    """What is refused."""

    panel: ClassVar[str] = "Safety"

    strict: Annotated[bool, _option("--strict", help="Fail if there are warnings.")] = False
    allow_partial: Annotated[
        bool,
        _option(
            "--allow-partial",
            help="Skip experiments that cannot be read.",
        ),
    ] = False


@dataclass(frozen=True)
class CollectSafetyOptions(SafetyOptions):
    """What is refused, results among it."""

    helps: ClassVar[Mapping[str, str]] = {
        "allow_partial": "Skip experiments that cannot be read, and variants that lack results."
    }


# --- General ------------------------------------------------------------------------------


@dataclass(frozen=True)
class GeneralOptions(Panel):
    """How much is said; may stand before or after the subcommand."""

    panel: ClassVar[str] = "General"

    verbose: Annotated[
        bool, _option("-v", "--verbose", help="Show each Beaker call and its time.")
    ] = False
    quiet: Annotated[bool, _option("-q", "--quiet", help="Show only warnings and errors.")] = False

    def console(self, context: typer.Context) -> Console:
        """The console of this run, as verbose or quiet as asked."""
        session: Session = context.obj
        session.console.verbose |= self.verbose
        session.console.quiet |= self.quiet
        return session.console


# --- what text means ----------------------------------------------------------------------


def parse_since(text: str | None) -> datetime | None:
    """The moment that --since means.

    Raises:
        UsageError: If it means none.
    """
    if text is None:
        return None
    units = {"h": "hours", "d": "days", "w": "weeks"}
    try:
        if text[-1:] in units and text[:-1].isdecimal():
            age = timedelta(**{units[text[-1]]: int(text[:-1])})
            return datetime.now(timezone.utc) - age
        moment = datetime.fromisoformat(text)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return zoned.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since: {text!r} is not a date: expected one such as 2026-01-31, or 30d, 2w, 12h"
        ) from None


def parse_timeout(text: str) -> float:
    """The seconds that --timeout means.

    Raises:
        UsageError: If it is not a number of at least 0.1.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.1 <= seconds < float("inf"):
        raise UsageError(
            f"--timeout: {text!r} is not a number of seconds: expected one of at least 0.1"
        )
    return seconds
