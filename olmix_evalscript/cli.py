"""The command line: options in, what the console is to tell and exit statuses out."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from olmix_evalscript import __version__, options
from olmix_evalscript.console import Console
from olmix_evalscript.errors import EvalScriptError, InvalidInputError, SwarmError
from olmix_evalscript.options import DEFAULT_OUTPUT_DIR, known_status, parse_since

if TYPE_CHECKING:
    from olmix_evalscript.config import EvalConfig
    from olmix_evalscript.script import Evaluation
    from olmix_evalscript.source import Finding
    from olmix_evalscript.swarm import Swarm

EXIT_FAILED = 1
EXIT_DIFFERS = 3

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
    console = Console()
    try:
        app(words[:split], obj=_Context(console, tuple(words[split + 1 :])))
    except EvalScriptError as error:
        console.error(error)
        sys.exit(EXIT_FAILED)
    sys.exit(0)


@dataclass(frozen=True)
class _Context:
    """What holds for one run of the command, whatever the subcommand."""

    console: Console
    extra_arguments: tuple[str, ...]  # for olmo-cookbook-eval


# --- where experiments come from ----------------------------------------------------------


def _print_version(wanted: bool) -> None:
    if wanted:
        Console().data(f"olmix-evalscript {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    told: _Context = context.obj
    told.console.verbose, told.console.quiet = verbose, quiet
    if told.extra_arguments and context.invoked_subcommand != "generate":
        raise typer.BadParameter("what stands after it is for generate alone", param_hint="--")


def _finding(
    snapshot: Path | None,
    workspaces: list[str] | None,
    author: str | None,
    since: str | None,
    scan: bool,
    timeout: float,
) -> Finding:
    from olmix_evalscript.source import Finding

    for workspace in workspaces or ():
        if workspace.count("/") != 1 or not all(workspace.split("/")):
            raise typer.BadParameter(
                f"{workspace!r} is no workspace; expected OWNER/NAME", param_hint="--workspace"
            )
    asks_beaker = workspaces or author or since or scan
    if snapshot is not None and asks_beaker:
        raise typer.BadParameter(
            "it asks no Beaker; leave out --workspace, --author, --since and --scan",
            param_hint="--snapshot",
        )
    return Finding(snapshot, tuple(workspaces or ()), author, parse_since(since), scan, timeout)


# --- generate -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Making:
    """How the script is to be made."""

    evaluation: Evaluation  # an empty dashboard stands for olmix-GROUP_ID
    checkpoint_root: str | None
    status: str | None
    strict: bool
    allow_partial: bool

    def script(self, group_id: str, finding: Finding, console: Console) -> str:
        """The script's text, after telling what was found and what is doubtful.

        Raises:
            EvalScriptError: If no script can be made, or none that is wanted.
        """
        from olmix_evalscript.library import today
        from olmix_evalscript.script import render

        swarm = finding.swarm(group_id, console.report, self.checkpoint_root, self.status)
        _tell_swarm(swarm, console)
        if swarm.unreadable and not self.allow_partial:
            raise SwarmError(
                f"{len(swarm.unreadable)} experiments that may belong to {group_id} cannot be "
                "read, so a script would lack them. Use --allow-partial to go without."
            )
        if swarm.doubts and self.strict:
            raise SwarmError(f"{group_id} is doubtful, and --strict was asked for")
        dashboard = self.evaluation.dashboard or f"olmix-{group_id}"
        return render(swarm, replace(self.evaluation, dashboard=dashboard), today())


def _tell_swarm(swarm: Swarm, console: Console) -> None:
    count = len(swarm.variants)
    left_out = swarm.left_out
    kinds = (
        (left_out.other_jobs, "that train nothing, such as evaluations"),
        (left_out.other_groups, "of other groups"),
        (left_out.sessions, "that are sessions"),
        (left_out.other_status, "of another status"),
    )
    others = ", ".join(f"{number} {kind}" for number, kind in kinds if number)
    console.note(
        f"{swarm.group_id}: {count} variant{'s' * (count != 1)} of {swarm.name or 'no swarm'}"
        + (f"; left out: {others}" if others else "")
    )
    active = sum(v.status not in ("", "succeeded", "failed", "canceled") for v in swarm.variants)
    if active:
        console.note(f"{swarm.group_id}: {active} of them have not finished")
    for text in (*swarm.unreadable, *swarm.doubts):
        console.warn(text)


def _tasks(
    config: EvalConfig, tasks: Sequence[str], task_set: str | None, console: Console
) -> tuple[str, ...]:
    """Flags before the config file, the config file before the default set."""
    from olmix_evalscript import tasks as known

    chosen = (*(known.task_set(task_set) if task_set else ()), *tasks)
    if not chosen:
        chosen = config.tasks or known.task_set(known.DEFAULT_TASK_SET)
    for task in chosen:
        similar = ", ".join(known.similar_tasks(task))
        if similar:
            console.warn(f"{task} is no task of the known sets; did you mean {similar}?")
    return chosen


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
    group_ids: options.GroupIds,
    output: options.ScriptFile = None,
    output_dir: options.OutputDir = DEFAULT_OUTPUT_DIR,
    config: options.ConfigFile = None,
    task: options.Tasks = None,
    task_set: options.TaskSet = None,
    eval_cluster: options.EvalCluster = None,
    model_backend: options.ModelBackend = None,
    dashboard: options.Dashboard = None,
    checkpoint_root: options.CheckpointRoot = None,
    status: options.Status = None,
    check: options.Check = False,
    strict: options.Strict = False,
    allow_partial: options.AllowPartial = False,
    snapshot: options.SnapshotFile = None,
    workspace: options.Workspaces = None,
    author: options.Author = None,
    since: options.Since = None,
    scan: options.Scan = False,
    timeout: options.Timeout = 120.0,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Write the script that evaluates a swarm, and print its path.

    What stands after -- goes to olmo-cookbook-eval as it is.
    """
    from olmix_evalscript import config as configs
    from olmix_evalscript.library import script_path
    from olmix_evalscript.names import check_group_id
    from olmix_evalscript.script import Evaluation, check_evaluation
    from olmix_evalscript.trainers import check_root

    console = _console(context, verbose, quiet)
    finding = _finding(snapshot, workspace, author, since, scan, timeout)
    group_ids = [check_group_id(group_id) for group_id in dict.fromkeys(group_ids)]
    if len(group_ids) > 1 and (output is not None or snapshot is not None):
        hint = "--output" if output is not None else "--snapshot"
        raise typer.BadParameter("it is for one group ID alone", param_hint=hint)
    if check and str(output) == "-":
        raise typer.BadParameter("it compares with a file, not with -", param_hint="--check")
    settings = configs.load(config) if config is not None else configs.EvalConfig()
    if settings.has_inloop_tasks and not settings.tasks:
        console.note(f"{config}: its inloop eval block is about training, and no task list")
    evaluation = Evaluation(
        tasks=_tasks(settings, task or (), task_set, console),
        dashboard=dashboard or "",
        cluster=eval_cluster or settings.cluster or Evaluation.cluster,
        model_backend=model_backend or settings.model_backend or Evaluation.model_backend,
        extra_arguments=context.obj.extra_arguments,
    )
    making = _Making(
        evaluation=check_evaluation(evaluation),
        checkpoint_root=check_root(checkpoint_root) if checkpoint_root else None,
        status=known_status(status),
        strict=strict,
        allow_partial=allow_partial,
    )

    def one(group_id: str) -> int:
        text = making.script(group_id, finding, console)
        if str(output) == "-":
            console.data(text)
            return 0
        path = output or script_path(output_dir, group_id)
        return _compare(path, text, console) if check else _write(path, text, 0o755, console)

    if len(group_ids) == 1:
        raise typer.Exit(one(group_ids[0]))
    raise typer.Exit(_each(group_ids, one, console))


