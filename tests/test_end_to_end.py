"""From a group ID to a script, by the installed command and a Beaker that speaks the protocol."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Run, Serve
from tests.factories import settings
from tests.fake_beaker import (
    FakeBeaker,
    FakeWorkload,
    evaluations,
    spec,
    trainer_arguments,
    variants,
)

SCRIPT = Path("output/eval_scripts/olmix-58362402.sh")


def runs(script: str) -> list[str]:
    """The run names in a script."""
    return [folder.rpartition("/")[2] for folder in settings(script, "RUNS")]


def test_a_swarm_among_evaluations_comes_out_whole_and_in_order(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker_of(FakeBeaker([*variants(128), *evaluations(400)]))

    result = run("generate", "58362402")

    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{SCRIPT}\n"
    path = tmp_path / "work" / SCRIPT
    script = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o755
    assert "ROOT='s3://ai2-llm/checkpoints/kylel'\n" in script
    assert runs(script) == [f"verify-tokens-140m-58362402-{n:04d}" for n in range(128)]


def test_what_does_not_belong_is_counted(run: Run, beaker_of: Serve) -> None:
    stranger = "verify-58362402-again-99999999-0000"
    session = FakeWorkload("session-58362402", is_session=True)
    other = FakeWorkload(stranger, spec(trainer_arguments(stranger, "99999999")))
    beaker_of(FakeBeaker([*variants(3), *evaluations(7), other, session]))

    result = run("generate", "58362402")

    assert "3 variants of verify-tokens-140m; ignored 8 other experiments" in result.stderr


def test_a_listing_with_commands_costs_no_spec(run: Run, beaker_of: Serve) -> None:
    beaker = beaker_of(FakeBeaker(variants(60)))

    result = run("generate", "58362402")

    assert result.returncode == 0
    assert beaker.calls["GetExperimentYamlSpec"] == 0


def test_a_run_named_by_hand_is_found_by_its_description(run: Run, beaker_of: Serve) -> None:
    text = spec(trainer_arguments("mix-heavy", "58362402"))
    beaker_of(FakeBeaker([FakeWorkload("mix-heavy", text, description="of 58362402")]))

    assert runs(run("generate", "58362402", "-o", "-").stdout) == ["mix-heavy"]


def test_a_scan_finds_runs_whose_names_lack_the_id(run: Run, beaker_of: Serve) -> None:
    named = FakeWorkload("mix-heavy", spec(trainer_arguments("mix-heavy", "58362402")))
    beaker_of(FakeBeaker([named, *evaluations(120, "99999999")]))

    result = run(
        "generate", "58362402", "-o", "-", "--scan", "-w", "ai2/oe-data", "--since", "2026-01-01"
    )

    assert runs(result.stdout) == ["mix-heavy"]


def test_a_snapshot_holds_no_environment_and_no_secret(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker([*variants(2), *evaluations(2)], lists_commands=False))

    text = run("snapshot", "58362402", "-o", "-").stdout

    assert "arguments" in text
    assert not re.search("BEAKER_TOKEN|secret|env|oe_eval", text)


def test_several_groups_in_one_call_survive_the_failure_of_one(run: Run, beaker_of: Serve) -> None:
    beaker_of(FakeBeaker([*variants(2), *variants(2, "6cf425be")]))

    result = run("generate", "58362402", "00000000", "6cf425be")

    assert result.returncode == 1
    assert result.stdout.splitlines() == [str(SCRIPT), "output/eval_scripts/olmix-6cf425be.sh"]
    assert result.stderr.endswith("Failed: 00000000\n")


def test_the_script_is_the_same_from_either_listing_and_from_a_snapshot(
    run: Run, beaker_of: Serve, tmp_path: Path
) -> None:
    beaker = beaker_of(FakeBeaker([*variants(3, c="ai2/saturn"), *evaluations(2)]))

    with_commands = run("generate", "58362402", "-o", "-").stdout
    saved = run("snapshot", "58362402", "-o", "-").stdout
    beaker.lists_commands = False
    without = run("generate", "58362402", "-o", "-").stdout
    saved_without = run("snapshot", "58362402", "-o", "saved.yaml")
    from_snapshot = run("generate", "58362402", "--snapshot", "saved.yaml", "-o", "-").stdout

    assert saved_without.returncode == 0
    assert len(runs(with_commands)) == 3
    assert with_commands == without == from_snapshot
    assert saved == (tmp_path / "work" / "saved.yaml").read_text()
