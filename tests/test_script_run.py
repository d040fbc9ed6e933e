"""What the generated script does when bash runs it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FIXTURES
from tests.desk import (
    BASH,
    GS,
    RAW,
    S3,
    STUB,
    TASKS,
    USER_FOLDER,
    WEKA,
    Desk,
    complete,
    is_alive,
    names,
    until,
)
from tests.factories import GROUP
from tests.storage import Bucket, gs_server, lack, need

ROOT = "/weka/oe-training-default/ai2-llm/checkpoints/kylel"
MASKED = ("ultrachat_masked_ppl", "wildchat_masked_ppl")
AWKS = ("mawk", "gawk", "original-awk", "busybox awk")


def statuses(listed: subprocess.CompletedProcess[str]) -> dict[int, str]:
    """The status of each variant in a list that went through a pipe."""
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    return {int(number): status for number, _, status in rows}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def four(desk: Desk) -> Desk:
    """Four variants, ready at step 5."""
    for run in names(4):
        desk.save(run, "step5")
    desk.write(names(4))
    return desk


@pytest.fixture(scope="session")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    need("gcloud")
    with gs_server(tmp_path_factory.mktemp("gs"), "ai2-llm") as bucket:
        fill(bucket)
        yield bucket


@pytest.fixture(scope="session")
def full_s3(s3: Bucket) -> Bucket:
    fill(s3)
    return s3


# --- complete checkpoints -----------------------------------------------------------------

# Files of each variant's folder, and what the script says of them.
LAYOUT: dict[int, tuple[str, tuple[str, ...]]] = {
    0: ("ready", ("step9", "step10")),
    1: (
        "ready, but step20 lacks .metadata.json",
        ("step10", f"step20/{RAW[0]}", f"step20/{RAW[1]}"),
    ),
    2: ("held back, latest step: none", ("step0",)),
    3: ("ready", ("step10", "step10-hf")),
    4: (
        "held back, step1000 lacks .metadata.json and more",
        ("step3", "step1000-unsharded/model.pt", "step0040/.metadata.json", "old step50/train"),
    ),
    5: (
        "ready, but step11 lacks .metadata.json and more",
        ("step10", "step11/model_and_optim/__0_0"),
    ),
    6: ("held back, latest step: 22100", ("step9999", "step22100")),
    7: ("ready", ("step10", "my notes.txt", "config.json")),
    8: ("ready, but latest step: 12", ("step10", "step12")),
    9: ("ready", ("step10", "step7.metadata.json", "nested/step70/train/rank0.pt")),
}
EXPECTED = {number: status for number, (status, _) in LAYOUT.items()}


def fill(bucket: Bucket) -> None:
    for run, (_, files) in zip(names(10), LAYOUT.values(), strict=True):
        parts = [part for file in files for part in complete(file)]
        bucket.put(*(f"{USER_FOLDER}/{run}/{part}" for part in parts))


def test_checkpoints_are_found_in_a_mounted_folder(desk: Desk) -> None:
    for run, (_, files) in zip(names(10), LAYOUT.values(), strict=True):
        desk.save(run, *files)
    desk.write(names(10))

    assert statuses(desk.run("--list")) == EXPECTED


def test_checkpoints_are_found_on_s3(desk: Desk, full_s3: Bucket) -> None:
    desk.real("aws")
    desk.write(names(10), clusters=[S3])

    assert statuses(desk.run("--list", **full_s3.environment)) == EXPECTED


def test_checkpoints_on_weka_are_found_through_aws_if_it_is_not_mounted(
    desk: Desk, full_s3: Bucket
) -> None:
    desk.real("aws")
    desk.write(names(10), root=f"/weka/ai2-llm/{USER_FOLDER}")
    elsewhere = {
        **full_s3.environment,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "WEKA_ENDPOINT_URL": full_s3.url,
        "WEKA_PROFILE": "weka",
    }

    assert statuses(desk.run("--list", **elsewhere)) == EXPECTED


def test_checkpoints_are_found_with_gcloud(desk: Desk, gs: Bucket) -> None:
    desk.real("gcloud")
    desk.write(names(10), clusters=[GS])

    assert statuses(desk.run("--list", **gs.environment)) == EXPECTED


def test_checkpoints_of_one_swarm_are_found_in_several_storages(
    desk: Desk, full_s3: Bucket
) -> None:
    desk.real("aws")
    desk.save(names(2)[1], "step10")
    desk.write(names(2), clusters=[S3, WEKA])

    listed = desk.run("--list", **full_s3.environment)

    assert [line.split("\t")[1] for line in listed.stdout.splitlines()] == [
        f"s3://ai2-llm/checkpoints/kylel/{names(2)[0]}/step10",
        f"{ROOT}/{names(2)[1]}/step10",
    ]


def test_runs_whose_names_share_nothing_or_look_like_steps_are_found(desk: Desk) -> None:
    runs = ["heavy-code", "step2-anneal", "wiki", "wiki-retry"]
    for step, run in enumerate(runs, 6):
        desk.save(run, "step5", *([f"step{step}"] if run == "wiki-retry" else []))
    desk.write(runs)

    assert list(statuses(desk.run("--list")).values()) == [
        *["ready"] * 3,
        "ready, but latest step: 9",
    ]


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (("config.json", "model.safetensors"), "ready"),
        (("config.json", "model.safetensors.index.json"), "ready"),
        (("config.json", "pytorch_model.bin"), "ready"),
        (("config.json", "pytorch_model.bin.index.json"), "ready"),
        (("model.safetensors",), "held back, step10-hf lacks config.json"),
        (
            ("config.json", "model-00001-of-00002.safetensors"),
            "held back, step10-hf lacks model.safetensors",
        ),
        ((), "held back, step10-hf lacks config.json and more"),
    ],
)
def test_hf_needs_a_conversion_with_its_config_and_weights(
    desk: Desk, files: tuple[str, ...], status: str
) -> None:
    desk.save("mix-a", "step10", *(f"step10-hf/{file}" for file in files))
    desk.write(["mix-a"], model_backend="hf")

    assert statuses(desk.run("--list")) == {0: status}


# The files of a checkpoint as ai2-olmo-core saved it; tools/loop/run.sh lists them.
_, *SAVED = (FIXTURES / "checkpoint-layout.txt").read_text().splitlines()


def test_a_checkpoint_that_olmo_core_saved_is_complete(desk: Desk) -> None:
    desk.save("mix-a", *(f"step20/{file}" for file in SAVED))
    desk.write(["mix-a"])

    assert statuses(desk.run("--list")) == {0: "ready"}


@pytest.mark.parametrize("missing", RAW)
def test_a_checkpoint_that_olmo_core_did_not_finish_is_not_complete(
    desk: Desk, missing: str
) -> None:
    desk.save("mix-a", *(f"step20/{file}" for file in SAVED if file != missing))
    desk.write(["mix-a"])

    assert statuses(desk.run("--list")) == {0: f"held back, step20 lacks {missing}"}


# --- listings that fail -------------------------------------------------------------------


def fails(done: subprocess.CompletedProcess[str], message: str) -> bool:
    """Whether a run said only why it could not list, last of all that it could not."""
    *_, last = done.stderr.splitlines()
    is_all = "held back" not in done.stderr + done.stdout and done.returncode == 1
    return message in done.stderr and "could not be listed" in last and is_all


def test_a_bucket_that_does_not_exist_is_named(desk: Desk, s3: Bucket) -> None:
    desk.real("aws")
    desk.write(names(2), root="s3://no-such-bucket/checkpoints")

    assert fails(desk.run("--list", **s3.environment), "NoSuchBucket")


def test_a_missing_gs_bucket_is_told_in_the_words_of_gcloud(desk: Desk, gs: Bucket) -> None:
    desk.real("gcloud")
    desk.write(names(2), root="gs://no-such-bucket/checkpoints")

    assert fails(desk.run(**gs.environment), "gs://no-such-bucket not found: 404")


def test_an_empty_gs_folder_has_no_checkpoints(desk: Desk, gs: Bucket) -> None:
    desk.real("gcloud")
    desk.write(names(1), root="gs://ai2-llm/nothing-here")

    assert statuses(desk.run("--list", **gs.environment)) == {0: "held back, latest step: none"}


@pytest.mark.parametrize("problem", ["a file on the way", "a circle of links"])
def test_a_mounted_folder_that_cannot_be_read_is_told(desk: Desk, problem: str) -> None:
    parent = desk.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER
    desk.save("mix-a", "step5")
    if problem == "a file on the way":
        shutil.rmtree(parent)
        parent.write_text("")
    else:
        (parent / "mix-a" / "step7").symlink_to(parent / "mix-a" / "step7")
    desk.write(["mix-a"])

    assert fails(desk.run(), "mix-a" if parent.is_dir() else "kylel")


def test_weka_from_outside_needs_its_endpoint(desk: Desk) -> None:
    desk.write(["mix-a"])

    done = desk.run()

    assert "WEKA_ENDPOINT_URL: set it, or run this where /weka is mounted" in done.stderr
    assert done.returncode == 1


def test_a_missing_client_is_named(desk: Desk) -> None:
    desk.write(["mix-a"], clusters=[S3])

    assert fails(desk.run(), "aws: command not found")


def test_a_client_may_ask_at_the_terminal(desk: Desk) -> None:
    desk.tool("aws", "printf 'Enter MFA code: ' >/dev/tty; read -r code </dev/tty; exit 1")
    desk.write(names(1), clusters=[S3])

    status, output = desk.run_at_terminal(typed=b"123456\n")

    assert "Enter MFA code: " in output
    assert "The checkpoints could not be listed: see above" in output
    assert status == 1


# --- one step for all ---------------------------------------------------------------------


@pytest.mark.parametrize("with_checkpoint", [1, 4])
def test_a_step_that_is_not_that_of_more_than_half_of_all_variants_is_not_submitted(
    desk: Desk, with_checkpoint: int
) -> None:
    for run in names(8)[:with_checkpoint]:
        desk.save(run, "step500")
    desk.write(names(8))

    done = desk.run("--yes")

    found = " ".join(map(str, range(with_checkpoint)))
    assert f"variant {found}: held back, latest step: 500\n" in done.stderr
    assert "Step: none is the latest of more than half of all 8 variants" in done.stderr
    assert (done.returncode, desk.calls()) == (1, [])


@pytest.fixture
def spread(desk: Desk) -> Desk:
    """Six variants: four at step 10, one behind, and one with a half-written step 10."""
    for run in names(4):
        desk.save(run, "step5", "step10")
    desk.save(names(6)[4], "step5")
    desk.save(names(6)[5], "step5", f"step10/{RAW[0]}", f"step10/{RAW[1]}")
    desk.write(names(6))
    return desk


def test_variants_without_the_step_are_held_back_each_with_its_reason(spread: Desk) -> None:
    done = spread.run("--yes")

    assert spread.submitted() == [f"{run}/step10" for run in names(4)]
    assert "variant 4: held back, latest step: 5\n" in done.stderr
    assert "variant 5: held back, step10 lacks .metadata.json\n" in done.stderr
    assert done.returncode == 1


def test_a_step_can_be_chosen(spread: Desk) -> None:
    done = spread.run("--step", "5")

    assert spread.submitted() == [f"{run}/step5" for run in names(6)]
    assert done.returncode == 0


def test_a_variant_chosen_alone_is_held_to_the_step_of_the_swarm(spread: Desk) -> None:
    done = spread.run("--only", "4")

    assert "variant 4: held back, latest step: 5\n" in done.stderr
    assert spread.calls() == []


def test_a_later_step_that_is_half_written_everywhere_is_told(desk: Desk) -> None:
    for run in names(3):
        desk.save(run, "step2000", f"step3000/{RAW[0]}", f"step3000/{RAW[1]}")
    desk.write(names(3))

    done = desk.run("--yes")

    assert "variant 0 1 2: ready, but step3000 lacks .metadata.json\n" in done.stderr
    assert desk.submitted() == [f"{run}/step2000" for run in names(3)]


# --- what is submitted --------------------------------------------------------------------


def test_every_variant_is_submitted_once_by_its_settings(desk: Desk) -> None:
    for run in names(3):
        desk.save(run, "step5")
    desk.write(names(3), priority="high", arguments=("--model-args=dtype=bfloat16", "--use-gantry"))

    done = desk.run()

    assert desk.calls() == [
        {
            "checkpoint": f"{ROOT}/{run}/step5",
            "dashboard": f"olmix-{GROUP}",
            "cluster": "aus",
            "priority": "high",
            "model_backend": "olmo_core",
            "model_args": "dtype=bfloat16",
            "use_gantry": True,
            "tasks": list(TASKS),
        }
        for run in names(3)
    ]
    assert done.returncode == 0


def test_a_run_tells_each_variant_and_what_comes_next(four: Desk) -> None:
    done = four.run("--only", "0-1")

    assert done.stdout.splitlines() == [
        "[1/2] variant 0, step 5: submitted",
        "[2/2] variant 1, step 5: submitted",
        f"2 of 2 variants submitted at step 5, dashboard olmix-{GROUP}; logs: {four.path}.logs",
        f"After the evaluations: olmix-evalscript collect {GROUP} --step 5",
    ]


def test_listing_submits_and_writes_nothing(four: Desk) -> None:
    before = set(four.folder.iterdir())

    listed = four.run("--list")

    assert (listed.returncode, four.calls()) == (0, [])
    assert set(four.folder.iterdir()) == before


def test_a_list_fits_a_terminal_of_80_columns(desk: Desk) -> None:
    runs = [f"verify-tokens-140m-{GROUP}-000{n}" for n in range(3)]
    for run in runs[:2]:
        desk.save(run, "step22100")
    desk.save(runs[2], f"step22100/{RAW[0]}", f"step22100/{RAW[1]}")
    desk.write(runs)

    _, output = desk.run_at_terminal("--list")

    assert output.split("\r\n") == [
        f"There is no record yet, so nothing counts as submitted: {desk.record}",
        f"Listing the checkpoints in {ROOT}",
        "Step: 22100",
        f"0 {runs[0]}/step22100 ready",
        f"1 {runs[1]}/step22100 ready",
        f"2 {runs[2]} held back, step22100 lacks .metadata.json",
        "",
    ]
    assert max(map(len, output.split("\r\n")[1:])) <= 80


def test_the_rest_is_submitted_at_the_same_step_by_the_line_that_is_shown(spread: Desk) -> None:
    first = spread.run(COOKBOOK_FAIL="0001")
    for run in names(6):
        spread.save(run, "step10", "step20")
    line = first.stderr.splitlines()[-1]

    second = spread.run(*line.partition(f"{spread.path} ")[2].split())

    assert (
        line == f"To submit the rest, once it is ready: bash {spread.path} --step 10 --only 1,4,5"
    )
    assert sorted(spread.submitted()) == [f"{run}/step10" for run in names(6)]
    assert second.returncode == 0


def test_a_dry_run_calls_for_all_and_records_nothing(four: Desk) -> None:
    four.run("--only", "0")
    before = four.record.read_text()

    done = four.run("--dry-run")

    assert [call.get("dry_run") for call in four.calls()] == [None, *[True] * 4]
    assert four.record.read_text() == before
    assert "4 of 4 variants passed the dry run" in done.stdout


def test_vllm_leaves_tasks_that_it_cannot_run_to_hf(desk: Desk) -> None:
    desk.save("mix-a", "step10-hf")
    desk.write(["mix-a"], model_backend="vllm", tasks=(*TASKS, *MASKED))

    desk.run()

    assert [(call["model_backend"], call["tasks"]) for call in desk.calls()] == [
        ("vllm", list(TASKS)),
        ("hf", list(MASKED)),
    ]


def test_only_the_call_that_failed_of_a_variant_is_repeated(desk: Desk) -> None:
    desk.save("mix-a", "step10-hf")
    desk.write(["mix-a"], model_backend="vllm", tasks=(*TASKS, *MASKED))
    before_each_call(desk, 'case "$*" in *"backend hf"*) [ -e "$HOME/go" ] || exit 1 ;; esac')
    desk.run()
    (desk.folder / "go").touch()

    done = desk.run()

    assert [call["model_backend"] for call in desk.calls()] == ["vllm", "hf"]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "7"], "there is no variant 7"),
        (["--only", "0,2-1"], "--only: 2-1 is not a range"),
        (["--only", "*"], "--only needs a list like 0,3,5-9, not '*'"),
        (["--only"], "--only needs a list like 0,3,5-9, not ''"),
        (["--step", "0"], "--step needs a number above 0, not '0'"),
        (["--step"], "--step needs a number above 0, not 'nothing'"),
        (["--jobs", "x"], "--jobs needs a number from 1 to 99, not 'x'"),
        (["--resume"], "unknown option --resume"),
        (["--", "--priority", "high"], "unknown option --; try --help"),
    ],
)
def test_wrong_usage_is_refused_before_anything_runs(
    four: Desk, options: list[str], message: str
) -> None:
    done = four.run(*options)

    assert message in done.stderr
    assert (done.returncode, four.record.exists(), four.calls()) == (2, False, [])


def test_help_names_every_option(four: Desk) -> None:
    done = four.run("--help")

    options = set(re.findall(r"^      (?:-h \| )?(--[a-z-]+)\)", four.path.read_text(), re.M))
    assert options - {"--help"} == set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.M))
    assert "without a terminal it never asks" in done.stdout


@pytest.mark.parametrize("command", [["sh", "{}"], [BASH, "-s"]])
def test_another_way_to_run_it_than_bash_with_a_file_is_refused(
    four: Desk, command: list[str]
) -> None:
    four.link("sh", need("dash"))
    done = subprocess.run(
        [word.format(four.path) for word in command],
        input=four.path.read_text(),
        env=four.environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr == "Run this as: bash FILE\n"
    assert (done.returncode, four.calls()) == (2, [])


def test_olmo_cookbook_must_be_there(four: Desk) -> None:
    (four.bin / "olmo-cookbook-eval").unlink()

    assert "There is no olmo-cookbook-eval: activate its environment" in four.run().stderr


# --- the question -------------------------------------------------------------------------

QUESTION = f"Submit 4 of 4 variants at step 5 to aus, dashboard olmix-{GROUP}? [y/N]"


@pytest.mark.parametrize(("typed", "calls"), [(b"y\n", 4), (b"\n", 0), (b"no\n", 0)])
def test_a_terminal_is_asked_with_the_step(four: Desk, typed: bytes, calls: int) -> None:
    _, output = four.run_at_terminal(typed=typed)

    assert QUESTION in output
    assert len(four.calls()) == calls


def test_variants_that_had_not_finished_are_named_before_the_question(four: Desk) -> None:
    four.write(names(4), status="running")

    _, output = four.run_at_terminal(typed=b"n\n")

    assert (
        "variants 0-3 had not finished when this was made: step 5 may not be their last"
        in output.partition("Submit")[0]
    )


# --- nothing twice, nothing lost ----------------------------------------------------------


def before_each_call(desk: Desk, commands: str) -> None:
    """Have olmo-cookbook-eval do something first; $2 is the checkpoint's path."""
    desk.tool("olmo-cookbook-eval", f'{commands}\nexec "{sys.executable}" -S -E "{STUB}" "$@"')


