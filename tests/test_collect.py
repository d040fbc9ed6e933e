"""``collect`` writes what olmix fit reads, all of it or nothing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from olmix_evalscript.snapshot import dump
from tests.conftest import FIXTURES, Run
from tests.factories import GROUP, generated, result_line
from tests.storage import Bucket, denying_s3_server

DEMO = ("--snapshot", str(FIXTURES / "58362402.yaml"))
RESULTS = FIXTURES / "58362402-results"
PRIORS = str(RESULTS / "priors.yaml")
REUSE = FIXTURES / "mixture-reuse"
TASKS = (
    "arc_easy:rc::olmes:full",
    "hellaswag:rc::olmes:full",
    "mbpp:3shot:bpb::none",
    "minerva_math_algebra::olmes",
)
CHOSEN = ("--config", str(RESULTS / "tasks.yaml"))
COLLECT = ("collect", "58362402", *DEMO, *CHOSEN)
FOLDER = Path("output/fit/olmix-58362402")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that the command runs in."""
    return tmp_path / "work"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results of the demo swarm that may be changed."""
    return Path(shutil.copytree(RESULTS, tmp_path / "results"))


def of(results: Path, number: int) -> Path:
    """The results of a variant."""
    (path,) = results.glob(f"*-{number:04d}_step22100/*.jsonl")
    return path


def of_aws(s3: Bucket) -> dict[str, str]:
    """What makes the real aws talk to a server on this machine."""
    return {**s3.environment, "NO_PROXY": "127.0.0.1"}


def change(path: Path, old: str, new: str, count: int = -1) -> None:
    path.write_text(path.read_text().replace(old, new, count))


def snapshot(work: Path, edit: Callable[[list[dict[str, Any]]], object]) -> str:
    """The demo's snapshot with its experiments edited."""
    data = yaml.load(Path(DEMO[1]).read_text(), yaml.BaseLoader)
    edit(data["experiments"])
    (work / "s.yaml").write_text(yaml.safe_dump(data, default_style="'"))
    return "s.yaml"


# --- what is written ----------------------------------------------------------------------


def test_no_results_writes_only_the_ratios(run: Run, work: Path) -> None:
    result = run("collect", "58362402", *DEMO, "--no-results")

    assert result.stdout == f"{FOLDER}/ratios.csv\n"
    assert len((work / FOLDER / "ratios.csv").read_text().splitlines()) == 9
    assert "Next: run collect without --no-results" in result.stderr


def test_with_results_and_priors_there_is_all_that_the_fit_reads(run: Run, work: Path) -> None:
    result = run(*COLLECT, "--results", str(RESULTS), "--priors", PRIORS)

    assert result.returncode == 0, result.stderr
    assert result.stdout == "".join(
        f"{FOLDER}/{name}\n" for name in ("ratios.csv", "metrics.csv", "fit.yaml")
    )
    fit = yaml.safe_load((work / FOLDER / "fit.yaml").read_text())
    assert fit["swarm"] == {
        "ratios": str(work / FOLDER / "ratios.csv"),
        "metrics": str(work / FOLDER / "metrics.csv"),
    }
    assert "8 of 8 variants have all metrics (4) at step 22100" in result.stderr
    assert "How well mixtures explain results: 0.98 median, 0.94 mbpp:3shot::none" in result.stderr


def test_changed_results_are_fitted_in_another_folder(run: Run, results: Path) -> None:
    folders = []
    for value in ("0.9", "0.9", "0.8"):
        text = re.sub(r'"bits_per_byte_corr": [0-9.]+', f'"bits_per_byte_corr": {value}',
                      of(results, 0).read_text(), count=1)  # fmt: skip
        of(results, 0).write_text(text)
        result = run(*COLLECT, "--results", str(results), "--priors", PRIORS)
        folders += re.findall(r"--output-dir (\S+)", result.stderr)

    assert folders[0] == folders[1] != folders[2]
    assert re.fullmatch(rf"{FOLDER}/fit-[0-9a-f]{{8}}", folders[0])


