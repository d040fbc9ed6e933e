"""A fake Beaker in this process: the real protocol over TLS, as much as the tool speaks of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from threading import Event, Lock
from typing import Any

import grpc
import trustme
import yaml
from beaker import beaker_pb2 as pb2
from beaker import beaker_pb2_grpc

TOKEN = "token-of-the-tests"
PAGE_SIZE = 50
ORGANIZATION = "ai2"

#: Called with the request before a method answers. It may raise `Refuse`, wait, or return the
#: answer: a message, or bytes that are none.
Hook = Callable[[Any], Any]


class Refuse(Exception):  # noqa: N818
    """Makes a method end in an error."""

    def __init__(self, code: grpc.StatusCode, details: str = "as the test wants it") -> None:
        super().__init__(details)
        self.code = code


@dataclass
class FakeWorkload:
    """An experiment, or a session."""

    name: str
    spec: str = "version: v2\ntasks: []\n"
    author: str = "kylel"
    workspace: str = "ai2/oe-data"
    created: datetime = datetime(2026, 3, 2, 17, 4, 11, tzinfo=timezone.utc)
    status: str = "succeeded"
    description: str = ""
    is_session: bool = False
    id: str = ""  # made from its place in the list if it is empty


@dataclass
class FakeBeaker(beaker_pb2_grpc.BeakerServicer):
    """The server; `running` serves it."""

    workloads: list[FakeWorkload] = field(default_factory=list)
    lists_commands: bool = True  # whether a listing fills container_spec
    latency: float = 0.0  # seconds for each call
    hooks: dict[str, Hook] = field(default_factory=dict)  # by method
    page_size: int = PAGE_SIZE  # at most
    includes_bounds: bool = False  # whether what was created at a bound is within it
    rounds: frozenset[str] = frozenset()  # which times to seconds: "created", "bounds", "order"
    counts_anew: bool = False  # for each page, so that new workloads shift the rest
    calls: Counter[str] = field(default_factory=Counter)  # answered, by method
    address: str = ""
    server: Any = None

    def __post_init__(self) -> None:
        self.closing = Event()
        self._lock = Lock()
        self._listings: list[tuple[Callable[[], list[Any]], int]] = []  # by token
        self._by_id: dict[str, FakeWorkload] = {}
        for number, workload in enumerate(self.workloads):
            workload.id = workload.id or f"01JFAKE{number:019d}"
            self._by_id[workload.id] = workload

    def answer(self, method: str, request: Any, context: Any, usual: Callable[..., Any]) -> Any:
        """Answer any call: with an error, by a hook, or as the method usually does."""
        with self._lock:
            self.calls[method] += 1
        if dict(context.invocation_metadata()).get("authorization") != f"bearer {TOKEN}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token")
        time.sleep(self.latency)
        try:
            answer = self.hooks[method](request) if method in self.hooks else None
            return usual(request, context) if answer is None else answer
        except Refuse as refusal:
            context.abort(refusal.code, str(refusal))

    def _page(self, request: Any, find: Callable[[Any], list[Any]]) -> Any:
        """Part of a listing and the token of the next; the token stands for the rest."""
        if request.WhichOneof("opts") == "next_page_token":
            find_all, start = self._listings[int(request.next_page_token)]
            items, size = find_all(), self.page_size
        else:
            items, start = find(request.options), 0
            size = min(request.options.page_size or self.page_size, self.page_size)
            find_all = (lambda: find(request.options)) if self.counts_anew else (lambda: items)
        token = ""
        if start + size < len(items):
            with self._lock:
                token = str(len(self._listings))
                self._listings.append((find_all, start + size))
        return items[start : start + size], token

    # --- the methods, by Beaker's own names

    def ResolveOrganizationName(self, request: Any, context: Any) -> Any:
        _must_be_in(request.organization_name, {ORGANIZATION})
        return pb2.ResolveOrganizationNameResponse(organization_id=_id(ORGANIZATION))

    def ResolveWorkspaceName(self, request: Any, context: Any) -> Any:
        name = f"{request.owner_name}/{request.workspace_name}"
        _must_be_in(name, {workload.workspace for workload in self.workloads})
        return pb2.ResolveWorkspaceNameResponse(workspace_id=_id(name))

    def ResolveUserName(self, request: Any, context: Any) -> Any:
        _must_be_in(request.user_name, {workload.author for workload in self.workloads})
        return pb2.ResolveUserNameResponse(user_id=_id(request.user_name))

    def GetUser(self, request: Any, context: Any) -> Any:
        name = request.user_id.removeprefix("id-of-") or "kylel"
        return pb2.GetUserResponse(user=pb2.User(id=_id(name), name=name))

    def ListWorkloads(self, request: Any, context: Any) -> Any:
        page, token = self._page(request, self.find_workloads)
        messages = [self.message(workload) for workload in page]
        return pb2.ListWorkloadsResponse(workloads=messages, next_page_token=token)

    def GetExperimentYamlSpec(self, request: Any, context: Any) -> Any:
        _must_be_in(request.experiment_id, self._by_id)
        text = self._by_id[request.experiment_id].spec
        return pb2.GetExperimentYamlSpecResponse(experiment_spec=text)

    # --- what they answer with

    def find_workloads(self, options: Any) -> list[FakeWorkload]:
        """All workloads that a listing is asked for, newest first."""
        text = options.name_or_description_substring
        found = [w for w in self.workloads if text in w.name or text in w.description]
        if options.HasField("workspace_id"):
            found = [w for w in found if _id(w.workspace) == options.workspace_id]
        if options.HasField("author_id"):
            found = [w for w in found if _id(w.author) == options.author_id]
        if options.HasField("created_after"):
            after = self._bound(options.created_after)
            found = [w for w in found if self._is_past(self.created(w), after)]
        if options.HasField("created_before"):
            before = self._bound(options.created_before)
            found = [w for w in found if self._is_past(before, self.created(w))]
        return sorted(found, key=lambda w: self._rounded("order", self.created(w)), reverse=True)

    def created(self, workload: FakeWorkload) -> datetime:
        return self._rounded("created", workload.created)

    def _bound(self, timestamp: Any) -> datetime:
        return self._rounded("bounds", timestamp.ToDatetime(timezone.utc))

    def _is_past(self, moment: datetime, bound: datetime) -> bool:
        return moment > bound or (self.includes_bounds and moment == bound)

    def _rounded(self, what: str, moment: datetime) -> datetime:
        if what not in self.rounds:
            return moment
        return (moment + timedelta(milliseconds=500)).replace(microsecond=0)

    def message(self, workload: FakeWorkload) -> Any:
        """A workload as the protocol has it."""
        content: Any = pb2.Environment() if workload.is_session else pb2.Experiment()
        content.id = workload.id
        content.name = workload.name
        content.author_id = _id(workload.author)
        content.workspace_id = _id(workload.workspace)
        content.created.FromDatetime(self.created(workload))
        status: Any = pb2.WorkloadStatus.Value(f"STATUS_{workload.status.upper()}")
        if workload.is_session:
            return pb2.Workload(environment=content, status=status)
        for task in _parsed(workload.spec)["tasks"] if self.lists_commands else [{}]:
            words = pb2.ContainerSpec(
                command=task.get("command", []), arguments=task.get("arguments", [])
            )
            content.tasks.append(pb2.Task(container_spec=words))
        return pb2.Workload(experiment=content, status=status)

    @contextmanager
    def running(self, folder: Path) -> Iterator[dict[str, str]]:
        """Serve until the end of the block.

        Yields:
            The environment that makes a process ask this server.
        """
        certificate = authority().issue_cert("localhost")
        authority().cert_pem.write_to_path(folder / "ca.pem")
        key = certificate.private_key_pem.bytes()
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        self.server = grpc.server(ThreadPoolExecutor(64), interceptors=[_Interceptor(self)])
        beaker_pb2_grpc.add_BeakerServicer_to_server(self, self.server)  # type: ignore[no-untyped-call]
        credentials = grpc.ssl_server_credentials([(key, chain)])
        self.address = f"localhost:{self.server.add_secure_port('localhost:0', credentials)}"
        self.server.start()
        config = folder / "beaker.yml"
        config.write_text(f"user_token: {TOKEN}\nrpc_address: {self.address}\n")
        try:
            yield {
                "BEAKER_CONFIG": str(config),
                "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "ca.pem"),
            }
        finally:
            self.closing.set()
            self.server.stop(None)


@dataclass
class _Interceptor(grpc.ServerInterceptor):
    """Passes each call through `FakeBeaker.answer`."""

    beaker: FakeBeaker

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = continuation(details)
        method = details.method.rpartition("/")[2]

        def answer(request: Any, context: Any) -> bytes:
            message = self.beaker.answer(method, request, context, handler.unary_unary)
            return message if isinstance(message, bytes) else handler.response_serializer(message)

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=handler.request_deserializer, response_serializer=bytes
        )


@cache
def authority() -> trustme.CA:
    """The same for all servers: a process reads only once whom it trusts."""
    return trustme.CA()


@cache
def _parsed(spec: str) -> Any:
    return yaml.load(spec, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _id(name: str) -> str:
    return f"id-of-{name}"


def _must_be_in(name: str, names: Container[str]) -> None:
    if name not in names:
        raise Refuse(grpc.StatusCode.NOT_FOUND, f"there is no {name}")


def spec(arguments: list[str], **fields: Any) -> str:
    """An experiment's spec with one task."""
    task = {
        "name": "main",
        "image": {"beaker": "01JIMAGE"},
        "command": ["bash", "/gantry/entrypoint.sh"],
        "arguments": arguments,
        "context": {"priority": "high", "preemptible": True},
        "envVars": [{"name": "BEAKER_TOKEN", "secret": "KYLEL_BEAKER_TOKEN"}],
    }
    return yaml.dump(
        {"version": "v2", **fields, "tasks": [task]},
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
    )


