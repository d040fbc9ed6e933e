"""Ask Beaker for experiments, within a time limit for all calls together.

beaker-py supplies the configuration, the channel and the messages. The calls go through
`_Client.call` instead of beaker-py's own methods, since those retry an unreachable server for
ever, without a deadline and without a message.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

import grpc
from beaker import Beaker
from beaker import beaker_pb2 as pb2
from beaker.config import Config
from google.protobuf.timestamp_pb2 import Timestamp

from olmix_evalscript import __version__, listing, yamltext
from olmix_evalscript.errors import BeakerError
from olmix_evalscript.model import STATUSES, Experiment, Task
from olmix_evalscript.report import Report
from olmix_evalscript.text import shown

PAGE_SIZE = 50  # the server's own limit
WORKERS = 64  # calls at the same time
ATTEMPT_SECONDS = 30.0  # after which a call without an answer is repeated
LONGEST_PAUSE = 4.0  # seconds between two attempts
PAGES_AHEAD = 4  # pages of a scan whose specs are fetched at the same time

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
_GET_A_TOKEN = (
    "Get one at https://beaker.org/user and set BEAKER_TOKEN, or put it into "
    "~/.beaker/config.yml as user_token."
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_STATUSES = {
    pb2.WorkloadStatus.Value(f"STATUS_{status.upper()}"): status
    for status in STATUSES
    if status != "unknown"
}
_LAST_SECOND = 253_402_300_799  # of the year 9999, since 1970


@dataclass(frozen=True)
class Search:
    """What to ask Beaker for."""

    workspaces: tuple[str, ...] = ()  # owner/name; empty: the whole organization
    author: str | None = None  # Beaker user name
    mine: bool = False  # only what the token's owner launched
    since: datetime | None = None  # created at or after
    timeout: float = 120.0  # seconds for all calls together


def find(group_id: str, search: Search, report: Report) -> list[Experiment]:
    """Find all experiments that carry a group's ID, trainers and others.

    They are found by their name or description, and as members of a Beaker group of that ID or
    name, which is what the ``groups`` of a spec become.

    Returns:
        The experiments, in any order.

    Raises:
        BeakerError: If Beaker refuses a call or does not answer in time.
    """
    with _connect(search, report) as client:
        targets = _targets(client, search)
        grouped = client.pool.submit(_group_members, client, group_id, targets)
        pending: dict[str, _Pending] = {}
        for page in _workload_pages(client, targets, text=group_id):
            for workload in page:
                pending.setdefault(_content(workload).id, _Pending(client, workload))
            report.status(f"Asking Beaker: {len(pending)} experiments found")
        members = [id for id in grouped.result() if id not in pending]
        for workload in client.pool.map(partial(_workload, client), members):
            if workload is not None and any(target.covers(workload) for target in targets):
                pending.setdefault(_content(workload).id, _Pending(client, workload))
        found = []
        for done, item in enumerate(pending.values(), 1):
            found.append(item.result())
            report.status(f"Asking Beaker: {done} of {len(pending)} experiments read")
        return found


def scan(search: Search, report: Report) -> Iterator[list[Experiment]]:
    """Read every experiment there is, a page at a time.

    Yields:
        The experiments of one page; the pages come in any order.

    Raises:
        BeakerError: If Beaker refuses a call or does not answer in time.
    """
    with _connect(search, report) as client:
        started, done = time.monotonic(), 0
        for page in _read_ahead(client, _workload_pages(client, _targets(client, search))):
            yield [item.result() for item in page]
            done += len(page)
            rate = done / max(time.monotonic() - started, 0.001)
            report.status(f"Reading Beaker: {done} experiments, {rate:.0f}/s")


def _read_ahead(client: _Client, pages: Iterator[list[Any]]) -> Iterator[list[_Pending]]:
    """Start to fetch what several pages lack before the first of them is needed."""
    ahead: list[list[_Pending]] = []
    for page in pages:
        ahead.append([_Pending(client, workload) for workload in page])
        if len(ahead) > PAGES_AHEAD:
            yield ahead.pop(0)
    yield from ahead


def default_workspace() -> str | None:
    """The ``default_workspace`` of Beaker's own configuration, which gantry launches into; None
    if there is none of the form OWNER/NAME."""
    try:
        workspace = Config.from_env().default_workspace
    except Exception:  # a broken file raises almost anything
        return None
    return workspace if isinstance(workspace, str) and "/" in workspace else None


class _CallError(BeakerError):
    """Beaker answered a call with an error that trying again does not help."""

    def __init__(self, method: str, code: grpc.StatusCode, details: str, workspace: str) -> None:
        self.code = code
        message = {
            _Code.UNAUTHENTICATED: f"Beaker refused the token. {_GET_A_TOKEN}",
            _Code.PERMISSION_DENIED: f"Beaker denies permission: {details}. Ask for access, or "
            "name the workspaces you can read with --workspace.",
        }.get(code, f"Beaker's answer to {method} is {code.name}: {details}. Try again.")
        super().__init__(f"{shown(workspace)}: {message}" if workspace else message)


class _Client:
    """Calls to Beaker, all under one deadline, many at a time."""

    def __init__(self, beaker: Beaker, timeout: float, report: Report) -> None:
        self._beaker = beaker
        self._metadata = [("authorization", f"bearer {beaker.config.user_token}")]
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._closed = threading.Event()
        self.pool = ThreadPoolExecutor(WORKERS)
        self._names: dict[str, Future[str]] = {}
        self._report = report
        self.organization = beaker.config.default_org or "ai2"

    def call(self, method: str, request: Any, workspace: str = "", missing: str = "") -> Any:
        """Call one of Beaker's methods, again and again while the failure may pass.

        Args:
            method: Its name.
            request: Its message.
            workspace: The one it is about, for the message of an error.
            missing: What to say if what it asks for does not exist.

        Raises:
            BeakerError: If time is up, or the failure is one that does not pass.
        """
        pause = 0.25
        while True:
            started = time.monotonic()
            left = self._deadline - started
            try:
                return getattr(self._beaker.service, method)(
                    request, timeout=min(left, ATTEMPT_SECONDS), metadata=self._metadata
                )
            except grpc.RpcError as error:
                code, details = error.code(), error.details() or "no details"
            finally:
                took = time.monotonic() - started
                self._report.detail(f"{method}: {took * 1000:.0f} ms")
            if bad := _BAD_CERTIFICATE.search(details):
                raise BeakerError(
                    f"{self._beaker.config.rpc_address} has no valid TLS certificate: {bad[0]}. "
                    "Check rpc_address in the Beaker config, the clock, and any proxy in between."
                )
            details = shown(details)
            if code is _Code.NOT_FOUND and missing:
                raise BeakerError(missing)
            if code not in _RETRIED:
                raise _CallError(method, code, details, workspace)
            if self._deadline - time.monotonic() < pause or self._closed.is_set():
                raise BeakerError(
                    f"Beaker did not answer within {self._timeout:g} s ({code.name}: {details}). "
                    "Check the network, or give it longer with --timeout."
                )
            self._report.status(f"Beaker is not answering ({code.name}); trying again")
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def pages(self, method: str, request: Any) -> Iterator[Any]:
        """The responses of a short listing, one page after another."""
        while request is not None:
            response = self.call(method, request)
            yield response
            token = response.next_page_token
            request = type(request)(next_page_token=token) if token else None

    def name(self, kind: str, id: str) -> Future[str]:
        """The name of a user or workspace, asked for once."""
        if id not in self._names:
            self._names[id] = self.pool.submit(_name, self, kind, id)
        return self._names[id]

    def close(self) -> None:
        """Cancel all calls; returns at once."""
        self._closed.set()
        self._beaker.close()  # type: ignore[no-untyped-call]
        self.pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _connect(search: Search, report: Report) -> Iterator[_Client]:
    try:
        beaker = Beaker.from_env(
            check_for_upgrades=False, user_agent=f"olmix-evalscript v{__version__}"
        )
    except Exception as error:  # a broken file raises almost anything
        raise BeakerError(
            f"there is no usable Beaker token{_config_file(error)}. {_GET_A_TOKEN}"
        ) from None
    for key in ("user_token", "rpc_address", "default_org"):
        if not isinstance(getattr(beaker.config, key) or "", str):
            raise BeakerError(f"{key} in the Beaker config is not text. Put it into quotes.")
    token = beaker.config.user_token
    if not (token and token.isascii() and token.isprintable()):
        raise BeakerError(f"the Beaker token has characters that no token has. {_GET_A_TOKEN}")
    client = _Client(beaker, search.timeout, report)
    try:
        yield client
    finally:
        client.close()


def _config_file(error: Exception) -> str:
    """Which config was read, and why it could not be."""
    path, reason = None, getattr(error, "strerror", None)
    with suppress(OSError):
        path = Config.find_config()
    return (f" in {path}" if path else "") + (f" ({reason})" if reason else "")


@dataclass(frozen=True)
class _Target:
    """What a listing covers: one workspace, or the whole organization."""

    organization_id: str
    author_id: str | None
    since: float | None  # seconds since 1970
    workspace_id: str | None = None
    workspace: str = ""  # its name

    def covers(self, workload: Any) -> bool:
        """Whether a workload that was not found by this listing belongs to it."""
        content = _content(workload)
        return (
            self.author_id in (None, content.author_id)
            and self.workspace_id in (None, content.workspace_id)
            and (self.since is None or self.since <= _created(workload))
        )


def _targets(client: _Client, search: Search) -> list[_Target]:
    organization = client.pool.submit(_organization_id, client)
    author = client.pool.submit(_author_id, client, search)
    workspaces = client.pool.map(partial(_workspace_id, client), search.workspaces)
    since = None if search.since is None else search.since.timestamp()
    everything = _Target(organization.result(), author.result(), since)
    return [
        replace(everything, workspace_id=id, workspace=name)
        for id, name in zip(workspaces, search.workspaces, strict=True)
    ] or [everything]


def _organization_id(client: _Client) -> str:
    request = pb2.ResolveOrganizationNameRequest(organization_name=client.organization)
    missing = f"the Beaker config's default_org {shown(client.organization)} does not exist"
    return str(client.call("ResolveOrganizationName", request, missing=missing).organization_id)


def _workspace_id(client: _Client, workspace: str) -> str:
    owner, _, name = workspace.partition("/")
    request = pb2.ResolveWorkspaceNameRequest(owner_name=owner, workspace_name=name)
    missing = f"there is no workspace {shown(workspace)}; expected OWNER/NAME, such as ai2/olmix"
    return str(client.call("ResolveWorkspaceName", request, workspace, missing).workspace_id)


def _author_id(client: _Client, search: Search) -> str | None:
    if search.mine:
        return str(client.call("GetUser", pb2.GetUserRequest()).user.id)
    if not search.author:
        return None
    request = pb2.ResolveUserNameRequest(user_name=search.author)
    missing = f"there is no Beaker user {shown(search.author)}; check --author"
    return str(client.call("ResolveUserName", request, missing=missing).user_id)


def _name(client: _Client, kind: str, id: str) -> str:
    """The name of a user or workspace; the ID itself if Beaker does not give it."""
    try:
        if kind == "user":
            return str(client.call("GetUser", pb2.GetUserRequest(user_id=id)).user.name)
        workspace = client.call("GetWorkspace", pb2.GetWorkspaceRequest(workspace_id=id)).workspace
    except _CallError:
        return id
    owner = getattr(workspace, workspace.WhichOneof("owner") or "owner_org").name
    return f"{owner}/{workspace.name}" if owner and "/" not in workspace.name else workspace.name


def _workload_pages(
    client: _Client, targets: Sequence[_Target], text: str | None = None
) -> Iterator[list[Any]]:
    """The pages of the listings of all targets, in any order."""
    fetches = [partial(_workload_page, client, target, text) for target in targets]
    return listing.read(fetches, targets[0].since, client.pool.submit)


def _workload_page(
    client: _Client,
    target: _Target,
    text: str | None,
    after: float | None,
    before: float | None,
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
    request = pb2.ListWorkloadsRequest(options=options)
    if token:
        request = pb2.ListWorkloadsRequest(next_page_token=token)
    response = client.call("ListWorkloads", request, target.workspace)
    entries = [listing.Entry(_content(w).id, _created(w), w) for w in response.workloads]
    return listing.Page(entries, response.next_page_token, len(entries) == PAGE_SIZE)


def _group_members(client: _Client, group_id: str, targets: Sequence[_Target]) -> list[str]:
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
    """A workload; None if it was deleted, since its group still counts it."""
    try:
        return client.call("GetWorkload", pb2.GetWorkloadRequest(workload_id=id)).workload
    except _CallError as error:
        if error.code is _Code.NOT_FOUND:
            return None
        raise


def _content(workload: Any) -> Any:
    """The experiment or session that a workload is."""
    return workload.environment if workload.HasField("environment") else workload.experiment


def _created(workload: Any) -> float:
    created = _content(workload).created
    # One division, so that this and datetime.timestamp() round alike.
    return float((created.seconds * 10**9 + created.nanos) / 10**9)


def _timestamp(seconds: float | None) -> Timestamp | None:
    return None if seconds is None else Timestamp(seconds=int(min(max(seconds, 0), _LAST_SECOND)))


class _Pending:
    """An experiment; its names and whatever the listing lacks are being fetched."""

    def __init__(self, client: _Client, workload: Any) -> None:
        self._workload = workload
        content = _content(workload)
        self._author = client.name("user", content.author_id)
        self._workspace = client.name("workspace", content.workspace_id)
        self._listed: tuple[Task, ...] = ()
        self._spec: Future[tuple[tuple[Task, ...], str]] | None = None
        if workload.HasField("experiment"):
            self._listed = tuple(
                Task((*task.container_spec.command, *task.container_spec.arguments))
                for task in content.tasks
            )
            if not self._listed or not all(_is_complete(task.words) for task in self._listed):
                self._spec = client.pool.submit(_spec_tasks, client, content.id)

    def result(self) -> Experiment:
        content = _content(self._workload)
        tasks, problem = self._spec.result() if self._spec else (self._listed, "")
        try:
            created = datetime.fromtimestamp(content.created.seconds, timezone.utc)
        except (ValueError, OverflowError, OSError):
            created, problem = _EPOCH, "its date of creation is out of range"
        return Experiment(
            id=content.id,
            name=content.name,
            author=self._author.result(),
            workspace=self._workspace.result(),
            created=created,
            status=_STATUSES.get(self._workload.status, "unknown"),
            tasks=tasks,
            problem=problem,
            is_session=self._workload.HasField("environment"),
        )


def _is_complete(words: Sequence[str]) -> bool:
    """Whether a listed command tells all that a swarm needs. Only the spec has constraints, which
    matter to a trainer whose command names no cluster."""
    _, train, options = " ".join(words).partition(" train ")
    return bool(words) and (not train or bool(re.search(r"(^|\s)(-c|--cluster)", options)))


def _spec_tasks(client: _Client, id: str) -> tuple[tuple[Task, ...], str]:
    """The tasks of an experiment's spec, and what is wrong with it."""
    request = pb2.GetExperimentYamlSpecRequest(experiment_id=id)
    try:
        return parse_spec(client.call("GetExperimentYamlSpec", request).experiment_spec), ""
    except _CallError as error:
        if error.code is _Code.UNAUTHENTICATED:
            raise
        return (), f"Beaker does not give its spec ({error.code.name})"
    except ValueError as error:
        return (), f"its spec cannot be read: {error}"


def parse_spec(text: str) -> tuple[Task, ...]:
    """The tasks of an experiment's spec, given as YAML.

    Raises:
        ValueError: If it is not a spec.
    """
    spec = yamltext.load(text)
    tasks = spec.get("tasks") if isinstance(spec, dict) else None
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ValueError("it has no list of tasks")
    return tuple(_task(task) for task in tasks)


def _task(spec: dict[str, Any]) -> Task:
    if "<<" in spec:
        raise ValueError("it has a task with YAML merge keys")
    words: tuple[str, ...] = ()
    for key in ("command", "arguments"):
        value = spec.get(key)
        more = () if yamltext.is_absent(value) else yamltext.strings(value)
        if more is None:
            raise ValueError(f"{key!r} of a task is not a list of strings")
        words += more
    constraints = spec.get("constraints")
    clusters = constraints.get("cluster") if isinstance(constraints, dict) else None
    return Task(words, yamltext.strings(clusters) or ())
