"""The language of a text: known ones are told, and whatever is not clear says nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.mail import Message
from filterd.mail.language import LANGUAGES, MOST, languages

FILE = Path(__file__).parents[1] / "cases" / "mail" / "languages.txt"
TEXTS = dict(line.split(" ", 1) for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#"))


@pytest.mark.parametrize("code", TEXTS)
def test_a_few_sentences_are_in_their_language(code: str) -> None:
    assert code in languages(f"{TEXTS[code]} " * 2)


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_is_never_in_another_one_alone(code: str) -> None:
    found = languages(TEXTS[code])
    assert found == () or code in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sehr geehrte Damen und Herren, bitte rufen Sie uns an.",
        "ACME 4711 GmbH Hauptstr. 5 12345 Berlin " * 10,
        "https://www.example.com/de/und/die/der " * 30,
        "und@die.de, der@das.de; " * 30,
        "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt " * 3,
        "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri. " * 2,
        "0 1 2 3 " * 500,
    ],
)
def test_what_is_not_clear_says_nothing(text: str) -> None:
    assert languages(text) == ()


@pytest.mark.parametrize(("one", "other"), [("de", "en"), ("ru", "en"), ("ja", "de"), ("fr", "nl"), ("ar", "fr")])
def test_a_mixed_text_is_in_both(one: str, other: str) -> None:
    assert {one, other} <= set(languages("\n\n".join([TEXTS[one]] * 3 + [TEXTS[other]] * 3)))
    assert {one, other} <= set(languages("\n\n".join([TEXTS[other]] * 3 + [TEXTS[one]] * 3)))


def test_a_word_of_another_language_does_not_count() -> None:
    assert languages(TEXTS["en"] * 2 + " Mit freundlichen Grüßen, Jürgen") == ("en",)
    assert languages(TEXTS["de"] * 2 + " 你好") == ("de",)


def test_it_is_what_a_reader_sees() -> None:
    hidden = f"<p style='display:none'>{TEXTS['en']}</p>" * 3
    page = f"Content-Type: text/html; charset=utf-8\r\n\r\n<p>{TEXTS['de']}</p>{hidden}"
    assert Message(page.encode()).languages == ("de",)


@given(st.text(max_size=400))
def test_whatever_is_written(text: str) -> None:
    assert set(languages(text)) <= set(LANGUAGES)


@pytest.mark.parametrize(
    "text", ["и " * 500_000, "字" * 1_000_000, "." * 1_000_000, "a" * 1_000_000, "'\u200b" * 500_000]
)
def test_a_long_text_is_looked_at_in_its_beginning(text: str) -> None:
    started = time.monotonic()
    assert languages(text) == languages(text[:MOST])
    assert time.monotonic() - started < 1
