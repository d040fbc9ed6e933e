"""olmo-eval instead of olmo-cookbook-eval: its tasks, its calls and its results."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from olmix_evalscript.errors import FitError, InvalidInputError, UsageError
from olmix_evalscript.evaluator import Result
from olmix_evalscript.model import Swarm
from olmix_evalscript.olmo_eval import OLMO_EVAL, read_results
from olmix_evalscript.results import load
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.tasks import fit_column, task_set
from tests.conftest import FIXTURES, Run
from tests.desk import Desk, names
from tests.factories import GROUP, settings, variant
from tests.storage import Bucket

DEMO = (GROUP, "--snapshot", str(FIXTURES / f"{GROUP}.yaml"), "--evaluator", "olmo-eval")
RESULTS = FIXTURES / f"{GROUP}-olmo-eval"
PARTS = FIXTURES / "olmo-eval"
TASKS = ("arc_easy:rc::olmes:full", "minerva_math_algebra::olmes", "lambada")
CHOSEN = [option for task in TASKS for option in ("-t", task)]
LAMBADA = 4.036174338695566  # of variant 3
WORKSPACE = ("--", "--workspace", "ai2/olmix")
EVALUATION = Evaluation(TASKS, f"olmix-{GROUP}", OLMO_EVAL, arguments=("--workspace=ai2/olmix",))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def script(root: str = "/weka/oe-training-default/x", **evaluation: object) -> str:
    chosen = replace(EVALUATION, **evaluation)  # type: ignore[arg-type]
    return render(Swarm(GROUP, "mix", (variant(0, root),)), chosen, date(2026, 1, 1))


# --- tasks --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["olmo3-offline", "offline-bpb"])
def test_each_known_task_has_the_name_whose_only_metric_is_bits_per_byte(name: str) -> None:
    # Each was resolved by olmo-eval's own get_task.
    expected = yaml.safe_load((PARTS / "tasks.yaml").read_text())[name]
    lacking = {task for task, theirs in expected.items() if theirs == "none"}

    assert expected.keys() == set(task_set(name))
    assert {task: OLMO_EVAL.task_name(task) for task in expected.keys() - lacking} == {
        task: theirs for task, theirs in expected.items() if task not in lacking
    }
    assert lacking <= {*OLMO_EVAL.skipped, "sciq:bpb::olmo1"}


def test_results_of_one_task_under_two_names_are_one_column() -> None:
    names = ("coqa:rc::gen2mc", "coqa:rc:bpb::gen2mc")

    assert {OLMO_EVAL.result_task(name) for name in names} == {names[0]}
    assert {fit_column(name) for name in names} == {names[0]}


def test_masked_perplexities_are_skipped_and_named(run: Run) -> None:
    result = run("generate", *DEMO, "-o", "-", *WORKSPACE)

    warning = "skipped, olmo-eval does not have them: ultrachat_masked_ppl, wildchat_masked_ppl"
    assert f"warning: {warning}\n" in result.stderr
    assert f"# - {warning}\n" in result.stdout
    assert len(settings(result.stdout, "TASKS")) == 104


# --- the script ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cluster": "goog"}, "olmo-eval does not run on Google's clusters"),
        ({"cluster": "ai2/augusta-google-1"}, "olmo-eval does not run on Google's clusters"),
        ({"root": "gs://ai2-llm/checkpoints"}, "olmo-eval cannot read Google's storage"),
        ({"root": "/weka/oe-data-default/x"}, "olmo-eval does not mount that bucket"),
        ({"model_backend": "vllm"}, "'vllm' is not a model backend: expected olmo_core"),
        ({"tasks": ("sciq:bpb::olmo1",)}, "its sciq asks without the supporting passage"),
        ({"tasks": ("gsm8k",)}, "cannot evaluate gsm8k: only the tasks of `olmix-evalscript"),
        ({"tasks": ("wildchat_masked_ppl",)}, "there are no tasks"),
    ],
)
def test_what_cannot_work_is_refused_when_the_script_is_made(
    change: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        script(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "olmo-eval needs --workspace: write it after --"),
        (["-w", "ai2/olmix", "-c", "aus"], "--cluster is --eval-cluster here"),
        (["-w", "ai2/olmix", "-d"], "is an option of the script itself"),
        (["-w", "ai2/olmix", "--backfill"], "--backfill not recognized"),
    ],
)
def test_arguments_are_those_of_olmo_eval(arguments: Sequence[str], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        OLMO_EVAL.parse_arguments(arguments)


def test_each_variant_is_launched_once_with_its_overrides_behind_the_harness(desk: Desk) -> None:
    desk.tool("olmo-eval", f"printf '%s\\n' \"$@\" >'{desk.folder}/launched'$$")
    for run in names(2):
        desk.save(run, "step5")
    desk.write(
        names(2),
        evaluator=OLMO_EVAL,
        tasks=TASKS[1:],
        arguments=("--workspace=ai2/olmix", "--override=provider.dtype=float32"),
    )

    first, again = desk.run("--jobs", "2"), desk.run()

    assert f"collect {GROUP} --evaluator olmo-eval --step 5\n" in first.stdout
    launched = "".join(path.read_text() for path in desk.folder.glob("launched*"))
    assert (first.returncode, again.returncode) == (0, 0)
    assert launched.count("beaker\nlaunch\n") == 2
    for run in names(2):
        checkpoint = f"/weka/oe-training-default/ai2-llm/checkpoints/kylel/{run}/step5"
        assert f"--name\n{run}_step5\n--model\n{checkpoint}\n--group\nolmix-{GROUP}\n" in launched
    assert (
        "--harness\ndefault\n--override\nprovider.kind=olmo_core\n"
        "--override=provider.package=2.6.0\n--override=provider.max_model_len=8192\n"
        "--workspace=ai2/olmix\n--override=provider.dtype=float32\n"
        "--task=minerva_math_algebra:bpb:olmo3base\n--task=lambada:bpb:olmo3base\n"
    ) in launched


# --- results ------------------------------------------------------------------------------


def read(path: Path) -> list[Result]:
    return list(read_results(path))


def test_a_result_has_its_run_step_and_bits_per_byte() -> None:
    (path,) = RESULTS.glob("*-0003/metrics.json")

    found = {result.task: result for result in read(path)}

    assert set(found) == set(TASKS)
    assert {(each.run_name, each.step) for each in found.values()} == {
        (f"verify-tokens-140m-{GROUP}-0003", 22100)
    }
    assert float(found["lambada"].bpb) == pytest.approx(LAMBADA)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("failed-metrics.json", "olmo-eval failed on a part of it.*No responses.*Evaluate.*again"),
        ("accuracy-metrics.json", "'arc_easy:bpb:olmo3base' has no bits_per_byte, but accuracy"),
    ],
)
def test_results_that_are_no_bits_per_byte_are_refused(file: str, reason: str) -> None:
    with pytest.raises(FitError, match=rf"{file}.*{reason}"):
        read(PARTS / file)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes((PARTS / "accuracy-metrics.json").read_bytes()[:200])

    with pytest.raises(FitError, match="it is not a result of olmo-eval, or is cut off"):
        load(OLMO_EVAL, tmp_path, [], [])


def test_results_with_other_settings_of_the_model_are_not_compared(tmp_path: Path) -> None:
    results = Path(shutil.copytree(RESULTS, tmp_path / "results"))
    (path,) = results.glob("*-0003/metrics.json")
    path.write_text(path.read_text().replace('"max_model_len": 8192', '"max_model_len": 40'))
    runs = [f"verify-tokens-140m-{GROUP}-{number:04d}" for number in range(8)]

    with pytest.raises(FitError, match=r"cannot be compared: metric is .*8192.* and .*40"):
        load(OLMO_EVAL, results, runs, TASKS).warnings(22100)


def test_collect_names_the_columns_as_the_fit_does(run: Run, tmp_path: Path) -> None:
    results = shutil.copytree(FIXTURES / f"{GROUP}-results", tmp_path / "results")  # of oe-eval
    shutil.copytree(RESULTS, results, dirs_exist_ok=True)

    result = run("collect", *DEMO, *CHOSEN, "--results", str(results), "-o", "fit")

    assert result.returncode == 0, result.stderr
    header, *rows = csv.reader((tmp_path / "work/fit/metrics.csv").open())
    assert header[3:] == [fit_column(task) for task in TASKS]
    assert float(rows[3][-1]) == pytest.approx(LAMBADA)


def test_results_are_fetched_from_the_group_of_olmo_eval(
    run: Run, tmp_path: Path, s3: Bucket
) -> None:
    for path in RESULTS.glob("*/metrics.json"):
        key = f"olmo-eval/olmix-{GROUP}/{path.parent.name}_step22100_a1b2c3/9f3e/metrics.json"
        s3.put(key, contents=path.read_text())

    result = run("collect", *DEMO, *CHOSEN, **{**s3.environment, "NO_PROXY": "127.0.0.1"})

    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "work/output/results").rglob("metrics.json"))) == 8


def test_other_results_than_expected_are_named_as_options_want_them(run: Run) -> None:
    result = run("collect", *DEMO, "-t", "csqa:rc::olmes:full", "--results", str(RESULTS))

    assert (result.returncode, result.stdout) == (1, "")
    assert re.search(r"to collect those, use -t arc_easy:rc::olmes:full -t lambada", result.stderr)


def test_its_jobs_count_as_evaluations(run: Run, tmp_path: Path) -> None:
    data = yaml.load((FIXTURES / f"{GROUP}.yaml").read_text(), yaml.BaseLoader)
    checkpoint = f"s3://ai2-llm/checkpoints/kylel/verify-tokens-140m-{GROUP}-0003/step22100"
    arguments = ["olmo-eval", "run", "-O", "/results", "-m", checkpoint, "-t", "lambada"]
    job = {"id": "01JEVAL", "name": "eval", "tasks": [{"arguments": arguments}]}
    data["experiments"].append({**data["experiments"][0], **job})
    (tmp_path / "work/s.yaml").write_text(yaml.safe_dump(data, default_style="'"))

    shown = run("show", GROUP, "--snapshot", "s.yaml").stdout

    (row,) = [line for line in shown.splitlines() if "-0003\t" in line]
    assert row.split("\t")[3] == "1 succeeded"