def test_what_failed_alone_is_submitted_by_the_next_run(four: Desk) -> None:
    first = four.run(COOKBOOK_FAIL="0002")
    second = four.run()

    assert "[3/4] variant 2, step 5: failed" in first.stdout
    assert "    RuntimeError: Error running command: python oe_eval/launch.py" in first.stderr
    assert "variant 2: failed\n" in first.stderr
    assert (first.returncode, second.returncode) == (1, 0)
    assert sorted(four.submitted()) == [f"{run}/step5" for run in names(4)]
    assert "variant 0 1 3: submitted before" in second.stderr


def test_submitted_variants_are_submitted_again_on_request(four: Desk) -> None:
    four.run()
    four.run("--again", "--only", "1")

    assert four.submitted() == [f"{names(4)[n]}/step5" for n in (0, 1, 2, 3, 1)]


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        ({"dashboard": "other"}, 1),
        ({"tasks": ("lambada",)}, 1),
        ({"arguments": ("--num-shots=5",)}, 1),
        ({"tasks": TASKS[::-1]}, 0),
        ({"priority": "urgent", "cluster": "80g"}, 0),
    ],
)
def test_another_evaluation_is_submitted_besides(
    desk: Desk, change: dict[str, Any], calls: int
) -> None:
    desk.save("mix-a", "step5")
    desk.write(["mix-a"])
    desk.run()
    desk.write(["mix-a"], **change)

    desk.run()

    assert len(desk.calls()) == 1 + calls


