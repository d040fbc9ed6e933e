"""YAML in, plain strings out, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from olmix_evalscript import yamltext
from olmix_evalscript.yamltext import MAX_CHARACTERS, MAX_CHARACTERS_WITH_ALIASES, MAX_DEPTH


@pytest.mark.parametrize(
    "scalar", ["0010", "1e3", "0x1F", "yes", "null", "~", "2026-03-02", "12:30:45", "1_000"]
)
def test_a_scalar_stays_the_string_it_is_written_as(scalar: str) -> None:
    assert yamltext.load(f"key: [{scalar}]\n") == {"key": [scalar]}


def test_an_empty_text_is_none() -> None:
    assert yamltext.load("# nothing\n") is None


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.getcwd []", "!!int x", "!own x"])
def test_a_tag_makes_no_object(tag: str) -> None:
    assert yamltext.load(f"key: {tag}\n") in ({"key": []}, {"key": "x"})


@pytest.mark.parametrize(
    ("text", "line"), [("a: [\n", 2), ("a: 1\nb: *nobody\n", 2), ("a: 1\n---\nb: 2\n", 2)]
)
def test_what_is_not_one_document_is_an_error_that_names_the_line(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^[^\n]+ in line {line}$"):
        yamltext.load(text)


@given(st.text())
def test_no_text_raises_anything_but_an_error_of_one_line(text: str) -> None:
    message = "none"
    try:
        yamltext.load(text)
    except ValueError as error:
        message = str(error)

    assert len(message.splitlines()) == 1


# --- bounds -----------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ("{a: ", "}")])
def test_collections_are_read_down_to_the_greatest_depth(start: str, end: str) -> None:
    value = yamltext.load(start * MAX_DEPTH + end * MAX_DEPTH)

    assert str(value).count("[" if start == "[" else "{") == MAX_DEPTH


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 100_000])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ("{a: ", "}")])
def test_what_is_nested_deeper_is_refused(start: str, end: str, depth: int) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|maximum nesting depth"):
        yamltext.load(start * depth + end * depth)


def test_a_text_that_is_too_long_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ValueError, match=f"longer than {MAX_CHARACTERS} characters"):
        yamltext.load("[" * (MAX_CHARACTERS + 1))


def test_a_long_text_without_aliases_is_read() -> None:
    word = "x" * (MAX_CHARACTERS_WITH_ALIASES + 1)

    assert yamltext.load(word) == word


def aliased(length: int) -> str:
    """A word and three aliases of it, as long as that when they are written out."""
    return f"[&word {'x' * (length // 4 - 1)}, *word, *word, *word]\n"


def test_aliases_are_written_out() -> None:
    value = yamltext.load(aliased(MAX_CHARACTERS_WITH_ALIASES - 4))

    assert len(value) == 4
    assert len(set(value)) == 1


def test_aliases_that_make_a_text_too_long_are_refused() -> None:
    with pytest.raises(ValueError, match="its aliases make it longer than"):
        yamltext.load(aliased(MAX_CHARACTERS_WITH_ALIASES + 4))


def test_aliases_of_aliases_count_as_all_that_they_stand_for() -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 25))

    with pytest.raises(ValueError, match="its aliases make it longer than"):
        yamltext.load(f"a0: &a0 x\n{levels}")


def test_an_anchor_that_is_set_again_is_refused() -> None:
    with pytest.raises(ValueError, match="second occurrence in line 1"):
        yamltext.load("[&a x, &a y, *a]\n")


@pytest.mark.parametrize("text", ["&a [*a]\n", "&a {b: [*a]}\n"])
def test_a_collection_that_contains_itself_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="contains itself"):
        yamltext.load(text)


# --- values -----------------------------------------------------------------------------


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL"])
def test_a_null_is_absent(null: str) -> None:
    assert yamltext.is_absent(yamltext.load(f"key: {null}\n")["key"])


def test_what_is_not_there_is_absent() -> None:
    assert yamltext.is_absent(None)


@pytest.mark.parametrize("value", ["nil", "none", "0", "false", "[]", "{}"])
def test_anything_else_is_there(value: str) -> None:
    assert not yamltext.is_absent(yamltext.load(value))


def test_a_list_of_scalars_is_strings() -> None:
    assert yamltext.strings(yamltext.load("[a, 1, null]")) == ("a", "1", "null")


@pytest.mark.parametrize("text", ["a", "", "{a: b}", "[a, [b]]", "[{a: b}]"])
def test_what_is_not_a_list_of_scalars_is_no_strings(text: str) -> None:
    assert yamltext.strings(yamltext.load(text)) is None
