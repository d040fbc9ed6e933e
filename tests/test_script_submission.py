"""What the generated script submits, records, repeats and refuses, and what it says of that."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk import BASH, GS, LONG, S3, STUB, TASKS, WEKA, Desk, is_alive, until
from tests.factories import GROUP
from tests.storage import lack

ROOT = "/weka/oe-training-default/ai2-llm/checkpoints/kylel"
MASKED = ("ultrachat_masked_ppl", "wildchat_masked_ppl")
COMPLETE = ("train/rank0.pt", "model_and_optim/.metadata", ".metadata.json")


def save(desk: Desk, *runs: str, step: int = 5) -> None:
    """Save a step of each run, raw and converted."""
    for run in runs:
        desk.save(run, *(f"step{step}/{file}" for file in COMPLETE))
        desk.save(run, f"step{step}-hf/config.json", f"step{step}-hf/model.safetensors")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def one(desk: Desk) -> Desk:
    """One variant, ready at step 5."""
    save(desk, "mix-a")
    desk.write(["mix-a"])
    return desk


@pytest.fixture
def four(desk: Desk) -> Desk:
    """Four variants, ready at step 5."""
    runs = ["mix-a", "mix-b", "mix-c", "mix-d"]
    save(desk, *runs)
    desk.write(runs)
    return desk


def before_each_call(desk: Desk, commands: str) -> None:
    """Have olmo-cookbook-eval do something first; $3 is the checkpoint's path."""
    desk.tool("olmo-cookbook-eval", f'{commands}\nexec "{sys.executable}" -S -E "{STUB}" "$@"')


# --- what makes it another evaluation ---------------------------------------------------


@pytest.mark.parametrize("argument", ["--help", "--version", "--"])
def test_what_makes_olmo_cookbook_submit_nothing_is_refused(one: Desk, argument: str) -> None:
    done = one.run("--", "-g", argument)

    assert f"olmo-cookbook-eval would submit nothing with {argument}" in done.stderr
    assert (done.returncode, one.record.exists(), one.started()) == (2, False, "")


def test_a_value_may_look_like_an_option(one: Desk) -> None:
    one.run("--", "--name-suffix", "--help")

    assert one.calls()[0]["name_suffix"] == "--help"


def test_an_option_without_its_value_is_refused(one: Desk) -> None:
    done = one.run("--", "--name-suffix")

    assert "--name-suffix needs a value" in done.stderr
    assert (done.returncode, one.started()) == (2, "")


@pytest.mark.parametrize(
    "arguments",
    [
        "-dother",
        "-d other",
        "-gd other",
        "--dashboard=other",
        "-t extra",
        "-gtextra",
        "--name-suffix x",
        "--name-suffix=x",
        "--num-shots 5",
        "--add-bos-token",
        "-ga",
        "--model-args dtype=bfloat16",
        '--task-args limit=5',
        "--no-compute-gold-bpb",
        "--backfill",
        "-x--limit=5",
        "-os3://elsewhere",
        "--revision main",
        "-g --oe-eval-commit 1234567",
    ],
)  # fmt: skip
def test_another_evaluation_is_submitted_and_recorded(one: Desk, arguments: str) -> None:
    one.run()

    one.run("--", *arguments.split())
    one.run("--", *arguments.split())

    assert len(one.calls()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        "-y urgent",
        "-gyurgent",
        "-c h100",
        "-b ai2/x",
        "-w ai2/x",
        "-n 2",
        "-z8",
        "-p4",
        "-l a=b",
        "--gantry-args=a=-r",
        "-i image",
        "--beaker-retries 2",
        "-jKEY -kSECRET",
        "-s TOKEN --use-hf-token",
        "--env-name mine --force-venv",
        "--vllm-memory-utilization 0.5",
        "--compute-gold-bpb",
        f"-d olmix-{GROUP} -v olmo_core",
    ],
)
def test_where_and_how_it_runs_makes_no_other_evaluation(one: Desk, arguments: str) -> None:
    one.run()

    done = one.run("--", *arguments.split())

    assert (len(one.calls()), done.returncode) == (1, 0)


