"""A group ID in, what Beaker knows of its experiments out; the only module that asks Beaker.

beaker-py supplies the configuration, the channel and the messages. The calls go through
`_Client.call` instead of beaker-py's own methods, since those retry an unreachable server for
ever, without a deadline and without a word.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import grpc
import yaml
from beaker import Beaker
from beaker import beaker_pb2 as pb2
from beaker.config import Config
from beaker.exceptions import BeakerConfigurationError
from google.protobuf.timestamp_pb2 import Timestamp

from olmix_evalscript import __version__, listing, yamltext
from olmix_evalscript.command import parse_trainer
from olmix_evalscript.errors import BeakerError, TrainerCommandError
from olmix_evalscript.model import STATUSES, Experiment, Task
from olmix_evalscript.report import Report
from olmix_evalscript.swarm import mentions
from olmix_evalscript.text import shown

PAGE_SIZE = 50  # the server's own limit
WORKERS = 64  # calls under way at once
ATTEMPT_SECONDS = 30.0  # after which a call without an answer is made anew
LONGEST_PAUSE = 4.0  # seconds between two attempts
PAGES_AHEAD = 4  # whose specs are fetched while an earlier page is waited for

_Code = grpc.StatusCode
_RETRIED = (
    _Code.UNAVAILABLE,
    _Code.RESOURCE_EXHAUSTED,
    _Code.ABORTED,
    _Code.DEADLINE_EXCEEDED,
)
# How gRPC words it, as UNAVAILABLE, if the server shows a wrong certificate.
_BAD_CERTIFICATE = re.compile(
    "(CERTIFICATE_VERIFY_FAILED: [^:]*|Hostname Verification Check failed)"
)
_TOKEN_REFUSED = (
    "Beaker refused the token. Get a new one at https://beaker.org/user and set BEAKER_TOKEN, "
    "or put it into ~/.beaker/config.yml as user_token."
)


@dataclass(frozen=True)
class Search:
    """Where to look, and for how long."""

    workspaces: tuple[str, ...] = ()  # owner/name; empty: the whole organization
    author: str | None = None  # Beaker user name
    mine: bool = False  # only what the token's owner launched
    since: datetime | None = None  # created at or after
    timeout: float = 120.0  # seconds for everything asked of Beaker


def find(group_id: str, search: Search, report: Report) -> list[Experiment]:
    """Find all experiments that carry a group's ID, trainers and others.

    They are found by their name or description, and as members of a Beaker group of that ID or
    name, which is what the ``groups`` of a spec become.

    Returns:
        The experiments, newest first.

    Raises:
        BeakerError: If Beaker cannot be asked or does not answer in time.
    """
    with _connect(search, report) as client:
        targets = _targets(client, search)
        grouped = client.submit(_group_members, client, group_id, targets)
        pending: dict[str, _Pending] = {}
        for page in _workload_pages(client, search, targets, text=group_id):
            for workload in page:
                pending.setdefault(_id(workload), _Pending(client, workload))
            report.status(f"Asking Beaker: {len(pending)} experiments found")
        members = [id for id in grouped.result() if id not in pending]
        for workload in client.map(lambda id: _workload(client, id), members):
            if workload is not None and _is_wanted(client, workload, search):
                pending.setdefault(_id(workload), _Pending(client, workload))
        found = []
        for done, item in enumerate(pending.values(), 1):
            found.append(item.result())
            report.status(f"Asking Beaker: {done} of {len(pending)} experiments read")
        return _newest_first(found)


def scan(search: Search, report: Report) -> Iterator[list[Experiment]]:
    """Read every experiment there is, a page at a time.

    Yields:
        The experiments of one page; the pages come in any order.

    Raises:
        BeakerError: If Beaker cannot be asked or does not answer in time.
    """
    with _connect(search, report) as client:
        started, done = time.monotonic(), 0
        for page in _read_ahead(client, _workload_pages(client, search, _targets(client, search))):
            yield [item.result() for item in page]
            done += len(page)
            rate = done / max(time.monotonic() - started, 0.001)
            report.status(f"Reading Beaker: {done} experiments, {rate:.0f}/s")


def _read_ahead(client: _Client, pages: Iterator[list[Any]]) -> Iterator[list[_Pending]]:
    """Pages of workloads, with what the listing lacks being fetched for several at a time."""
    ahead: deque[list[_Pending]] = deque()
    for page in pages:
        ahead.append([_Pending(client, workload) for workload in page])
        if len(ahead) > PAGES_AHEAD:
            yield ahead.popleft()
    yield from ahead


def find_by_scan(group_id: str, search: Search, report: Report) -> list[Experiment]:
    """Find all experiments that mention a group's ID anywhere, by reading every one there is.

    Returns:
        The experiments, newest first.

    Raises:
        BeakerError: If Beaker cannot be asked or does not answer in time.
    """
    return _newest_first(
        experiment
        for page in scan(search, report)
        for experiment in page
        if mentions(group_id, experiment)
    )


def _newest_first(experiments: Iterable[Experiment]) -> list[Experiment]:
    return sorted(experiments, key=lambda each: (each.created, each.id), reverse=True)


def default_workspace() -> str | None:
    """The ``default_workspace`` of Beaker's own configuration, which gantry launches into; None
    if there is none of the form OWNER/NAME."""
    try:
        workspace = Config.from_env().default_workspace
    except (BeakerConfigurationError, OSError, ValueError, TypeError):
        return None
    return workspace if isinstance(workspace, str) and "/" in workspace else None


class _CallError(BeakerError):
    """A call that Beaker answered with an error that does not pass."""

    def __init__(self, method: str, code: grpc.StatusCode, details: str) -> None:
        self.code = code
        message = {
            _Code.UNAUTHENTICATED: _TOKEN_REFUSED,
            _Code.PERMISSION_DENIED: f"Beaker denies permission: {details}. Ask for access, or "
            "name the workspaces you can read with --workspace.",
        }
        super().__init__(
            message.get(code, f"Beaker's answer to {method} is {code.name}: {details}. Try again.")
        )


class _Client:
    """Calls to Beaker, all under one deadline, many at a time."""

    def __init__(self, beaker: Beaker, timeout: float, report: Report) -> None:
        self._service = beaker.service
        self._close_channel = beaker.close
        self._metadata = [("authorization", f"bearer {beaker.config.user_token}")]
        self._timeout = timeout
        self._address = beaker.config.rpc_address
        self._deadline = time.monotonic() + timeout
        self._closed = threading.Event()
        self._pool = ThreadPoolExecutor(WORKERS)
        self._names: dict[str, Future[str]] = {}
        self._report = report
        self.organization = beaker.config.default_org or "ai2"

    def call(self, method: str, request: Any) -> Any:
        """Call one of Beaker's methods, again and again while the failure may pass.

        Raises:
            BeakerError: If time is up, or the failure is one that does not pass.
        """
        pause = 0.25
        while True:
            started = time.monotonic()
            left = self._deadline - started
            try:
                return getattr(self._service, method)(
                    request, timeout=min(left, ATTEMPT_SECONDS), metadata=self._metadata
                )
            except grpc.RpcError as error:
                code, details = error.code(), error.details() or "no details"
            finally:
                took = time.monotonic() - started
                self._report.detail(f"{method}: {took * 1000:.0f} ms")
            if bad := _BAD_CERTIFICATE.search(details):
                raise BeakerError(
                    f"{self._address} has no valid TLS certificate: {bad[0]}. Check "
                    "rpc_address in the Beaker config, the clock, and any proxy in between."
                )
            details = shown(details)
            if code not in _RETRIED:
                raise _CallError(method, code, details)
            if self._deadline - time.monotonic() < pause or self._closed.is_set():
                raise BeakerError(
                    f"Beaker did not answer within {self._timeout:g} s ({code.name}: {details}). "
                    "Check the network, or give it longer with --timeout."
                )
            self._report.status(f"Beaker is not answering ({code.name}); trying again")
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def pages(self, method: str, request: Any) -> Iterator[Any]:
        """The responses of a listing, one page after another.

        Raises:
            BeakerError: As `call`, and if the listing goes round in a circle.
        """
        tokens: set[str] = set()
        while True:
            response = self.call(method, request)
            yield response
            if not response.next_page_token:
                return
            token = listing.unseen(response.next_page_token, tokens)
            request = type(request)(next_page_token=token)

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        return self._pool.submit(function, *args)

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return self._pool.map(function, items)

    def name(self, kind: str, id: str) -> Future[str]:
        """The name of a user or workspace, asked for once; the ID itself where there is none."""
        if id not in self._names:
            self._names[id] = self._pool.submit(
                _user_name if kind == "user" else _workspace, self, id
            )
        return self._names[id]

    def close(self) -> None:
        """Cancel what is under way; returns at once."""
        self._closed.set()
        self._close_channel()  # type: ignore[no-untyped-call]
        self._pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _connect(search: Search, report: Report) -> Iterator[_Client]:
    try:
        beaker = Beaker.from_env(
            check_for_upgrades=False, user_agent=f"olmix-evalscript v{__version__}"
        )
    except (
        BeakerConfigurationError,
        OSError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        yaml.YAMLError,
    ) as error:
        raise BeakerError(
            f"there is no usable Beaker token{_where(error)}. Get one at "
            "https://beaker.org/user and set BEAKER_TOKEN, or put it into ~/.beaker/config.yml as "
            "user_token."
        ) from None
    _check_config(beaker.config)
    client = _Client(beaker, search.timeout, report)
    try:
        yield client
    finally:
        client.close()


def _where(error: Exception) -> str:
    """The config that was read, and why it could not be."""
    path, reason = None, getattr(error, "strerror", None)
    with suppress(OSError):
        path = Config.find_config()
    return (f" in {path}" if path else "") + (f" ({reason})" if reason else "")


def _check_config(config: Any) -> None:
    for key, example in (
        ("user_token", "a token from https://beaker.org/user"),
        ("rpc_address", "beaker.org:443"),
        ("default_org", "ai2"),
    ):
        value = getattr(config, key)
        if not (isinstance(value, str) or (value is None and key == "default_org")):
            raise BeakerError(
                f"{key} in the Beaker config is not text: expected something like {example}"
            )
    if not (config.user_token.isascii() and config.user_token.isprintable()):
        raise BeakerError(_TOKEN_REFUSED)


@dataclass(frozen=True)
class _Target:
    """What a listing covers: one workspace, or all of the organization."""

    organization_id: str
    author_id: str | None
    workspace_id: str | None = None
    workspace: str = ""  # its name


def _targets(client: _Client, search: Search) -> list[_Target]:
    organization = client.submit(_organization_id, client)
    author = client.submit(_author_id, client, search)
    workspaces = client.map(partial(_workspace_id, client), search.workspaces)
    first = _Target(organization.result(), author.result())
    if not search.workspaces:
        return [first]
    return [
        replace(first, workspace_id=id, workspace=name)
        for id, name in zip(workspaces, search.workspaces, strict=True)
    ]


def _organization_id(client: _Client) -> str:
    request = pb2.ResolveOrganizationNameRequest(organization_name=client.organization)
    try:
        id: str = client.call("ResolveOrganizationName", request).organization_id
    except _CallError as error:
        if error.code is not _Code.NOT_FOUND:
            raise
        return client.organization  # as beaker-py: it may be an ID
    return id


def _workspace_id(client: _Client, workspace: str) -> str:
    owner, _, name = workspace.partition("/")
    request = pb2.ResolveWorkspaceNameRequest(owner_name=owner, workspace_name=name)
    try:
        id: str = client.call("ResolveWorkspaceName", request).workspace_id
    except _CallError as error:
        if error.code is _Code.NOT_FOUND:
            raise BeakerError(
                f"there is no workspace {shown(workspace)}; expected OWNER/NAME, such as ai2/olmix"
            ) from None
        raise _in_workspace(workspace, error) from None
    return id


def _in_workspace(workspace: str, error: _CallError) -> BeakerError:
    return BeakerError(f"{shown(workspace)}: {error}")


def _author_id(client: _Client, search: Search) -> str | None:
    if search.mine:
        me: str = client.call("GetUser", pb2.GetUserRequest()).user.id
        return me
    return _user_id(client, search.author) if search.author else None


def _user_id(client: _Client, name: str) -> str:
    try:
        id: str = client.call("ResolveUserName", pb2.ResolveUserNameRequest(user_name=name)).user_id
    except _CallError as error:
        if error.code is _Code.NOT_FOUND:
            raise BeakerError(f"there is no Beaker user {shown(name)}; check --author") from None
        raise
    return id


def _user_name(client: _Client, id: str) -> str:
    try:
        name: str = client.call("GetUser", pb2.GetUserRequest(user_id=id)).user.name
    except _CallError:
        return id
    return name


def _workspace(client: _Client, id: str) -> str:
    try:
        workspace = client.call("GetWorkspace", pb2.GetWorkspaceRequest(workspace_id=id)).workspace
    except _CallError:
        return id
    owner = getattr(workspace, workspace.WhichOneof("owner") or "owner_org").name
    return f"{owner}/{workspace.name}" if owner and "/" not in workspace.name else workspace.name


def _workload_pages(
    client: _Client, search: Search, targets: list[_Target], text: str | None = None
) -> Iterator[list[Any]]:
    """The pages of the listings of workloads of all targets, in any order."""
    since = None if search.since is None else _nanoseconds(search.since)
    fetches = [partial(_workload_page, client, target, text) for target in targets]
    return listing.read(fetches, since, client.submit)


def _workload_page(
    client: _Client,
    target: _Target,
    text: str | None,
    after: int | None,
    before: int | None,
    token: str,
) -> listing.Page[Any]:
    """One page of the workloads that have a text in their name or description, newest first."""
    options = pb2.ListWorkloadsRequest.Opts(
        organization_id=target.organization_id,
        workspace_id=target.workspace_id,
        author_id=target.author_id,
        name_or_description_substring=text,
        page_size=PAGE_SIZE,
        sort_clause=pb2.ListWorkloadsRequest.Opts.SortClause(
            sort_order=pb2.SortOrder.SORT_ORDER_DESCENDING, created={}
        ),
        created_after=_timestamp(after),
        created_before=_timestamp(before),
    )
    if token:
        request = pb2.ListWorkloadsRequest(next_page_token=token)
    else:
        request = pb2.ListWorkloadsRequest(options=options)
    try:
        response = client.call("ListWorkloads", request)
    except _CallError as error:
        raise _in_workspace(target.workspace, error) if target.workspace else error from None
    entries = [listing.Entry(_id(w), _created(w), w) for w in response.workloads]
    return listing.Page(entries, response.next_page_token, len(entries) == PAGE_SIZE)


def _group_members(client: _Client, group_id: str, targets: list[_Target]) -> list[str]:
    """The IDs of the experiments in Beaker groups of that ID or with it in their name."""
    groups = []
    for target in targets:
        options = pb2.ListGroupsRequest.Opts(
            organization_id=target.organization_id,
            workspace_id=target.workspace_id,
            name_or_description_substring=group_id,
            page_size=PAGE_SIZE,
        )
        for response in client.pages("ListGroups", pb2.ListGroupsRequest(options=options)):
            groups += [group.id for group in response.groups]
    experiments = []
    for group in dict.fromkeys(groups):
        request = pb2.ListGroupTaskMetricsRequest(
            options=pb2.ListGroupTaskMetricsRequest.Opts(group_id=group, page_size=PAGE_SIZE)
        )
        for response in client.pages("ListGroupTaskMetrics", request):
            experiments += [metrics.experiment_id for metrics in response.task_metrics]
    return list(dict.fromkeys(experiments))


def _workload(client: _Client, id: str) -> Any:
    try:
        return client.call("GetWorkload", pb2.GetWorkloadRequest(workload_id=id)).workload
    except _CallError as error:
        if error.code is _Code.NOT_FOUND:  # deleted, and still counted by its group
            return None
        raise


def _is_wanted(client: _Client, workload: Any, search: Search) -> bool:
    """The same choice that a listing makes, for a workload found otherwise."""
    if search.since is not None and _created(workload) < _nanoseconds(search.since):
        return False
    author = client.name("user", _experiment_or_session(workload).author_id).result()
    workspace = client.name("workspace", _experiment_or_session(workload).workspace_id).result()
    return search.author in (None, author) and (
        not search.workspaces or workspace in search.workspaces
    )


def _experiment_or_session(workload: Any) -> Any:
    return workload.environment if workload.HasField("environment") else workload.experiment


def _id(workload: Any) -> str:
    id: str = _experiment_or_session(workload).id
    return id


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_YEARS = (-62_135_596_800, 253_402_300_799)  # first second of year 1, last of 9999, since 1970


def _created(workload: Any) -> int:
    """When it was created, in nanoseconds since 1970; the nearest date there is."""
    created = _experiment_or_session(workload).created
    return _clamp(created.seconds * listing.SECOND + created.nanos)


def _clamp(time: int) -> int:
    return min(max(time, _YEARS[0] * listing.SECOND), _YEARS[1] * listing.SECOND)


def _nanoseconds(date: datetime) -> int:
    return (date - _EPOCH) // timedelta(microseconds=1) * 1000


def _timestamp(time: int | None) -> Any:
    if time is None:
        return None
    seconds, nanos = divmod(_clamp(time), listing.SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def _date(workload: Any) -> datetime:
    return _EPOCH + timedelta(seconds=_created(workload) // listing.SECOND)


class _Pending:
    """An experiment whose names and, where the listing lacks them, commands are being asked for."""

    def __init__(self, client: _Client, workload: Any) -> None:
        self._workload = workload
        kind = _experiment_or_session(workload)
        self._author = client.name("user", kind.author_id)
        self._workspace = client.name("workspace", kind.workspace_id)
        self._tasks: Future[tuple[tuple[Task, ...], str]] | tuple[Task, ...] = ()
        if workload.HasField("experiment"):
            listed = tuple(
                Task((*task.container_spec.command, *task.container_spec.arguments))
                for task in workload.experiment.tasks
            )
            self._tasks = (
                listed if _is_complete(listed) else client.submit(_spec_tasks, client, kind.id)
            )

    def result(self) -> Experiment:
        kind = _experiment_or_session(self._workload)
        tasks, problem = (
            self._tasks.result() if isinstance(self._tasks, Future) else (self._tasks, "")
        )
        if kind.created.seconds not in range(_YEARS[0], _YEARS[1] + 1):
            problem = "its date of creation is out of range"
        return Experiment(
            id=kind.id,
            name=kind.name,
            author=self._author.result(),
            workspace=self._workspace.result(),
            created=_date(self._workload),
            status=_status(self._workload.status),
            tasks=tasks,
            problem=problem,
            is_session=self._workload.HasField("environment"),
        )


def _status(value: int) -> str:
    try:
        status = pb2.WorkloadStatus.Name(value).removeprefix("STATUS_").lower()
    except ValueError:
        return "unknown"
    return status if status in STATUSES else "unknown"


def _is_complete(tasks: tuple[Task, ...]) -> bool:
    """Whether a listing told all that is needed; constraints stand in the spec alone."""
    if not tasks or not all(task.words for task in tasks):
        return False
    try:
        runs = [parse_trainer(task.words) for task in tasks]
    except TrainerCommandError:
        return True
    return all(run is None or run.cluster is not None for run in runs)


def _spec_tasks(client: _Client, id: str) -> tuple[tuple[Task, ...], str]:
    """The tasks of an experiment's spec, and what is wrong with it."""
    request = pb2.GetExperimentYamlSpecRequest(experiment_id=id)
    try:
        text = client.call("GetExperimentYamlSpec", request).experiment_spec
    except _CallError as error:
        if error.code is _Code.UNAUTHENTICATED:
            raise
        return (), f"its spec cannot be had from Beaker ({error.code.name})"
    try:
        return parse_spec(text), ""
    except ValueError as error:
        return (), f"its spec cannot be read: {error}"


def parse_spec(text: str) -> tuple[Task, ...]:
    """The tasks of an experiment's spec.

    Args:
        text: The spec as YAML.

    Raises:
        ValueError: If it is not a spec.
    """
    spec = yamltext.load(text)
    tasks = spec.get("tasks") if isinstance(spec, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ValueError("it has no list of tasks")
    return tuple(_spec_task(task) for task in tasks)


def _spec_task(task: dict[str, Any]) -> Task:
    if "<<" in task:
        raise ValueError("a task of it is made by YAML merge keys")
    command, arguments = (_words(task, key) for key in ("command", "arguments"))
    constraints = task.get("constraints")
    clusters = constraints.get("cluster") if isinstance(constraints, dict) else None
    return Task(words=command + arguments, clusters=yamltext.strings(clusters) or ())


def _words(task: dict[str, Any], key: str) -> tuple[str, ...]:
    value = task.get(key)
    words = () if yamltext.is_absent(value) else yamltext.strings(value)
    if words is None:
        raise ValueError(f"{key!r} of a task is not a list of strings")
    return words
