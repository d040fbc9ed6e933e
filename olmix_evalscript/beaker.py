"""Ask Beaker for experiments, within a time limit for all calls together.

beaker-py supplies the configuration, the channel and the messages. The calls go through
`_Client.call` instead of beaker-py's own methods, since those retry an unreachable server for
ever, without a deadline and without a message.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timezone
from functools import partial
from math import inf
from typing import Any

import grpc
from beaker import Beaker
from beaker import beaker_pb2 as pb2
from beaker.config import Config

from olmix_evalscript import __version__, listing, yamltext
from olmix_evalscript.errors import BeakerError
from olmix_evalscript.model import STATUSES, Experiment, Report, Search, Task
from olmix_evalscript.text import shown

PAGE_SIZE = 50  # the server's own limit
WORKERS = 64  # calls at the same time
ATTEMPT_SECONDS = 30.0  # after which a call without an answer is repeated
LONGEST_PAUSE = 4.0  # seconds between two attempts

_Code = grpc.StatusCode
_Options = pb2.ListWorkloadsRequest.Opts
_RETRIED = (
    _Code.UNAVAILABLE,
    _Code.RESOURCE_EXHAUSTED,
    _Code.ABORTED,
    _Code.DEADLINE_EXCEEDED,
)
_GET_A_TOKEN = (
    "Get one at https://beaker.org/user and set BEAKER_TOKEN, or put it into "
    "~/.beaker/config.yml as user_token."
)
_STATUSES = {
    pb2.WorkloadStatus.Value(f"STATUS_{status.upper()}"): status
    for status in STATUSES
    if status != "unknown"
}


def find(group_id: str, search: Search, report: Report) -> list[Experiment]:
    """Find all experiments that carry a group's ID, trainers and others.

    They are found by their name or description.

    Returns:
        The experiments, in any order.

    Raises:
        BeakerError: If Beaker refuses a call or does not answer in time.
    """
    with closing(_Client(search, report)) as client:
        pending: list[Future[Experiment]] = []
        for page in _workload_pages(client, search, text=group_id):
            pending += page
            report.status(f"Asking Beaker: {len(pending)} experiments found")
        found = []
        for done, item in enumerate(pending, 1):
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
    with closing(_Client(search, report)) as client:
        started, done = time.monotonic(), 0
        for page in _workload_pages(client, search):
            yield [item.result() for item in page]
            done += len(page)
            rate = done / max(time.monotonic() - started, 0.001)
            report.status(f"Reading Beaker: {done} experiments, {rate:.0f}/s")


class _CallError(BeakerError):
    """Beaker answered a call with an error that trying again does not help."""

    def __init__(self, method: str, code: grpc.StatusCode, details: str, about: str) -> None:
        self.code = code
        message = {
            _Code.UNAUTHENTICATED: f"Beaker refused the token. {_GET_A_TOKEN}",
            _Code.PERMISSION_DENIED: f"Beaker denies permission: {details}. Ask for access, or "
            "name the workspaces you can read with --workspace.",
            _Code.NOT_FOUND: f"Beaker does not know it: {details}. Check how it is spelled.",
        }.get(code, f"Beaker's answer to {method} is {code.name}: {details}. Try again.")
        super().__init__(f"{about}: {message}" if about else message)


class _Client:
    """Calls to Beaker, all under one deadline, many at a time."""

    def __init__(self, search: Search, report: Report) -> None:
        try:
            self._beaker = Beaker.from_env(
                check_for_upgrades=False, user_agent=f"olmix-evalscript v{__version__}"
            )
        except Exception:  # a broken file raises almost anything
            path = Config.find_config()
            where = f" in {path}" if path else ""
            raise BeakerError(f"there is no usable Beaker token{where}. {_GET_A_TOKEN}") from None
        token = str(self._beaker.config.user_token)
        if not (token.isascii() and token.isprintable()):
            raise BeakerError(f"the Beaker token has characters that no token has. {_GET_A_TOKEN}")
        self._metadata = [("authorization", f"bearer {token}")]
        self._timeout = search.timeout
        self._deadline = time.monotonic() + search.timeout
        self._closed = threading.Event()
        self.pool = ThreadPoolExecutor(WORKERS)
        self._report = report
        self.organization = self._beaker.config.default_org or "ai2"

    def call(self, method: str, request: Any, about: str = "") -> Any:
        """Call one of Beaker's methods, again and again while the failure may pass.

        Args:
            method: Its name.
            request: Its message.
            about: What it asks for, for the message of an error.

        Raises:
            BeakerError: If time is up, or the failure is one that does not pass.
        """
        pause = 0.25
        while True:
            started = time.monotonic()
            timeout = min(self._deadline - started, ATTEMPT_SECONDS)
            try:
                return getattr(self._beaker.service, method)(
                    request, timeout=timeout, metadata=self._metadata
                )
            except grpc.RpcError as error:
                code, details = error.code(), shown(error.details() or "no details")
            finally:
                took = time.monotonic() - started
                self._report.detail(f"{method}: {took * 1000:.0f} ms")
            if code not in _RETRIED:
                raise _CallError(method, code, details, about)
            if self._deadline - time.monotonic() < pause or self._closed.is_set():
                raise BeakerError(
                    f"Beaker did not answer within {self._timeout:g} s ({code.name}: {details}). "
                    "Check the network, or give it longer with --timeout."
                )
            self._report.status(f"Beaker is not answering ({code.name}); trying again")
            self._closed.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def close(self) -> None:
        """Cancel all calls; returns at once."""
        self._closed.set()
        self._beaker.close()  # type: ignore[no-untyped-call]
        self.pool.shutdown(wait=False, cancel_futures=True)


def _workload_pages(
    client: _Client, search: Search, text: str | None = None
) -> Iterator[list[Future[Experiment]]]:
    """The pages of all experiments within the limits of a search, in any order.

    Args:
        client: Makes the calls.
        search: The limits.
        text: In the name or description of each experiment.
    """
    submit = client.pool.submit
    organization = submit(_id_of, client, "Organization", organization_name=client.organization)
    author = submit(_author_id, client, search)
    workspaces = {name: submit(_workspace_id, client, name) for name in search.workspaces}
    everything = _Options(
        organization_id=organization.result(),
        author_id=author.result(),
        name_or_description_substring=text,
        page_size=PAGE_SIZE,
        sort_clause=_Options.SortClause(sort_order=pb2.SortOrder.SORT_ORDER_DESCENDING, created={}),
    )
    listings = [
        (f"workspace {shown(name)}", _Options(workspace_id=id.result()))
        for name, id in workspaces.items()
    ] or [("", _Options())]
    for _, options in listings:
        options.MergeFrom(everything)
    fetches = [partial(_workload_page, client, *each) for each in listings]
    since = -inf if search.since is None else search.since.timestamp()
    return listing.read(fetches, since, submit)


def _id_of(client: _Client, kind: str, **names: str) -> str:
    """The ID of an organization, a workspace or a user."""
    request = getattr(pb2, f"Resolve{kind}NameRequest")(**names)
    about = f"{kind.lower()} {shown('/'.join(names.values()))}"
    answer = client.call(f"Resolve{kind}Name", request, about)
    return str(getattr(answer, f"{kind.lower()}_id"))


def _workspace_id(client: _Client, workspace: str) -> str:
    owner, _, name = workspace.partition("/")
    return _id_of(client, "Workspace", owner_name=owner, workspace_name=name)


def _author_id(client: _Client, search: Search) -> str | None:
    if search.mine:
        return str(client.call("GetUser", pb2.GetUserRequest()).user.id)
    return _id_of(client, "User", user_name=search.author) if search.author else None


def _workload_page(
    client: _Client, about: str, options: Any, after: float, before: float, token: str
) -> listing.Page[Future[Experiment]]:
    """One page of a listing, newest first."""
    request = pb2.ListWorkloadsRequest(next_page_token=token)
    if not token:
        request.options.CopyFrom(options)
        if after > -inf:
            request.options.created_after.FromSeconds(int(after))
        if before < inf:
            request.options.created_before.FromSeconds(int(before))
    response = client.call("ListWorkloads", request, about)
    entries = [
        listing.Entry(
            workload.experiment.id,
            # One division, so that this and datetime.timestamp() round alike.
            workload.experiment.created.ToNanoseconds() / 10**9,
            client.pool.submit(_experiment, client, workload),
        )
        for workload in response.workloads
        if workload.HasField("experiment")  # else a session
    ]
    return listing.Page(entries, response.next_page_token)


def _experiment(client: _Client, workload: Any) -> Experiment:
    """An experiment; its spec is fetched if the listing lacks commands."""
    experiment = workload.experiment
    problem = ""
    tasks = tuple(
        Task((*task.container_spec.command, *task.container_spec.arguments))
        for task in experiment.tasks
    )
    if not tasks or not all(task.words for task in tasks):
        tasks, problem = _spec_tasks(client, experiment.id)
    return Experiment(
        id=experiment.id,
        name=experiment.name,
        created=datetime.fromtimestamp(experiment.created.seconds, timezone.utc),
        status=_STATUSES.get(workload.status, "unknown"),
        tasks=tasks,
        problem=problem,
    )


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
    if any("<<" in task for task in tasks):
        raise ValueError("it has a task with YAML merge keys")
    return tuple(
        Task(
            yamltext.strings(task.get("command"), "command")
            + yamltext.strings(task.get("arguments"), "arguments")
        )
        for task in tasks
    )