def test_frozen_topics_become_one_column_with_its_manual_prior(run: Run, work: Path) -> None:
    experiments = generated("stage-3")
    (work / "s.yaml").write_text(dump(GROUP, experiments))
    (work / "results").mkdir()
    (work / "results" / "metrics-all.jsonl").write_text(
        "".join(result_line(e.name, "lambada", 1 / n) for n, e in enumerate(experiments, start=1))
    )

    result = run(
        "collect", "58362402", "--snapshot", "s.yaml", "-t", "lambada", "--results",
        "results", "--priors", str(REUSE / "stage-3.yaml"),
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    assert (
        (work / FOLDER / "ratios.csv").read_text().startswith("run,name,index,existing,s2pdfv1\n")
    )
    fit = yaml.safe_load((work / FOLDER / "fit.yaml").read_text())
    assert fit["priors"]["relative_sizes"] == pytest.approx({"existing": 0.98, "s2pdfv1": 0.02})


# --- fetching -----------------------------------------------------------------------------


def test_results_are_fetched_from_the_dashboard(
    run: Run, work: Path, s3: Bucket, results: Path
) -> None:
    prefix = "evaluation/olmix-58362402"
    for number in range(8):
        path = of(results, number)
        s3.put(f"{prefix}/{path.relative_to(results)}", contents=path.read_text())
    s3.put(f"{prefix}/a/metrics.json", "evaluation/other/b/metrics-all.jsonl")

    result = run(*COLLECT, "--priors", PRIORS, **of_aws(s3))

    assert result.returncode == 0, result.stderr
    fetched = work / "output/results/olmix-58362402"
    assert len([path for path in fetched.rglob("*") if path.is_file()]) == 8
    assert len((work / FOLDER / "metrics.csv").read_text().splitlines()) == 9


def test_a_result_that_was_replaced_by_one_of_the_same_size_is_fetched_again(
    run: Run, work: Path, s3: Bucket
) -> None:
    key = "evaluation/mine/metrics-all.jsonl"
    fetched = work / "output/results/mine/metrics-all.jsonl"
    for bpb in (0.7, 0.8):
        s3.put(key, contents=result_line("other", "lambada", bpb))
        run(*COLLECT, "--dashboard", "mine", **of_aws(s3))

    assert '"bits_per_byte_corr": 0.8' in fetched.read_text()


def test_a_failed_sync_writes_nothing_and_shows_the_message_of_aws(
    run: Run, work: Path, s3: Bucket
) -> None:
    with denying_s3_server() as url:
        result = run(*COLLECT, **{**of_aws(s3), "AWS_ENDPOINT_URL": url})

    assert (result.returncode, result.stdout) == (1, "")
    assert re.search(
        r"error: cannot fetch s3://ai2-llm/evaluation/olmix-58362402/: .*AccessDenied",
        result.stderr,
    )
    assert not (work / FOLDER).exists()


def test_without_aws_it_says_what_to_do(run: Run, work: Path) -> None:
    result = run(*COLLECT, PATH=str(work))

    assert (result.returncode, result.stdout) == (1, "")
    assert "aws is not installed. Install the AWS command line, or fetch" in result.stderr


# --- coverage -----------------------------------------------------------------------------


def test_an_incomplete_swarm_is_refused_with_what_to_evaluate(
    run: Run, work: Path, results: Path
) -> None:
    of(results, 2).unlink()
    change(of(results, 4), "bits_per_byte_corr", "other", 1)
    of(results, 6).write_text("".join(of(results, 6).read_text().splitlines(keepends=True)[:3]))

    result = run(*COLLECT, "--results", str(results))

    assert (result.returncode, result.stdout) == (1, "")
    assert not (work / "output").exists()
    assert result.stderr.partition("at step 22100\n")[2].splitlines() == [
        "variants 0-1, 3, 5, 7: all tasks",
        "variant 2: no results; evaluation jobs: none",
        "variant 4: without BPB core (1 of 2): arc_easy:rc::olmes:full",
        "variant 6: missing minerva_math (1 of 1): minerva_math_algebra::olmes; "
        "evaluation jobs: none",
        "To evaluate just these: "
        "bash output/eval_scripts/olmix-58362402.sh --only 2,6 --step 22100 --again",
        "error: nothing was written: results are incomplete for 3 of 8 variants. "
        "Use --allow-partial to write the others.",
    ]


def test_the_jobs_of_an_incomplete_variant_are_told(run: Run, work: Path, results: Path) -> None:
    for number in (2, 3):
        of(results, number).unlink()

    def add_jobs(experiments: list[dict[str, Any]]) -> None:
        for number, status in ((2, "running"), (3, "failed"), (3, "canceled")):
            checkpoint = f"verify-tokens-140m-58362402-{number:04d}_step22100"
            experiments.append({
                **experiments[0],
                "id": f"01J{status.upper()}", "name": f"eval-{status}", "status": status,
                "tasks": [{"arguments": [checkpoint], "clusters": []}],
            })  # fmt: skip

    path = snapshot(work, add_jobs)
    result = run("collect", "58362402", *CHOSEN, "--snapshot", path, "--results", str(results))

    told = "no results; evaluation jobs: "
    assert f"\nvariant 2: {told}1 running\n" in result.stderr
    url = "https://beaker.org/ex/01JFAILED"
    assert re.search(rf"\nvariant 3: {told}1 \w+, 1 \w+ \({url}\)\n", result.stderr)
    assert "--only 3 --step" in result.stderr


def test_results_that_lack_tasks_everywhere_are_refused_with_those_that_there_are(run: Run) -> None:
    result = run("collect", "58362402", *DEMO, "--results", str(RESULTS))

    assert (result.returncode, result.stdout) == (1, "")
    options = " ".join(f"-t {task}" for task in sorted(TASKS))
    assert f"To collect those that there are, use {options}\n" in result.stderr


def test_allow_partial_writes_the_complete_variants_and_their_domains(
    run: Run, work: Path, results: Path
) -> None:
    for number in (0, 1, 2, 4, 5, 6, 7):  # all that have arxiv
        of(results, number).unlink()

    result = run(
        *COLLECT, "--results", str(results), "--priors", PRIORS, "--step", "22100",
        "--allow-partial",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    for name in ("ratios.csv", "metrics.csv"):
        table = (work / FOLDER / name).read_text()
        assert re.findall(r"^[^,]+,[^,]+,(\d)", table, flags=re.M) == ["3"]
    domains = ["dclm:adult_content", "wiki"]
    head, _ = (work / FOLDER / "ratios.csv").read_text().splitlines()
    fit = yaml.safe_load((work / FOLDER / "fit.yaml").read_text())
    assert head.split(",")[3:] == domains == list(fit["priors"]["relative_sizes"])
    assert "Skipped (in the priors, not in ratios.csv): arxiv" in result.stderr


def test_a_task_that_some_variants_lack_can_be_skipped(run: Run, work: Path, results: Path) -> None:
    of(results, 6).write_text("".join(of(results, 6).read_text().splitlines(keepends=True)[:2]))
    skip = ("--without-task", TASKS[3], "--without-task", "mbpp:3shot::none")

    result = run(*COLLECT, "--results", str(results), *skip)

    assert result.returncode == 0, result.stderr
    head = (work / FOLDER / "metrics.csv").read_text().splitlines()[0]
    assert head == "run,name,index,arc_easy:rc::olmes,hellaswag:rc::olmes"


# --- warnings -----------------------------------------------------------------------------


def test_strict_stops_at_what_would_make_a_poor_fit(run: Run, work: Path, results: Path) -> None:
    of(results, 1).write_text(of(results, 0).read_text().replace("-0000_", "-0001_"))

    result = run(*COLLECT, "--strict", "--results", str(results))

    assert (result.returncode, result.stdout) == (1, "")
    assert "warning: variants 0-1 have the same results" in result.stderr
    assert not (work / FOLDER).exists()


def test_a_relaunch_with_another_mixture_is_refused(run: Run, work: Path) -> None:
    def relaunch(experiments: list[dict[str, Any]]) -> None:
        again = json.loads(json.dumps(experiments[2]))
        again["tasks"][0]["arguments"][-3:] = ['-s ("wiki",[],1.0,1.0)']
        experiments.append({**again, "id": "01JAGAIN", "name": f"{again['name']}-k3xd"})

    result = run("collect", "58362402", "--snapshot", snapshot(work, relaunch), "--no-results")

    assert (result.returncode, result.stdout) == (1, "")
    assert "variant 2 was launched with different mixtures" in result.stderr
    assert "https://beaker.org/ex/01JAGAIN" in result.stderr


# --- what is refused ----------------------------------------------------------------------


def test_results_of_other_runs_alone_are_refused_with_one_of_them(run: Run, work: Path) -> None:
    (work / "other").mkdir()
    (work / "other" / "metrics-all.jsonl").write_text(result_line("mix-6cf425be-0000", TASKS[0]))

    result = run(*COLLECT, "--results", "other")

    assert (result.returncode, result.stdout) == (1, "")
    assert (
        "error: no results of 58362402's runs in other, but of mix-6cf425be-0000_step100\n"
    ) in result.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--output", "-"), "--output: collect writes several files, so they cannot go to stdout"),
        (("--no-results", "--step", "5"), "--no-results cannot be combined with --results or"),
        (("--dashboard", "../x"), "dashboard ../x is not accepted"),
        (("--without-task", "no"), "--without-task: no is not one of the 106 tasks"),
        *((("--step", step), "is not a step") for step in ("last", "0")),
    ],
)
def test_wrong_options_are_refused(
    run: Run, work: Path, options: tuple[str, ...], problem: str
) -> None:
    result = run("collect", "58362402", *DEMO, *options)

    assert (result.returncode, result.stdout) == (2, "")
    assert problem in result.stderr
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "options"),
    [
        ("metrics.csv", ("--no-results",)),
        ("fit.yaml", ("--no-results",)),
        ("fit.yaml", (*CHOSEN, "--results", str(RESULTS))),
    ],
)
def test_files_of_an_earlier_collect_are_not_left_beside_new_ones(
    run: Run, work: Path, old: str, options: tuple[str, ...]
) -> None:
    (work / FOLDER).mkdir(parents=True)
    (work / FOLDER / old).write_text("old")

    result = run("collect", "58362402", *DEMO, *options)

    assert (result.returncode, result.stdout) == (1, "")
    assert [file.name for file in (work / FOLDER).iterdir()] == [old]
    assert f"{FOLDER}/{old}" in result.stderr


