"""YAML is read as plain strings, within limits."""

from __future__ import annotations

import pytest

from olmix_evalscript import yamltext
from olmix_evalscript.yamltext import MAX_CHARACTERS, MAX_DEPTH


@pytest.mark.parametrize("scalar", ["0010", "1e3", "yes", "null", "2026-03-02"])
def test_a_scalar_stays_the_string_it_is_written_as(scalar: str) -> None:
    assert yamltext.load(f"key: [{scalar}]\n") == {"key": [scalar]}


def test_a_tag_makes_no_object() -> None:
    assert yamltext.load("key: !!python/object/apply:os.getcwd []\n") == {"key": []}


@pytest.mark.parametrize(
    ("text", "line"), [("a: [\n", 2), ("a: 1\nb: *nobody\n", 2), ("a: 1\n---\nb: 2\n", 2)]
)
def test_an_error_names_the_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^[^\n]+ in line {line}$"):
        yamltext.load(text)


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ("{a: ", "}")])
def test_values_are_nested_to_a_limit(start: str, end: str) -> None:
    assert yamltext.load(start * MAX_DEPTH + end * MAX_DEPTH)
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(ValueError, match=r"nested too deeply|maximum nesting depth"):
            yamltext.load(start * depth + end * depth)


BOMB = "a0: &a0 x\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 25)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * (MAX_CHARACTERS + 1), f"longer than {MAX_CHARACTERS} characters"),
        (BOMB, "an alias within an anchored value"),
        ("b: &b {c: [*b]}\n", "an alias within an anchored value"),
        (f"[&a x, {', '.join(['*a'] * 10_000)}]\n", "too many aliases"),
        ("[&a x, &a y, *a]\n", "second occurrence in line 1"),
    ],
    ids=["long", "bomb", "circle", "many", "twice"],
)
def test_a_text_that_grows_too_large_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        yamltext.load(text)


@pytest.mark.parametrize(
    ("text", "strings"), [("[a, 1, null]", ("a", "1", "null")), ("", ()), ("~", ()), ("[]", ())]
)
def test_a_list_of_scalars_is_strings_and_null_is_none(text: str, strings: tuple[str, ...]) -> None:
    assert yamltext.strings(yamltext.load(f"key: {text}\n")["key"], "key") == strings


@pytest.mark.parametrize("text", ["a", "0", "[a, [b]]", "[{a: b}]"])
def test_anything_else_is_no_strings(text: str) -> None:
    with pytest.raises(ValueError, match="'key' of a task is not a list of strings"):
        yamltext.strings(yamltext.load(text), "key")