def test_an_unknown_argument_makes_it_another_evaluation(one: Desk) -> None:
    one.run()
    before_each_call(one, 'set -- "$1" "$2"; shift 0')

    one.run("--", "--new-option", "5")

    assert len(one.calls()) == 2


@pytest.mark.parametrize(
    ("first", "second", "calls"),
    [
        ("-a --num-shots 5", "--num-shots=5 --add-bos-token", 1),
        ("-t x -t y", "-ty --tasks=x", 1),
        ("--num-shots 5 --num-shots 3", "--num-shots 3", 1),
        ("--num-shots 5 --num-shots 3", "--num-shots 3 --num-shots 5", 2),
        ("--task-args a=1 --task-args b=2", "--task-args b=2", 2),
    ],
)
def test_evaluations_are_the_same_however_they_are_written(
    one: Desk, first: str, second: str, calls: int
) -> None:
    one.run("--", *first.split())

    one.run("--", *second.split())

    assert len(one.calls()) == calls


def test_another_backend_is_another_evaluation(desk: Desk) -> None:
    save(desk, "mix-a")
    desk.write(["mix-a"], backend="vllm")
    desk.run()

    desk.run("--", "-v", "hf")

    assert [call["model_backend"] for call in desk.calls()] == ["vllm", "hf"]


@pytest.mark.parametrize("arguments", ["-v hf", "-vhf", "-gvhf", "--model-backend=hf"])
def test_the_backend_decides_which_checkpoints_are_looked_up(one: Desk, arguments: str) -> None:
    one.run("--", *arguments.split())

    assert one.submitted() == ["mix-a/step5-hf"]
    assert one.calls()[0]["model_backend"] == "hf"


def test_a_backend_that_is_not_one_is_refused(one: Desk) -> None:
    done = one.run("--", "-v", "tgi")

    assert "'tgi' is not a model backend: expected olmo_core, hf or vllm" in done.stderr
    assert (done.returncode, one.started()) == (2, "")


def test_a_second_call_is_made_for_vllm_alone(desk: Desk) -> None:
    save(desk, "mix-a")
    desk.write(["mix-a"], backend="vllm", tasks=(*TASKS, *MASKED))

    desk.run("--", "-v", "hf")

    assert [call["tasks"] for call in desk.calls()] == [[*TASKS, *MASKED]]


def test_a_second_call_is_made_for_vllm_whenever_it_was_chosen(desk: Desk) -> None:
    save(desk, "mix-a")
    desk.write(["mix-a"], tasks=(*TASKS, *MASKED))

    desk.run("--", "-v", "vllm")

    assert [(call["model_backend"], call["tasks"]) for call in desk.calls()] == [
        ("vllm", list(TASKS)),
        ("hf", list(MASKED)),
    ]


def test_a_cluster_has_a_name(one: Desk) -> None:
    done = one.run("--", "-c", "")

    assert (done.returncode, done.stderr) == (2, "the cluster is empty; try --help\n")


def test_further_tasks_go_into_one_call(desk: Desk) -> None:
    save(desk, "mix-a")
    desk.write(["mix-a"], backend="vllm", tasks=(*TASKS, *MASKED))

    desk.run("--", "-t", "extra")

    assert [call["tasks"] for call in desk.calls()] == [[*TASKS, "extra"], list(MASKED)]


@pytest.mark.parametrize(
    "arguments", ["--gantry-args a=-r", "-l a=-r", "-la=r", "--name-suffix -r"]
)
def test_a_value_makes_no_dry_run(one: Desk, arguments: str) -> None:
    one.run("--", *arguments.split())

    assert "dry_run" not in one.calls()[0]
    assert len(one.record.read_text().splitlines()) == 1


# --- the record -------------------------------------------------------------------------


def line_of_0_1(dashboard: str, checkpoint: str, *tasks: str) -> str:
    """What version 0.1 recorded."""
    checksum = subprocess.run(
        ["cksum"], input="".join(f"{task}\n" for task in sorted(tasks)), stdout=-1, text=True,
        check=True,
    ).stdout  # fmt: skip
    return f"{dashboard}\t{checkpoint}\t{checksum}"