def _each(group_ids: Sequence[str], one: Callable[[str], int], console: Console) -> int:
    """Do one after another, and go on after a failure."""
    statuses = []
    with console.bar(len(group_ids)) as bar:
        for group_id in group_ids:
            try:
                statuses.append(one(group_id))
            except EvalScriptError as error:
                console.error(error)
                statuses.append(EXIT_FAILED)
            bar.step()
    failed = [id for id, status in zip(group_ids, statuses, strict=True) if status == EXIT_FAILED]
    console.note(
        f"{len(group_ids) - len(failed)} of {len(group_ids)} groups done"
        + (f"; failed: {', '.join(failed)}" if failed else "")
    )
    return EXIT_FAILED if failed else max(statuses)


def _console(context: typer.Context, verbose: bool, quiet: bool) -> Console:
    """The console, by the options that may stand before or after the subcommand."""
    told: _Context = context.obj
    told.console.verbose |= verbose
    told.console.quiet |= quiet
    return told.console


def _write(path: Path, text: str, mode: int, console: Console) -> int:
    from olmix_evalscript.files import write_whole

    write_whole(path, text, mode)
    console.data(f"{path}\n")
    return 0


def _compare(path: Path, text: str, console: Console) -> int:
    from olmix_evalscript.script import without_date

    try:
        there = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        console.warn(f"{path} is not there; make it with generate, without --check")
        return EXIT_DIFFERS
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}") from None
    old, new = (without_date(script).splitlines() for script in (there, text))
    diff = list(difflib.unified_diff(old, new, str(path), "as of now", lineterm=""))
    console.data("".join(f"{line}\n" for line in diff))
    if not diff:
        console.note(f"{path} is up to date")
    return EXIT_DIFFERS if diff else 0


# --- the other commands -------------------------------------------------------------------


