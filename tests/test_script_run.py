"""What the generated script does when bash runs it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.desk import (
    BASH,
    GS,
    LONG,
    RAW,
    S3,
    STUB,
    TASKS,
    USER_FOLDER,
    USERLAND,
    WEKA,
    Desk,
    complete,
    is_alive,
    names,
    until,
)
from tests.factories import GROUP
from tests.listing_server import listing_server
from tests.storage import (
    Bucket,
    aws_environment,
    denying_s3_server,
    gs_server,
    gsutil_server,
    need,
)

MASKED = ("ultrachat_masked_ppl", "wildchat_masked_ppl")
TEMPLATE = Path(__file__).parents[1] / "olmix_evalscript" / "templates" / "eval_script.sh"


def steps(listed: str) -> dict[int, str]:
    """Of a printed table, each variant's step."""
    rows = re.findall(r"(?m)^(\d+) +\S+ +(.+?) +\S+$", listed)
    return {int(number): step for number, step in rows}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="session")
def gs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    need("gcloud")
    with gs_server(tmp_path_factory.mktemp("gs"), "ai2-llm") as bucket:
        yield bucket


# --- which checkpoint -------------------------------------------------------------------

# Files of each variant's directory, and the step that the script has to find.
LAYOUT: Mapping[int, tuple[str, tuple[str, ...]]] = {
    0: ("10", ("step9", "step10")),
    1: ("10", ("step10", "step20/model_and_optim/.metadata", "step20/train/rank0.pt")),
    2: ("none", ("step0",)),
    3: ("10", ("step10", "step10-hf", "step30-hf")),
    4: (
        "3",
        (
            "step3",
            "step5",
            "step7.metadata.json",
            *(
                f"{folder}/{part}"
                for folder in (
                    "stepfoo",
                    "nested/mix-58362402-0004/step7",
                    "step1000-tmp",
                    "step1000-unsharded",
                    "step0040",
                    "old step50",
                )
                for part in RAW
            ),
            *("step60/train/rank0.pt", "step60/model_and_optim/.metadata"),
            "step60/.metadata.json.tmp",
        ),
    ),
    5: ("none", ()),
    6: ("22100", ("step9999", "step22100")),
    7: ("11", ("my notes.txt", "config.json", "step11")),
    8: ("12", ("step12", "step13-hf")),
}
EXPECTED = {number: step for number, (step, _) in LAYOUT.items()}


def fill(bucket: Bucket, folder: str) -> None:
    for run, (_, files) in zip(names(9), LAYOUT.values(), strict=True):
        plain = {"step5"}  # a file of that name
        parts = [part for f in files for part in ([f] if f in plain else complete(f))]
        tensors = [f"{f}/model_and_optim/__0_0.distcp" for f in files if f in ("step10", "step3")]
        bucket.put(*(f"{folder}/{run}/{part}" for part in (*parts, *tensors)))


@pytest.fixture(scope="session")
def full_s3(s3: Bucket) -> Bucket:
    fill(s3, USER_FOLDER)
    return s3


@pytest.fixture(scope="session")
def full_gs(gs: Bucket) -> Bucket:
    fill(gs, USER_FOLDER)
    return gs


@pytest.mark.parametrize("count", [9, 8], ids=["many", "few"])
def test_a_mounted_folder_is_searched_for_the_latest_complete_checkpoint(
    desk: Desk, count: int
) -> None:
    for run, (_, files) in zip(names(9), LAYOUT.values(), strict=True):
        desk.save(run, *(file for file in files if file != "step5"))
    desk.save(names(9)[4], "step5.txt")
    desk.write(names(count))

    listed = desk.run("--list")

    assert steps(listed.stdout) == {n: EXPECTED[n] for n in range(count)}


def test_s3_is_searched_for_the_latest_complete_checkpoint(desk: Desk, full_s3: Bucket) -> None:
    desk.real("aws")
    desk.write(names(9), clusters=[S3])

    listed = desk.run("--list", **full_s3.environment)

    assert (steps(listed.stdout), listed.returncode) == (EXPECTED, 1), listed.stderr


def test_the_s3_directories_of_a_few_variants_are_searched_one_by_one(
    desk: Desk, full_s3: Bucket
) -> None:
    desk.real("aws")
    desk.write(names(9), clusters=[S3])

    listed = desk.run("--list", "--only", "1,4,5", **full_s3.environment)

    assert steps(listed.stdout) == {n: EXPECTED[n] for n in (1, 4, 5)}


def test_weka_is_searched_through_aws_where_it_is_not_mounted(desk: Desk, full_s3: Bucket) -> None:
    desk.real("aws")
    desk.write(names(9), root=f"/weka/ai2-llm/{USER_FOLDER}")

    listed = desk.run(
        "--list",
        **{
            **full_s3.environment,
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "WEKA_ENDPOINT_URL": full_s3.url,
            "WEKA_PROFILE": "weka",
        },
    )

    assert (steps(listed.stdout), listed.returncode) == (EXPECTED, 1), listed.stderr


def test_gs_is_searched_with_gcloud(desk: Desk, full_gs: Bucket) -> None:
    desk.real("gcloud")
    desk.write(names(9), clusters=[GS])

    listed = desk.run("--list", **full_gs.environment)

    assert (steps(listed.stdout), listed.returncode) == (EXPECTED, 1), listed.stderr


def test_gs_is_searched_with_gsutil_where_there_is_no_gcloud(desk: Desk) -> None:
    desk.real("gsutil")
    desk.write(names(9), clusters=[GS])

    with gsutil_server(
        desk.folder, "ai2-llm", lambda bucket: fill(bucket, USER_FOLDER)
    ) as environment:
        listed = desk.run("--list", **environment)

    assert (steps(listed.stdout), listed.returncode) == (EXPECTED, 1), listed.stderr
    assert "undefined" not in listed.stderr