def test_a_record_of_version_0_1_counts_for_what_the_script_does_by_itself(one: Desk) -> None:
    one.record.write_text(line_of_0_1(f"olmix-{GROUP}", f"{ROOT}/mix-a/step5", *TASKS))

    done = one.run("--", "-y", "high")

    assert (one.calls(), done.returncode) == ([], 0)


@pytest.mark.parametrize("arguments", ["--num-shots 5", "-t extra", "-dother", "-v vllm"])
def test_a_record_of_version_0_1_counts_for_nothing_else(desk: Desk, arguments: str) -> None:
    save(desk, "mix-a")
    desk.write(["mix-a"], backend="hf")
    desk.record.write_text(line_of_0_1(f"olmix-{GROUP}", f"{ROOT}/mix-a/step5-hf", *TASKS))

    desk.run("--", *arguments.split())

    assert len(desk.calls()) == 1


def test_resume_is_accepted_and_is_what_happens_anyway(four: Desk) -> None:
    four.run("--only", "0")

    four.run("--resume")

    assert four.submitted() == ["mix-a/step5", "mix-b/step5", "mix-c/step5", "mix-d/step5"]


def test_a_record_that_an_editor_gave_other_line_ends_still_counts(four: Desk) -> None:
    four.run("--only", "0-1")
    four.record.write_bytes(four.record.read_bytes().replace(b"\n", b"\r\n"))

    four.run()

    assert len(four.calls()) == 4


def test_dashboards_that_end_alike_are_not_mistaken(one: Desk) -> None:
    one.run("--", "-d", f"my-olmix-{GROUP}")
    save(one, "mix-a", step=6)

    done = one.run()

    assert "is on dashboard" not in done.stderr
    assert len(one.calls()) == 2


def test_a_script_and_links_to_it_have_one_record(one: Desk) -> None:
    elsewhere = one.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.sh").symlink_to("../second.sh")
    (one.folder / "second.sh").symlink_to(one.path)
    real, one.path = one.path, elsewhere / "link.sh"
    one.run()
    one.path = real

    one.run()

    assert len(one.calls()) == 1
    assert one.record.exists()


