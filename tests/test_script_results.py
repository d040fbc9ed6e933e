"""What the generated script's --results loads from S3, and what it makes of that."""

from __future__ import annotations

import json
import os
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.desk import GS, LONG, TASKS, USERLAND, Desk, names, until
from tests.factories import GROUP
from tests.storage import Bucket, aws_environment, denying_s3_server, need

PREFIX = "evaluation"  # where olmo-cookbook-eval puts results by default, in the bucket ai2-llm
MASKED = "wildchat_masked_ppl"


class Evaluated:
    """A swarm's script, and the dashboard of its results."""

    def __init__(self, desk: Desk, bucket: Bucket, dashboard: str) -> None:
        self.desk = desk
        self.bucket = bucket
        self.dashboard = dashboard  # of this test alone
        self.folder = desk.folder / f"olmix-{GROUP}.sh.results"
        desk.real("aws")

    def write(self, runs: int, tasks: tuple[str, ...] = TASKS, extra: tuple[str, ...] = ()) -> None:
        self.desk.write(names(runs), tasks=tasks, extra=extra, dashboard=self.dashboard)

    def put(
        self,
        number: int,
        *lines: str,
        step: str = "step5",
        folder: str = "arc",
        file: str = "metrics-all.jsonl",
        dashboard: str = "",
        prefix: str = PREFIX,
    ) -> None:
        """Put a file of results of a variant; by default, of all tasks."""
        lines = lines or tuple(map(result, TASKS))
        self.bucket.put(
            f"{prefix}/{dashboard or self.dashboard}/{names(10)[number]}_{step}/{folder}/{file}",
            contents="".join(f"{line}\n" for line in lines),
        )

    def results(self, *options: str) -> CompletedProcess[str]:
        return self.desk.run("--results", *options, **self.bucket.environment)

    def files(self) -> list[str]:
        """The files that were loaded."""
        return sorted(
            str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()
        )


@pytest.fixture
def swarm(tmp_path: Path, s3: Bucket) -> Evaluated:
    return Evaluated(Desk(tmp_path), s3, tmp_path.name)


@pytest.fixture
def two(swarm: Evaluated) -> Evaluated:
    """Two variants, of which the first has results of all tasks."""
    swarm.write(2)
    swarm.put(0)
    return swarm


def result(task: str, **metadata: object) -> str:
    """A line of a task's result, as oe-eval writes it."""
    name = task.partition(":")[0]
    return json.dumps(
        {
            "task_name": name,
            "model_config": {"model": "mix", "revision": None},
            "task_config": {"task_name": name, "metadata": {"alias": task, **metadata}},
            "current_date": "2026-02-01 00:00:00 UTC",
            "metrics": {"primary_score": 0.5, "bits_per_byte_corr": 1.25},
        }
    )


def lacking(done: CompletedProcess[str]) -> list[str]:
    return done.stderr.splitlines()


# --- what is loaded -----------------------------------------------------------------------


def test_results_are_loaded_and_counted_and_handed_to_collect(swarm: Evaluated) -> None:
    swarm.write(2)
    swarm.put(0)
    swarm.put(1, step="step5-hf")

    done = swarm.results()

    assert done.stdout.splitlines() == [
        f"Loading results from s3://ai2-llm/{PREFIX}/{swarm.dashboard}/",
        "2 new or changed files",
        "2 of 2 variants have results of all tasks (2) at step 5",
        f"olmix-evalscript collect {GROUP} --results {swarm.folder}",
    ]
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_line_for_collect_has_the_options_that_name_the_tasks(swarm: Evaluated) -> None:
    options = ("--config", "my launch.yaml", "--task", "a:b*", "--task", "$HOME")
    swarm.desk.write(names(1), dashboard=swarm.dashboard, collect_options=options)

    line = swarm.results("--step", "5").stdout.splitlines()[-1]

    assert shlex.split(line) == [
        *("olmix-evalscript", "collect", GROUP, *options),
        *("--results", str(swarm.folder), "--step", "5"),
    ]


def test_neither_olmo_cookbook_nor_checkpoints_are_needed(swarm: Evaluated) -> None:
    swarm.desk.write(names(1), clusters=[GS], dashboard=swarm.dashboard)
    swarm.put(0)
    (swarm.desk.bin / "olmo-cookbook-eval").unlink()

    assert swarm.results().returncode == 0