def test_the_record_of_version_0_2_counts(four: Desk) -> None:
    tasks = "".join(sorted(f"--tasks={task}\n" for task in TASKS))
    checksum = subprocess.run(
        ["cksum"], input=f"\n{tasks}", capture_output=True, text=True, check=True
    ).stdout
    line = f"olmix-{GROUP}\t{ROOT}/{names(4)[0]}/step5\tolmo_core\t{checksum}"
    four.record.write_text(line.replace("\n", "\r\n"))  # as some editors leave it

    four.run()

    assert four.submitted() == [f"{run}/step5" for run in names(4)[1:]]


def test_a_line_that_was_cut_short_costs_no_other(four: Desk) -> None:
    four.run("--only", "0-1")
    four.record.write_text(four.record.read_text()[:-5])

    four.run()
    four.run()

    assert sorted(four.submitted()) == sorted(f"{names(4)[n]}/step5" for n in (0, 1, 1, 2, 3))


def test_a_copy_of_the_script_says_that_its_record_is_new(four: Desk) -> None:
    four.run()
    four.path = four.path.rename(four.folder / "copy.sh")

    done = four.run()

    assert re.search(r"no record yet, so nothing counts as submitted: .*copy\.sh\.s", done.stderr)


@pytest.mark.parametrize("name", ["submitted", "logs"])
def test_nothing_is_submitted_if_record_or_logs_cannot_be_written(four: Desk, name: str) -> None:
    place = Path(f"{four.path}.{name}")
    place.mkdir() if name == "submitted" else place.touch()

    done = four.run()

    assert name in done.stderr
    assert (done.returncode, four.started()) == (1, "")