def test_a_mixed_swarm_is_found_in_all_its_storages(
    desk: Desk, full_s3: Bucket, full_gs: Bucket
) -> None:
    desk.real("aws")
    desk.real("gcloud")
    desk.save(names(3)[2], "step77")
    desk.write(names(3), clusters=[S3, GS, WEKA])

    listed = desk.run("--list", **full_s3.environment, **full_gs.environment)

    assert [line.split()[3] for line in listed.stdout.splitlines()[1:]] == [
        f"s3://ai2-llm/checkpoints/kylel/mix-{GROUP}-0000/step10",
        f"gs://ai2-llm/checkpoints/kylel/mix-{GROUP}-0001/step10",
        f"/weka/oe-training-default/ai2-llm/checkpoints/kylel/mix-{GROUP}-0002/step77",
    ]


@pytest.mark.parametrize(
    ("only", "listed"),
    [
        ("5", ["0005/step"]),
        ("0,20,127", ["0000/step", "0020/step", "0127/step"]),
        ("0-8", ["000"]),
        ("5-14", ["000", "001"]),
        ("0-127", ["00", "01"]),
    ],
)
def test_runs_are_listed_together_where_that_is_faster(
    desk: Desk, only: str, listed: list[str]
) -> None:
    desk.tool("aws", 'echo "$6" >>"$HOME/prefixes"')
    desk.write(names(128), clusters=[S3])

    desk.run("--list", "--only", only)

    start = f"{USER_FOLDER}/mix-{GROUP}-"
    prefixes = (desk.folder / "prefixes").read_text().split()
    assert sorted(prefixes) == [start + end for end in listed]


def test_the_tensors_of_a_checkpoint_on_s3_are_not_listed_one_by_one(desk: Desk) -> None:
    desk.real("aws")
    desk.write(names(1), clusters=[S3])
    run = f"{USER_FOLDER}/{names(1)[0]}"
    keys = [
        f"{run}/step{step}/model_and_optim/__{n}_0.distcp" for step in (1, 2) for n in range(999)
    ]
    keys += [f"{run}/{part}" for step in ("step1", "step2") for part in complete(step)]

    with listing_server(keys, latency=0) as listing:
        done = desk.run("--list", **aws_environment(desk.folder, listing.url))

    assert steps(done.stdout) == {0: "2"}
    assert listing.calls.total() == 1


def test_many_variants_that_share_no_name_are_all_found(desk: Desk) -> None:
    runs = [f"mix-heavy-{word}" for word in "abcdefghijklmnopqrst"]
    for run in runs:
        desk.save(run, "step5")
    desk.write(runs)

    listed = desk.run("--list")

    assert steps(listed.stdout) == dict.fromkeys(range(20), "5")


def test_a_thousand_variants_are_found(desk: Desk) -> None:
    for run in names(1000):
        desk.save(run, "step9", "step10")
    desk.write(names(1000))

    listed = desk.run("--list")

    assert steps(listed.stdout) == dict.fromkeys(range(1000), "10")


def test_a_script_has_one_line_more_for_each_variant_more(desk: Desk) -> None:
    desk.write(names(1))
    length = len(desk.path.read_text().splitlines())

    desk.write(names(1000))

    assert len(desk.path.read_text().splitlines()) == length + 999


@pytest.mark.parametrize("backend", ["hf", "vllm"])
def test_converted_checkpoints_are_for_hf_and_vllm(desk: Desk, backend: str) -> None:
    desk.save("mix-a", "step10", "step10-hf")
    desk.write(["mix-a"], backend=backend)

    desk.run()

    assert desk.submitted() == ["mix-a/step10-hf"]


@pytest.mark.parametrize("missing", RAW)
def test_a_checkpoint_counts_as_olmo_core_counts_it(desk: Desk, missing: str) -> None:
    desk.save("mix-a", "step10", *(f"step20/{part}" for part in RAW if part != missing))
    desk.write(["mix-a"])

    assert steps(desk.run("--list").stdout) == {0: "10"}


@pytest.mark.parametrize(
    "weights",
    [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ],
)
def test_a_conversion_with_config_and_weights_is_ready(desk: Desk, weights: str) -> None:
    desk.save("mix-a", "step10-hf/config.json", f"step10-hf/{weights}")
    desk.write(["mix-a"], backend="hf")

    desk.run()

    assert desk.submitted() == ["mix-a/step10-hf"]


@pytest.mark.parametrize(
    "files",
    [
        ("model.safetensors",),
        ("config.json", "generation_config.json"),
        ("config.json", "model-00001-of-00002.safetensors"),
    ],
    ids=" ".join,
)
def test_a_conversion_without_its_config_or_its_weights_is_not_ready(
    desk: Desk, files: tuple[str, ...]
) -> None:
    desk.save("mix-a", *(f"step10-hf/{file}" for file in files))
    desk.write(["mix-a"], backend="hf")

    done = desk.run()

    assert "No complete checkpoint: variant 0" in done.stderr
    assert desk.calls() == []


def test_a_variant_whose_newest_step_is_not_converted_shows_how_to_convert_it(
    desk: Desk,
) -> None:
    desk.save("mix-a", "step10", "step10-hf", "step20")
    desk.write(["mix-a"], backend="hf")

    done = desk.run()

    assert (
        "olmo-cookbook-eval convert /oe-training-default/ai2-llm/checkpoints/kylel/mix-a/step20"
        " -t olmo-core-v2 --use-beaker" in done.stderr
    )
    assert (done.returncode, desk.calls()) == (1, [])


def test_what_cannot_be_converted_in_place_is_to_be_copied_first(
    desk: Desk, full_s3: Bucket
) -> None:
    desk.real("aws")
    desk.write(names(1), clusters=[S3], backend="hf")

    done = desk.run("--list", **full_s3.environment)

    assert f"copy s3://ai2-llm/checkpoints/kylel/{names(1)[0]}/step10 to a folder" in done.stderr


def test_vllm_leaves_the_masked_perplexity_tasks_to_hf(desk: Desk) -> None:
    desk.save("mix-a", "step10-hf")
    desk.write(["mix-a"], backend="vllm", tasks=(*TASKS, *MASKED))

    desk.run()

    assert [(call["model_backend"], call["tasks"]) for call in desk.calls()] == [
        ("vllm", list(TASKS)),
        ("hf", list(MASKED)),
    ]


# --- lookups that fail ------------------------------------------------------------------