def test_a_dashboard_of_many_pages_is_loaded_without_what_lies_beside(
    swarm: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")  # on a page
    swarm.write(3)
    for number in range(3):
        for other in range(8):
            swarm.put(number, "x", file=f"task-{other}-predictions.jsonl")
        swarm.put(number, "x", file="metrics.json")
        swarm.put(number, "x", file="metrics-all.jsonl.gz")
        swarm.put(number, folder="zzz", file="task-metrics-all.jsonl")

    done = swarm.results()

    assert swarm.files() == [f"{run}_step5/zzz/task-metrics-all.jsonl" for run in names(3)]
    assert done.returncode == 0


def test_a_second_run_loads_only_what_is_new(two: Evaluated) -> None:
    two.results()
    first = (two.folder / two.files()[0]).stat()
    two.put(1)

    done = two.results()

    assert "1 new or changed files" in done.stdout
    assert (two.folder / two.files()[0]).stat().st_ino == first.st_ino
    assert done.returncode == 0


def test_a_file_that_was_replaced_by_one_of_the_same_size_is_loaded_again(two: Evaluated) -> None:
    two.put(1, result("lambada"), result("arc_easy:mc::olmes:fool"))
    two.results()
    loaded = two.folder / two.files()[1]
    os.utime(loaded, (0, 0))  # it was loaded long before what is there now
    two.put(1, result("lambada"), result("arc_easy:rc::olmes:full"))

    assert two.results().returncode == 0


def test_what_is_gone_from_the_dashboard_is_gone_from_the_folder(two: Evaluated) -> None:
    two.results()

    two.results("--", "-d", f"{two.dashboard}-empty")

    assert two.files() == []


@pytest.mark.parametrize(
    "folder", ["two words", "a&b=c;d'e\"f$g", "ü", "[ab]*?", "a/b/c", "-n", "100%"]
)
def test_odd_names_are_loaded_and_counted(swarm: Evaluated, folder: str) -> None:
    swarm.write(1)
    swarm.put(0, folder=folder, file=f"{folder.replace('/', '-')} metrics-all.jsonl")

    assert swarm.results().returncode == 0


def test_a_script_in_a_folder_with_an_odd_name_prints_a_line_for_the_shell(
    tmp_path: Path, s3: Bucket
) -> None:
    folder = tmp_path / "it's a=b"
    folder.mkdir()
    swarm = Evaluated(Desk(folder), s3, tmp_path.name)
    swarm.write(1)
    swarm.put(0)

    done = swarm.results()

    assert done.stdout.splitlines()[-1].endswith(rf"/it\'s\ a=b/olmix-{GROUP}.sh.results")
    assert done.returncode == 0


# --- where from ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["-d", "NAME"],
        ["-dNAME"],
        ["-gdNAME"],
        ["-gd", "NAME"],
        ["--dashboard", "NAME"],
        ["--dashboard=NAME"],
        ["-d", "former", "--dashboard=NAME"],
        ["--dashboard=NAME", "-w", "-dother"],
        ["-dNAME", "--name-suffix", "--dashboard=other"],
    ],
    ids=" ".join,
)
def test_the_dashboard_that_olmo_cookbook_takes_is_loaded(two: Evaluated, words: list[str]) -> None:
    name = f"{two.dashboard}-other"
    two.put(0, dashboard=name)
    two.put(1, dashboard=name)

    done = two.results("--", *(word.replace("NAME", name) for word in words))

    assert f"s3://ai2-llm/evaluation/{name}/" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    "words",
    [["-o", "URL"], ["-oURL"], ["--remote-output-prefix", "URL"], ["--remote-output-prefix=URL"]],
    ids=" ".join,
)
def test_the_prefix_that_olmo_cookbook_takes_is_loaded(two: Evaluated, words: list[str]) -> None:
    two.put(0, prefix="elsewhere")
    two.put(1, prefix="elsewhere")

    done = two.results("--", *(word.replace("URL", "s3://ai2-llm/elsewhere") for word in words))

    assert done.returncode == 0


def test_the_arguments_that_the_script_was_made_with_count_too(swarm: Evaluated) -> None:
    swarm.write(1, extra=("-o", "s3://ai2-llm/elsewhere"))
    swarm.put(0, prefix="elsewhere")

    assert swarm.results().returncode == 0


@pytest.mark.parametrize("prefix", ["gs://ai2-llm/evaluation", "/weka/evaluation"])
def test_a_prefix_that_aws_cannot_read_is_refused(two: Evaluated, prefix: str) -> None:
    done = two.results("--", "-o", prefix)

    assert f"--results reads only s3://, not {prefix}/" in done.stderr
    assert f"olmix-evalscript collect {GROUP} --results FOLDER" in done.stderr
    assert (done.stdout, done.returncode) == ("", 1)


# --- what can go wrong --------------------------------------------------------------------


