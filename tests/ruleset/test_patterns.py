"""The filters find what each pattern finds alone, and the cheaper forms never lose a match."""

from __future__ import annotations

import random
import re
import sys

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.engine.loading import builtin_symbols
from filterd.ruleset import Ruleset, RulesSettings
from filterd.ruleset.fields import Field, Kind
from filterd.ruleset.linear import PatternError, compile_linear
from filterd.ruleset.literals import literals
from filterd.ruleset.operators import closest
from filterd.ruleset.patterns import Patterns
from filterd.ruleset.relax import alternatives, loosen, relax
from filterd.ruleset.sieve import _FOLDS_TO_ASCII, SHORT


class OneText:
    """A view of nothing but one text."""

    out_of_time = False

    def __init__(self, text: str) -> None:
        self.text = text

    def searchable(self, field: Field) -> str:
        return self.text

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
    "(?i)abB",
    "(?i)ßab",
    r"\b",
    "aab",
]


@settings(max_examples=300)
@given(
    st.lists(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=5).map("".join), min_size=1, max_size=20),
    st.text("aabbBéſ \n", max_size=60),
    st.sampled_from(["", " " * (SHORT + 1)]),
)
def test_filters_lose_nothing(texts, searched, more) -> None:
    searched += more
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
        assert bool(pattern.whole.search(searched)) >= bool(pattern.sure & hits), pattern.text
        if pattern.whole.search(searched):
            assert pattern.guard & hits, pattern.text


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
        ("(?i)(?:a|b(?:c|d))", ("(?i)a", "(?i)b(?:c|d)")),
        (r"\b(?:a|b)\b", (r"\ba\b", r"\bb\b")),
        ("(?:a|b)(?:c|d)", ("(?:a|b)(?:c|d)",)),
        ("(?:a|b)+", ("(?:a|b)+",)),
        ("(?:a|b)c", ("(?:a|b)c",)),
        (r"\b", (r"\b",)),
    ],
)
def test_parted_and_loosened(pattern, expected) -> None:
    assert tuple(map(loosen, alternatives(pattern))) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("(?i)act now", [{"act now"}]),
        ("(?i)(?:kindly|please)[^.]{0,40}(?:quote|send)", [{"kindly", "please"}, {"quote", "send"}]),
        (r"wire\s+transfer", [{"transfer"}, {"wire"}]),
        ("colou?rs", [{"colours", "colors"}]),
        ("h[o0]t deal", [{"hot deal", "h0t deal"}]),
        ("(?:abc)+d", [{"abc"}]),
        ("x{3}y", [{"xxxy"}]),
        (r"\x41bcd", [{"Abcd"}]),
        (r"\x{20AC}", [{"€"}]),
        (r"\p{Greek}abc", [{"abc"}]),
        (r"\$\d+ million", [{" million"}]),
        ("(?:one.*fifth|three)x", [{"fifth", "three"}, {"one", "three"}]),
        (r"(?:risk.?free|no risk)", [{"free", "no risk"}, {"risk", "no risk"}]),
        (r"top [#\d]", [{f"top {sign}" for sign in "#0123456789"}]),
        (r"top [^\d]", [{"top "}]),
        (r"top \d", [{f"top {digit}" for digit in range(10)}]),
        ("(?:abc)*", []),
        ("(?:abc)?", []),
        ("abc|d", []),
        ("[a-z]{9}", []),
        ("[^a]bc", []),
        (r"\Qabc\E", []),
        ("(abc", []),
        ("", []),
    ],
)
def test_literals(pattern, expected) -> None:
    assert list(literals(pattern).needs) == expected


