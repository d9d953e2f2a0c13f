"""The filters find what each pattern finds alone, and the cheaper forms never lose a match."""

from __future__ import annotations

import random
import re

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.engine.loading import builtin_symbols
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.fields import Field, Kind
from filterd.ruleset.linear import PatternError, Shard, compile_linear
from filterd.ruleset.operators import closest
from filterd.ruleset.patterns import SHARD, Patterns
from filterd.ruleset.relax import loosen, relax


class OneText:
    """A view of nothing but one text."""

    out_of_time = False

    def __init__(self, text: str) -> None:
        self.text = text

    def searchable(self, field: Field) -> bytes:
        return self.text.encode()

    def ran_out(self, pattern: object) -> None:
        raise AssertionError("ran out of time")


FIELD = Field("text", Kind.TEXT, "", "", lambda view: view.text)
_PIECES = [
    "a",
    "b",
    "ab",
    "(?:a|b)",
    "[ab]{2,40}",
    "a{0,30}b",
    r"\bab",
    "(?i)A",
    ".",
    "a+",
    "b*",
    r"\s",
    "é",
    "(?:a|bé)?",
    "a|b",
    "b|",
]


@settings(max_examples=150)
@given(
    st.lists(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map("".join), min_size=1, max_size=20),
    st.text("abé \n", max_size=60),
)
def test_filters_lose_nothing(texts, searched) -> None:
    patterns = Patterns()
    known = []
    for text in texts:
        try:
            known.append(patterns.add(FIELD, text))
        except PatternError:
            continue
    patterns.ready()
    hits = patterns.hits(OneText(searched))
    for pattern in known:
        if pattern.linear.search(searched):
            assert pattern.number in hits, pattern.text


@settings(max_examples=150)
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                "b",
                "(?=a)",
                "(?!b)",
                "(?<=a)",
                "(?<!b)",
                "(a)",
                r"\1",
                "(?>a+)",
                "a++",
                "(?:b|(?=ab)a)",
                "[(a]",
                r"\(",
            ]
        ),
        min_size=1,
        max_size=6,
    ).map("".join),
    st.text("ab(", max_size=14),
)
def test_a_relaxed_pattern_matches_wherever_the_original_does(pattern, text) -> None:
    try:
        original = regex.compile(pattern)
        relaxed = compile_linear(relax(pattern), False)
    except (regex.error, ValueError):
        return
    if original.search(text, timeout=1):
        assert relaxed.search(text), relax(pattern)


@pytest.mark.parametrize("pattern", [r"(a)(?(1)b|c)", "(?R)", ")", "(?&x)"])
def test_what_cannot_be_relaxed(pattern) -> None:
    with pytest.raises(ValueError, match=r"not supported|without its"):
        relax(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(?i)a{0,80}b|c", ("(?i)a{0,}b", "(?i)c")),
        ("(a|b)c{2,4}", ("(a|b)c{2,4}",)),
        (r"\|a[|]b|c", (r"\|a[|]b", "c")),
        (r"a\{1,90}", (r"a\{1,90}",)),
        ("a(?i)b|c", ("a(?i)b|c",)),
    ],
)
def test_loosened(pattern, expected) -> None:
    assert loosen(pattern) == expected


@pytest.mark.parametrize(
    "pattern", ["a)(b", "(?P<x", "[z-a]", "a**", "(?:a{1000}){1000}", "x" * 5000, r"(\w{200}){200}"]
)
def test_bad_patterns_are_refused(pattern) -> None:
    with pytest.raises(PatternError):
        Patterns().add(FIELD, pattern)


def test_many_patterns_are_all_found() -> None:
    dice = random.Random(3)
    words = ["".join(dice.choices("abcdefghijklmnop", k=12)) for _ in range(3 * SHARD + 7)]
    patterns = Patterns()
    for word in words:
        patterns.add(FIELD, rf"(?i)\b{word}\b")
    patterns.ready()
    chosen = dice.sample(range(len(words)), 50)
    assert patterns.hits(OneText(" ".join(words[number].upper() for number in chosen))) == set(chosen)


def test_a_filter_that_outgrew_its_memory_is_parted() -> None:
    dice = random.Random(5)
    long = ["".join(dice.choices("abcdefghijklmnop", k=300)) for _ in range(SHARD)]
    assert not Shard([compile_linear(word, False) for word in long], False).works
    patterns = Patterns()
    for word in long:
        patterns.add(FIELD, word)
    patterns.ready()
    assert patterns.hits(OneText(long[17] + " " + long[-1])) == {17, SHARD - 1}


def test_the_shipped_patterns_agree_with_pythons_own(corpus) -> None:
    ruleset = Ruleset.load(RulesSettings(), builtin_symbols())
    known = [one for one in ruleset.loaded.patterns._known.values() if one.field == "content" and r"\p" not in one.text]
    paths = (corpus / "index").read_text().splitlines()[::400]
    texts = [(corpus / line.split()[1]).read_bytes().decode("latin-1")[:3000] for line in paths]
    for one in known:
        try:
            oracle = re.compile(
                re.sub(r"\\x\{([0-9A-F]+)\}", lambda m: rf"\U{m[1]:0>8}", one.text), re.MULTILINE | re.ASCII
            )
        except re.error:
            continue
        for text in texts:
            if text.isascii():
                assert bool(oracle.search(text)) == bool(one.linear.search(text)), one.text


def test_closest() -> None:
    assert closest([[(0, 1), (50, 51)], [(40, 41), (90, 91)]]) == (40, 51)
    assert closest([[(0, 1)], []]) is None