# --- an own fit config --------------------------------------------------------------------


def test_the_columns_of_a_fit_are_written_but_for_those_that_it_drops(run: Run, work: Path) -> None:
    (work / "fit.yaml").write_text(
        "eval: {tasks: {mine: ['arc_easy:rc::olmes', lambada, ultrachat_masked_ppl]}}\n"
        "filtering: {drop_metrics: [lambada]}\n"
    )

    result = run(
        "collect", "58362402", *DEMO, "--config", "fit.yaml", "--results", str(RESULTS),
        "--priors", PRIORS,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    head = (work / FOLDER / "metrics.csv").read_text().splitlines()[0]
    assert head == "run,name,index,arc_easy:rc::olmes"
    fit = yaml.safe_load((work / FOLDER / "fit.yaml").read_text())
    assert fit["eval"]["tasks"] == {"mine": ["arc_easy:rc::olmes"]}
    assert fit["filtering"] == {"drop_metrics": ["lambada"]}
    assert "Skipped (no bits per byte): ultrachat_masked_ppl" in result.stderr


def test_an_edited_fit_is_kept_or_carried_over(run: Run, work: Path) -> None:
    options = (*COLLECT, "--results", str(RESULTS), "--priors", PRIORS)
    run(*options)
    fit = work / FOLDER / "fit.yaml"
    change(fit, "kl_reg: 0.1", "kl_reg: 0.3")
    edited = fit.read_text()

    refused = run(*options)

    assert (refused.returncode, fit.read_text()) == (1, edited)
    hint = f"--config {FOLDER}/fit.yaml --force"
    assert f"{FOLDER}/fit.yaml was edited. Use {hint}" in refused.stderr
    assert run(*options, *hint.split()).returncode == 0
    assert yaml.safe_load(fit.read_text())["proposer"] == {"kl_reg": 0.3}
    assert run(*options).returncode == 0
