"""Searches on Beaker: what is found, and an end in time with a message if Beaker fails."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest

from olmix_evalscript import beaker
from olmix_evalscript.beaker import parse_spec
from olmix_evalscript.errors import BeakerError
from olmix_evalscript.model import Experiment, Report, Search
from tests.conftest import Run, Serve
from tests.desk import LONG, until
from tests.factories import GROUP
from tests.fake_beaker import (
    TOKEN,
    FakeBeaker,
    FakeWorkload,
    Refuse,
    spec,
    variants,
)

Code = grpc.StatusCode
SILENT = Report(status=lambda text: None, detail=lambda text: None)


def refusing(code: grpc.StatusCode, first: int = 0, times: int = 10**9) -> Callable[[Any], None]:
    """A hook that refuses calls number `first` to `first + times`."""
    seen = 0

    def hook(request: Any) -> None:
        nonlocal seen
        seen += 1
        if first < seen <= first + times:
            raise Refuse(code)

    return hook


def find(timeout: float = LONG, **limits: Any) -> list[Experiment]:
    return beaker.find(GROUP, Search(timeout=timeout, **limits), SILENT)


# --- configuration and token


def test_without_a_token_it_says_where_to_get_one(run: Run) -> None:
    result = run("generate", GROUP)

    assert result.returncode == 1
    assert "https://beaker.org/user" in result.stderr
    assert "BEAKER_TOKEN" in result.stderr
    assert "Error" not in result.stderr


@pytest.mark.parametrize("content", [b"", b"a: [\n", b"- 1\n", b"user_token: \xff\n"])
def test_a_broken_beaker_config_is_named(beaker_folder: Path, content: bytes) -> None:
    path = beaker_folder / "beaker.yml"
    path.write_bytes(content)

    with pytest.raises(BeakerError, match=f"no usable Beaker token in {path}. Get"):
        find()


def test_a_refused_token_is_reported_and_never_shown(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(FakeBeaker(variants(2)))
    monkeypatch.setenv("BEAKER_TOKEN", "stolen-and-revoked")

    with pytest.raises(BeakerError, match="Beaker refused the token") as caught:
        find()

    assert "stolen" not in str(caught.value)


def test_a_token_that_cannot_be_one_is_not_sent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = serve(FakeBeaker(variants(1)))
    monkeypatch.setenv("BEAKER_TOKEN", "t\u00f6ken\nx")

    with pytest.raises(BeakerError, match="the Beaker token has characters"):
        find()

    assert sum(fake.calls.values()) == 0


def test_details_of_calls_do_not_show_the_token(serve: Serve) -> None:
    serve(FakeBeaker(variants(1)))
    details: list[str] = []

    beaker.find(GROUP, Search(), Report(status=details.append, detail=details.append))

    assert any(detail.startswith("ListWorkloads: ") for detail in details)
    assert TOKEN not in "".join(details)


# --- failures


def test_a_server_that_is_down_ends_with_the_timeout(serve: Serve) -> None:
    serve(FakeBeaker()).server.stop(None).wait()

    with pytest.raises(BeakerError, match=r"not answer within 0\.4 s \(UNAVAILABLE.*--timeout"):
        find(timeout=0.4)


def test_a_server_that_accepts_and_is_silent_ends_with_the_timeout(beaker_folder: Path) -> None:
    with socket.create_server(("localhost", 0)) as silent:
        address = f"localhost:{silent.getsockname()[1]}"
        (beaker_folder / "beaker.yml").write_text(f"user_token: x\nrpc_address: {address}\n")

        with pytest.raises(BeakerError, match=r"not answer within 0\.4 s"):
            find(timeout=0.4)


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        (refusing(Code.RESOURCE_EXHAUSTED), "not answer within .*RESOURCE_EXHAUSTED"),
        (lambda request: b"\x0a\x02\xff\xfe", "Beaker's answer to ListWorkloads is INTERNAL"),
    ],
)
def test_a_listing_that_fails_ends_with_the_timeout(
    serve: Serve, hook: Callable[[Any], Any], message: str
) -> None:
    serve(FakeBeaker()).hooks["ListWorkloads"] = hook

    with pytest.raises(BeakerError, match=message):
        find(timeout=0.4)


def test_a_server_that_dies_during_a_listing_leaves_no_file(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    fake = beaker_of(FakeBeaker(variants(120)))

    def die(request: Any) -> None:
        if request.next_page_token:
            fake.server.stop(None)

    fake.hooks["ListWorkloads"] = die

    result = run("generate", GROUP, "--timeout", "1")

    assert result.returncode == 1
    assert list((tmp_path / "work").rglob("*")) == []


def test_a_failure_that_passes_is_tried_again(serve: Serve) -> None:
    hooks = serve(FakeBeaker(variants(60))).hooks
    hooks["ListWorkloads"] = refusing(Code.UNAVAILABLE, first=1, times=1)

    assert len(find()) == 60


@pytest.mark.parametrize("method", ["ListWorkloads", "ResolveWorkspaceName"])
def test_a_denied_workspace_is_named(serve: Serve, method: str) -> None:
    fake = serve(FakeBeaker([FakeWorkload("secret", workspace="ai2/private")]))
    fake.hooks[method] = refusing(Code.PERMISSION_DENIED)

    with pytest.raises(BeakerError, match="ai2/private: Beaker denies permission"):
        find(workspaces=("ai2/private",))


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"workspaces": ("ai2/no-such",)}, "workspace ai2/no-such"),
        ({"author": "nobody"}, "user nobody"),
    ],
)
def test_an_unknown_name_is_reported(serve: Serve, limits: dict[str, Any], name: str) -> None:
    serve(FakeBeaker(variants(1)))

    with pytest.raises(BeakerError, match=f"{name}: Beaker does not know it"):
        find(**limits)


@pytest.mark.parametrize("away", [True, False])
def test_ctrl_c_ends_it_long_before_the_timeout(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path, away: bool
) -> None:
    fake = beaker_of(FakeBeaker(variants(1)))
    fake.hooks["ListWorkloads"] = lambda request: fake.closing.wait(LONG) and None
    if away:
        fake.hooks["ListWorkloads"] = refusing(Code.UNAVAILABLE)
    command = ["olmix-evalscript", "generate", GROUP]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    until(lambda: fake.calls["ListWorkloads"])

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LONG)

    assert process.returncode == 130
    assert "Traceback" not in errors


# --- what is found


def test_a_spec_that_beaker_does_not_give_is_a_problem_of_its_experiment(serve: Serve) -> None:
    fake = serve(FakeBeaker(variants(2), lists_commands=False))
    fake.hooks["GetExperimentYamlSpec"] = refusing(Code.NOT_FOUND, times=1)

    problems = {experiment.problem for experiment in find()}

    assert problems == {"", "Beaker does not give its spec (NOT_FOUND)"}


@pytest.mark.parametrize(
    "limits",
    [
        {"since": datetime(2026, 6, 1, tzinfo=timezone.utc)},
        {"author": "mayeec"},
        {"workspaces": ("ai2/olmix",)},
    ],
)
def test_limits_hold(serve: Serve, limits: dict[str, Any]) -> None:
    (other,) = variants(1, name="other")
    other.author, other.workspace = "mayeec", "ai2/olmix"
    other.created = datetime(2026, 7, 1, tzinfo=timezone.utc)
    fake = serve(FakeBeaker([*variants(1), other]))

    assert len(find()) == 2
    assert [experiment.id for experiment in find(**limits)] == [fake.workloads[1].id]


# --- specs


def test_a_spec_keeps_its_words_as_they_are_written() -> None:
    (task,) = parse_spec(spec(["--seed", "042", "-w True"]))

    assert task.words[-3:] == ("--seed", "042", "-w True")


def test_an_alias_of_a_command_is_read() -> None:
    first, second = parse_spec("tasks: [{arguments: &a [x, y]}, {arguments: *a}]\n")

    assert first.words == second.words == ("x", "y")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no list of tasks"),
        ("tasks: [1]", "no list of tasks"),
        ("tasks: [{command: x}]", "'command' of a task is not a list of strings"),
        ("x: &x {command: [x]}\ntasks: [{<<: *x}]\n", "merge keys"),
        ("tasks: &a [*a]\n", "alias"),
    ],
)
def test_a_text_that_is_no_spec_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_spec(text)
