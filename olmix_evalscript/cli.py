"""The command line: options in, messages and exit statuses out. Only this module prints."""

from __future__ import annotations

import difflib
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from olmix_evalscript import __version__
from olmix_evalscript.errors import EvalScriptError, InvalidInputError, SwarmError

if TYPE_CHECKING:
    from rich.progress import Progress

    from olmix_evalscript.beaker import Report, Search
    from olmix_evalscript.config import EvalConfig
    from olmix_evalscript.script import Evaluation
    from olmix_evalscript.swarm import Experiment, Swarm

EXIT_FAILED = 1
EXIT_DIFFERS = 3
EXPERIMENT_URL = "https://beaker.org/ex/"

app = typer.Typer(
    name="olmix-evalscript",
    help="Write the bash script that evaluates every variant of an olmix swarm.",
    epilog="Examples:\n\n"
    "  olmix-evalscript generate 58362402\n\n"
    "  olmix-evalscript generate 58362402 -o - | less\n\n"
    "  olmix-evalscript list --since 90d",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def main() -> NoReturn:
    """Run the command line; what stands after ``--`` is for olmo-cookbook-eval."""
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    try:
        app(words[:split], obj=_Session(tuple(words[split + 1 :])))
    except EvalScriptError as error:
        _say_error(error)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


# --- messages -----------------------------------------------------------------------------


@dataclass
class _Session:
    """What holds for one run of the command, whatever the subcommand."""

    extra_arguments: tuple[str, ...] = ()
    verbose: bool = False
    quiet: bool = False

    def note(self, text: str) -> None:
        """Tell what was done; not with --quiet."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        """Tell what to look into."""
        print(typer.style("warning: ", fg="yellow") + text if _colour() else f"warning: {text}",
              file=sys.stderr)

    @contextmanager
    def report(self) -> Iterator[Report]:
        """Show progress meanwhile: a moving line on a terminal, now and then a line elsewhere."""
        from olmix_evalscript.beaker import Report

        started = time.monotonic()
        next_line = started + 1.0

        def print_status(text: str) -> None:
            nonlocal next_line
            now = time.monotonic()
            if now >= next_line:
                next_line = now + 10.0
                print(text, file=sys.stderr)

        def detail(text: str) -> None:
            if self.verbose:
                print(text, file=sys.stderr)

        if self.quiet:
            yield Report(status=lambda text: None, detail=detail)
        elif not sys.stderr.isatty() or self.verbose:
            yield Report(status=print_status, detail=detail)
        else:
            with _progress() as progress:
                task = progress.add_task("Asking Beaker", total=None)
                yield Report(
                    status=lambda text: progress.update(task, description=text), detail=detail
                )


def _say_error(error: EvalScriptError) -> None:
    prefix = typer.style("error: ", fg="red", bold=True) if _colour() else "error: "
    print(f"{prefix}{error}", file=sys.stderr)


def _colour() -> bool:
    import os

    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


# --- options ------------------------------------------------------------------------------


def _complete_task_sets() -> list[str]:
    from olmix_evalscript.tasks import task_sets

    return list(task_sets())


def _complete_statuses() -> list[str]:
    from olmix_evalscript.swarm import STATUSES

    return list(STATUSES)


def _complete_backends() -> list[str]:
    from olmix_evalscript.script import MODEL_BACKENDS

    return list(MODEL_BACKENDS)


GroupId = Annotated[str, typer.Argument(metavar="GROUP_ID", help="Such as 58362402.", show_default=False)]
SnapshotFile = Annotated[
    Path | None,
    typer.Option(
        "--snapshot", metavar="FILE", help="Use what Beaker said once; no Beaker is asked."
    ),
]
Workspaces = Annotated[
    list[str] | None,
    typer.Option(
        "-w", "--workspace", metavar="OWNER/NAME", help="Look only there (repeatable). "
        "Default: the whole organization.", show_default=False,
    ),
]
Author = Annotated[
    str | None, typer.Option("--author", metavar="USER", help="Only what this user launched.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="DATE", help="Only what was launched since: 2026-01-31, or "
                 "30d, 12h ago."),
]
Scan = Annotated[
    bool,
    typer.Option("--scan", help="Read every experiment, for runs whose names lack the ID. "
                 "Default for --since then: 30d."),
]
Timeout = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0.1, help="For everything asked of Beaker."),
]
CheckpointRoot = Annotated[
    str | None,
    typer.Option("--checkpoint-root", metavar="DIR",
                 help="The folder with the run folders, where they were moved: "
                 "s3://, gs:// or /weka/BUCKET."),
]
Status = Annotated[
    str | None,
    typer.Option("--status", metavar="STATUS", help="Only variants of this status, such as "
                 "succeeded.", autocompletion=_complete_statuses),
]
Json = Annotated[bool, typer.Option("--json", help="Print data instead of a table.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Show each Beaker call and its time.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show warnings and errors only.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"olmix-evalscript {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    session: _Session = context.obj
    session.verbose, session.quiet = verbose, quiet
    if session.extra_arguments and context.invoked_subcommand != "generate":
        raise typer.BadParameter("arguments after -- are for olmo-cookbook-eval: generate alone")


@dataclass(frozen=True)
class _Finding:
    """Where the experiments come from, and which of them are wanted."""

    snapshot: Path | None
    workspaces: tuple[str, ...]
    author: str | None
    since: datetime | None
    scan: bool
    timeout: float

    def search(self) -> Search:
        from olmix_evalscript.beaker import Search

        since = self.since
        if self.scan and since is None:
            since = _parse_since("30d")
        return Search(self.workspaces, self.author, since=since, timeout=self.timeout)

    def experiments(self, group_id: str, session: _Session) -> list[Experiment]:
        """All that may belong to the group.

        Raises:
            EvalScriptError: If they cannot be had.
        """
        if self.snapshot is not None:
            from olmix_evalscript import snapshot

            return snapshot.load(self.snapshot, group_id)
        from olmix_evalscript import beaker

        find = beaker.find_by_scan if self.scan else beaker.find
        with session.report() as report:
            return find(group_id, self.search(), report)

    def swarm(
        self, group_id: str, session: _Session, checkpoint_root: str | None, status: str | None
    ) -> Swarm:
        """The group's swarm, with at least one variant.

        Raises:
            EvalScriptError: If it cannot be had or there is none.
        """
        from olmix_evalscript.swarm import build_swarm

        experiments = self.experiments(group_id, session)
        swarm = build_swarm(
            group_id, experiments, checkpoint_root=checkpoint_root, status=status
        )
        if not swarm.variants and not swarm.unreadable:
            raise SwarmError(_why_nothing(self, swarm, len(experiments)))
        return swarm


def _finding(
    snapshot: Path | None,
    workspaces: list[str] | None,
    author: str | None,
    since: str | None,
    scan: bool,
    timeout: float,
) -> _Finding:
    for workspace in workspaces or ():
        if workspace.count("/") != 1 or not all(workspace.split("/")):
            raise typer.BadParameter(f"{workspace!r} is no workspace; expected OWNER/NAME")
    asks_beaker = workspaces or author or since or scan
    if snapshot is not None and asks_beaker:
        raise typer.BadParameter(
            "--snapshot asks no Beaker; leave out --workspace, --author, --since and --scan"
        )
    return _Finding(
        snapshot, tuple(workspaces or ()), author, _parse_since(since), scan, timeout
    )


def _parse_since(text: str | None) -> datetime | None:
    if text is None:
        return None
    units = {"h": "hours", "d": "days", "w": "weeks"}
    try:
        if text[-1:] in units:
            age = timedelta(**{units[text[-1]]: int(text[:-1])})
            return datetime.now(timezone.utc) - age
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"--since {text!r} is no date; expected one such as 2026-01-31, or 30d, 2w, 12h"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _why_nothing(finding: _Finding, swarm: Swarm, found: int) -> str:
    group_id, left_out = swarm.group_id, swarm.left_out
    if left_out.other_status:
        return (
            f"none of the {left_out.other_status} variants of {group_id} has that status. "
            f"Try `olmix-evalscript show {group_id}` to see theirs."
        )
    if found:
        what = f"{found} experiments carry the ID {group_id}, but none trains a run of that group"
    else:
        what = f"nothing on Beaker carries the ID {group_id}"
    if finding.snapshot is not None or finding.scan:
        return f"{what}. Try `olmix-evalscript list` to see the swarms there are."
    where = finding.workspaces or ("OWNER/NAME",)
    scan = " ".join(f"-w {workspace}" for workspace in where)
    return (
        f"{what}. Try `olmix-evalscript list` to see the swarms there are, or, if its runs were "
        f"named by hand, `olmix-evalscript generate {group_id} --scan {scan} --since 30d`."
    )


# --- generate -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Making:
    """How the script is to be made."""

    evaluation: Evaluation
    dashboard: str | None  # None: olmix-GROUP_ID
    checkpoint_root: str | None
    status: str | None
    strict: bool
    allow_partial: bool

    def script(self, group_id: str, finding: _Finding, session: _Session) -> str:
        """The script's text, after telling what was found and what is doubtful.

        Raises:
            EvalScriptError: If no script can be made, or none that is wanted.
        """
        from dataclasses import replace

        from olmix_evalscript.library import today
        from olmix_evalscript.script import render

        swarm = finding.swarm(group_id, session, self.checkpoint_root, self.status)
        _tell_swarm(swarm, session)
        if swarm.unreadable and not self.allow_partial:
            raise SwarmError(
                f"{len(swarm.unreadable)} experiments that may belong to {group_id} cannot be "
                "read, so a script would lack them. Use --allow-partial to go without."
            )
        if swarm.doubts and self.strict:
            raise SwarmError(f"{group_id} is doubtful, and --strict was asked for")
        evaluation = replace(self.evaluation, dashboard=self.dashboard or f"olmix-{group_id}")
        return render(swarm, evaluation, today())


def _tell_swarm(swarm: Swarm, session: _Session) -> None:
    count = len(swarm.variants)
    left_out = swarm.left_out
    kinds = (
        (left_out.other_jobs, "that train nothing, such as evaluations"),
        (left_out.other_groups, "of other groups"),
        (left_out.sessions, "that are sessions"),
        (left_out.other_status, "of another status"),
    )
    others = ", ".join(f"{number} {kind}" for number, kind in kinds if number)
    session.note(
        f"{swarm.group_id}: {count} variant{'s' * (count != 1)} of {swarm.name or 'no swarm'}"
        + (f"; left out: {others}" if others else "")
    )
    active = sum(v.status not in ("", "succeeded", "failed", "canceled") for v in swarm.variants)
    if active:
        session.note(f"{swarm.group_id}: {active} of them have not finished")
    for text in (*swarm.unreadable, *swarm.doubts):
        session.warn(text)


def _evaluation(
    config: EvalConfig,
    tasks: Sequence[str],
    task_set: str | None,
    cluster: str | None,
    backend: str | None,
    session: _Session,
) -> Evaluation:
    """Flags before the config file, the config file before the defaults."""
    from olmix_evalscript import tasks as known
    from olmix_evalscript.script import Evaluation

    chosen = (*(known.task_set(task_set) if task_set else ()), *tasks)
    if not chosen:
        chosen = config.tasks or known.task_set(known.DEFAULT_TASK_SET)
    chosen = known.check_tasks(chosen)
    for task in chosen:
        similar = known.similar_tasks(task)
        if similar:
            session.warn(f"{task} is no task of the known sets; did you mean {', '.join(similar)}?")
    defaults = Evaluation(chosen, dashboard="")
    return Evaluation(
        tasks=chosen,
        dashboard="",
        cluster=cluster or config.cluster or defaults.cluster,
        model_backend=backend or config.model_backend or defaults.model_backend,
        extra_arguments=session.extra_arguments,
    )


@app.command(
    epilog="Examples:\n\n"
    "  olmix-evalscript generate 58362402\n\n"
    "  olmix-evalscript generate 58362402 -o - | less\n\n"
    "  olmix-evalscript generate 58362402 --task-set offline-bpb --status succeeded\n\n"
    "  olmix-evalscript generate 58362402 -- --priority high --use-gantry\n\n"
    "  olmix-evalscript generate 8f3a9c2b --scan -w ai2/oe-data --since 30d"
)
def generate(
    context: typer.Context,
    group_ids: Annotated[
        list[str],
        typer.Argument(metavar="GROUP_ID...", help="Such as 58362402.", show_default=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The script; - is stdout. Default: "
                     "olmix-GROUP_ID.sh in the output directory."),
    ] = None,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", metavar="DIR", help="Where scripts go.")
    ] = Path("output/eval_scripts"),
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="A launch YAML (eval_tasks, eval_cluster, "
                     "eval_model_backend) or a fit YAML (offline eval.tasks)."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("-t", "--task", metavar="NAME", help="Evaluate on this (repeatable).",
                     show_default=False),
    ] = None,
    task_set: Annotated[
        str | None,
        typer.Option("--task-set", metavar="NAME", help="Evaluate on these. Default: "
                     "olmo3-offline.", autocompletion=_complete_task_sets),
    ] = None,
    eval_cluster: Annotated[
        str | None,
        typer.Option("--eval-cluster", metavar="NAME", help="Where to evaluate. Default: aus."),
    ] = None,
    model_backend: Annotated[
        str | None,
        typer.Option("--model-backend", metavar="NAME", help="olmo_core, hf or vllm. Default: "
                     "olmo_core.", autocompletion=_complete_backends),
    ] = None,
    dashboard: Annotated[
        str | None,
        typer.Option("--dashboard", metavar="NAME", help="Default: olmix-GROUP_ID."),
    ] = None,
    checkpoint_root: CheckpointRoot = None,
    status: Status = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit 3 and show the difference if the script "
                     "on disk is another, but for its date."),
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Take every doubt for an error.")
    ] = False,
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Go without experiments that cannot be read."),
    ] = False,
    snapshot: SnapshotFile = None,
    workspace: Workspaces = None,
    author: Author = None,
    since: Since = None,
    scan: Scan = False,
    timeout: Timeout = 120.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Write the script that evaluates a swarm, and print its path.

    What stands after -- goes to olmo-cookbook-eval as it is.
    """
    from olmix_evalscript import config as configs
    from olmix_evalscript.checkpoints import check_root
    from olmix_evalscript.library import script_path
    from olmix_evalscript.script import check_evaluation
    from olmix_evalscript.swarm import check_group_id

    session = _session(context, verbose, quiet)
    finding = _finding(snapshot, workspace, author, since, scan, timeout)
    group_ids = [check_group_id(group_id) for group_id in dict.fromkeys(group_ids)]
    if len(group_ids) > 1 and (output is not None or snapshot is not None):
        raise typer.BadParameter("--output and --snapshot are for one group ID alone")
    if check and str(output) == "-":
        raise typer.BadParameter("--check compares with a file, not with -")
    settings = configs.load(config) if config is not None else configs.EvalConfig()
    if settings.has_inloop_tasks and not settings.tasks:
        session.note(f"{config}: its inloop eval block is about training, and no task list")
    making = _Making(
        evaluation=check_evaluation(
            _evaluation(settings, task or (), task_set, eval_cluster, model_backend, session)
        ),
        dashboard=dashboard,
        checkpoint_root=check_root(checkpoint_root) if checkpoint_root else None,
        status=_known_status(status),
        strict=strict,
        allow_partial=allow_partial,
    )

    def one(group_id: str) -> int:
        text = making.script(group_id, finding, session)
        if str(output) == "-":
            sys.stdout.write(text)
            return 0
        path = output or script_path(output_dir, group_id)
        return _compare(path, text, session) if check else _write(path, text, mode=0o755)

    if len(group_ids) == 1:
        raise typer.Exit(one(group_ids[0]))
    raise typer.Exit(_each(group_ids, one, session))


def _each(group_ids: Sequence[str], one: Callable[[str], int], session: _Session) -> int:
    """Do one after another, and go on after a failure."""
    statuses = []
    for number, group_id in enumerate(group_ids, 1):
        session.note(f"[{number}/{len(group_ids)}] {group_id}")
        try:
            statuses.append(one(group_id))
        except EvalScriptError as error:
            _say_error(error)
            statuses.append(EXIT_FAILED)
    failed = [id for id, status in zip(group_ids, statuses, strict=True) if status == EXIT_FAILED]
    session.note(
        f"{len(group_ids) - len(failed)} of {len(group_ids)} groups done"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return EXIT_FAILED if failed else max(statuses)


def _session(context: typer.Context, verbose: bool, quiet: bool) -> _Session:
    session: _Session = context.obj
    session.verbose = session.verbose or verbose
    session.quiet = session.quiet or quiet
    if session.verbose:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    return session


def _known_status(status: str | None) -> str | None:
    from olmix_evalscript.swarm import STATUSES

    if status is not None and status not in STATUSES:
        raise typer.BadParameter(f"{status!r} is no status; expected one of {', '.join(STATUSES)}")
    return status


def _write(path: Path, text: str, mode: int) -> int:
    from olmix_evalscript.files import write_whole

    write_whole(path, text, mode)
    print(path)
    return 0


def _compare(path: Path, text: str, session: _Session) -> int:
    from olmix_evalscript.script import without_date

    try:
        there = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        session.warn(f"{path} is not there; make it with generate, without --check")
        return EXIT_DIFFERS
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from None
    old, new = (without_date(script).splitlines() for script in (there, text))
    diff = list(difflib.unified_diff(old, new, str(path), "as of now", lineterm=""))
    print(*diff, sep="\n", end="\n" if diff else "")
    if not diff:
        session.note(f"{path} is up to date")
    return EXIT_DIFFERS if diff else 0


# --- the other commands -------------------------------------------------------------------


@app.command(
    epilog="Examples:\n\n"
    "  olmix-evalscript show 58362402\n\n"
    "  olmix-evalscript show 58362402 --json | jq '.variants[].checkpoint_dir'"
)
def show(
    context: typer.Context,
    group_id: GroupId,
    as_json: Json = False,
    checkpoint_root: CheckpointRoot = None,
    status: Status = None,
    snapshot: SnapshotFile = None,
    workspace: Workspaces = None,
    author: Author = None,
    since: Since = None,
    scan: Scan = False,
    timeout: Timeout = 120.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Show a swarm's variants and where their checkpoints should be."""
    from olmix_evalscript.checkpoints import check_root
    from olmix_evalscript.swarm import check_group_id

    session = _session(context, verbose, quiet)
    finding = _finding(snapshot, workspace, author, since, scan, timeout)
    root = check_root(checkpoint_root) if checkpoint_root else None
    swarm = finding.swarm(check_group_id(group_id), session, root, _known_status(status))
    _tell_swarm(swarm, session)
    if as_json:
        print(json.dumps(_swarm_data(swarm), indent=2))
        return
    rows = [
        (
            str(v["number"]),
            v["run_name"],
            v["status"],
            v["user"],
            v["cluster"],
            v["checkpoint_dir"],
            v["experiments"][0]["url"],
            "; ".join(v["notes"]),
        )
        for v in _swarm_data(swarm)["variants"]
    ]
    heads = ("#", "run name", "status", "user", "cluster", "checkpoints", "experiment", "notes")
    _print_table(heads, rows)


def _swarm_data(swarm: Swarm) -> dict[str, Any]:
    """The swarm as data; docs/json.md is its schema."""
    return {
        "group_id": swarm.group_id,
        "name": swarm.name,
        "variants": [
            {
                "number": variant.number,
                "run_name": variant.run_name,
                "trainer": variant.trainer,
                "status": variant.status,
                "user": variant.user,
                "cluster": variant.cluster,
                "checkpoint_dir": variant.checkpoint_dir,
                "is_lost": variant.is_lost,
                "experiments": [
                    {
                        "id": experiment.id,
                        "name": experiment.name,
                        "url": EXPERIMENT_URL + experiment.id,
                        "author": experiment.author,
                        "workspace": experiment.workspace,
                        "created": experiment.created.isoformat(),
                        "status": experiment.status,
                    }
                    for experiment in variant.experiments
                ],
                "notes": list(variant.notes)
                + [f"launched {len(variant.experiments)} times"] * (len(variant.experiments) > 1),
            }
            for variant in swarm.variants
        ],
        "doubts": list(swarm.doubts),
        "unreadable": list(swarm.unreadable),
    }


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from olmix_evalscript.swarm import printable

    table = Table(*heads, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(cell), overflow="fold") for cell in row))
    console = Console()
    if not console.is_terminal:
        console = Console(width=1000)
        table.expand = False
    console.print(table)


@app.command(
    name="list",
    epilog="Examples:\n\n"
    "  olmix-evalscript list\n\n"
    "  olmix-evalscript list -w ai2/oe-data --since 2025-06-01 --timeout 600",
)
def list_swarms(
    context: typer.Context,
    as_json: Json = False,
    output_dir: Annotated[
        Path, typer.Option("--output-dir", metavar="DIR", help="Where scripts are looked for.")
    ] = Path("output/eval_scripts"),
    workspace: Workspaces = None,
    author: Annotated[
        str | None,
        typer.Option("--author", metavar="USER", help="Only what this user launched. Default: "
                     "you, and anybody with --workspace."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="DATE", help="Only what was launched since: "
                          "2026-01-31, or 30d, 12h ago.")
    ] = "30d",
    timeout: Timeout = 120.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """List the swarms on Beaker, newest first."""
    from olmix_evalscript import beaker
    from olmix_evalscript.library import script_path
    from olmix_evalscript.overview import summarize

    session = _session(context, verbose, quiet)
    finding = _finding(None, workspace, author, since, False, timeout)
    search = beaker.Search(
        finding.workspaces,
        author,
        mine=author is None and not finding.workspaces,
        since=finding.since,
        timeout=timeout,
    )
    with session.report() as report:
        swarms = summarize(beaker.scan(search, report))
    data = [
        {
            "group_id": swarm.group_id,
            "name": swarm.name,
            "trainers": sorted(swarm.trainers),
            "variants": swarm.statuses,
            "users": sorted(swarm.users),
            "clusters": sorted(swarm.clusters),
            "created": swarm.created.isoformat() if swarm.created else None,
            "script": _if_there(script_path(output_dir, swarm.group_id)),
        }
        for swarm in swarms
    ]
    if as_json:
        print(json.dumps(data, indent=2))
        return
    if not data:
        session.note("No swarm was found. Look further back with --since, or with --workspace.")
        return
    heads = ("group", "swarm", "trainer", "variants", "user", "cluster", "created", "script")
    rows = [
        (
            swarm.group_id,
            swarm.name,
            ", ".join(sorted(swarm.trainers)),
            ", ".join(f"{count} {status}" for status, count in swarm.statuses.items()),
            ", ".join(sorted(swarm.users)),
            ", ".join(sorted(swarm.clusters)),
            f"{swarm.created:%Y-%m-%d}",
            str(item["script"] or ""),
        )
        for swarm, item in zip(swarms, data, strict=True)
    ]
    _print_table(heads, rows)


def _if_there(path: Path) -> str | None:
    try:
        return str(path) if path.exists() else None
    except (OSError, ValueError):
        return None


@app.command(
    epilog="Examples:\n\n"
    "  olmix-evalscript snapshot 58362402 -o 58362402.yaml\n\n"
    "  olmix-evalscript generate 58362402 --snapshot 58362402.yaml"
)
def snapshot(
    context: typer.Context,
    group_id: GroupId,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The snapshot; - is stdout. Default: "
                     "GROUP_ID.yaml."),
    ] = None,
    workspace: Workspaces = None,
    author: Author = None,
    since: Since = None,
    scan: Scan = False,
    timeout: Timeout = 120.0,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Save what Beaker says of a swarm, without environment variables or secrets."""
    from olmix_evalscript import snapshot as snapshots
    from olmix_evalscript.swarm import build_swarm, check_group_id

    session = _session(context, verbose, quiet)
    finding = _finding(None, workspace, author, since, scan, timeout)
    experiments = finding.experiments(check_group_id(group_id), session)
    swarm = build_swarm(group_id, experiments)
    if not swarm.variants and not swarm.unreadable:
        raise SwarmError(_why_nothing(finding, swarm, len(experiments)))
    _tell_swarm(swarm, session)
    text = snapshots.dump(group_id, experiments)
    if str(output) == "-":
        sys.stdout.write(text)
    else:
        _write(output or Path(f"{group_id}.yaml"), text, mode=0o644)


@app.command(
    epilog="Examples:\n\n"
    "  olmix-evalscript tasks\n\n"
    "  olmix-evalscript tasks offline-bpb"
)
def tasks(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SET]", help="Such as olmo3-offline.",
                       autocompletion=_complete_task_sets),
    ] = None,
) -> None:
    """List the task sets, or the names of one set."""
    from olmix_evalscript.tasks import task_set, task_sets

    if name is not None:
        print(*task_set(name), sep="\n")
        return
    for set_name, families in task_sets().items():
        counts = ", ".join(f"{family} {len(names)}" for family, names in families.items())
        print(f"{set_name}: {len(task_set(set_name))} tasks ({counts})")