@app.command(
    epilog="Examples:\n\n"
    "  olmix-evalscript show 58362402\n\n"
    "  olmix-evalscript show 58362402 --json | jq '.variants[].checkpoint_dir'"
)
def show(
    context: typer.Context,
    group_id: options.GroupId,
    as_json: options.Json = False,
    checkpoint_root: options.CheckpointRoot = None,
    status: options.Status = None,
    snapshot: options.SnapshotFile = None,
    workspace: options.Workspaces = None,
    author: options.Author = None,
    since: options.Since = None,
    scan: options.Scan = False,
    timeout: options.Timeout = 120.0,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Show a swarm's variants and where their checkpoints should be."""
    from olmix_evalscript.names import check_group_id
    from olmix_evalscript.overview import swarm_data
    from olmix_evalscript.trainers import check_root

    console = _console(context, verbose, quiet)
    finding = _finding(snapshot, workspace, author, since, scan, timeout)
    root = check_root(checkpoint_root) if checkpoint_root else None
    swarm = finding.swarm(check_group_id(group_id), console.report, root, known_status(status))
    _tell_swarm(swarm, console)
    if as_json:
        console.data(json.dumps(swarm_data(swarm), indent=2) + "\n")
        return
    roots = {variant.checkpoint_dir.rpartition("/")[0] for variant in swarm.variants}
    shared = f"{roots.pop()}/RUN-NAME" if len(roots) == 1 and console.is_terminal else ""
    rows = [
        (
            str(v["number"]),
            v["run_name"],
            v["status"],
            v["user"],
            v["cluster"],
            shared or v["checkpoint_dir"],
            v["experiments"][0]["url"],
            "; ".join(v["notes"]),
        )
        for v in swarm_data(swarm)["variants"]
    ]
    heads = ("#", "run name", "status", "user", "cluster", "checkpoints", "experiment", "notes")
    console.table(heads, rows)


@app.command(
    name="list",
    epilog="Examples:\n\n"
    "  olmix-evalscript list\n\n"
    "  olmix-evalscript list -w ai2/oe-data --since 26w --timeout 600",
)
def list_swarms(
    context: typer.Context,
    as_json: options.Json = False,
    output_dir: options.OutputDir = DEFAULT_OUTPUT_DIR,
    workspace: options.Workspaces = None,
    author: options.ListAuthor = None,
    since: options.ListSince = "30d",
    timeout: options.Timeout = 120.0,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """List the swarms on Beaker, newest first."""
    from olmix_evalscript import beaker
    from olmix_evalscript.library import script_path
    from olmix_evalscript.overview import summarize, summary_data

    console = _console(context, verbose, quiet)
    finding = _finding(None, workspace, author, since, False, timeout)
    search = beaker.Search(
        finding.workspaces,
        author,
        mine=author is None and not finding.workspaces,
        since=finding.since,
        timeout=timeout,
    )
    with console.report() as report:
        swarms = summarize(beaker.scan(search, report))
    data = [
        summary_data(swarm, _if_there(script_path(output_dir, swarm.group_id))) for swarm in swarms
    ]
    if as_json:
        console.data(json.dumps(data, indent=2) + "\n")
        return
    if not data:
        console.note("No swarm was found. Look further back with --since, or with --workspace.")
        return
    heads = ("group", "swarm", "trainer", "variants", "user", "cluster", "created", "script")
    rows = [
        (
            item["group_id"],
            item["name"],
            ", ".join(item["trainers"]),
            ", ".join(f"{count} {status}" for status, count in item["variants"].items()),
            ", ".join(item["users"]),
            ", ".join(item["clusters"]),
            item["created"][:10],
            item["script"] or "",
        )
        for item in data
    ]
    console.table(heads, rows)


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
    group_id: options.GroupId,
    output: options.SavedFile = None,
    workspace: options.Workspaces = None,
    author: options.Author = None,
    since: options.Since = None,
    scan: options.Scan = False,
    timeout: options.Timeout = 120.0,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Save what Beaker says of a swarm, without environment variables or secrets."""
    from olmix_evalscript import snapshot as snapshots
    from olmix_evalscript.names import check_group_id
    from olmix_evalscript.swarm import build_swarm

    console = _console(context, verbose, quiet)
    finding = _finding(None, workspace, author, since, scan, timeout)
    experiments = finding.experiments(check_group_id(group_id), console.report)
    swarm = build_swarm(group_id, experiments)
    finding.check(swarm, len(experiments))
    _tell_swarm(swarm, console)
    text = snapshots.dump(group_id, experiments)
    if str(output) == "-":
        console.data(text)
    else:
        _write(output or Path(f"{group_id}.yaml"), text, 0o644, console)


@app.command(epilog="Examples:\n\n  olmix-evalscript tasks\n\n  olmix-evalscript tasks offline-bpb")
def tasks(
    name: options.TaskSetName = None,
) -> None:
    """List the task sets, or the names of one set."""
    from olmix_evalscript.tasks import task_set, task_sets

    console = Console()
    if name is not None:
        console.data("".join(f"{task}\n" for task in task_set(name)))
        return
    for set_name, families in task_sets().items():
        counts = ", ".join(f"{family} {len(names)}" for family, names in families.items())
        console.data(f"{set_name}: {len(task_set(set_name))} tasks ({counts})\n")
