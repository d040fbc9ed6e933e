"""Evaluation results are read exactly, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from olmix_evalscript.cookbook import COOKBOOK
from olmix_evalscript.errors import FitError
from olmix_evalscript.results import Results
from olmix_evalscript.results import load as load_results
from tests.factories import result_line

RUN = "mix-58362402-0000"
TASK = "arc_easy:rc::olmes:full"
BPB_TASK = "mbpp:3shot:bpb::none"


def write(folder: Path, *lines: str, name: str = "task-metrics-all.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(lines))
    return path


def load(folder: Path, run_names: list[str], tasks: list[str]) -> Results:
    return load_results(COOKBOOK, folder, run_names, tasks)


def bpb(path: Path, task: str = TASK, step: int = 100) -> float | None:
    """The only value found."""
    found = load(path, [RUN], [task]).bpb
    assert list(found) == [RUN]
    return found[RUN][step][task]


# --- how they were made -------------------------------------------------------------------

OTHER = "mix-58362402-0001"


def warnings(path: Path, step: int = 100) -> list[str]:
    return load(path, [RUN, OTHER], [TASK]).warnings(step)


@pytest.mark.parametrize(
    ("one", "another", "problem"),
    [
        (
            {"metrics": {"bits_per_byte": 0.8}},
            {"metrics": {"bits_per_byte_corr": 0.8}},
            "metric is bits_per_byte in .*:1 and bits_per_byte_corr in .*:2",
        ),
        ({"num_instances": 10}, {"num_instances": 1000}, "num_instances is 10 in .* and 1000"),
        ({}, {"model": f"{OTHER}_step100-hf"}, "is_converted is False in .*:1 and True in .*:2"),
    ],
)
def test_results_of_another_kind_are_refused_at_their_step(
    tmp_path: Path, one: dict[str, Any], another: dict[str, Any], problem: str
) -> None:
    write(tmp_path, result_line(RUN, TASK, **one), result_line(OTHER, TASK, **another))

    with pytest.raises(FitError, match=f"{TASK} at step 100 cannot be compared: {problem}"):
        warnings(tmp_path)
    assert warnings(tmp_path, step=200) == []


def test_other_settings_of_a_task_give_a_warning(tmp_path: Path) -> None:
    write(
        tmp_path,
        result_line(RUN, TASK, task_hash="a"),
        result_line(OTHER, TASK, task_hash="b"),
    )

    assert warnings(tmp_path) == [
        f"results of {TASK} at step 100 cannot be compared: task_hash is a in "
        f"{tmp_path}/task-metrics-all.jsonl:1 and b in {tmp_path}/task-metrics-all.jsonl:2"
    ]


# --- files and values ---------------------------------------------------------------------


def test_other_files_are_not_read(tmp_path: Path) -> None:
    write(tmp_path, "{", name="metrics.json")
    write(tmp_path, "{", name="task-recorded-inputs.jsonl")

    with pytest.raises(FitError, match=f"no metrics-all.jsonl file in {tmp_path}"):
        load(tmp_path, [RUN], [TASK])


def test_all_tasks_of_the_runs_are_named_also_those_not_wanted(tmp_path: Path) -> None:
    write(tmp_path, result_line(RUN, BPB_TASK), result_line(RUN, "a b:mc::none"))

    assert load(tmp_path, [RUN], [TASK]).tasks == {"a b:mc::none", BPB_TASK}


@pytest.mark.parametrize(
    ("task", "metrics", "value"),
    [
        (TASK, {"bits_per_byte": 3, "bits_per_byte_corr_macro": 2, "bits_per_byte_corr": 1}, 1),
        (TASK, {"bits_per_byte": 3, "bits_per_byte_corr_macro": 2}, 2),
        (TASK, {"logits_per_byte_corr": 4, "bits_per_byte": 3}, 3),
        (TASK, {"logits_per_byte_corr": 4, "bits_per_byte_corr": None}, 4),
        (TASK, {"primary_score": 0.5, "acc_raw": 0.5}, None),
        (BPB_TASK, {"primary_score": 0.7}, 0.7),
    ],
)
def test_the_first_kind_of_bits_per_byte_counts_and_no_accuracy_does(
    tmp_path: Path, task: str, metrics: dict[str, object], value: float | None
) -> None:
    write(tmp_path, result_line(RUN, task, metrics=metrics))

    assert bpb(tmp_path, task) == value


@pytest.mark.parametrize("task", ["arc_easy:mc::olmes", "ultrachat_masked_ppl"])
def test_multiple_choice_and_masked_perplexity_have_no_bpb(task: str) -> None:
    assert not COOKBOOK.has_bpb(task)


def test_the_newest_result_of_a_checkpoint_counts_raw_or_converted(tmp_path: Path) -> None:
    write(
        tmp_path,
        result_line(RUN, TASK, 1.0, date="2026-03-05 00:00:00 UTC"),
        result_line(RUN, TASK, 2.0, date="2026-03-06 00:00:00 UTC"),
        result_line(RUN, TASK, 2.0, date="2026-03-08 00:00:00 UTC", model=f"{RUN}_step100-hf"),
        result_line(RUN, TASK, 3.0, date="2026-03-07 00:00:00 UTC"),
    )

    assert bpb(tmp_path) == 2.0


def test_replaced_results_are_counted_at_their_step(tmp_path: Path) -> None:
    later = "2026-03-06 00:00:00 UTC"
    write(
        tmp_path,
        result_line(RUN, TASK, 1.0),
        result_line(RUN, TASK, 2.0, date=later),
        result_line(OTHER, TASK, 1.0),
        result_line(OTHER, TASK, 1.0, date=later),
    )

    assert warnings(tmp_path) == [
        f"1 result replaced by newer ones from another date, such as {TASK} of {RUN}_step100"
    ]
    assert warnings(tmp_path, step=200) == []


def test_two_results_of_one_date_contradict_each_other(tmp_path: Path) -> None:
    path = write(tmp_path, result_line(RUN, TASK, 1.0), result_line(RUN, TASK, 2.0))

    with pytest.raises(FitError, match=f"same date, in {path}:1 and in {path}:2"):
        load(tmp_path, [RUN], [TASK])


def test_aggregates_are_skipped(tmp_path: Path) -> None:
    write(tmp_path, result_line(RUN, TASK, num_tasks=57))

    assert load(tmp_path, [RUN], [TASK]).bpb == {}


@pytest.mark.parametrize(
    "suffix",
    ["_step100_bos", "_step100-hf_s5", "_step0", "_step0100", "_step\u0661", "_final"],
)
def test_any_other_model_of_a_run_is_counted_apart(tmp_path: Path, suffix: str) -> None:
    write(tmp_path, result_line(RUN, TASK, model=RUN + suffix))

    found = load(tmp_path, [RUN], [TASK])

    assert (found.bpb, found.others) == ({}, {RUN + suffix})


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -0.1, 0, 0.0, "0.8", True, [0.8], {}, 10**400],
    ids=["nan", "inf", "negative", "0", "0.0", "text", "bool", "list", "object", "huge"],
)
def test_what_is_not_bits_per_byte_is_refused_with_file_and_line(
    tmp_path: Path, value: object
) -> None:
    path = write(tmp_path, result_line(RUN, "piqa"), result_line(RUN, TASK, value))

    with pytest.raises(FitError, match=f"{path}:2: .* has the value .*; expected bits per byte"):
        load(tmp_path, [RUN], [TASK])


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON",
        result_line(RUN, TASK).encode()[:-9],
        b'{"task_name": "\xff"}',
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"task_name": 5, "task_config": {}, "metrics": {}, "model_config": {"model": []}}',
        result_line(RUN, TASK, date="today").encode(),
    ],
    ids=["no-json", "cut-off", "not-utf-8", "deep", "list", "empty", "types", "date"],
)
def test_a_line_that_is_not_a_result_is_refused_with_file_and_line(
    tmp_path: Path, line: bytes
) -> None:
    path = write(tmp_path)
    path.write_bytes(result_line(RUN, TASK).encode() + line + b"\n")

    with pytest.raises(FitError, match=f"{path}: it is not a result of olmo-cookbook, or is cut"):
        load(tmp_path, [RUN], [TASK])