def test_an_empty_bucket_holds_no_checkpoint(desk: Desk, s3: Bucket) -> None:
    desk.real("aws")
    desk.write(names(1), root="s3://ai2-llm/nothing-here")

    done = desk.run(**s3.environment)

    assert "No complete checkpoint: variant 0" in done.stderr
    assert "failed" not in done.stderr
    assert (done.returncode, desk.calls()) == (1, [])


def test_a_gs_folder_that_is_empty_holds_no_checkpoint(desk: Desk, gs: Bucket) -> None:
    desk.real("gcloud")
    desk.write(names(1), root="gs://ai2-llm/nothing-here")

    done = desk.run(**gs.environment)

    assert "No complete checkpoint: variant 0" in done.stderr
    assert "failed" not in done.stderr


def test_a_bucket_that_is_not_there_is_no_lack_of_checkpoints(desk: Desk, s3: Bucket) -> None:
    desk.without_pauses()
    desk.real("aws")
    desk.write(names(9), root="s3://no-such-bucket/checkpoints")

    done = desk.run(**s3.environment)

    assert "NoSuchBucket" in done.stderr
    assert "Could not be looked up: variants 0-8" in done.stderr
    assert "No complete checkpoint" not in done.stderr
    assert done.returncode == 1


def test_a_gs_bucket_that_is_not_there_is_no_lack_of_checkpoints(desk: Desk, gs: Bucket) -> None:
    desk.without_pauses()
    desk.real("gcloud")
    desk.write(names(9), root="gs://no-such-bucket/checkpoints")

    done = desk.run(**gs.environment)

    assert "gs://no-such-bucket not found: 404" in done.stderr
    assert "Could not be looked up: variants 0-8" in done.stderr


def test_a_denied_bucket_is_told_once_in_the_words_of_the_tool(desk: Desk) -> None:
    desk.without_pauses()
    desk.real("aws")
    desk.write(names(2), clusters=[S3])

    with denying_s3_server() as url:
        done = desk.run(**aws_environment(desk.folder, url))

    assert done.stderr.count("AccessDenied") == 1
    assert "Could not be looked up: variants 0-1" in done.stderr
    assert (done.returncode, desk.calls()) == (1, [])


def test_a_lookup_that_fails_once_is_tried_again(desk: Desk, full_s3: Bucket) -> None:
    desk.real("aws")
    (desk.bin / "aws").rename(desk.bin / "real-aws")
    desk.tool(
        "aws",
        'if [ -e "$HOME/failed" ]; then exec real-aws "$@"; fi\n'
        'echo >"$HOME/failed"; echo "Read timeout" >&2; exit 255',
    )
    desk.write(names(9), clusters=[S3])

    listed = desk.run("--list", **full_s3.environment)

    assert (steps(listed.stdout), listed.returncode) == (EXPECTED, 1), listed.stderr
    assert "Read timeout" not in listed.stderr


def test_a_weka_bucket_that_is_not_mounted_is_no_lack_of_checkpoints(desk: Desk) -> None:
    desk.without_pauses()
    desk.mount.mkdir()
    desk.write(names(2))

    done = desk.run()

    assert "oe-training-default" in done.stderr
    assert "Could not be looked up: variants 0-1" in done.stderr


# The first two are unreadable for root as well.
@pytest.fixture(params=["a file on the way", "a circle of links", "no right"])
def unreadable(request: pytest.FixtureRequest, desk: Desk) -> str:
    """The name of a run whose folder cannot be read."""
    parent = desk.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER
    parent.mkdir(parents=True)
    run = parent / "mix-a"
    if request.param == "a file on the way":
        shutil.rmtree(parent)
        parent.write_text("")
    elif request.param == "a circle of links":
        run.symlink_to(run)
    else:
        run.mkdir(mode=0)
        if os.access(run, os.R_OK):
            pytest.skip("this user may read everything")
    return "mix-a"


def test_a_weka_folder_that_cannot_be_read_is_no_lack_of_checkpoints(
    desk: Desk, unreadable: str
) -> None:
    desk.write([unreadable])

    done = desk.run()

    assert "A lookup failed: ls: " in done.stderr
    assert "Could not be looked up: variant 0" in done.stderr
    assert "No complete checkpoint" not in done.stderr


def test_one_folder_that_cannot_be_read_costs_no_other_variant(desk: Desk) -> None:
    for run in names(12):
        desk.save(run, "step5")
    spoilt = desk.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER / names(12)[7]
    shutil.rmtree(spoilt)
    spoilt.symlink_to(spoilt)
    desk.write(names(12))

    done = desk.run("--list")

    assert "11 of 12 variants have a checkpoint" in done.stderr
    assert "Could not be looked up: variant 7\n" in done.stderr


@pytest.mark.parametrize("folder", ["", "step5", "step5/train", "step5/model_and_optim"])
def test_a_folder_that_the_user_may_not_read_is_told_as_that(folder: str) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can run it as another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's are closed to other users
        desk = Desk(Path(name))
        desk.folder.chmod(0o777)
        for run in names(2):
            desk.save(run, "step5")
        desk.write(names(2))
        parent = desk.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER
        (parent / names(2)[1] / folder).chmod(0o700)

        done = subprocess.run(
            [BASH, str(desk.path), "--list"],
            env=desk.environment,
            user="nobody",
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )

    assert "Permission denied" in done.stderr
    assert "Could not be looked up: variant 1\n" in done.stderr


def test_a_slow_lookup_says_what_it_looks_at(desk: Desk) -> None:
    desk.tool("aws", 'until [ -e "$HOME/go" ]; do sleep 0.1; done')
    desk.write(names(1), clusters=[S3])

    process = desk.start("--list")
    assert process.stdout is not None
    line = process.stdout.readline()
    (desk.folder / "go").touch()
    process.communicate(timeout=LONG)

    assert line == f"Looking up s3://ai2-llm/{USER_FOLDER}/{names(1)[0]}/step*\n"


def test_a_fast_lookup_says_nothing_of_itself(three: Desk) -> None:
    done = three.run("--list")

    assert done.stderr == "3 of 3 variants have a checkpoint, most of them at step 5\n"


