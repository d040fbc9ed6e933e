"""What the commands can be told: each option once, with its help and its form."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_OUTPUT_DIR = Path("output/eval_scripts")


def _complete_task_sets() -> list[str]:
    from olmix_evalscript.tasks import task_sets

    return list(task_sets())


def _complete_statuses() -> list[str]:
    from olmix_evalscript.experiment import STATUSES

    return list(STATUSES)


def _complete_backends() -> list[str]:
    from olmix_evalscript.script import MODEL_BACKENDS

    return list(MODEL_BACKENDS)


GroupId = Annotated[
    str, typer.Argument(metavar="GROUP_ID", help="Such as 58362402.", show_default=False)
]
SnapshotFile = Annotated[
    Path | None,
    typer.Option(
        "--snapshot", metavar="FILE", help="Use what Beaker said once; no Beaker is asked."
    ),
]
Workspaces = Annotated[
    list[str] | None,
    typer.Option(
        "-w",
        "--workspace",
        metavar="OWNER/NAME",
        help="Look only there (repeatable). Default: the whole organization.",
        show_default=False,
    ),
]
Author = Annotated[
    str | None, typer.Option("--author", metavar="USER", help="Only what this user launched.")
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="DATE",
        help="Only what was launched since: 2026-01-31, 30d, 2w, 12h.",
    ),
]
Scan = Annotated[
    bool,
    typer.Option(
        "--scan",
        help="Read every experiment, for runs whose names lack the ID. "
        "Default for --since then: 30d.",
    ),
]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", metavar="SECONDS", min=0.1, help="For all that is asked of Beaker, in seconds."
    ),
]
CheckpointRoot = Annotated[
    str | None,
    typer.Option(
        "--checkpoint-root",
        metavar="DIR",
        help="The folder with the run folders, where they were moved: "
        "s3://, gs:// or /weka/BUCKET.",
    ),
]
Status = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only variants of this status, such as succeeded.",
        autocompletion=_complete_statuses,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print data instead of a table.")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Show each Beaker call and its time.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show warnings and errors only.")]


GroupIds = Annotated[
    list[str], typer.Argument(metavar="GROUP_ID", help="Such as 58362402.", show_default=False)
]
ScriptFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="The script; - is stdout. Default: olmix-GROUP_ID.sh in the output directory.",
    ),
]
SavedFile = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="The snapshot; - is stdout. Default: GROUP_ID.yaml.",
    ),
]
OutputDir = Annotated[
    Path, typer.Option("--output-dir", metavar="DIR", help="The folder of the scripts.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A launch YAML (eval_tasks, eval_cluster, eval_model_backend) or a fit YAML "
        "(offline eval.tasks).",
    ),
]
Tasks = Annotated[
    list[str] | None,
    typer.Option(
        "-t", "--task", metavar="NAME", help="Evaluate on this (repeatable).", show_default=False
    ),
]
TaskSet = Annotated[
    str | None,
    typer.Option(
        "--task-set",
        metavar="NAME",
        help="Evaluate on these. Default: olmo3-offline.",
        autocompletion=_complete_task_sets,
    ),
]
TaskSetName = Annotated[
    str | None,
    typer.Argument(
        metavar="SET", help="Such as olmo3-offline.", autocompletion=_complete_task_sets
    ),
]
EvalCluster = Annotated[
    str | None,
    typer.Option("--eval-cluster", metavar="NAME", help="Where to evaluate. Default: aus."),
]
ModelBackend = Annotated[
    str | None,
    typer.Option(
        "--model-backend",
        metavar="NAME",
        help="olmo_core, hf or vllm. Default: olmo_core.",
        autocompletion=_complete_backends,
    ),
]
Dashboard = Annotated[
    str | None,
    typer.Option("--dashboard", metavar="NAME", help="Where results go. Default: olmix-GROUP_ID."),
]
Check = Annotated[
    bool,
    typer.Option(
        "--check",
        help="Write nothing; exit 3 and show the difference if the script on disk is another, "
        "but for its date.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="Take every doubt for an error.")]
AllowPartial = Annotated[
    bool, typer.Option("--allow-partial", help="Go without experiments that cannot be read.")
]
ListAuthor = Annotated[
    str | None,
    typer.Option(
        "--author",
        metavar="USER",
        help="Only what this user launched. Default: you, and anybody with --workspace.",
    ),
]
ListSince = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="DATE",
        help="Only what was launched since: 2026-01-31, 30d, 2w, 12h.",
    ),
]


def parse_since(text: str | None) -> datetime | None:
    """The moment that --since means.

    Raises:
        typer.BadParameter: If it means none.
    """
    if text is None:
        return None
    units = {"h": "hours", "d": "days", "w": "weeks"}
    try:
        if text[-1:] in units and text[:-1].isdecimal():
            age = timedelta(**{units[text[-1]]: int(text[:-1])})
            return datetime.now(timezone.utc) - age
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no date; expected one such as 2026-01-31, or 30d, 2w, 12h",
            param_hint="--since",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def known_status(status: str | None) -> str | None:
    """The status, if Beaker has it.

    Raises:
        typer.BadParameter: If it has not.
    """
    from olmix_evalscript.experiment import STATUSES

    if status is not None and status not in STATUSES:
        raise typer.BadParameter(
            f"{status!r} is no status; expected one of {', '.join(STATUSES)}", param_hint="--status"
        )
    return status