def test_an_empty_dashboard_has_no_results(swarm: Evaluated) -> None:
    swarm.write(2)

    done = swarm.results()

    assert lacking(done) == ["Results of 0 of 2 tasks: variants 0-1"]
    assert done.returncode == 1


def test_a_denied_bucket_is_no_lack_of_results(swarm: Evaluated) -> None:
    swarm.write(2)
    with denying_s3_server() as url:
        done = swarm.desk.run("--results", **aws_environment(swarm.desk.folder, url))

    assert "Access Denied" in done.stderr
    assert "Not all results could be loaded" in done.stderr
    assert "variants have results" not in done.stdout
    assert done.returncode == 1


def test_a_bucket_that_is_not_there_is_no_lack_of_results(two: Evaluated) -> None:
    done = two.results("--", "-o", "s3://no-such-bucket/evaluation")

    assert "NoSuchBucket" in done.stderr
    assert "variants have results" not in done.stdout


def test_the_lack_of_aws_is_named(two: Evaluated) -> None:
    (two.desk.bin / "aws").unlink()

    done = two.results()

    assert "aws was not found" in done.stderr
    assert done.returncode == 1


@contextmanager
def stalling_s3_server(key: str) -> Iterator[tuple[str, threading.Event]]:
    """An S3 server that has one object, and sends half of it; and whether it has."""
    sent, done = threading.Event(), threading.Event()
    listing = (
        f"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>{key}</Key>"
        "<LastModified>2026-02-01T00:00:00.000Z</LastModified><Size>2000000</Size>"
        "<ETag>&quot;0&quot;</ETag>"
        "</Contents></ListBucketResult>"
    ).encode()

    class Staller(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_listing = "list-type" in self.path
            self.send_response(200)
            self.send_header("Content-Length", str(len(listing) if is_listing else 2_000_000))
            self.end_headers()
            self.wfile.write(listing if is_listing else result("lambada").encode() * 4000)
            if not is_listing:
                sent.set()
                done.wait(LONG)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Staller)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", sent
    finally:
        done.set()
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("signal_", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_leaves_no_half_file_that_counts(
    two: Evaluated, signal_: signal.Signals, status: int
) -> None:
    run = f"{names(1)[0]}_step5"
    with stalling_s3_server(f"{PREFIX}/{two.dashboard}/{run}/arc/metrics-all.jsonl") as (url, sent):
        process = two.desk.start("--results", **aws_environment(two.desk.folder, url))
        assert sent.wait(LONG)
        until(lambda: list(two.folder.rglob("*metrics-all.jsonl*")))
        process.send_signal(signal_)
        process.communicate(timeout=LONG)

    assert list(two.folder.rglob("*metrics-all.jsonl")) == []
    assert process.returncode == status


def test_a_run_after_an_interrupt_loads_the_rest(two: Evaluated) -> None:
    two.put(1)
    run = f"{names(1)[0]}_step5"
    with stalling_s3_server(f"{PREFIX}/{two.dashboard}/{run}/arc/metrics-all.jsonl") as (url, sent):
        process = two.desk.start("--results", **aws_environment(two.desk.folder, url))
        assert sent.wait(LONG)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LONG)

    assert two.results().returncode == 0


# --- what counts --------------------------------------------------------------------------


def test_variants_that_lack_tasks_are_named_by_how_many_they_have(swarm: Evaluated) -> None:
    swarm.write(6)
    for number in (0, 5):
        swarm.put(number)
    for number in (1, 2):
        swarm.put(number, result("lambada"))

    done = swarm.results()

    assert "2 of 6 variants have results of all tasks (2)" in done.stdout
    assert lacking(done) == [
        "Results of 1 of 2 tasks: variants 1-2",
        "Results of 0 of 2 tasks: variants 3-4",
    ]
    assert done.returncode == 1


def test_only_the_chosen_variants_have_to_have_results(two: Evaluated) -> None:
    done = two.results("--only", "0")

    assert "1 variant has results" in done.stdout
    assert done.returncode == 0


def test_the_tasks_of_several_files_and_of_a_converted_checkpoint_add_up(two: Evaluated) -> None:
    two.put(1, result("lambada"), folder="gen")
    two.put(1, result("arc_easy:rc::olmes:full"), step="step5-hf", folder="rc")

    assert two.results().returncode == 0


def test_the_tasks_of_two_steps_do_not_add_up(two: Evaluated) -> None:
    two.put(1, result("lambada"), step="step5")
    two.put(1, result("arc_easy:rc::olmes:full"), step="step10")

    assert lacking(two.results()) == ["Results of 1 of 2 tasks: variant 1"]