def test_variants_of_a_storage_that_answers_are_submitted_though_another_fails(
    desk: Desk,
) -> None:
    desk.without_pauses()
    desk.real("aws")
    for run in ("mix-b", "mix-c"):
        desk.save(run, "step5")
    desk.write(["mix-a", "mix-b", "mix-c"], clusters=[S3, WEKA, WEKA])

    with denying_s3_server() as url:
        done = desk.run(**aws_environment(desk.folder, url))

    assert desk.submitted() == ["mix-b/step5", "mix-c/step5"]
    assert done.returncode == 1


# --- programs that are not there --------------------------------------------------------


def test_no_storage_tool_is_needed_for_a_mounted_folder(desk: Desk) -> None:
    desk.save("mix-a", "step5")
    desk.write(["mix-a"])

    assert desk.run().returncode == 0


def test_olmo_cookbook_is_asked_for_where_it_is_missing(desk: Desk) -> None:
    (desk.bin / "olmo-cookbook-eval").unlink()
    desk.save("mix-a", "step5")
    desk.write(["mix-a"])

    done = desk.run()

    assert "olmo-cookbook-eval was not found" in done.stderr
    assert done.returncode == 1


def test_listing_needs_no_olmo_cookbook(desk: Desk) -> None:
    (desk.bin / "olmo-cookbook-eval").unlink()
    desk.save("mix-a", "step5")
    desk.write(["mix-a"])

    assert desk.run("--list").returncode == 0


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        (S3, "aws was not found; install it to read s3:// checkpoints"),
        (GS, "neither gcloud nor gsutil was found"),
        (WEKA, "set WEKA_ENDPOINT_URL and WEKA_PROFILE"),
    ],
)
def test_the_storage_tool_that_is_missing_is_named(desk: Desk, cluster: str, message: str) -> None:
    desk.write(names(1), clusters=[cluster])

    done = desk.run()

    assert message in done.stderr
    assert (done.returncode, desk.calls()) == (1, [])


def test_only_the_storage_of_the_chosen_variants_counts(desk: Desk) -> None:
    desk.save("mix-b", "step5")
    desk.write(["mix-a", "mix-b"], clusters=[S3, WEKA])

    assert desk.run("--only", "1", "--any-step").returncode == 0


# --- options ----------------------------------------------------------------------------


@pytest.fixture
def three(desk: Desk) -> Desk:
    """Three variants, ready at step 5."""
    for run in ("mix-a", "mix-b", "mix-c"):
        desk.save(run, "step5")
    desk.write(["mix-a", "mix-b", "mix-c"])
    return desk


def test_every_variant_is_submitted_once_with_all_its_tasks(three: Desk) -> None:
    done = three.run()

    root = "/weka/oe-training-default/ai2-llm/checkpoints/kylel"
    assert three.calls() == [
        {
            "checkpoint": f"{root}/{run}/step5",
            "dashboard": "olmix-58362402",
            "cluster": "aus",
            "model_backend": "olmo_core",
            "tasks": list(TASKS),
        }
        for run in ("mix-a", "mix-b", "mix-c")
    ]
    assert done.returncode == 0


def test_a_run_shows_a_line_for_each_variant_and_what_comes_next(three: Desk) -> None:
    done = three.run("--only", "1")

    assert re.sub(r"\(\d+ s\)", "(0 s)", done.stdout).splitlines() == [
        "[1/1] variant 1, step 5: submitted (0 s)",
        "",
        "Submitted: 1 variant, dashboard olmix-58362402",
        f"Once the results are in: bash {three.path} --results",
    ]


def test_listing_submits_nothing(three: Desk) -> None:
    done = three.run("--list")

    assert done.stdout.splitlines()[1].split() == [
        "0",
        "mix-a",
        "5",
        "/weka/oe-training-default/ai2-llm/checkpoints/kylel/mix-a/step5",
    ]
    assert three.calls() == []


@pytest.mark.parametrize("option", [["--only", "2,0-1,001"], ["--only=0-2"]])
def test_only_takes_numbers_and_ranges(three: Desk, option: list[str]) -> None:
    three.run(*option)

    assert three.submitted() == ["mix-a/step5", "mix-b/step5", "mix-c/step5"]


def test_only_chooses_variants(three: Desk) -> None:
    three.run("--only", "0,2")

    assert three.submitted() == ["mix-a/step5", "mix-c/step5"]


