"""Language: which languages a text is clearly written in, by its script and its most frequent words. Pure.

In: visible text. Out: language codes (ISO 639-1), those that take up most of it first; nothing when the text is short,
mostly names and numbers, or in a language that is not known here. Where a stretch may be one of several languages (a
script that many share, close relatives) all of them are named, so that who reads one of them reads the text. Linear;
looks at the first `MOST` characters; never raises.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from filterd.mail.stopwords import WORDS

MOST = 4_000  # characters that are looked at
LEAST = 20  # words under which nothing is said of a text
STRETCH = 50  # words that are judged together, so that each part of a mixed text counts
_HITS = 0.15  # the part of a stretch that must be frequent words of one language
_KINDS = 4  # different ones at least: a single "na" is in half the languages of the world
_CLOSE = 0.75  # of the best language's hits: a language that may be meant as well
_SHARE = 0.2  # of the words that were recognised: a language that is there
_KNOWN = 0.5  # of all words must be recognised
_GLYPHS = 2  # characters of a script without spaces that count as one word

# Each script that is not Latin or Cyrillic: its characters, the languages that use it, whether words have spaces.
_SCRIPTS: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("\u3041-\u30ff", ("ja",), False),
    ("\u4e00-\u9fff\u3400-\u4dbf", ("zh", "ja"), False),
    ("\uac00-\ud7af\u1100-\u11ff", ("ko",), True),
    ("\u0600-\u06ff\u0750-\u077f", ("ar", "fa", "ur"), True),
    ("\u0590-\u05ff", ("he",), True),
    ("\u0370-\u03ff\u1f00-\u1fff", ("el",), True),
    ("\u0900-\u097f", ("hi", "mr", "ne"), True),
    ("\u0980-\u09ff", ("bn",), True),
    ("\u0b80-\u0bff", ("ta",), True),
    ("\u0e00-\u0e7f", ("th",), False),
    ("\u10a0-\u10ff", ("ka",), True),
    ("\u0530-\u058f", ("hy",), True),
)
_RUNS = re.compile("|".join(f"([{characters}]+)" for characters, *_ in _SCRIPTS))
_EDGES = " \t\r\n.,;:!?()[]{}<>\"'`*_-\u2013\u2014\u2026\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u00a1\u00bf|/"

LANGUAGES = tuple(sorted({*WORDS, *(code for _, codes, _ in _SCRIPTS for code in codes)}))

_SPEAK: dict[str, tuple[str, ...]] = {}
for _code, _words in WORDS.items():
    for _word in dict.fromkeys(_words.split()):
        if not (len(_word) == 1 and _word.isascii()):  # as often the label of something
            _SPEAK[_word] = (*_SPEAK.get(_word, ()), _code)


def languages(text: str) -> tuple[str, ...]:
    """The languages of a text."""
    text = text[:MOST]
    found: Counter[tuple[str, ...]] = Counter()
    if not text.isascii():
        found += _by_script(text)
    words = [
        word for piece in text.lower().split() if (word := piece if piece.isalpha() else piece.strip(_EDGES)).isalpha()
    ]
    words = [word for word in words if not _RUNS.match(word)] if found else words
    total = found.total() + len(words)
    if total < LEAST:
        return ()
    for stretch in _stretches(words):
        if codes := _by_words(stretch):
            found[codes] += len(stretch)
    if found.total() < max(LEAST, _KNOWN * total):
        return ()
    return tuple(_present(found))


def _by_script(text: str) -> Counter[tuple[str, ...]]:
    """How many words there are in each script that tells a language by itself."""
    found: Counter[tuple[str, ...]] = Counter()
    for run in _RUNS.finditer(text):
        _, codes, spaced = _SCRIPTS[(run.lastindex or 1) - 1]
        found[codes] += 1 if spaced else len(run[0])
    kana, han = ("ja",), ("zh", "ja")
    if found[kana] * 10 > found[han]:  # Chinese characters among kana are Japanese
        found[kana] += found.pop(han, 0)
    unspaced = {codes for _, codes, spaced in _SCRIPTS if not spaced}
    return +Counter({codes: n // _GLYPHS if codes in unspaced else n for codes, n in found.items()})


def _stretches(words: list[str]) -> Iterator[list[str]]:
    """Pieces of about `STRETCH` words; what is left over belongs to the last."""
    count = max(1, len(words) // STRETCH)
    for number in range(count):
        yield words[number * STRETCH : None if number == count - 1 else (number + 1) * STRETCH]


def _by_words(words: Iterable[str]) -> tuple[str, ...]:
    """The language of a stretch, with those that may be meant as well; nothing when none is clear."""
    seen = Counter(words)
    kinds = Counter(code for word in seen for code in _SPEAK.get(word, ()))
    hits: Counter[str] = Counter()
    for word, count in seen.items():
        for code in _SPEAK.get(word, ()):
            if kinds[code] >= _KINDS:
                hits[code] += count
    most = max(hits.values(), default=0)
    if not most or most < _HITS * seen.total():
        return ()
    return tuple(sorted(code for code, count in hits.items() if count >= _CLOSE * most))


def _present(found: Counter[tuple[str, ...]]) -> Iterator[str]:
    """The languages that take up a fair part of what was recognised, each once."""
    total = found.total()
    shares: Counter[str] = Counter()
    for codes, count in found.items():
        for code in codes:
            shares[code] += count
    for code, count in shares.most_common():
        if count >= _SHARE * total:
            yield code