_MORE = ["act now", "(?:wire|cash) transfer", "x{2}", "[o0]", "(?:pay){1,2}", r"\.", "ß", "(?:a|bc)+d"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(st.data(), st.lists(st.sampled_from([*_PIECES, *_MORE]), min_size=1, max_size=5).map("".join))
def test_every_match_holds_a_literal(data, pattern) -> None:
    needed = literals(pattern).needs
    if not needed or "(?i)" in pattern[1:]:
        return
    matched = data.draw(st.from_regex(pattern)).casefold()
    for texts in needed:
        assert any(text.casefold() in matched for text in texts)


@pytest.mark.parametrize(
    "pattern", ["a)(b", "(?P<x", "[z-a]", "a**", "(?:a{1000}){1000}", "x" * 5000, r"(\w{200}){200}"]
)
def test_bad_patterns_are_refused(pattern) -> None:
    with pytest.raises(PatternError):
        Patterns().add(FIELD, pattern)


def test_many_patterns_are_all_found() -> None:
    dice = random.Random(3)
    words = ["".join(dice.choices("abcdefghijklmnop", k=12)) for _ in range(3007)]
    patterns = Patterns()
    for word in words:
        patterns.add(FIELD, rf"(?i)\b{word}\b")
    patterns.ready()
    chosen = dice.sample(range(len(words)), 50)
    text = " ".join(words[number].upper() for number in chosen)
    assert patterns.hits(OneText(text)) == set(chosen)
    assert patterns.hits(OneText(text.replace(words[chosen[0]].upper(), ""))) == set(chosen[1:])


def test_literals_settle_a_pattern_that_is_nothing_else() -> None:
    patterns = Patterns()
    texts = (r"\bcat\b", "(?i)cat", "cat|dog", r"\b(?:hot|cold) dog", r"\b&co\b", "ssl", "(?i)ßl")
    known = [patterns.add(FIELD, text) for text in texts]
    patterns.ready()
    hits = {
        "concat CATS": {1, 2},
        "a cat, a hotdog": {0, 1, 2},
        "scold dog": {2},
        "x&co &co": {4},
        "y&cox": set(),
        "cold dogs": {2, 3},
        "ssl": {5},
        "ẞL": {6},
    }
    for text, expected in hits.items():
        for more in ("", "é"):
            found = patterns.hits(OneText(f"{text}{' ' * SHORT}{more}"))
            assert {number for number, pattern in enumerate(known) if pattern.guard & found} == expected, text


def test_what_folds_to_ascii() -> None:
    codes = (code for code in range(128, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    folding = [code for code in codes if any(char.isascii() for char in chr(code).casefold())]
    assert all(_FOLDS_TO_ASCII.search(chr(code)) for code in folding)
    assert len(folding) < 30


def test_runs_of_one_character_are_literals_as_well() -> None:
    patterns = Patterns()
    for text in ("!!!", r"a!!!!", "(?i)xxx", "money"):
        patterns.add(FIELD, text)
    patterns.ready()
    long = " " * 3_000
    assert patterns.hits(OneText(f"wow!!!{long}")) == {0}
    assert patterns.hits(OneText(f"a!!!! XxX{long}")) == {0, 1, 2}
    assert patterns.hits(OneText(f"money{long}!!")) == {3}


def test_only_the_alternatives_that_are_there_are_tried() -> None:
    patterns = Patterns()
    pattern = patterns.add(FIELD, "(?i)one thing|another thing|a third")
    patterns.ready()
    view = OneText("It is a THIRD and another thing.")
    view.seen = patterns.hits(view)
    assert {form.exact.pattern for form in pattern.forms if form.number in view.seen} == {
        "(?m)(?i)a third",
        "(?m)(?i)another thing",
    }
    assert pattern.search(view.text, view) == "a THIRD"
    assert list(pattern.spans(view.text, view)) == [(6, 13), (18, 31)]


def test_the_shipped_patterns_agree_with_pythons_own(corpus) -> None:
    ruleset = Ruleset.load(RulesSettings(), builtin_symbols())
    known = [one for one in ruleset.loaded.patterns if one.field == "content" and r"\p" not in one.text]
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
                assert bool(oracle.search(text)) == bool(one.whole.search(text)), one.text


def test_closest() -> None:
    assert closest([[(0, 1), (50, 51)], [(40, 41), (90, 91)]]) == (40, 51)
    assert closest([[(0, 1)], []]) is None