def test_the_step_of_most_variants_counts_and_others_are_named(swarm: Evaluated) -> None:
    swarm.write(5)
    for number in range(3):
        swarm.put(number, step="step10")
    swarm.put(3, step="step5")

    done = swarm.results()

    assert "3 of 5 variants have results of all tasks (2) at step 10" in done.stdout
    assert lacking(done) == [
        "Results of 0 of 2 tasks (only at step 5): variant 3",
        "Results of 0 of 2 tasks: variant 4",
    ]
    assert done.returncode == 1


def test_the_step_is_that_of_the_swarm_whatever_is_chosen(swarm: Evaluated) -> None:
    swarm.write(3)
    for number, step in enumerate(("step10", "step10", "step5")):
        swarm.put(number, step=step)

    done = swarm.results("--only", "2")

    assert lacking(done) == ["Results of 0 of 2 tasks (only at step 5): variant 2"]


def test_results_at_different_steps_need_a_choice(swarm: Evaluated) -> None:
    swarm.write(2)
    swarm.put(0, step="step5")
    swarm.put(1, step="step10")

    done = swarm.results()

    assert lacking(done) == [
        "No step is that of most variants yet: wait for more results, or choose one with --step"
    ]
    assert (done.returncode, "collect" in done.stdout) == (1, False)


def test_results_that_nobody_has_yet_are_waited_for(swarm: Evaluated) -> None:
    swarm.write(2)
    swarm.put(0, result("lambada"))

    done = swarm.results()

    assert "When they are in:" in done.stdout.splitlines()
    assert "--allow-partial" not in done.stdout


def test_a_step_that_was_asked_for_alone_counts(two: Evaluated) -> None:
    two.put(1, step="step10")

    done = two.results("--step", "10")

    assert "1 of 2 variants has results of all tasks (2) at step 10" in done.stdout
    assert lacking(done) == ["Results of 0 of 2 tasks: variant 0"]


@pytest.mark.parametrize("step", ["step5_bos", "step5-hf_s3", "step0", "step5_step6", "stepx"])
def test_a_model_that_is_no_plain_checkpoint_does_not_count(two: Evaluated, step: str) -> None:
    two.put(1, step=step)

    assert lacking(two.results()) == ["Results of 0 of 2 tasks: variant 1"]


def test_a_task_without_an_alias_counts_by_its_name(swarm: Evaluated) -> None:
    swarm.write(1, tasks=(MASKED,))
    swarm.put(0, json.dumps({"task_name": MASKED, "task_config": {"metadata": {"alias": None}}}))

    assert swarm.results().returncode == 0


@pytest.mark.parametrize(
    "line",
    [
        result("lambada:bpb"),
        result("lambada", num_tasks=57),
        result("lambada")[:-1],
        result("lambada")[1:],
        result("lambada", more={"alias": "other"}),
        result("x").replace('"alias": "x"', r'"alias": "lambada\u0020"'),
        result("x").replace('"alias": "x"', '"alias": 5, "task_name": "lambada"'),
        result("x", note='{"alias": "lambada"}'),
        json.dumps({"task_name": "lambada", "task_config": {"task_name": "other"}}),
        "lambada",
        "",
    ],
    ids=range(11),
)
def test_a_line_that_is_not_plainly_a_task_s_result_does_not_count(
    two: Evaluated, line: str
) -> None:
    two.put(1, result(TASKS[0]), line)

    assert lacking(two.results()) == ["Results of 1 of 2 tasks: variant 1"]


def test_a_result_counts_once(two: Evaluated) -> None:
    two.put(1, result("lambada"), result("lambada"))

    assert lacking(two.results()) == ["Results of 1 of 2 tasks: variant 1"]


def test_files_without_a_last_newline_or_with_other_bytes_are_read(two: Evaluated) -> None:
    two.put(1, result("lambada"), folder="b")
    two.bucket.put(
        f"{PREFIX}/{two.dashboard}/{names(2)[1]}_step5/a/metrics-all.jsonl",
        contents=result(TASKS[0], note="é\ud7ff").replace("\\u00e9", "é"),
    )

    assert two.results().returncode == 0


# --- other shells and userlands -----------------------------------------------------------


@pytest.mark.parametrize("awk", ["mawk", "gawk", "original-awk", "busybox"])
def test_every_awk_will_do(two: Evaluated, awk: str) -> None:
    two.desk.link("awk", need(awk))
    two.put(1, result("lambada"))

    assert lacking(two.results()) == ["Results of 1 of 2 tasks: variant 1"]


def test_busybox_will_do_for_all_programs(two: Evaluated) -> None:
    for program in USERLAND:
        two.desk.link(program, need("busybox"))
    two.put(1, result("lambada"))

    assert lacking(two.results()) == ["Results of 1 of 2 tasks: variant 1"]