@pytest.mark.parametrize(
    "options",
    [
        ["--lists"],
        ["-n"],
        ["mix-a"],
        ["--only", "3"],
        ["--only", "0-3"],
        ["--only", "2-1"],
        ["--only", "0,"],
        ["--only", "$(touch x)"],
        ["--only", ""],
        ["--only"],
        ["--step", "five"],
        ["--step", "0"],
        ["--step", "-1"],
        ["--step"],
        ["--resume=yes"],
        ["--jobs", "0"],
        ["--jobs", "many"],
        ["--jobs"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    three: Desk, options: list[str]
) -> None:
    done = three.run(*options)

    assert re.fullmatch(r".*; try --help\n", done.stderr)
    assert (done.returncode, done.stdout, three.started()) == (2, "", "")


def test_help_needs_nothing_and_names_every_option(three: Desk) -> None:
    done = three.run("--help", WEKA_MOUNT="/nowhere")

    assert done.returncode == 0
    for option in ("--list", "--dry-run", "--only", "--step", "--any-step", "--again", "--help"):
        assert f"  {option} " in done.stdout


def test_a_step_that_was_asked_for_is_taken_though_it_is_not_the_latest(three: Desk) -> None:
    three.save("mix-a", "step4")

    three.run("--step", "4", "--only", "0")

    assert three.submitted() == ["mix-a/step4"]


def test_a_variant_without_the_step_that_was_asked_for_is_skipped_and_named(three: Desk) -> None:
    three.save("mix-b", "step4")

    done = three.run("--step=4")

    assert "No complete checkpoint: variants 0, 2" in done.stderr
    assert (done.returncode, three.submitted()) == (1, ["mix-b/step4"])


@pytest.fixture
def spread(desk: Desk) -> Desk:
    """Seven variants, most of them at step 50, two behind and one ahead."""
    for run, step in zip(names(7), (50, 50, 9, 50, 60, 50, 40), strict=True):
        desk.save(run, f"step{step}")
    desk.write(names(7))
    return desk


def test_variants_behind_the_step_of_most_are_held_back_and_named_in_one_line(
    spread: Desk,
) -> None:
    done = spread.run()

    held_back = "2 held back at step 9-40 (still training, or stopped early): variants 2, 6"
    assert held_back in done.stderr.splitlines()
    assert [run[-7:] for run in spread.submitted() if run[-8:-7] in "26"] == []
    assert done.returncode == 1


def test_variants_ahead_of_most_are_submitted_and_named_in_one_line(spread: Desk) -> None:
    done = spread.run()

    assert "\n1 ahead at step 60 (submitted anyway): variant 4\n" in done.stderr
    assert f"{names(7)[4]}/step60" in spread.submitted()


def test_a_variant_chosen_alone_is_held_back_behind_the_step_of_the_swarm(spread: Desk) -> None:
    done = spread.run("--only", "6")

    assert done.stderr.startswith(
        "1 variant has a checkpoint, most of the swarm at step 50\n1 held back at step 40 "
    )
    assert (done.returncode, spread.calls()) == (1, [])


def test_a_variant_chosen_alone_is_taken_at_the_step_that_is_asked_for(spread: Desk) -> None:
    spread.run("--only", "6", "--step", "40")

    assert spread.submitted() == [f"{names(7)[6]}/step40"]


def test_variants_that_are_not_chosen_need_no_storage_tool(desk: Desk) -> None:
    for run in names(3)[1:]:
        desk.save(run, "step7")
    desk.write(names(3), clusters=[S3, WEKA, WEKA])

    done = desk.run("--only", "1")

    assert "aws was not found" in done.stderr
    assert "Could not be looked up among those not chosen: 1" in done.stderr
    assert desk.submitted() == [f"{names(3)[1]}/step7"]


def test_variants_that_could_not_be_looked_up_can_take_a_majority_away(desk: Desk) -> None:
    desk.save(names(3)[1], "step7")
    desk.write(names(3), clusters=[S3, WEKA, S3])

    done = desk.run("--only", "1")

    assert "Could not be looked up among those not chosen: 2" in done.stderr
    assert "1 at step 7, and no step has a majority: variant 1" in done.stderr
    assert desk.submitted() == []


def test_what_is_held_back_unconverted_is_shown_as_it_is(desk: Desk) -> None:
    for run, step in zip(names(3), ("step5-hf", "step5-hf", "step4"), strict=True):
        desk.save(run, step)
    desk.write(names(3), backend="hf")

    done = desk.run("--list")

    assert done.stdout.splitlines()[3].endswith(f"{names(3)[2]}/step4")
    assert "2 of 3 variants have a checkpoint, most of them at step 5" in done.stderr


def test_a_step_that_vanishes_while_it_is_listed_costs_no_later_one(desk: Desk) -> None:
    desk.save("mix-a", "step1000", "step2000", "step3000")
    desk.write(["mix-a"])
    vanishing = desk.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER / "mix-a" / "step2000"
    hook = desk.folder / "hook"
    hook.write_text(
        f'[() {{ case "$*" in *step2000*) /bin/rm -rf "{vanishing}" ;; esac; builtin [ "$@"; }}\n'
    )

    done = desk.run("--list", BASH_ENV=str(hook))

    assert not vanishing.exists()
    assert steps(done.stdout) == {0: "3000"}


def test_a_list_that_cannot_be_written_whole_does_not_count(desk: Desk) -> None:
    desk.save("mix-a", *(f"step{step}" for step in range(1000, 10000, 1000)))
    desk.write(["mix-a"])

    done = subprocess.run(
        [BASH, "-c", f"trap '' XFSZ; ulimit -f 2; exec {BASH} {desk.path}"],
        env=desk.environment,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )

    assert (done.returncode, desk.calls()) == (1, [])


def test_a_file_that_is_listed_twice_is_one_part_of_a_checkpoint(desk: Desk) -> None:
    desk.tool(
        "aws",
        f"for i in 1 2 3; do echo {USER_FOLDER}/{names(1)[0]}/step5/train/rank0.pt; done",
    )
    desk.write(names(1), clusters=[S3])

    assert "No complete checkpoint" in desk.run("--list").stderr


def test_an_interrupt_while_a_submission_is_waited_for_submits_nothing_more(desk: Desk) -> None:
    """Bash leaves a trap half-way if the time of a read is up meanwhile."""
    for run in names(6):
        desk.save(run, "step5")
    desk.write(names(6))
    process = desk.start(COOKBOOK_HANG=names(6)[1])
    until(lambda: names(6)[1] in desk.started())
    time.sleep(0.75)  # so that a second is over while it stops what it started

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LONG)

    assert process.returncode == 130
    assert desk.submitted() == [f"{names(6)[0]}/step5"]


def test_nothing_is_submitted_where_no_step_has_a_majority(three: Desk) -> None:
    three.save("mix-b", "step12")
    three.save("mix-c", "step13")

    done = three.run()

    assert "3 at step 5-13, and no step has a majority: variants 0-2" in done.stderr
    assert "--any-step, or one step with --step N" in done.stderr
    assert (done.returncode, three.calls()) == (1, [])


def test_half_of_the_variants_are_no_majority(desk: Desk) -> None:
    for run, step in zip(names(4), (5, 5, 6, 6), strict=True):
        desk.save(run, f"step{step}")
    desk.write(names(4))

    desk.run()

    assert desk.calls() == []


def test_variants_without_a_checkpoint_have_no_say_in_the_step(desk: Desk) -> None:
    for run, step in zip(names(3), (5, 5, 6), strict=True):
        desk.save(run, f"step{step}")
    desk.write(names(8))

    desk.run()

    assert len(desk.submitted()) == 3


def test_each_variant_s_latest_is_taken_where_any_step_will_do(spread: Desk) -> None:
    done = spread.run("--any-step")

    assert [run.rpartition("step")[2] for run in spread.submitted()] == [
        *("50", "50", "9", "50", "60", "50", "40")
    ]
    assert done.returncode == 0


def test_variants_behind_that_are_not_converted_are_held_back(desk: Desk) -> None:
    for run, step in zip(names(3), ("step5-hf", "step5-hf", "step4"), strict=True):
        desk.save(run, step)
    desk.write(names(3), backend="hf")

    done = desk.run()

    assert "1 held back at step 4" in done.stderr
    assert "Not converted" not in done.stderr


def test_the_table_has_four_columns_and_shows_where_nothing_was_found(desk: Desk) -> None:
    desk.save("mix-a", "step5")
    desk.save("mix-b", "step5-hf")
    desk.write(["mix-a", "mix-b", "mix-c"], backend="hf")

    listed = desk.run("--list")

    folder = f"/weka/oe-training-default/ai2-llm/{USER_FOLDER}"
    assert [line.split() for line in listed.stdout.splitlines()] == [
        ["variant", "run", "step", "checkpoint"],
        ["0", "mix-a", "5", f"{folder}/mix-a/step5"],
        ["1", "mix-b", "5", f"{folder}/mix-b/step5-hf"],
        ["2", "mix-c", "none", f"{folder}/mix-c"],
    ]


AWKS = ["mawk", "gawk", "original-awk", "busybox", "awk"]


@pytest.mark.parametrize("awk", AWKS)
def test_steps_beyond_31_bits_stay_whole(desk: Desk, awk: str) -> None:
    desk.link("awk", need(awk))
    desk.save("mix-a", "step3000000000", "step999999999", "step9007199254740993")
    desk.write(["mix-a"])

    assert steps(desk.run("--list").stdout) == {0: "9007199254740993"}


def test_arguments_after_two_dashes_reach_olmo_cookbook_as_they_are(three: Desk) -> None:
    three.run("--only", "0", "--", "--gantry-args", "a=b c", "--name-suffix=it's *", "-y", "urgent")

    call = three.calls()[0]
    assert (call["gantry_args"], call["name_suffix"], call["priority"]) == (
        "a=b c",
        "it's *",
        "urgent",
    )


def test_arguments_of_the_script_itself_reach_olmo_cookbook_too(desk: Desk) -> None:
    desk.save("mix-a", "step5")
    desk.write(["mix-a"], extra=["--gantry-args", "a=b c"])

    desk.run("--", "-p", "8")

    assert [desk.calls()[0][key] for key in ("gantry_args", "partition_size")] == ["a=b c", "8"]


def test_a_dry_run_of_what_was_submitted_says_so(three: Desk) -> None:
    three.run()

    done = three.run("--only", "0-1", "--dry-run")

    assert (
        done.stdout.splitlines()[-1]
        == "Nothing to try: every variant that is ready was submitted before"
    )
    assert len(three.calls()) == 3
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "3 of 3 variants have a checkpoint, most of them at step 5"),
        (["--only", "1"], "1 variant has a checkpoint, at step 5"),
        (["--step", "5"], "3 of 3 variants have a checkpoint of step 5"),
        (["--only", "1", "--step", "9"], "0 variants have a checkpoint of step 9"),
    ],
)
def test_what_was_found_is_counted(three: Desk, options: list[str], words: str) -> None:
    assert three.run("--list", *options).stderr.splitlines()[0] == words