def test_a_script_may_have_the_name_of_an_option(one: Desk) -> None:
    one.path.rename(one.folder / "-s.sh")
    for _ in range(2):
        done = subprocess.run(
            [BASH, "--", "-s.sh"],
            env=one.environment, cwd=one.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stderr
    assert len(one.calls()) == 1
    assert "bash ./-s.sh --results" in done.stdout


def test_it_does_not_matter_how_bash_was_started(four: Desk) -> None:
    done = subprocess.run(
        [BASH, "-e", "-f", "-C", str(four.path)],
        env={**four.environment, "COOKBOOK_FAIL": "mix-b"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (len(four.calls()), done.returncode) == (3, 1), done.stderr


# --- a full disk ------------------------------------------------------------------------


def test_nothing_is_submitted_where_the_record_takes_no_bytes(four: Desk) -> None:
    four.record.symlink_to("/dev/full")

    done = four.run()

    assert "cannot record what is submitted" in done.stderr
    assert (done.returncode, four.started()) == (1, "")


@pytest.fixture
def small_disk(desk: Desk) -> Iterator[Desk]:
    """A desk whose script lies on a disk of its own."""
    disk = desk.folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)],
        capture_output=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        lack("no file system can be mounted, and filled")
    desk.path = disk / desk.path.name
    desk.record = disk / desk.record.name
    yield desk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(desk: Desk, but_for: int) -> None:
    """Fill the disk of the script, but for some bytes."""
    left = os.statvfs(desk.path.parent)
    (desk.path.parent / "filling").write_bytes(b"x" * (left.f_bavail * left.f_frsize - but_for))


def test_nothing_is_submitted_where_the_record_has_no_room_for_all(small_disk: Desk) -> None:
    runs = [f"mix-{GROUP}-{number:04d}" for number in range(100)]
    save(small_disk, *runs)
    small_disk.write(runs)
    small_disk.record.write_text("a line\n")
    fill(small_disk, but_for=8192)

    done = small_disk.run()

    assert "cannot record what is submitted" in done.stderr
    assert (done.returncode, small_disk.started()) == (1, "")
    assert small_disk.record.read_text() == "a line\n"


def test_a_submission_that_cannot_be_recorded_stops_the_script_and_is_told(four: Desk) -> None:
    before_each_call(
        four, f'case "$2" in *mix-b*) mv "{four.record}" x; ln -s /dev/full "{four.record}";; esac'
    )
    four.link("ln", "/bin/ln")

    done = four.run()

    assert four.submitted() == ["mix-a/step5", "mix-b/step5"]
    assert "[2/4] variant 1, step 5: submitted, but not recorded" in done.stderr
    assert done.returncode == 1


def test_the_line_that_could_not_be_written_can_be_added_by_hand(four: Desk) -> None:
    before_each_call(four, f'mv "{four.record}" x; ln -s /dev/full "{four.record}"')
    four.link("ln", "/bin/ln")
    done = four.run()
    line = re.search(r"add this line to .*?: (.*)", done.stderr)
    assert line is not None
    four.record.unlink()
    four.record.write_text(line[1] + "\n")
    before_each_call(four, "")

    four.run()

    assert four.submitted() == ["mix-a/step5", "mix-b/step5", "mix-c/step5", "mix-d/step5"]


# --- the checkpoint just before its submission ------------------------------------------


@pytest.fixture
def expiring(desk: Desk) -> Desk:
    """Six variants on S3, of which the credentials expire once the first is submitted."""
    runs = [f"mix-{GROUP}-{number:04d}" for number in range(6)]
    keys = [f"checkpoints/kylel/{run}/step5/{file}" for run in runs for file in COMPLETE]
    (desk.folder / "listing").write_text("".join(f"{key}\n" for key in keys))
    desk.tool("sleep", "")
    desk.tool(
        "aws",
        '[ ! -e "$HOME/expired" ] || { echo "An error occurred (ExpiredToken)" >&2; exit 255; }\n'
        'cat "$HOME/listing"',
    )
    before_each_call(desk, 'case "$2" in *0000*) echo >"$HOME/expired" ;; esac')
    desk.write(runs, clusters=[S3])
    return desk


def test_a_checkpoint_that_cannot_be_looked_up_again_is_not_said_to_be_gone(
    expiring: Desk,
) -> None:
    done = expiring.run("--only", "0-1")

    assert "variant 1, step 5: could not be looked up again" in done.stderr
    assert "An error occurred (ExpiredToken)" in done.stderr
    assert "is no longer there" not in done.stderr


def test_after_three_variants_that_cannot_be_looked_up_the_script_stops(expiring: Desk) -> None:
    done = expiring.run()

    assert done.stderr.count("could not be looked up again (") == 3
    assert "Stopped: three variants in a row could not be looked up" in done.stderr
    assert f"To submit variants 1-5: bash {expiring.path}" in done.stdout
    assert done.returncode == 1


# --- asking -----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"y\n", b"Yes\n"])
def test_a_terminal_is_asked_once(four: Desk, answer: bytes) -> None:
    status, output = four.run_at_terminal(typed=answer)

    question = f"Submit 4 evaluations of 2 tasks to aus, dashboard olmix-{GROUP}? [y/N]"
    assert output.count(question) == 1
    assert (status, len(four.calls())) == (0, 4)


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"], ids=["no", "nothing", "end"])
def test_whatever_is_not_yes_submits_nothing(four: Desk, answer: bytes) -> None:
    status, output = four.run_at_terminal(typed=answer)

    assert "Nothing was submitted" in output
    assert (status, four.started(), four.record.exists()) == (1, "", False)


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_a_terminal_is_not_asked_where_the_answer_is_known(four: Desk, option: str) -> None:
    status, output = four.run_at_terminal(option)

    assert "[y/N]" not in output
    assert (status, len(four.calls())) == (0, 4)


def test_a_terminal_is_not_asked_where_nothing_is_left(one: Desk) -> None:
    one.run()

    status, output = one.run_at_terminal()

    assert "[y/N]" not in output
    assert status == 0


def test_a_terminal_that_stops_what_writes_in_the_background_stops_nothing(four: Desk) -> None:
    four.link("stty", "/bin/stty")
    script = four.path
    four.path = four.folder / "wrapper.sh"
    four.path.write_text(f'stty tostop\n"{BASH}" "{script}" --yes --jobs 2\n')

    status, output = four.run_at_terminal()

    assert (status, len(four.calls())) == (0, 4), output


# --- the lock ---------------------------------------------------------------------------


def lock(desk: Desk) -> Path:
    return Path(f"{desk.record}.lock")


def test_a_second_run_says_who_runs(four: Desk) -> None:
    first = four.start(COOKBOOK_HANG="mix-b")
    until(lambda: "sleep" in four.started())

    second = four.run()

    first.send_signal(signal.SIGINT)
    first.communicate(timeout=LONG)
    assert f"This script is already running: process {first.pid}" in second.stderr
    assert (second.returncode, second.stdout) == (1, "")
    assert four.submitted() == ["mix-a/step5"]


def test_listing_goes_on_beside_a_run(four: Desk) -> None:
    first = four.start(COOKBOOK_HANG="mix-b")
    until(lambda: "sleep" in four.started())

    second = four.run("--list")

    first.send_signal(signal.SIGINT)
    first.communicate(timeout=LONG)
    assert second.returncode == 0


@pytest.mark.parametrize("options", [[], ["--only", "0", "--dry-run"]], ids=["run", "dry run"])
def test_nothing_of_the_lock_is_left_behind(four: Desk, options: list[str]) -> None:
    four.run(*options)

    assert [path for path in four.folder.glob("*") if ".lock" in path.name] == []


def test_the_lock_of_a_killed_script_holds_until_its_submission_ends(four: Desk) -> None:
    first = four.start(COOKBOOK_HANG="mix-b")
    until(lambda: "sleep" in four.started())
    first.kill()
    first.wait(timeout=LONG)

    second = four.run()

    pids = [line.split()[0] for line in four.started().splitlines()]
    for pid in pids[-2:]:
        os.kill(int(pid), signal.SIGKILL)
    until(lambda: not any(map(is_alive, pids)))
    assert "This script is already running" in second.stderr
    assert (second.returncode, four.submitted()) == (1, ["mix-a/step5"])


def put_lock(desk: Desk, *lines: str) -> None:
    lock(desk).mkdir()
    (lock(desk) / "run").write_text("".join(f"{line}\n" for line in lines))


def host() -> str:
    return subprocess.run(
        [BASH, "-c", 'echo "$HOSTNAME"'], stdout=-1, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def dead() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_lock_whose_process_is_gone_is_taken_over(four: Desk, dead: int) -> None:
    put_lock(four, host(), f"bash {four.path}", str(dead))

    done = four.run()

    assert (done.returncode, len(four.calls()), lock(four).exists()) == (0, 4, False)


def test_a_lock_whose_process_is_another_one_by_now_is_taken_over(four: Desk) -> None:
    put_lock(four, host(), f"bash {four.path} --gone", str(os.getpid()))

    assert four.run().returncode == 0


@pytest.mark.parametrize("folders", ["", "taken"], ids=["made", "taken"])
def test_a_lock_that_was_only_being_made_or_taken_by_who_is_gone_is_taken_over(
    four: Desk, folders: str
) -> None:
    four.tool("sleep", "")
    (lock(four) / folders).mkdir(parents=True)

    done = four.run()

    assert (done.returncode, len(four.calls()), lock(four).exists()) == (0, 4, False)


def test_a_lock_of_another_machine_is_left_to_the_user(four: Desk, dead: int) -> None:
    put_lock(four, "another-machine", f"bash {four.path}", str(dead))

    done = four.run()

    assert f"on another-machine. If it is not, remove {lock(four)}" in done.stderr
    assert (done.returncode, four.started()) == (1, "")


def test_of_many_that_find_a_lock_of_nobody_one_takes_it_over(four: Desk, dead: int) -> None:
    put_lock(four, host(), f"bash {four.path}", str(dead))

    runs = [four.start(COOKBOOK_SLOW="mix") for _ in range(8)]
    for run in runs:
        run.communicate(timeout=LONG)

    assert sorted(run.returncode for run in runs) == [0] + [1] * 7
    assert len(four.calls()) == 4


# --- watching ---------------------------------------------------------------------------


def test_a_line_tells_position_variant_step_and_time(four: Desk) -> None:
    done = four.run("--only", "1,3")

    lines = [re.sub(r"\d+ s", "_ s", line) for line in done.stdout.splitlines()]
    assert lines[:2] == [
        "[1/2] variant 1, step 5: submitted (_ s, about _ s left)",
        "[2/2] variant 3, step 5: submitted (_ s)",
    ]


def test_what_olmo_cookbook_prints_goes_to_a_log_of_each_variant(four: Desk) -> None:
    done = four.run("--only", "2")

    log = (four.folder / f"{four.path.name}.logs" / "2.log").read_text()
    assert f"+ olmo-cookbook-eval evaluate {ROOT}/mix-c/step5 --dashboard olmix-{GROUP}" in log
    assert "Launched 2 eval jobs" in log
    assert "Launched" not in done.stdout + done.stderr


def test_a_log_keeps_secrets_to_itself(one: Desk) -> None:
    one.run("--", "-jGUESSME", "--aws-secret-access-key=GUESSME", "-gs", "GUESSME", "-p", "4")

    log = (one.folder / f"{one.path.name}.logs" / "0.log").read_text()
    assert "GUESSME" not in log
    assert "-j ... --aws-secret-access-key ... -g -s ... -p 4 --tasks" in log
    assert one.calls()[0]["aws_access_key_id"] == "GUESSME"


def test_the_end_of_a_failure_s_log_is_shown_and_its_reason_again_in_the_summary(
    four: Desk,
) -> None:
    before_each_call(
        four, 'case "$2" in *mix-b*) for i in 1 2 3 4; do echo "line $i"; done; exit 1;; esac'
    )

    done = four.run()

    lines = done.stderr.splitlines()
    place = next(n for n, line in enumerate(lines) if "variant 1, step 5: failed" in line)
    assert lines[place + 1 : place + 4] == ["  line 2", "  line 3", "  line 4"]
    assert "Failed: variant 1: line 4" in lines


def test_a_failure_is_told_by_its_own_log_and_not_by_a_former_one(one: Desk) -> None:
    before_each_call(one, "echo first; exit 1")
    one.run()
    before_each_call(one, "exit 1")

    done = one.run()

    assert "Failed: variant 0: olmo-cookbook-eval printed nothing" in done.stderr


def test_a_log_cannot_move_the_terminal_s_cursor(one: Desk) -> None:
    before_each_call(one, "printf 'a\\033[2Jb\\rc\\n'; exit 1")

    done = one.run()

    assert "Failed: variant 0: a [2Jb c" in done.stderr


def test_the_end_says_nothing_that_is_not_to_be_done(four: Desk) -> None:
    done = four.run()

    assert done.stdout.splitlines()[4:] == [
        "",
        f"Submitted: 4 of 4 variants, dashboard olmix-{GROUP}",
        f"Once the results are in: bash {four.path} --results",
    ]


def test_variants_that_are_not_ready_are_for_a_later_run(four: Desk) -> None:
    shutil.rmtree(four.mount / "oe-training-default" / "ai2-llm" / "checkpoints/kylel/mix-b")

    done = four.run()

    assert f"For the others, once they are ready: bash {four.path}, with the" in done.stdout


@pytest.mark.parametrize("cluster", ["goog", "ai2/augusta-google-1"])
def test_a_cluster_that_cannot_read_weka_is_refused(four: Desk, cluster: str) -> None:
    done = four.run("--", "-c", cluster)

    assert f"the cluster {cluster} cannot read /weka" in done.stderr
    assert (done.returncode, four.calls()) == (2, [])


def test_only_the_chosen_variants_must_be_readable_from_a_cluster(desk: Desk) -> None:
    save(desk, "mix-a")
    desk.write(["mix-a", "mix-b"], clusters=(WEKA, GS))
    desk.tool("gcloud", "exit 0")

    assert "cannot read" not in desk.run("--only", "1", "--", "-c", "goog").stderr


def test_arguments_that_olmo_cookbook_does_not_take_are_tried_once(four: Desk) -> None:
    done = four.run("--", "--priority", "hihg")

    assert "Stopped: olmo-cookbook-eval does not take these arguments" in done.stderr
    assert "To submit variants 0-3" in done.stdout
    assert (done.returncode, done.stderr.count(": failed (")) == (1, 1)


def test_the_line_for_the_results_names_another_dashboard(four: Desk) -> None:
    done = four.run("--", "-d", "my other", "--remote-output-prefix", "s3://mine")

    line = done.stdout.splitlines()[-1]
    assert line.endswith(" --results -- -d my\\ other -o s3://mine")


def test_what_failed_when_it_was_repeated_is_repeated_alone(four: Desk) -> None:
    four.run()

    done = four.run("--again", COOKBOOK_FAIL="mix-c")

    assert f"bash {four.path} --again --only 2, with your other options" in done.stdout


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- 2>&-", ">&- 2>&- <&-"])
def test_closed_outputs_do_not_matter(four: Desk, closed: str) -> None:
    done = subprocess.run(
        [BASH, "-c", f'"{BASH}" "{four.path}" {closed}'],
        env=four.environment, capture_output=True, check=False,
    )  # fmt: skip

    assert (done.returncode, len(four.calls())) == (0, 4), done.stderr


def test_a_reader_that_leaves_does_not_matter(four: Desk) -> None:
    process = four.start(COOKBOOK_SLOW="mix-a")
    assert process.stdout is not None
    process.stdout.close()

    process.wait(timeout=LONG)

    assert (process.returncode, len(four.calls()), len(four.record.read_text().splitlines())) == (
        0, 4, 4,
    )  # fmt: skip


# --- several at a time ------------------------------------------------------------------

# Fails unless another call is under way at the same time.
RENDEZVOUS = 'echo >>"$HOME/meeting"; i=0; while [ "$(wc -l <"$HOME/meeting")" -lt 2 ]; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done'  # noqa: E501


def test_two_submissions_go_on_at_a_time(four: Desk) -> None:
    before_each_call(four, RENDEZVOUS)

    done = four.run("--jobs", "2")

    assert (done.returncode, sorted(four.submitted())) == (
        0, ["mix-a/step5", "mix-b/step5", "mix-c/step5", "mix-d/step5"],
    )  # fmt: skip
    assert len(four.record.read_text().splitlines()) == 4


def test_each_submission_at_a_time_has_an_environment_of_its_own(four: Desk) -> None:
    before_each_call(four, RENDEZVOUS)

    four.run("--jobs=2", "--only", "0-1")

    assert {call["env_name"] for call in four.calls()} == {"oe-eval-venv-1", "oe-eval-venv-2"}


def test_one_submission_at_a_time_has_olmo_cookbook_s_own_environment(one: Desk) -> None:
    one.run("--jobs", "1")

    assert "env_name" not in one.calls()[0]


def test_an_environment_cannot_be_named_for_several(four: Desk) -> None:
    done = four.run("--jobs", "2", "--", "--env-name=mine")

    assert "--env-name cannot be combined with --jobs" in done.stderr
    assert (done.returncode, four.started()) == (2, "")


def test_a_slow_one_does_not_keep_the_others_waiting(four: Desk) -> None:
    before_each_call(
        four,
        'case "$2" in *mix-a*) i=0; while [ ! -e "$HOME/last" ]; do i=$((i + 1)); [ $i -lt 100 ] ||'
        ' exit 1; sleep 0.1; done ;; *mix-d*) echo >"$HOME/last" ;; esac',
    )

    assert four.run("--jobs", "2").returncode == 0


def test_ctrl_c_stops_all_that_are_under_way(four: Desk) -> None:
    process = four.start("--jobs", "3", COOKBOOK_HANG="mix")
    until(lambda: four.started().count("sleep") == 3)

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=LONG)

    assert "Interrupted, so check on Beaker whether it was submitted: variants 0-2\n" in output
    assert f"To submit variant 3: bash {four.path} --only 3, with your other options\n" in output
    assert process.returncode == 130
    assert [line for line in four.started().splitlines() if is_alive(line.split()[0])] == []
    assert not lock(four).exists()


def test_a_submission_that_is_killed_counts_as_failed(four: Desk) -> None:
    before_each_call(four, 'case "$2" in *mix-b*) kill -9 0 ;; esac')

    done = four.run("--jobs", "2")

    assert "variant 1, step 5: failed" in done.stderr
    assert (done.returncode, len(four.calls())) == (1, 3)