def trainer_arguments(run_name: str, group_id: str, **options: str) -> list[str]:
    """The arguments of an olmix trainer, in the launcher's own form."""
    values = {"c": "ai2/neptune-cirrascale", "u": "KYLEL", "w": "False", **options}
    return [
        "python",
        "olmix/launch/train.py",
        "train",
        f"-n {run_name}",
        f"-g {group_id}",
        "-x 0.5",
        *(f"-{letter} {value}" for letter, value in values.items()),
        "-y pretrain",
        "-e",
        "arc_easy_test_rc_5shot",
        '-s ("wiki",["s3://ai2-llm/wiki/*.npy"],0.75,1.0)',
    ]


def variants(
    count: int, group_id: str = "58362402", name: str = "verify-tokens-140m", **options: str
) -> list[FakeWorkload]:
    """The experiments of a swarm, launched 20 s apart."""
    start = datetime(2026, 3, 2, 17, 4, 11, tzinfo=timezone.utc)
    run_names = [f"{name}-{group_id}-{number:04d}" for number in range(count)]
    return [
        FakeWorkload(
            name=run_name,
            spec=spec(trainer_arguments(run_name, group_id, **options)),
            created=start + timedelta(seconds=20 * number),
        )
        for number, run_name in enumerate(run_names)
    ]


def evaluations(count: int, group_id: str = "58362402") -> list[FakeWorkload]:
    """Evaluation jobs whose names carry the ID."""
    start = datetime(2026, 3, 4, 9, 0, 0, tzinfo=timezone.utc)
    evaluation = spec(["python", "-m", "oe_eval.launch", "--model", f"run-{group_id}"])
    return [
        FakeWorkload(
            name=f"lmeval-verify-tokens-140m-{group_id}-{number % 128:04d}_step22100-{number:04x}",
            spec=evaluation,
            created=start + timedelta(seconds=number),
            status="succeeded" if number % 3 else "failed",
        )
        for number in range(count)
    ]
