"""Beaker at its worst: an end in time, a message with a way out, nothing half-written."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from beaker import beaker_pb2 as pb2

from olmix_evalscript.beaker import parse_spec
from tests.conftest import Run
from tests.desk import LONG, until
from tests.fake_beaker import (
    TOKEN,
    FakeBeaker,
    FakeWorkload,
    Refuse,
    evaluations,
    spec,
    trainer_arguments,
    variants,
)

Serve = Callable[[FakeBeaker], FakeBeaker]
Code = grpc.StatusCode


def refusing(code: grpc.StatusCode, first: int = 0, times: int = 10**9) -> Callable[[Any], None]:
    """A hook that refuses calls number `first` to `first + times`."""
    seen = 0

    def hook(request: Any) -> None:
        nonlocal seen
        seen += 1
        if first < seen <= first + times:
            raise Refuse(code)

    return hook


def assert_nothing_was_written(tmp_path: Path) -> None:
    assert list((tmp_path / "work").rglob("*")) == []


def test_without_a_token_it_says_where_to_get_one(run: Run) -> None:
    result = run("generate", "58362402")

    assert result.returncode == 1
    assert "https://beaker.org/user" in result.stderr
    assert "BEAKER_TOKEN" in result.stderr
    assert "Error" not in result.stderr


@pytest.mark.parametrize("text", ["", "default_org: ai2\n", "a: [\n", "- 1\n"])
def test_a_broken_beaker_config_is_no_traceback(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "beaker.yml").write_text(text)

    result = run("generate", "58362402", BEAKER_CONFIG=str(tmp_path / "beaker.yml"))

    assert result.returncode == 1
    assert f"no usable Beaker token in {tmp_path / 'beaker.yml'}. Get" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("key", ["user_token", "rpc_address", "default_org"])
@pytest.mark.parametrize("value", ["5", "[sesame]", "{a: b}"])
def test_a_beaker_config_with_something_else_than_text_is_named(
    run: Run, tmp_path: Path, key: str, value: str
) -> None:
    lines = {"user_token": "x", "rpc_address": "localhost:9", key: value}
    (tmp_path / "beaker.yml").write_text("".join(f"{k}: {v}\n" for k, v in lines.items()))

    result = run("generate", "58362402", BEAKER_CONFIG=str(tmp_path / "beaker.yml"))

    assert result.returncode == 1
    assert f"{key} in the Beaker config is not text" in result.stderr
    assert "sesame" not in result.stderr


@pytest.mark.parametrize("content", [b"user_token: \xff\n", b"[" * 5_000])
def test_a_beaker_config_that_is_no_yaml_is_no_traceback(
    run: Run, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "beaker.yml").write_bytes(content)

    result = run("generate", "58362402", BEAKER_CONFIG=str(tmp_path / "beaker.yml"))

    assert result.returncode == 1
    assert f"no usable Beaker token in {tmp_path / 'beaker.yml'}. Get" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_certificate_of_an_unknown_authority_is_said_at_once(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker_of(FakeBeaker(variants(2)))
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")

    result = run(
        "generate",
        "58362402",
        "--timeout=600",  # longer than a run may take here
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(tmp_path / "other.pem"),
    )

    assert result.returncode == 1
    assert "has no valid TLS certificate: CERTIFICATE_VERIFY_FAILED" in result.stderr
    assert "did not answer" not in result.stderr


def test_a_certificate_for_another_host_is_said_at_once(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(2)))
    address = beaker.address.replace("localhost", "127.0.0.1")
    (tmp_path / "beaker.yml").write_text(f"user_token: {TOKEN}\nrpc_address: {address}\n")

    result = run("generate", "58362402", "--timeout=600")

    assert result.returncode == 1
    assert f"{address} has no valid TLS certificate: Hostname" in result.stderr


@pytest.mark.parametrize("seconds", [-(2**63), -62_135_596_801, 253_402_300_800, 2**63 - 1])
@pytest.mark.parametrize("command", ["generate", "show"])
def test_a_date_of_creation_out_of_range_makes_an_experiment_unreadable(
    run: Run, beaker_of: Serve, command: str, seconds: int
) -> None:
    beaker = beaker_of(FakeBeaker(variants(3)))

    def answer(request: Any) -> Any:
        messages = [beaker._message(workload) for workload in beaker.workloads]
        messages[1].experiment.created.seconds = seconds
        return pb2.ListWorkloadsResponse(workloads=messages)

    beaker.hooks["ListWorkloads"] = answer

    result = run(command, "58362402")

    assert f"{beaker.workloads[1].name} (" in result.stderr
    assert "its date of creation is out of range" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_refused_token_is_told_and_never_shown(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(2)))

    result = run("generate", "58362402", BEAKER_TOKEN="stolen-and-revoked")

    assert result.returncode == 1
    assert "Beaker refused the token" in result.stderr
    assert "stolen-and-revoked" not in result.stderr + result.stdout


def test_an_unreachable_server_ends_with_the_timeout(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker(variants(2)))
    beaker.server.stop(None).wait()

    result = run("generate", "58362402", "--timeout", "2")

    assert result.returncode == 1
    assert "did not answer within 2 s (UNAVAILABLE" in result.stderr
    assert "--timeout" in result.stderr


def test_a_server_that_accepts_and_is_silent_ends_with_the_timeout(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker_of(FakeBeaker())
    with socket.create_server(("localhost", 0)) as silent:
        config = tmp_path / "silent.yml"
        config.write_text(f"user_token: x\nrpc_address: localhost:{silent.getsockname()[1]}\n")

        result = run("generate", "58362402", "--timeout", "2", BEAKER_CONFIG=str(config))

    assert result.returncode == 1
    assert "did not answer within 2 s" in result.stderr


def test_a_server_that_dies_in_a_listing_leaves_nothing(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(120)))

    def die(request: Any) -> None:
        if request.next_page_token:
            beaker.server.stop(None)
            time.sleep(60 if not beaker.closing.wait(3) else 0)

    beaker.hooks["ListWorkloads"] = die

    result = run("generate", "58362402", "--timeout", "2")

    assert result.returncode == 1
    assert_nothing_was_written(tmp_path)


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_a_passing_failure_is_waited_out(run: Run, beaker_of: Serve, code: grpc.StatusCode) -> None:
    beaker = beaker_of(FakeBeaker(variants(60)))
    beaker.hooks["ListWorkloads"] = refusing(code, first=1, times=2)

    result = run("generate", "58362402")

    assert result.returncode == 0
    assert "60 variants" in result.stderr


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_a_lasting_failure_ends_with_the_timeout(
    run: Run, beaker_of: Serve, code: grpc.StatusCode
) -> None:
    beaker = beaker_of(FakeBeaker(variants(2)))
    beaker.hooks["ListWorkloads"] = refusing(code)

    result = run("generate", "58362402", "--timeout", "2")

    assert result.returncode == 1
    assert f"({code.name}" in result.stderr


def test_a_call_that_never_answers_ends_with_the_timeout(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(2), lists_commands=False))
    beaker.hooks["GetExperimentYamlSpec"] = lambda request: beaker.closing.wait(2 * LONG) and None

    result = run("generate", "58362402", "--timeout", "2")

    assert result.returncode == 1
    assert_nothing_was_written(tmp_path)


def test_permission_denied_on_one_workspace_names_it(run: Run, beaker_of: Serve) -> None:
    private = FakeWorkload("secret-project", workspace="ai2/private")
    beaker = beaker_of(FakeBeaker([*variants(2), private]))

    def deny(request: Any) -> None:
        if request.options.workspace_id == "id-of-ai2/private":
            raise Refuse(Code.PERMISSION_DENIED, "no read access")

    beaker.hooks["ListWorkloads"] = deny

    result = run("generate", "58362402", "-w", "ai2/oe-data", "-w", "ai2/private")

    assert result.returncode == 1
    assert "ai2/private: Beaker denies permission" in result.stderr


def test_an_unknown_workspace_is_named(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(2)))

    result = run("generate", "58362402", "-w", "ai2/no-such")

    assert result.returncode == 1
    assert "no workspace ai2/no-such" in result.stderr


def test_an_unreadable_spec_is_named_and_refused(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(3), lists_commands=False))
    lost = beaker.workloads[1]

    def missing(request: Any) -> None:
        if request.experiment_id == lost.id:
            raise Refuse(Code.NOT_FOUND)

    beaker.hooks["GetExperimentYamlSpec"] = missing

    result = run("generate", "58362402")

    assert result.returncode == 1
    assert lost.name in result.stderr
    assert "--allow-partial" in result.stderr
    assert_nothing_was_written(tmp_path)


def test_allow_partial_writes_the_rest_and_says_so_in_the_script(
    run: Run, beaker_of: Serve
) -> None:
    beaker = beaker_of(FakeBeaker(variants(3), lists_commands=False))
    beaker.workloads[1].spec = "tasks: 5"

    result = run("generate", "58362402", "--allow-partial", "-o", "-")

    assert result.returncode == 0
    assert result.stdout.count("\n  variant ") == 2
    assert f"# - left out, cannot be read: {beaker.workloads[1].name}" in result.stdout


def test_a_listing_that_repeats_its_token_ends(run: Run, beaker_of: Serve, tmp_path: Path) -> None:
    beaker = beaker_of(FakeBeaker(variants(2)))
    beaker.hooks["ListWorkloads"] = lambda request: pb2.ListWorkloadsResponse(next_page_token="1")

    result = run("generate", "58362402")

    assert result.returncode == 1
    assert "repeats itself" in result.stderr
    assert_nothing_was_written(tmp_path)


def test_a_listing_that_drops_its_token_is_noticed(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(128)))
    newest = sorted(beaker.workloads, key=lambda workload: workload.created)[-50:]

    def drop(request: Any) -> Any:
        if request.options.HasField("created_before"):
            return None
        return pb2.ListWorkloadsResponse(workloads=[beaker._message(w) for w in reversed(newest)])

    beaker.hooks["ListWorkloads"] = drop

    result = run("generate", "58362402")

    assert result.returncode == 1
    assert "broke off" in result.stderr
    assert_nothing_was_written(tmp_path)


def test_a_listing_of_exactly_one_page_is_whole(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(50)))

    result = run("generate", "58362402")

    assert result.returncode == 0


def test_broken_utf8_in_a_spec_is_an_unreadable_spec(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker(variants(1), lists_commands=False))
    beaker.raw["GetExperimentYamlSpec"] = b"\x0a\x02\xff\xfe"

    result = run("generate", "58362402")

    assert result.returncode == 1
    assert "its spec cannot be had from Beaker" in result.stderr


def test_broken_utf8_in_a_listing_is_no_traceback(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker(variants(1)))
    beaker.raw["ListWorkloads"] = b"\x0a\x02\xff\xfe"

    result = run("generate", "58362402", "--timeout", "2")

    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_ten_thousand_matches_are_read(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker([*variants(8), *evaluations(9_992)]))

    result = run("generate", "58362402")

    assert result.returncode == 0, result.stderr
    assert (
        "8 variants of verify-tokens-140m; ignored 9992 jobs that are not training runs"
        in result.stderr
    )


@pytest.mark.parametrize("method", ["ListWorkloads", "ListGroups", "GetExperimentYamlSpec"])
def test_an_interrupt_ends_it_long_before_the_timeout(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path, method: str
) -> None:
    beaker = beaker_of(FakeBeaker(variants(60), lists_commands=False))
    beaker.hooks[method] = lambda request: beaker.closing.wait(2 * LONG) and None
    process = subprocess.Popen(
        ["olmix-evalscript", "generate", "58362402"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: beaker.calls[method])

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=LONG)

    assert process.returncode == 130
    assert "Traceback" not in errors


def test_an_interrupt_ends_the_wait_for_one_slice_of_a_long_listing(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(evaluations(500)))
    slices = 0

    def hang(request: Any) -> None:
        nonlocal slices
        if request.options.HasField("created_before"):
            slices += 1
            beaker.closing.wait(2 * LONG)

    beaker.hooks["ListWorkloads"] = hang
    process = subprocess.Popen(
        ["olmix-evalscript", "generate", "58362402"], cwd=tmp_path, env=environment
    )
    until(lambda: slices)

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=LONG) == 130


def test_an_interrupt_ends_the_wait_for_a_server_that_is_away(
    beaker_of: Serve, environment: dict[str, str], tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker(variants(1)))
    beaker.hooks["ListWorkloads"] = refusing(Code.UNAVAILABLE)
    process = subprocess.Popen(
        ["olmix-evalscript", "generate", "58362402"], cwd=tmp_path, env=environment
    )
    until(lambda: beaker.calls["ListWorkloads"] >= 4)

    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=LONG) == 130


def test_the_token_goes_to_the_rpc_address_alone(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(1)))

    result = run("generate", "58362402", "--verbose")

    assert "ListWorkloads: " in result.stderr
    assert TOKEN not in result.stderr + result.stdout


def test_an_author_filter_reaches_beaker(run: Run, beaker_of: Serve) -> None:
    mine, theirs = variants(4)[:2], variants(4)[2:]
    for workload in theirs:
        workload.author = "mayeec"
    beaker_of(FakeBeaker([*mine, *theirs]))

    result = run("generate", "58362402", "--author", "kylel")

    assert "2 variants" in result.stderr


def test_a_yaml_bomb_in_a_spec_is_parsed_in_no_time() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 25))

    with pytest.raises(ValueError, match="aliases"):
        parse_spec(f"a0: &a0 x\n{levels}tasks: [{{arguments: *a24}}]\n")


def test_a_yaml_bomb_of_merge_keys_is_refused() -> None:
    levels = "".join(
        f"b{n}: &b{n} {{<<: [{', '.join([f'*b{n - 1}'] * 9)}]}}\n" for n in range(1, 25)
    )

    with pytest.raises(ValueError, match="aliases"):
        parse_spec(f"b0: &b0 {{command: [x]}}\n{levels}tasks: [*b24]\n")


def test_a_task_made_by_merge_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="merge keys"):
        parse_spec("x: &x {command: [x]}\ntasks: [{<<: *x}]\n")


def test_an_alias_of_a_command_is_read() -> None:
    first, second = parse_spec("tasks: [{arguments: &a [x, y]}, {arguments: *a}]\n")

    assert first.words == second.words == ("x", "y")


def test_many_aliases_of_a_long_list_of_words_are_refused() -> None:
    words = ", ".join(["word"] * 1000)
    tasks = ", ".join(["{arguments: *a}"] * 10_000)

    with pytest.raises(ValueError, match="aliases"):
        parse_spec(f"a: &a [{words}]\ntasks: [{tasks}]\n")


def test_an_alias_within_its_own_list_is_refused() -> None:
    with pytest.raises(ValueError, match="contains itself"):
        parse_spec("tasks: &a [*a]\n")


@pytest.mark.parametrize("text", ["", "[]", "tasks: 1", "tasks: [1]", "{", "[" * 100_000, "\0"])
def test_what_is_no_spec_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_spec(text)


def test_a_spec_keeps_its_words_as_they_are_written() -> None:
    (task,) = parse_spec(spec(["--seed", "042", "-w True"]))

    assert task.words[-3:] == ("--seed", "042", "-w True")


def test_an_unknown_author_is_named(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker(variants(1)))

    result = run("generate", "58362402", "--author", "nobody")

    assert result.returncode == 1
    assert "no Beaker user nobody" in result.stderr


def test_a_token_that_is_no_token_is_not_sent(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker(variants(1)))

    result = run("generate", "58362402", BEAKER_TOKEN="t\u00f6ken\nx")

    assert result.returncode == 1
    assert "Beaker refused the token" in result.stderr
    assert sum(beaker.calls.values()) == 0


def hand_named() -> FakeWorkload:
    arguments = trainer_arguments("mix-heavy", "58362402")
    return FakeWorkload("mix-heavy", spec(arguments, groups=["ai2/58362402"]))


def test_a_deleted_member_of_a_group_is_passed_over(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker([hand_named(), *variants(2)]))
    beaker.hooks["GetWorkload"] = refusing(Code.NOT_FOUND)

    result = run("generate", "58362402")

    assert "2 variants" in result.stderr


@pytest.mark.parametrize(
    "options", [["--since", "2026-06-01"], ["--author", "mayeec"], ["-w", "ai2/olmix"]]
)
def test_a_member_of_a_group_is_held_to_the_same_choice(
    run: Run, beaker_of: Serve, options: list[str]
) -> None:
    other = FakeWorkload("other", author="mayeec", workspace="ai2/olmix")
    beaker_of(FakeBeaker([hand_named(), other]))

    result = run("generate", "58362402", *options)

    assert result.returncode == 1
    assert "no experiment on Beaker carries the ID" in result.stderr


def test_names_that_beaker_does_not_tell_are_left_as_ids(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker(variants(1)))
    beaker.hooks["GetUser"] = beaker.hooks["GetWorkspace"] = refusing(Code.PERMISSION_DENIED)

    result = run("show", "58362402", "--json")

    assert '"workspace": "id-of-ai2/oe-data"' in result.stdout
