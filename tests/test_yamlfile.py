"""YAML to data with lines. What is wrong stands in tests/cases/config, here what is right."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.yamlfile import Document, DocumentError, parse_document


def test_every_key_has_its_line() -> None:
    document = parse_document("a: 1\nb:\n  - x\n  - c: 2.5\n    d: ~\n", "f.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2.5, "d": None}]}
    assert document.lines == {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4, ("b", 1, "d"): 5,
    }  # fmt: skip
    assert document.line(("b", 1, "missing", "deeper")) == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("0755", 755),
        ("0x1f", 31),
        ("1e3", 1000.0),
        ("'12'", "12"),
        ("~", None),
        ("99999999999999999999", 1e20),
        ("!!str 12", "12"),
    ],
)
def test_plain_scalars_are_yaml_1_2(text: str, value: object) -> None:
    assert parse_document(f"a: {text}\n").data == {"a": value}


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert parse_document("# nothing\n").data == {}


def test_a_few_aliases_are_fine() -> None:
    assert parse_document("a: &x {b: 1}\nc: *x\n").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(DocumentError) as refused:
        parse_document("a: .nan\nb: !x y\na: 1\n", "f.yaml")
    assert [problem.line for problem in refused.value.problems] == [1, 2, 3]


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "&a [" * 1000, "? " * 100_000])
def test_depth_costs_no_stack(text: str) -> None:
    with pytest.raises(DocumentError):
        parse_document(text)


def test_a_bomb_of_anchors_costs_nothing() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    started = time.process_time()
    with pytest.raises(DocumentError, match="more than 16 aliases"):
        parse_document("\n".join(rows))
    assert time.process_time() - started < 1


@given(st.text(max_size=200))
def test_any_text_is_data_or_a_problem(text: str) -> None:
    with contextlib.suppress(DocumentError):
        assert isinstance(parse_document(text), Document)