@pytest.mark.parametrize(
    "options", [["--dry-run"], ["--", "--dry-run"], ["--", "-r"], ["--", "-gr"]]
)
def test_a_dry_run_is_passed_on_and_not_recorded(three: Desk, options: list[str]) -> None:
    done = three.run(*options)
    three.run("--resume")

    assert [call.get("dry_run", False) for call in three.calls()] == [True] * 3 + [False] * 3
    assert done.returncode == 0


# --- failure, interruption, and going on ------------------------------------------------


def test_a_failing_submission_does_not_stop_the_others(three: Desk) -> None:
    done = three.run(COOKBOOK_FAIL="mix-a")

    assert three.submitted() == ["mix-b/step5", "mix-c/step5"]
    assert "Failed: variant 0" in done.stderr
    assert f"To submit variant 0: bash {three.path}, with the same options" in done.stdout
    assert done.returncode == 1


def test_resume_submits_what_is_left(three: Desk) -> None:
    three.run(COOKBOOK_FAIL="mix-b")

    done = three.run("--resume")

    assert three.submitted() == ["mix-a/step5", "mix-c/step5", "mix-b/step5"]
    assert done.returncode == 0


def test_resume_without_a_former_run_submits_all(three: Desk) -> None:
    three.run("--resume")

    assert len(three.calls()) == 3


def test_what_was_submitted_is_submitted_again_only_on_request(three: Desk) -> None:
    three.run()
    three.run()
    assert len(three.calls()) == 3

    three.run("--again")

    assert len(three.calls()) == 6


def test_resume_submits_a_later_step_and_warns_of_two_steps_on_a_dashboard(three: Desk) -> None:
    three.run()
    three.save("mix-b", "step6")

    done = three.run("--resume")

    assert three.submitted()[3:] == ["mix-b/step6"]
    assert (
        "Dashboard olmix-58362402 already has another step, and a fit may take either: variant 1"
        in done.stderr
    )


def test_resume_repeats_only_the_half_that_failed_of_a_variant(desk: Desk) -> None:
    desk.save("mix-a", "step5-hf")
    desk.write(["mix-a"], backend="vllm", tasks=(*TASKS, *MASKED))
    desk.tool(
        "olmo-cookbook-eval",
        f'case "$*" in *masked_ppl*) exit 1 ;; esac; exec "{sys.executable}" "{STUB}" "$@"',
    )
    desk.run()
    desk.tool("olmo-cookbook-eval", f'exec "{sys.executable}" "{STUB}" "$@"')

    desk.run("--resume")

    assert [call["model_backend"] for call in desk.calls()] == ["vllm", "hf"]


@pytest.mark.parametrize("option", [["-d", "other"], ["--dashboard=other"]])
def test_resume_tells_dashboards_apart(three: Desk, option: list[str]) -> None:
    three.run("--", *option)

    three.run("--resume")

    assert [call["dashboard"] for call in three.calls()] == ["other"] * 3 + ["olmix-58362402"] * 3


def test_resume_tells_task_lists_apart(three: Desk) -> None:
    three.run()
    three.write(["mix-a", "mix-b", "mix-c"], tasks=["lambada"])

    three.run("--resume")

    assert len(three.calls()) == 6


