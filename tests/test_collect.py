"""``collect`` writes what olmix fit reads, all of it or nothing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.conftest import FIXTURES, Run
from tests.factories import result_line

DEMO = ("--snapshot", str(FIXTURES / "58362402.yaml"))
RESULTS = FIXTURES / "58362402-results"
PRIORS = str(RESULTS / "priors.yaml")
TASKS = (
    "arc_easy:rc::olmes:full",
    "hellaswag:rc::olmes:full",
    "mbpp:3shot:bpb::none",
    "minerva_math_algebra::olmes",
)
CHOSEN = tuple(word for task in TASKS for word in ("-t", task))
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


def test_without_results_only_the_ratios_are_written(run: Run, work: Path) -> None:
    result = run("collect", "58362402", *DEMO)

    assert result.stdout == f"{FOLDER}/ratios.csv\n"
    assert len((work / FOLDER / "ratios.csv").read_text().splitlines()) == 9
    assert "metrics.csv needs --results" in result.stderr


def test_with_results_and_priors_there_is_all_that_the_fit_reads(run: Run, work: Path) -> None:
    result = run(
        "collect", "58362402", *DEMO, *CHOSEN, "--results", str(RESULTS), "--priors", PRIORS
    )

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
    assert f"olmix fit --config {FOLDER}/fit.yaml --output-dir {FOLDER}/fit" in result.stderr


def test_without_priors_it_says_how_to_get_them(run: Run) -> None:
    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", str(RESULTS), "-o", "here")

    assert result.stdout == "here/ratios.csv\nhere/metrics.csv\n"
    assert "olmix priors compute --config" in result.stderr


def test_an_incomplete_swarm_is_refused_with_what_to_evaluate(
    run: Run, work: Path, results: Path
) -> None:
    of(results, 2).unlink()
    of(results, 6).write_text("".join(of(results, 6).read_text().splitlines(keepends=True)[:3]))

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", str(results))

    assert (result.returncode, result.stdout) == (1, "")
    assert not (work / "output").exists()
    assert "variant 2: no results" in result.stderr
    assert "variant 6: lacks minerva_math (1 of 1)" in result.stderr
    assert (
        "To evaluate just these: "
        "run your script for 58362402 with --only 2,6 --step 22100 --again\n"
    ) in result.stderr
    assert "--task-set" not in result.stderr
    assert "still be running" not in result.stderr


def test_a_script_in_the_usual_place_is_named(run: Run, results: Path) -> None:
    of(results, 2).unlink()
    run("generate", "58362402", *DEMO, *CHOSEN)

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", str(results))

    assert "just these: bash output/eval_scripts/olmix-58362402.sh --only 2 " in result.stderr
    assert "nothing was written: 1 of 8 variants lacks results" in result.stderr


def test_a_script_beside_its_results_is_named(run: Run, work: Path, results: Path) -> None:
    of(results, 2).unlink()
    run("generate", "58362402", *DEMO, *CHOSEN)
    run("generate", "58362402", *DEMO, *CHOSEN, "-o", "mine/a b.sh")
    results.rename(work / "mine" / "a b.sh.results")

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", "mine/a b.sh.results/")

    assert "To evaluate just these: bash 'mine/a b.sh' --only 2 " in result.stderr


def test_evaluations_that_may_still_run_are_mentioned(run: Run, work: Path, results: Path) -> None:
    of(results, 2).unlink()
    snapshot = yaml.load(Path(DEMO[1]).read_text(), yaml.BaseLoader)
    job = {**snapshot["experiments"][0], "id": "01JE", "status": "running"}
    job["tasks"] = [
        {"arguments": [of(results, 3).parent.name.replace("03_", "02_")], "clusters": []}
    ]
    snapshot["experiments"].append({**job, "name": "evaluation"})
    (work / "s.yaml").write_text(yaml.safe_dump(snapshot, default_style="'"))

    result = run("collect", "58362402", *CHOSEN, "--snapshot", "s.yaml", "--results", str(results))

    hint = "Evaluations may still be running; see `olmix-evalscript show 58362402`"
    assert result.stderr.index(hint) < result.stderr.index("To evaluate just these")


def test_a_folder_without_results_is_named(run: Run, work: Path) -> None:
    (work / "empty").mkdir()

    result = run("collect", "58362402", *DEMO, "--results", "empty")

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith("error: no metrics-all.jsonl file in empty\n")


def test_results_of_other_runs_alone_are_refused_with_one_of_them(run: Run, work: Path) -> None:
    (work / "other").mkdir()
    (work / "other" / "metrics-all.jsonl").write_text(result_line("mix-6cf425be-0000", TASKS[0]))

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", "other")

    assert (result.returncode, result.stdout) == (1, "")
    assert (
        "error: no results of 58362402's runs in other; it has those of mix-6cf425be-0000_step100\n"
    ) in result.stderr


def test_a_step_without_results_does_not_make_it_evaluate_again(run: Run) -> None:
    result = run(
        "collect", "58362402", *DEMO, *CHOSEN, "--results", str(RESULTS), "--step", "22000"
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert (
        "no results at step 22000, only at 22100: leave out --step, or use --step 22100"
    ) in result.stderr
    assert "--again" not in result.stderr


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            ("--results", "s3://ai2-llm/evaluation/olmix-58362402/"),
            "--results reads files here; load them with: bash SCRIPT --results",
        ),
        (("--output", "-"), "--output: collect writes several files, so they cannot go to stdout"),
    ],
)
def test_what_is_read_and_written_is_files(
    run: Run, work: Path, options: tuple[str, ...], problem: str
) -> None:
    result = run("collect", "58362402", *DEMO, *options)

    assert (result.returncode, result.stdout) == (2, "")
    assert problem in result.stderr
    assert list(work.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("-t", "lambada")])
def test_results_of_other_tasks_are_said_to_come_of_other_options(
    run: Run, options: tuple[str, ...]
) -> None:
    result = run("collect", "58362402", *DEMO, *options, "--results", str(RESULTS))

    assert (result.returncode, result.stdout) == (1, "")
    assert "Give collect the same --config, --task and --task-set as generate." in result.stderr


def test_allow_partial_writes_the_complete_variants(run: Run, work: Path, results: Path) -> None:
    of(results, 2).unlink()

    result = run(
        "collect", "58362402", *DEMO, *CHOSEN, "--results", str(results), "--allow-partial"
    )

    assert result.returncode == 0, result.stderr
    tables = [(work / FOLDER / name).read_text() for name in ("ratios.csv", "metrics.csv")]
    for table in tables:
        assert re.findall(r"^[^,]+,[^,]+,(\d)", table, flags=re.M) == list("0134567")
    assert "variant 2: no results" in result.stderr


def test_allow_partial_leaves_out_the_domains_of_the_other_variants(
    run: Run, work: Path, results: Path
) -> None:
    for number in (0, 1, 2, 4, 5, 6, 7):  # all that have arxiv
        of(results, number).unlink()

    result = run(
        "collect", "58362402", *DEMO, *CHOSEN, "--results", str(results), "--priors", PRIORS,
        "--step", "22100", "--allow-partial",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    domains = ["dclm:adult_content", "wiki"]
    head, _ = (work / FOLDER / "ratios.csv").read_text().splitlines()
    fit = yaml.safe_load((work / FOLDER / "fit.yaml").read_text())
    assert head.split(",")[3:] == domains == list(fit["priors"]["relative_sizes"])
    assert "Left out of ratios.csv (no complete variant has them): arxiv" in result.stderr


@pytest.mark.parametrize(
    ("old", "options"),
    [
        ("metrics.csv", ()),
        ("fit.yaml", ()),
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


def test_allow_partial_does_not_write_empty_tables(run: Run, work: Path, results: Path) -> None:
    options = ("--results", str(results), "-t", "lambada", "-t", TASKS[0], "--allow-partial")

    result = run("collect", "58362402", *DEMO, *options)

    assert (result.returncode, result.stdout) == (1, "")
    assert not (work / "output").exists()


def test_other_models_of_the_runs_are_counted(run: Run, results: Path) -> None:
    model = "verify-tokens-140m-58362402-0001_step22100_bos"
    (results / "other-metrics-all.jsonl").write_text(result_line("", TASKS[0], model=model))

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", str(results))

    assert f"Ignored 1 other model made from these runs, such as {model}" in result.stderr


def test_a_file_that_is_cut_off_is_named_with_its_line(run: Run, results: Path) -> None:
    of(results, 3).write_text(of(results, 3).read_text()[:-20])

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--results", str(results))

    assert (result.returncode, result.stdout) == (1, "")
    assert f"{of(results, 3)}:4: it is not a line of JSON" in result.stderr


@pytest.mark.parametrize("name", ["arc_easy:rc::olmes", "mbpp:3shot::none"])
def test_the_columns_of_a_fit_are_written_and_no_other(run: Run, work: Path, name: str) -> None:
    (work / "fit.yaml").write_text(f"eval: {{tasks: {{mine: ['{name}']}}}}\n")

    result = run(
        "collect", "58362402", *DEMO, "--config", "fit.yaml", "--results", str(RESULTS),
        "--priors", PRIORS,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    assert (work / FOLDER / "metrics.csv").read_text().startswith(f"run,name,index,{name}\n")
    fit = yaml.safe_load((work / FOLDER / "fit.yaml").read_text())
    assert fit["eval"]["tasks"] == {"mine": [name]}


def test_a_column_of_a_fit_that_cannot_be_had_is_refused(run: Run, work: Path) -> None:
    (work / "fit.yaml").write_text(
        "eval: {tasks: {a: ['arc_easy:rc::olmes', ultrachat_masked_ppl]}}\n"
    )

    result = run("collect", "58362402", *DEMO, "--config", "fit.yaml", "--results", str(RESULTS))

    assert (result.returncode, result.stdout) == (1, "")
    assert "no bits per byte of ultrachat_masked_ppl" in result.stderr


def test_a_fit_s_names_are_evaluated_as_the_known_tasks(run: Run, work: Path) -> None:
    (work / "fit.yaml").write_text("eval: {tasks: {a: ['arc_easy:rc::olmes', 'a:b']}}\n")

    result = run("generate", "58362402", *DEMO, "--config", "fit.yaml", "-o", "-")

    assert "arc_easy:rc::olmes:full" in result.stdout
    assert "unknown task, used as written: a:b" in result.stderr


def test_priors_of_other_domains_are_left_out(run: Run, work: Path) -> None:
    priors = yaml.safe_load(Path(PRIORS).read_text())
    priors["priors"]["relative_sizes"]["web"] = 0.5
    (work / "priors.yaml").write_text(yaml.safe_dump(priors))

    result = run(
        "collect", "58362402", *DEMO, *CHOSEN, "--results", str(RESULTS), "--priors", "priors.yaml"
    )

    assert "Left out of the priors (not in ratios.csv): web" in result.stderr


@pytest.mark.parametrize("options", [["--step", "22100"], ["--priors", PRIORS]])
def test_what_is_about_results_needs_them(run: Run, options: list[str]) -> None:
    result = run("collect", "58362402", *DEMO, *options)

    assert result.returncode == 2
    assert "needs --results" in result.stderr


@pytest.mark.parametrize("step", ["last", "-1", "0", "9" * 13])
def test_a_step_is_a_number(run: Run, step: str) -> None:
    result = run("collect", "58362402", *DEMO, "--results", str(RESULTS), "--step", step)

    assert result.returncode == 2
    assert "is not a step" in result.stderr


def test_the_sources_of_a_variant_are_in_the_json(run: Run) -> None:
    data = json.loads(run("show", "58362402", *DEMO, "--json").stdout)

    assert data["variants"][3]["sources"] == [
        {
            "name": "dclm:adult_content",
            "ratio": 0.25,
            "repetition": 1.0,
            "paths": ["s3://ai2-llm/preprocessed/dclm/**/*.npy"],
        },
        {
            "name": "wiki",
            "ratio": 0.75,
            "repetition": 1.0,
            "paths": ["s3://ai2-llm/preprocessed/wiki/part-0-00000.npy"],
        },
    ]


def without_bpb_of_arc(results: Path) -> Path:
    """Results in which arc_easy was evaluated, but has no bits per byte."""
    for path in results.glob("*/*.jsonl"):
        arc, *others = path.read_text().splitlines(keepends=True)
        path.write_text("".join([arc.replace("bits_per_byte_corr", "other"), *others]))
    return results


def test_a_task_without_the_bpb_that_it_should_have_is_left_out_with_a_warning(
    run: Run, work: Path, results: Path
) -> None:
    lost = str(without_bpb_of_arc(results))

    result = run("collect", "58362402", *DEMO, *CHOSEN, "-q", "--results", lost)

    assert result.returncode == 0, result.stderr
    assert "warning: left out, as the results have no bits per byte of them: arc" in result.stderr
    assert "arc_easy" not in (work / FOLDER / "metrics.csv").read_text()


def test_strict_heeds_a_task_without_the_bpb_that_it_should_have(run: Run, results: Path) -> None:
    lost = str(without_bpb_of_arc(results))

    result = run("collect", "58362402", *DEMO, *CHOSEN, "--strict", "--results", lost)

    assert (result.returncode, result.stdout) == (1, "")
    assert "(--strict)" in result.stderr
