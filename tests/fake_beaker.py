"""A Beaker in this process: the real protocol over TLS, as much of it as the tool speaks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, partial
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

#: Called before a method answers, with the request: may raise `Refuse`, wait, or give the answer.
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
    id: str = ""  # made from its place in the list where it is empty


@dataclass
class FakeBeaker(beaker_pb2_grpc.BeakerServicer):
    """The server; `running` serves it."""

    workloads: list[FakeWorkload] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)  # full name to experiment names
    lists_commands: bool = True  # whether a listing fills container_spec
    latency: float = 0.0  # seconds for each call
    hooks: dict[str, Hook] = field(default_factory=dict)  # by method
    page_size: int = PAGE_SIZE  # at most
    includes_after: bool = True  # whether what was created at a bound is within it
    includes_before: bool = False
    rounds: frozenset[str] = frozenset()  # which times to seconds: "created", "bounds", "order"
    counts_anew: bool = False  # for each page, so that what is created meanwhile moves the rest on
    raw: dict[str, bytes] = field(default_factory=dict)  # an answer as bytes, by method
    calls: Counter[str] = field(default_factory=Counter)  # answered, by method
    address: str = ""
    server: Any = None

    def __post_init__(self) -> None:
        self._lock = Lock()
        self._listings: dict[str, tuple[Callable[[], list[Any]], int]] = {}
        self.closing = Event()
        self.hold(self.workloads)

    def hold(self, workloads: list[FakeWorkload]) -> None:
        """Have these and no others."""
        for number, workload in enumerate(workloads):
            workload.id = workload.id or f"01JFAKE{number:019d}"
        self.workloads = workloads
        self._by_ids = {workload.id: workload for workload in workloads}

    def _enter(self, method: str, request: Any, context: Any) -> Any:
        with self._lock:
            self.calls[method] += 1
        if dict(context.invocation_metadata()).get("authorization") != f"bearer {TOKEN}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid token")
        time.sleep(self.latency)
        if method in self.hooks:
            try:
                return self.hooks[method](request)
            except Refuse as refusal:
                context.abort(refusal.code, str(refusal))
        return None

    def _page(self, request: Any, context: Any, find: Callable[[Any], list[Any]]) -> Any:
        """Part of a listing and the token of the next; the token stands for the rest."""
        if request.WhichOneof("opts") == "next_page_token":
            if request.next_page_token not in self._listings:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unknown page token")
            listed, start = self._listings[request.next_page_token]
            size = self.page_size
        else:
            listed, start = partial(find, request.options), 0
            size = min(request.options.page_size or self.page_size, self.page_size)
        items = listed()
        token = ""
        if start + size < len(items):
            rest = listed if self.counts_anew else partial(list, items)
            with self._lock:
                token = f"page-{len(self._listings) + 1}"
                self._listings[token] = (rest, start + size)
        return items[start : start + size], token

    # --- the methods, by Beaker's own names

    def ResolveOrganizationName(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("ResolveOrganizationName", request, context)) is not None:
            return answer
        if request.organization_name != ORGANIZATION:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such organization")
        return pb2.ResolveOrganizationNameResponse(organization_id=_id(ORGANIZATION))

    def ResolveWorkspaceName(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("ResolveWorkspaceName", request, context)) is not None:
            return answer
        name = f"{request.owner_name}/{request.workspace_name}"
        if name not in {workload.workspace for workload in self.workloads}:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such workspace")
        return pb2.ResolveWorkspaceNameResponse(workspace_id=_id(name))

    def ResolveUserName(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("ResolveUserName", request, context)) is not None:
            return answer
        if request.user_name not in {workload.author for workload in self.workloads}:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        return pb2.ResolveUserNameResponse(user_id=_id(request.user_name))

    def GetUser(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("GetUser", request, context)) is not None:
            return answer
        name = request.user_id.removeprefix("id-of-") or "kylel"
        return pb2.GetUserResponse(user=pb2.User(id=_id(name), name=name))

    def GetWorkspace(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("GetWorkspace", request, context)) is not None:
            return answer
        owner, _, name = request.workspace_id.removeprefix("id-of-").partition("/")
        return pb2.GetWorkspaceResponse(
            workspace=pb2.Workspace(
                id=request.workspace_id, name=name, owner_org=pb2.Organization(name=owner)
            )
        )

    def ListWorkloads(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("ListWorkloads", request, context)) is not None:
            return answer
        page, token = self._page(request, context, self._find_workloads)
        return pb2.ListWorkloadsResponse(
            workloads=[self._message(workload) for workload in page], next_page_token=token
        )

    def GetWorkload(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("GetWorkload", request, context)) is not None:
            return answer
        workload = self._by_id(request.workload_id, context)
        return pb2.GetWorkloadResponse(workload=self._message(workload))

    def GetExperimentYamlSpec(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("GetExperimentYamlSpec", request, context)) is not None:
            return answer
        workload = self._by_id(request.experiment_id, context)
        return pb2.GetExperimentYamlSpecResponse(experiment_spec=workload.spec)

    def ListGroups(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("ListGroups", request, context)) is not None:
            return answer

        def find(options: Any) -> list[Any]:
            return [
                name for name in self._all_groups() if options.name_or_description_substring in name
            ]

        page, token = self._page(request, context, find)
        return pb2.ListGroupsResponse(groups=[_group(name) for name in page], next_page_token=token)

    def ListGroupTaskMetrics(self, request: Any, context: Any) -> Any:
        if (answer := self._enter("ListGroupTaskMetrics", request, context)) is not None:
            return answer

        def find(options: Any) -> list[Any]:
            name = options.group_id.removeprefix("id-of-")
            return [w for w in self.workloads if w.name in self._all_groups()[name]]

        page, token = self._page(request, context, find)
        return pb2.ListGroupTaskMetricsResponse(
            task_metrics=[pb2.TaskMetrics(experiment_id=workload.id) for workload in page],
            next_page_token=token,
        )

    # --- what they answer with

    def _all_groups(self) -> dict[str, list[str]]:
        """The groups, and those that specs put their experiments into."""
        groups = {name: list(members) for name, members in self.groups.items()}
        for workload in self.workloads:
            if "\ngroups:" in workload.spec:
                for name in _parsed(workload.spec)["groups"]:
                    groups.setdefault(name, []).append(workload.name)
        return groups

    def _by_id(self, id: str, context: Any) -> FakeWorkload:
        if id not in self._by_ids:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such workload")
        return self._by_ids[id]

    def _find_workloads(self, options: Any) -> list[FakeWorkload]:
        text = options.name_or_description_substring
        found = [
            workload
            for workload in self.workloads
            if text in workload.name or text in workload.description
        ]
        if options.HasField("workspace_id"):
            found = [w for w in found if _id(w.workspace) == options.workspace_id]
        if options.HasField("author_id"):
            found = [w for w in found if _id(w.author) == options.author_id]
        if options.HasField("created_after"):
            after = self._rounded("bounds", _time(options.created_after))
            found = [w for w in found if _is_past(self._created(w), after, self.includes_after)]
        if options.HasField("created_before"):
            before = self._rounded("bounds", _time(options.created_before))
            found = [w for w in found if _is_past(before, self._created(w), self.includes_before)]
        return sorted(found, key=lambda w: self._rounded("order", self._created(w)), reverse=True)

    def _created(self, workload: FakeWorkload) -> datetime:
        return self._rounded("created", workload.created)

    def _rounded(self, what: str, moment: datetime) -> datetime:
        if what not in self.rounds:
            return moment
        return (moment + timedelta(milliseconds=500)).replace(microsecond=0)

    def _message(self, workload: FakeWorkload) -> Any:
        common: dict[str, Any] = {
            "id": workload.id,
            "name": workload.name,
            "author_id": _id(workload.author),
            "workspace_id": _id(workload.workspace),
        }
        status: Any = pb2.WorkloadStatus.Value(f"STATUS_{workload.status.upper()}")
        if workload.is_session:
            message = pb2.Workload(environment=pb2.Environment(**common), status=status)
            message.environment.created.FromDatetime(self._created(workload))
            return message
        experiment = pb2.Experiment(**common, description=workload.description)
        experiment.created.FromDatetime(self._created(workload))
        if self.lists_commands:
            for task in _parsed(workload.spec)["tasks"]:
                experiment.tasks.append(
                    pb2.Task(
                        name=task.get("name", ""),
                        container_spec=pb2.ContainerSpec(
                            command=task.get("command", []), arguments=task.get("arguments", [])
                        ),
                    )
                )
        else:
            experiment.tasks.append(pb2.Task(name=workload.name))
        return pb2.Workload(experiment=experiment, status=status)

    @contextmanager
    def running(self, folder: Path) -> Iterator[dict[str, str]]:
        """Serve until the end of the block.

        Yields:
            The environment that makes a process ask this server.
        """
        authority = _authority()
        certificate = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self.server = grpc.server(ThreadPoolExecutor(64), interceptors=[_Raw(self)])
        beaker_pb2_grpc.add_BeakerServicer_to_server(self, self.server)  # type: ignore[no-untyped-call]
        key = certificate.private_key_pem.bytes()
        chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
        port = self.server.add_secure_port(
            "localhost:0", grpc.ssl_server_credentials([(key, chain)])
        )
        self.address = f"localhost:{port}"
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


class _Raw(grpc.ServerInterceptor):
    """Answers some methods with bytes that are no message."""

    def __init__(self, beaker: FakeBeaker) -> None:
        self.beaker = beaker

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        method = details.method.rsplit("/", 1)[-1]
        if method not in self.beaker.raw:
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.beaker.raw[method],
            request_deserializer=bytes,
            response_serializer=bytes,
        )


@cache
def _authority() -> trustme.CA:
    """The same for all servers: a process reads once whom it trusts."""
    return trustme.CA()


@cache
def _parsed(spec: str) -> Any:
    return yaml.load(spec, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _id(name: str) -> str:
    return f"id-of-{name}"


def _time(timestamp: Any) -> datetime:
    moment: datetime = timestamp.ToDatetime(timezone.utc)
    return moment


def _is_past(moment: datetime, bound: datetime, inclusive: bool) -> bool:
    return moment > bound or (inclusive and moment == bound)


def _group(full_name: str) -> Any:
    return pb2.Group(id=_id(full_name), name=full_name.rsplit("/", 1)[-1], full_name=full_name)


def spec(arguments: list[str], **fields: Any) -> str:
    """An experiment's spec with one task."""
    task = {
        "name": "main",
        "image": {"beaker": "01JIMAGE"},
        "command": ["bash", "/gantry/entrypoint.sh"],
        "arguments": arguments,
        "context": {"priority": "high", "preemptible": True},
        "constraints": {"cluster": ["ai2/neptune"]},
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