def test_a_killed_script_goes_on_without_loss_or_repetition(three: Desk) -> None:
    process = three.start(COOKBOOK_SLOW="mix-b")
    until(lambda: "mix-b" in three.started())
    process.kill()
    process.communicate(timeout=LONG)
    until(lambda: three.record.read_text().count("\n") == 2)

    three.run("--resume")

    assert three.submitted() == ["mix-a/step5", "mix-b/step5", "mix-c/step5"]


def test_a_record_cut_short_costs_no_other_line(three: Desk) -> None:
    three.run("--only", "0,1")
    three.record.write_text(three.record.read_text()[:-5])
    three.run("--resume")

    three.run("--resume")

    assert three.submitted() == ["mix-a/step5", "mix-b/step5", "mix-b/step5", "mix-c/step5"]


def test_nothing_is_submitted_that_could_not_be_recorded(three: Desk) -> None:
    three.record.mkdir()

    done = three.run()

    assert "cannot record" in done.stderr
    assert (done.returncode, three.calls()) == (1, [])


def test_a_checkpoint_that_vanishes_midway_is_told_and_the_others_are_submitted(
    three: Desk,
) -> None:
    process = three.start(COOKBOOK_SLOW="mix-a")
    until(lambda: "mix-a" in three.started())
    shutil.rmtree(three.mount / "oe-training-default" / "ai2-llm" / USER_FOLDER / "mix-b" / "step5")

    output, _ = process.communicate(timeout=LONG)

    assert "mix-b/step5 is no longer there" in output
    assert three.submitted() == ["mix-a/step5", "mix-c/step5"]
    assert process.returncode == 1


def test_lines_that_are_added_to_a_running_script_are_not_run(three: Desk) -> None:
    process = three.start(COOKBOOK_SLOW="mix-a")
    until(lambda: "mix-a" in three.started())
    with three.path.open("a") as script:
        script.write('main "$@"\n' * 100)

    process.communicate(timeout=LONG)

    assert len(three.calls()) == 3


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_leaves_no_child_and_says_how_to_go_on(
    three: Desk, sent: signal.Signals, status: int
) -> None:
    process = three.start(COOKBOOK_HANG="mix-b")
    until(lambda: "sleep" in three.started())

    process.send_signal(sent)
    output, _ = process.communicate(timeout=LONG)

    assert process.returncode == status
    assert "Submitted: 1 of 3 variants" in output
    assert f"To submit variant 2: bash {three.path} --only 2, with your other options" in output
    assert [line for line in three.started().splitlines() if is_alive(line.split()[0])] == []


def test_an_interrupt_while_looking_up_leaves_no_child(desk: Desk) -> None:
    desk.real("aws")
    desk.write(names(2), clusters=[S3])
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = desk.start("--list", **aws_environment(desk.folder, url))
        server.settimeout(LONG)
        connections = [server.accept()[0] for _ in range(1)]

        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LONG)

        for connection in connections:
            connection.settimeout(LONG)
            while connection.recv(4096):
                pass
    assert process.returncode == 130
    assert not list(desk.folder.glob("tmp.*"))


def test_ctrl_c_at_a_terminal_stops_the_script(three: Desk) -> None:
    status, output = three.run_at_terminal(
        "--yes", typed=b"\x03", wait_for="sleep", COOKBOOK_HANG="mix-a"
    )

    assert status == 130
    assert "Submitted: 0 of 3 variants" in output


def test_a_question_at_the_terminal_is_a_failure_and_no_hang(three: Desk) -> None:
    status, output = three.run_at_terminal("--yes", COOKBOOK_ASK="mix-b")

    assert "It wants to ask something at the terminal" in output
    assert three.submitted() == ["mix-a/step5", "mix-c/step5"]
    assert status == 1


# --- how it looks -----------------------------------------------------------------------


def test_a_terminal_shows_warnings_in_colour(three: Desk) -> None:
    _, output = three.run_at_terminal("--step", "9", TERM="xterm")

    assert "\033[31m" in output


def test_a_terminal_shows_no_colour_where_none_is_wanted(three: Desk) -> None:
    _, output = three.run_at_terminal("--step", "9", TERM="xterm", NO_COLOR="1")

    assert "\033" not in output


def test_a_file_gets_no_colour(three: Desk) -> None:
    assert "\033" not in three.run("--step", "9").stderr


# --- other shells and userlands ---------------------------------------------------------


def tell_a_story(desk: Desk, **environment: str) -> tuple[dict[int, str], str, list[str]]:
    """Use the whole script: many variants, a listing, a failure, and a resumption."""
    for number, run in enumerate(names(10)):
        desk.save(run, "step9", "step10" if number != 4 else "step8")
    desk.write(names(10), extra=["-p", "8"])
    listed = desk.run("--list", **environment)
    desk.run("--only", "0,4-5", "--any-step", COOKBOOK_FAIL="0005", **environment)
    desk.run("--only", "4-6", "--any-step", "--resume", **environment)
    return steps(listed.stdout), listed.stderr, [run[-10:] for run in desk.submitted()]


STORY = (
    {number: "9" if number == 4 else "10" for number in range(10)},
    "10 of 10 variants have a checkpoint, most of them at step 10\n"
    "1 held back at step 9 (still training, or stopped early): variant 4\n",
    ["000/step10", "0004/step9", "005/step10", "006/step10"],
)


@pytest.mark.parametrize("awk", AWKS)
def test_every_awk_will_do(desk: Desk, awk: str) -> None:
    desk.link("awk", need(awk))

    assert tell_a_story(desk) == STORY


def test_busybox_will_do_for_all_programs(desk: Desk) -> None:
    for program in USERLAND:
        desk.link(program, need("busybox"))

    assert tell_a_story(desk) == STORY


@pytest.mark.parametrize(
    "environment",
    [{"POSIXLY_CORRECT": "1"}, {"BASH_COMPAT": "3.2"}, {"LC_ALL": "C"}, {"BASHOPTS": "nullglob"}],
    ids="".join,
)
def test_an_unusual_environment_will_do(desk: Desk, environment: dict[str, str]) -> None:
    assert tell_a_story(desk, **environment) == STORY


