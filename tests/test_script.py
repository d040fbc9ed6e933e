"""The text of the script: what stands in it, how it is quoted, and what may not be asked for."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript.errors import InvalidInputError, SwarmError
from olmix_evalscript.model import Swarm, Variant
from olmix_evalscript.script import Evaluation, render
from olmix_evalscript.scriptfile import without_date
from olmix_evalscript.storage import check_root
from tests.factories import S3_ROOT as S3
from tests.factories import variant

TODAY = date(2026, 1, 1)
EVALUATION = Evaluation(tasks=("arc_easy:rc::olmes:full",), dashboard="olmix-58362402")


def swarm(*variants: Variant, warnings: tuple[str, ...] = ()) -> Swarm:
    return Swarm("58362402", "mix", variants, warnings)


def bash(script: str, *words: str) -> str:
    """What bash prints after reading the script's settings, without running its main."""
    text = script.replace('\nmain "$@"\n', "\n") + "\n".join(words)
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_header_tells_name_group_count_and_date() -> None:
    script = render(swarm(variant(0), variant(1)), EVALUATION, TODAY)

    assert "# Evaluate the 2 variants of swarm mix (group 58362402).\n" in script
    assert " on 2026-01-01 (UTC).\n" in script


def test_one_root_is_named_once() -> None:
    script = render(swarm(variant(0), variant(1)), EVALUATION, TODAY)

    assert script.count(S3) == 1
    assert '  variant 1 "$ROOT/mix-58362402-0001"\n' in script


def test_several_roots_are_numbered() -> None:
    weka = "/weka/oe-training-default/ai2-llm/checkpoints/kylel"
    script = render(swarm(variant(0), variant(1, weka)), EVALUATION, TODAY)

    assert f"ROOT_2='{weka}'\n" in script
    assert '  variant 1 "$ROOT_2/mix-58362402-0001"\n' in script


def test_doubts_stand_in_the_header() -> None:
    script = render(swarm(variant(0), warnings=("variant 0: failed",)), EVALUATION, TODAY)

    assert "# - variant 0: failed\n" in script.partition("set -u")[0]


def test_a_lost_variant_is_a_comment_and_not_counted() -> None:
    lost = replace(variant(1), checkpoint_dir="/tmp/x/checkpoints/kylel/x")
    script = render(swarm(variant(0), lost), EVALUATION, TODAY)

    assert "# Evaluate the 1 variant of" in script
    assert "  # variant 1 mix-58362402-0001 is lost\n" in script


def test_nothing_but_lost_variants_is_an_error() -> None:
    lost = replace(variant(1), checkpoint_dir="/tmp/x/checkpoints/kylel/x")

    with pytest.raises(SwarmError, match="no variant"):
        render(swarm(lost), EVALUATION, TODAY)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tasks": ()}, "no tasks"),
        ({"tasks": ("a\nb",)}, "not a task name"),
        ({"tasks": ("-x",)}, "not a task name"),
        ({"tasks": ("$(id)",)}, "not a task name"),
        ({"dashboard": "a'b"}, "dashboard"),
        ({"dashboard": "a,b"}, "dashboard"),
        ({"cluster": "a;b"}, "cluster"),
        ({"model_backend": "tgi"}, "not a model backend"),
        ({"extra_arguments": ("-g", "--help")}, "would submit nothing with --help"),
        ({"extra_arguments": ("--version",)}, "would submit nothing with --version"),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        render(swarm(variant(0)), replace(EVALUATION, **change), TODAY)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["running", "queued", "stopping"])
def test_the_header_names_the_variants_that_had_not_finished(status: str) -> None:
    variants = [replace(variant(number), status=status) for number in (1, 2, 3)]
    script = render(swarm(replace(variant(0), status="succeeded"), *variants), EVALUATION, TODAY)

    assert "# Not finished when this was made: variants 1-3.\n" in script


@pytest.mark.parametrize("status", ["succeeded", "failed", "canceled", ""])
def test_the_header_says_nothing_of_variants_that_have_finished(status: str) -> None:
    script = render(swarm(replace(variant(0), status=status)), EVALUATION, TODAY)

    assert "Not finished" not in script


@pytest.mark.parametrize("cluster", ["goog", "ai2/augusta", "ai2/augusta-google-1", "augusta"])
def test_a_cluster_of_google_cannot_read_weka(cluster: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{cluster} cannot read checkpoints on /weka"):
        render(swarm(variant(0, "/weka/x/y")), replace(EVALUATION, cluster=cluster), TODAY)


def test_a_cluster_of_google_can_read_s3() -> None:
    render(swarm(variant(0)), replace(EVALUATION, cluster="ai2/augusta"), TODAY)


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_extra_arguments_reach_the_script_as_they_are(words: list[str]) -> None:
    evaluation = replace(EVALUATION, extra_arguments=tuple(words))
    script = render(swarm(variant(0)), evaluation, TODAY)
    settings = re.search(r"^EXTRA_ARGS=\(.*?^\)$|^EXTRA_ARGS=\(\)$", script, re.M | re.S)
    assert settings is not None

    done = subprocess.run(
        ["bash", "-c", settings[0] + '\nprintf "%s\\0" ${EXTRA_ARGS[@]+"${EXTRA_ARGS[@]}"}'],
        capture_output=True,
        check=True,
    )

    assert done.stdout.decode() == "".join(f"{word}\0" for word in words or [""])


@pytest.mark.parametrize("block", ["header", "settings", "variants"])
def test_an_argument_may_look_like_a_block_of_the_template(block: str) -> None:
    argument = f"\n#@begin {block}\nx\n#@end {block}\n"
    evaluation = replace(EVALUATION, extra_arguments=(argument,))

    script = render(swarm(variant(0)), evaluation, TODAY)

    assert bash(script, 'printf %s "${EXTRA_ARGS[0]}"; variants; echo "${NUMBERS[@]}"') == (
        f"{argument}0\n"
    )


@given(st.text())
def test_no_doubt_breaks_out_of_its_comment(warning: str) -> None:
    clean = render(swarm(variant(0), warnings=("x",)), EVALUATION, TODAY)
    script = render(swarm(variant(0), warnings=(warning,)), EVALUATION, TODAY)

    changes = ("# -", "# Checksum ")
    assert [line for line in script.split("\n") if not line.startswith(changes)] == [
        line for line in clean.split("\n") if not line.startswith(changes)
    ]


def test_the_same_swarm_gives_the_same_bytes() -> None:
    found = swarm(variant(0), variant(1))

    assert render(found, EVALUATION, TODAY) == render(found, EVALUATION, TODAY)


def test_the_date_alone_makes_no_difference() -> None:
    found = swarm(variant(0))
    later = datetime(2027, 2, 3, tzinfo=timezone.utc).date()

    assert without_date(render(found, EVALUATION, TODAY)) == without_date(
        render(found, EVALUATION, later)
    )


@pytest.mark.parametrize("root", ["s3://ai2-llm/moved/", "gs://b", "/weka/oe-data-default/x/y"])
def test_a_folder_on_a_known_storage_is_taken_without_its_slash(root: str) -> None:
    assert check_root(root) == root.rstrip("/")


@pytest.mark.parametrize(
    "root",
    ["", "/", "relative", "/tmp/x", "/weka", "/weka/", "weka://x", "s3://", "s3://a/../b",
     "s3://a b", "s3://a/$(id)", "s3://a//b", "s3://-a", "hf://x"],
)  # fmt: skip
def test_a_folder_elsewhere_is_refused(root: str) -> None:
    with pytest.raises(InvalidInputError, match="not a checkpoint root"):
        check_root(root)
