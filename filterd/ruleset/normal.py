"""Subject and visible text in the form that phrases are looked for in.

Runs of white space are one space, characters that take no room are gone, and letters from the fancy ranges
of Unicode (bold, circled, full-width) are the plain letters that they imitate. Letter case stays, and so do
the letters of every language. One pass, linear: full normalization of hostile text is not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import chain

from filterd.ruleset.view import MAX_TEXT, View

_INVISIBLE = (
    *(
        0xAD,
        0x034F,
        0x061C,
        0x115F,
        0x1160,
        0x17B4,
        0x17B5,
        0x180E,
        0xFEFF,
    ),  # soft hyphen, joiners, fillers, BOM
    *range(0x200B, 0x2010),  # zero width, direction marks
    *range(0x202A, 0x202F),  # direction embedding and override
    *range(0x2060, 0x2070),  # word joiner, invisible operators
)
_FANCY = chain(
    range(0x2100, 0x2150),  # letterlike
    range(0x2460, 0x2500),  # circled and bracketed
    range(0xFF01, 0xFF5F),  # full width
    range(0x1D400, 0x1D800),  # mathematical
    range(0x1F110, 0x1F16A),  # squared
)


def _plain() -> Iterator[tuple[int, str | None]]:
    for code in _FANCY:
        plain = unicodedata.normalize("NFKC", chr(code))
        if plain.isascii():
            yield code, plain
    for code in _INVISIBLE:
        yield code, None
    yield from {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x00A0: " "}.items()


_PLAIN: dict[int, str | None] = dict(_plain())
_ODD = frozenset(map(chr, _PLAIN))
_FEW = 16  # kinds of odd characters up to which a text is searched for each instead of being read letter by letter


def normal(view: View) -> str | None:
    """The subject on the first line, then the text on one line; None when both are empty."""
    message = view.message
    subject = " ".join(_readable(message.subject).split())
    text = " ".join(_readable(message.text[:MAX_TEXT]).split())
    return f"{subject}\n{text}" if subject or text else None


def _readable(text: str) -> str:
    if text.isascii():
        return text
    odd = _ODD & set(text)
    if len(odd) > _FEW:
        return text.translate(_PLAIN)
    for char in odd:
        text = text.replace(char, _PLAIN[ord(char)] or "")
    return text