# What bash 3.2 does not have, or what only some userlands have.
FORBIDDEN = {
    "mapfile": r"\b(mapfile|readarray)\b",
    "associative array": r"\b(declare|local|typeset) -\w*A",
    "reference": r"\b(declare|local|typeset) -\w*n",
    "case of letters": r"\$\{\w+(\[[^]]*\])?(\^|,)",
    "transformation": r"\$\{[^}]*@[QEPAKaULuk]\}",
    "|& or &>>": r"\|&|&>>",
    "wait -n": r"\bwait -n\b",
    "index from the end": r"\[-\d+\]",
    "negative length": r"\$\{\w+:[^}]*: *-\d",
    "new variable": r"\b(BASHPID|EPOCHSECONDS|EPOCHREALTIME|SRANDOM|BASH_ARGV0)\b",
    "time in printf": r"%\([^)]*\)T|printf -v \w+\[",
    "coproc": r"\bcoproc\b",
    "falling through": r";;?&",
    "test of a variable": r"\[\[? -[vR] ",
    "escape of a character": r"\$'[^']*\\[uU]",
    "process substitution": r"[<>]\(",
    "fd of bash": r"exec \{\w+\}|\{\w+\}[<>]",
    "globstar": r"\bshopt\b.*\b(globstar|lastpipe)\b",
    "empty array": r"(?<!\+)\"\$\{EXTRA_ARGS\[[@*]\]\}\"",
    "GNU grep": r"\bgrep\b[^|]* -\w*[Po]\w*\b",
    "GNU sed": r"\bsed\b[^|]* -(i|r)",
    "GNU sort": r"\bsort\b[^|]* -\w*[Vhz]",
    "options that differ": r"(?<!-)\b(find|date|stat|readlink -|realpath|xargs|tac|timeout|seq)\b",
}


@pytest.mark.parametrize(
    "options", [{"BASHOPTS": "failglob:nocasematch"}, {"SHELLOPTS": "keyword:posix:noglob"}]
)
def test_settings_that_bash_inherits_do_not_matter(desk: Desk, options: dict[str, str]) -> None:
    desk.write(names(1))
    desk.save(names(1)[0], "step5")

    assert desk.run(**options).returncode == 0


def test_a_message_of_a_storage_tool_is_nothing_that_a_terminal_obeys(desk: Desk) -> None:
    desk.write(names(1), clusters=[S3])
    desk.tool("aws", r"printf '\033[2Jfatal: no \007credentials\n' >&2; exit 1")

    done = desk.run("--list")

    assert "A lookup failed:  [2Jfatal: no  credentials\n" in done.stderr


def test_a_list_that_nobody_gets_is_an_error(desk: Desk) -> None:
    desk.write(names(1))
    desk.save(names(1)[0], "step5")

    done = subprocess.run(
        [BASH, "-c", f"'{BASH}' '{desk.path}' --list >/dev/full"],
        env=desk.environment, capture_output=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1


def test_a_list_into_a_closed_stream_says_nothing(desk: Desk) -> None:
    desk.write(names(1))
    desk.save(names(1)[0], "step5")

    done = subprocess.run(
        [BASH, "-c", f"'{BASH}' '{desk.path}' --list >&-"],
        env=desk.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "1 variant has a checkpoint, at step 5\n")


def test_another_shell_says_that_it_takes_bash(desk: Desk) -> None:
    desk.write(names(1))

    done = subprocess.run(
        [need("busybox"), "sh", str(desk.path), "--list"],
        env=desk.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (2, f"Run this with bash: bash {desk.path}\n")


def test_a_list_in_which_nothing_is_ready_says_no_more_than_that(desk: Desk) -> None:
    desk.write(names(1))
    desk.save(names(1)[0], "step5/train/rank0.pt")

    done = desk.run("--list")

    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        ["0 variants have a checkpoint", "No complete checkpoint: variant 0"],
    )


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_script_keeps_to_what_bash_3_2_and_every_userland_have(what: str) -> None:
    code = re.sub(r"(?m)(^|\s)#.*$|^ *cat <<EOF(.|\n)*?^EOF$", "", TEMPLATE.read_text())

    assert re.findall(f".*(?:{FORBIDDEN[what]}).*", code) == []


# --- bash's own opinion, and shellcheck's -----------------------------------------------


@pytest.mark.parametrize(
    ("backend", "count"), [("olmo_core", 1), ("hf", 1), ("vllm", 1), ("vllm", 1000)]
)
def test_scripts_are_clean(desk: Desk, backend: str, count: int) -> None:
    desk.write(
        names(count),
        clusters=[WEKA, S3, GS],
        backend=backend,
        tasks=(*TASKS, *MASKED),
        extra=["--gantry-args", "it's=$HOME `x`"],
    )

    for check in ([BASH, "-n"], [need("shellcheck")]):
        done = subprocess.run([*check, str(desk.path)], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_the_template_is_clean() -> None:
    done = subprocess.run(
        [need("shellcheck"), str(TEMPLATE)], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.returncode) == ("", 0)


# --- the stand-in -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "a b",
        "a --task x",
        "a -v vLLM",
        "a -y URGENT",
        "a -n two",
        "a -d",
        "a --dry-run=yes",
        "a -- -r",
        "a --vllm-memory-utilization 1.5",
    ],
)
def test_the_stand_in_refuses_what_olmo_cookbook_refuses(desk: Desk, arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(STUB), "evaluate", *arguments.split()],
        env=desk.environment,
        capture_output=True,
        check=False,
    )

    assert (done.returncode, desk.calls()) == (2, [])


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_stand_in_submits_nothing_where_olmo_cookbook_shows_something(
    desk: Desk, argument: str
) -> None:
    done = subprocess.run(
        [sys.executable, str(STUB), "evaluate", "a", argument],
        env=desk.environment,
        capture_output=True,
        check=False,
    )

    assert (done.returncode, desk.calls()) == (0, [])


@pytest.mark.parametrize("arguments", ["a -n2 -rg -vhf", "-t x a --tasks=y", "-- a"])
def test_the_stand_in_takes_what_olmo_cookbook_takes(desk: Desk, arguments: str) -> None:
    subprocess.run(
        [sys.executable, str(STUB), "evaluate", *arguments.split()],
        env=desk.environment,
        capture_output=True,
        check=True,
    )

    assert [call["checkpoint"] for call in desk.calls()] == ["a"]