def test_a_log_that_cannot_be_opened_is_no_submission(four: Desk) -> None:
    four.tool("date", "echo now")
    Path(f"{four.path}.logs/1-now.log").mkdir(parents=True)

    done = four.run()

    assert "[1/4] variant 0, step 5: submitted" in done.stdout
    assert "[2/4] variant 1, step 5: maybe submitted: look on Beaker, then rm" in done.stdout
    assert "variant 2 3: ready" in done.stderr
    assert (done.returncode, len(four.calls())) == (1, 1)


@pytest.fixture
def small_disk(four: Desk) -> Iterator[Desk]:
    """The script on a disk of 64 KB."""
    disk = four.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        lack("cannot mount a small disk")
    shutil.copy(four.path, disk)
    four.path = disk / four.path.name
    four.record = disk / four.record.name
    yield four
    subprocess.run(["umount", str(disk)], check=True)


def test_nothing_is_submitted_on_a_full_disk(small_disk: Desk) -> None:
    (small_disk.path.parent / "rest").write_bytes(
        b"x" * (64 * 1024 - os.stat(small_disk.path).st_size - 8192)
    )
    with (small_disk.path.parent / "rest").open("ab", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            pass

    done = small_disk.run()

    assert (done.returncode, small_disk.calls()) == (1, [])


def test_a_submission_that_cannot_be_recorded_is_told_and_stops(four: Desk) -> None:
    before_each_call(four, f'rm "{four.record}"; mkdir "{four.record}"')

    done = four.run()

    assert "[1/4] variant 0, step 5: maybe submitted: look on Beaker, then rm " in done.stdout
    assert (done.returncode, len(four.calls())) == (1, 1)


def test_a_call_that_was_killed_is_not_repeated_until_its_mark_is_deleted(four: Desk) -> None:
    end(four, hang(four))
    until(lambda: "Another run" not in four.run("--only", "1").stderr)

    held, listed = four.run(), statuses(four.run("--list"))
    Path(listed[0].split()[-1]).unlink()
    four.run()

    assert listed[0].startswith("maybe submitted: look on Beaker, then rm ")
    assert f"variant 0: {listed[0]}" in held.stderr
    assert four.submitted() == [f"{names(4)[n]}/step5" for n in (1, 2, 3, 0)]


def test_each_try_has_a_log_of_its_own(four: Desk) -> None:
    four.tool("date", "echo first")
    four.run("--only", "0")
    four.tool("date", "echo second")
    four.run("--only", "0", "--again", COOKBOOK_FAIL="0000")

    logs = {path.name: path.read_text() for path in Path(f"{four.path}.logs").iterdir()}
    assert "Launched 2 eval jobs" in logs["0-first.log"]
    assert "RuntimeError" in logs["0-second.log"]


def test_a_log_cannot_move_the_cursor_of_the_terminal(four: Desk) -> None:
    before_each_call(four, "printf '\\033[2Jgone\\n'; exit 1")

    assert "    [2Jgone\n" in four.run("--only", "0").stderr


# --- one run at a time --------------------------------------------------------------------


@pytest.fixture
def lock(four: Desk) -> Path:
    return Path(f"{four.record}.lock")


def hang(desk: Desk, run: str = "0000") -> subprocess.Popen[str]:
    """Start the script, and wait until the call for a run hangs."""
    script = desk.start(COOKBOOK_HANG=run)
    until(lambda: "sleep" in desk.started())
    return script


def end(desk: Desk, script: subprocess.Popen[str]) -> None:
    """End a script and all that it started, as a reboot would."""
    for line in desk.started().splitlines():
        if is_alive(pid := line.split()[0]):
            os.kill(int(pid), signal.SIGKILL)
    script.kill()
    script.communicate()


def test_a_second_run_is_refused_and_a_list_is_not(four: Desk, lock: Path) -> None:
    script = hang(four)

    second, listed = four.run(), four.run("--list")
    end(four, script)

    assert f"Another run submits, or rm -r '{lock}'" in second.stderr
    assert second.returncode == 1
    assert "Another run" not in listed.stderr


def test_a_script_that_was_killed_holds_its_lock_until_its_call_ends(four: Desk) -> None:
    script = four.start(COOKBOOK_SLOW="0000")
    until(lambda: "0000" in four.started())
    script.kill()

    held = four.run()
    script.communicate()
    until(lambda: four.run().returncode == 0)

    assert "Another run submits" in held.stderr
    assert four.submitted() == [f"{run}/step5" for run in names(4)]


def test_nothing_of_the_lock_is_left(four: Desk, lock: Path) -> None:
    four.run("--only", "0")

    assert not lock.exists()


def stale(lock: Path, host: str) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    lock.mkdir()
    (lock / f"{gone.pid}@{host}").write_text(f"{gone.pid}\n{gone.pid}\n")


def test_of_many_runs_that_find_a_stale_lock_one_takes_it_over(four: Desk, lock: Path) -> None:
    stale(lock, os.uname().nodename)

    scripts = [four.start(COOKBOOK_SLOW="mix") for _ in range(6)]
    outputs = [script.communicate()[0] for script in scripts]

    assert sorted(four.submitted()) == [f"{run}/step5" for run in names(4)]
    assert sum("4 of 4 variants submitted" in output for output in outputs) == 1


def test_the_lock_of_another_machine_is_left_alone(four: Desk, lock: Path) -> None:
    stale(lock, "elsewhere")

    assert "Another run submits" in four.run().stderr
    assert four.calls() == []


# --- several at a time, and interrupts ----------------------------------------------------


def test_several_go_on_at_a_time_each_in_an_environment_of_its_own(four: Desk) -> None:
    before_each_call(
        four,
        'echo >>"$HOME/began"; until [ "$(grep -c "" "$HOME/began")" -ge 4 ]; do sleep 0.1; done',
    )

    done = four.run("--jobs", "4")

    assert sorted(str(call["env_name"]) for call in four.calls()) == [
        f"oe-eval-venv-{n}" for n in (1, 2, 3, 4)
    ]
    assert done.returncode == 0


def test_a_first_ctrl_c_lets_the_calls_under_way_end(four: Desk) -> None:
    status, output = four.run_at_terminal(
        "--yes", "--jobs", "2", typed=b"\x03", wait_for="0001", COOKBOOK_SLOW="mix"
    )

    assert sorted(four.submitted()) == [f"{run}/step5" for run in names(2)]
    assert four.record.read_text().count("step5") == 2
    assert "2 of 4 variants submitted" in output
    assert "variant 2 3: ready" in output
    assert status == 1


def test_a_second_ctrl_c_kills_the_call_and_all_that_it_started(four: Desk, lock: Path) -> None:
    status, output = four.run_at_terminal(
        "--yes", typed=b"\x03", again=b"\x03", wait_for="sleep", COOKBOOK_HANG="0000"
    )

    assert "variant 0: maybe submitted: look on Beaker, then rm " in output
    assert " --step 5 --only 1,2,3\r\n" in output
    assert not any(is_alive(line.split()[0]) for line in four.started().splitlines())
    assert (status, lock.exists(), four.calls()) == (1, False, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_script_alone(four: Desk, number: signal.Signals) -> None:
    script = four.start(COOKBOOK_SLOW="0000")
    until(lambda: "0000" in four.started())
    script.send_signal(number)
    output, _ = script.communicate()

    assert "1 of 4 variants submitted" in output
    assert four.submitted() == [f"{names(1)[0]}/step5"]


def test_an_interrupted_listing_leaves_nothing(desk: Desk) -> None:
    desk.tool("aws", 'echo "$$ aws" >>"$HOME/calls.started"; exec sleep 60')
    desk.write(names(2), clusters=[S3])

    status, _ = desk.run_at_terminal("--yes", typed=b"\x03", wait_for="aws")

    assert not is_alive(desk.started().split()[0])
    assert not Path(f"{desk.record}.lock").exists()
    assert status != 0


def test_a_call_that_asks_at_the_terminal_fails(four: Desk) -> None:
    status, output = four.run_at_terminal("--yes", "--only", "0-1", COOKBOOK_ASK="0000")

    assert "[1/2] variant 0, step 5: failed" in output
    assert "[2/2] variant 1, step 5: submitted" in output
    assert status == 1


# --- any bash and userland ----------------------------------------------------------------


@pytest.mark.parametrize("awk", AWKS)
def test_every_awk_gives_the_same_list(desk: Desk, awk: str) -> None:
    program, *applet = awk.split()
    desk.tool("awk", f'exec "{need(program)}" {" ".join(applet)} "$@"')
    for run, (_, files) in zip(names(10), LAYOUT.values(), strict=True):
        desk.save(run, *files)
    desk.write(names(10))

    assert statuses(desk.run("--list")) == EXPECTED


#: What bash 3.2 does not have.
TOO_NEW = (
    r"mapfile|readarray|declare -A|local -A|\$\{[^}]*[,^@][A-Za-z,^]?\}|&>>|\|&|coproc|wait -n"
)


@pytest.mark.parametrize(
    ("backend", "clusters"),
    [("olmo_core", [S3]), ("olmo_core", [GS]), ("hf", [WEKA]), ("vllm", [WEKA, S3, GS])],
)
def test_scripts_are_clean_for_shellcheck_and_bash_3_2(
    desk: Desk, backend: str, clusters: list[str]
) -> None:
    desk.write(names(3), clusters=clusters, model_backend=backend, tasks=(*TASKS, *MASKED))

    checked = subprocess.run(
        [need("shellcheck"), str(desk.path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.stdout, checked.returncode) == ("", 0)
    assert re.findall(TOO_NEW, re.sub(r"#.*", "", desk.path.read_text())) == []
