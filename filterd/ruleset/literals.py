"""Literals: texts that stand in every match of a pattern.

In goes a pattern in RE2's syntax; out come sets of texts: a match holds at least one of each set, the rarest first. Of
a pattern that ignores letter case they are to be looked for case folded, in the case folded text. What is not
understood only makes the sets fewer, never wrong (R. Cox, Regular Expression Matching with a Trigram Index: the exact
and the required strings of each node).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from filterd.ruleset.relax import TOKEN

LEAST = 3  # bytes: a shorter literal stands in nearly every text
_MOST = 256  # literals of one pattern
_EXACT = 128  # texts that a piece is written out as
_LONGEST = 48  # characters of such a text
_CLASS_CHARS = 12  # a class of more is any character
_RARITY = 0.06  # how much rarer each further character makes a literal

_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(,?)(\d*)\})\??")
_CODE = re.compile(r"\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))")
_CATEGORY = re.compile(r"\\[pP](?:\{\^?\w+\}|\w)")
_ONE_OF = re.compile(r"\[(\^?)(\]?(?:\\.|\[:\w+:\]|[^\]\\])*)\]", re.DOTALL)
_DIGITS = "0123456789"
_FLAGS = re.compile(r"(?:\(\?[im]+\))+")
_OF_WORDS = frozenset(bytes([code]) for code in range(128) if chr(code).isalnum() or chr(code) == "_")
_BORDER = r"\b"
_PLACES = frozenset("bBAz")  # \b and the like: they match no character
_CONTROLS = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_PUNCTUATION = frozenset("\\.+*?()|[]{}^$-/!\"#%&',:;<=>@_`~ ")

Texts = frozenset[str]
_EMPTY: Texts = frozenset({""})


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a piece of a pattern matches: exactly these texts, or something that holds one of each of `needs`."""

    exact: Texts | None = None
    needs: frozenset[Texts] = frozenset()

    @property
    def needed(self) -> frozenset[Texts]:
        return self.needs if self.exact is None else _worth(self.exact)


_NOTHING = _Piece(exact=_EMPTY)
_DIGIT = _Piece(exact=frozenset(_DIGITS))
_ANYTHING = _Piece()


@dataclass(frozen=True, slots=True)
class Plain:
    """A pattern that is nothing but one of some texts, perhaps between word borders."""

    texts: Texts
    before: bool
    after: bool

    def stands(self, text: bytes, start: int, end: int) -> bool:
        """Are there borders as wanted around this piece? For RE2 a word is of ASCII letters, digits and _."""
        return (not self.before or _is_border(text, start)) and (not self.after or _is_border(text, end))


def _is_border(text: bytes, place: int) -> bool:
    return (text[place - 1 : place] in _OF_WORDS) != (text[place : place + 1] in _OF_WORDS)


@dataclass(frozen=True, slots=True)
class Literals:
    """The sets of a pattern, none when it may match a text with nothing that could be looked for; and what it is
    where literals are all of it."""

    needs: tuple[Texts, ...] = ()
    plain: Plain | None = None


def literals(pattern: str) -> Literals:
    """What is known of a pattern."""
    flags = _FLAGS.match(pattern)
    reader = _Reader(pattern, flags.end() if flags else 0)
    try:
        piece = reader.alternatives()
    except _Unreadable:
        return Literals()
    if reader.position < len(pattern):
        return Literals()
    needs = tuple(sorted(piece.needed, key=_frequency))
    return Literals(needs, reader.plain(piece.exact) if piece.exact is not None else None)


class _Unreadable(ValueError):
    pass


class _Reader:
    """Recursive descent over the tokens of a pattern."""

    def __init__(self, pattern: str, start: int = 0) -> None:
        self._pattern = pattern
        self._start = self.position = start
        self._places: list[int] = []  # where it minds what stands around: borders, line ends, flags
        self._choices = 0

    def plain(self, texts: Texts) -> Plain | None:
        """What has been read, when nothing but these texts and borders at its ends counts."""
        last = len(self._pattern) - len(_BORDER)
        places = {place for place in self._places if self._pattern.startswith(_BORDER, place)} & {self._start, last}
        if len(places) < len(self._places) or (places and self._choices):
            return None
        return Plain(texts, self._start in places, last in places and last > self._start)

    def alternatives(self, depth: int = 0) -> _Piece:
        """Up to the closing parenthesis or the end."""
        if depth > 50:
            raise _Unreadable
        choices = [self._sequence(depth)]
        while self._pattern.startswith("|", self.position):
            self.position += 1
            self._choices += depth == 0
            choices.append(self._sequence(depth))
        return _either(choices)

    def _sequence(self, depth: int) -> _Piece:
        pieces = []
        while self.position < len(self._pattern) and self._pattern[self.position] not in "|)":
            pieces.append(self._repeated(self._one(depth)))
        return _joined(pieces)

    def _one(self, depth: int) -> _Piece:
        for form, read in ((_CODE, _code), (_CATEGORY, _anything), (_ONE_OF, _one_of)):
            if match := form.match(self._pattern, self.position):
                self.position = match.end()
                return read(match)
        token = TOKEN.match(self._pattern, self.position)
        if token is None:
            raise _Unreadable
        self.position = token.end()
        match token.lastgroup:
            case "open":
                inner = self.alternatives(depth + 1)
                if not self._pattern.startswith(")", self.position):
                    raise _Unreadable
                self.position += 1
                return inner
            case "flags":
                self._places.append(token.start())
                return _NOTHING
            case "escape":
                if token[0][1] in _PLACES:
                    self._places.append(token.start())
                return _escape(token[0][1])
            case "plain":
                if token[0] in "^$":
                    self._places.append(token.start())
                return {"^": _NOTHING, "$": _NOTHING, ".": _ANYTHING}.get(token[0]) or _text(token[0])
        raise _Unreadable

    def _repeated(self, piece: _Piece) -> _Piece:
        while match := _REPEAT.match(self._pattern, self.position):
            self.position = match.end()
            least = int(match[1]) if match[1] else {"+": 1}.get(match[0][0], 0)
            if match[0][0] == "?" or (match[1] == "0" and match[3] == "1"):
                piece = _Piece(piece.exact | _EMPTY) if piece.exact is not None else _ANYTHING
            elif match[1] and not match[2] and least <= 8:
                piece = _joined([piece] * least)
            else:
                piece = _Piece(needs=piece.needed) if least else _ANYTHING
        return piece


def _anything(match: re.Match[str]) -> _Piece:
    return _ANYTHING


def _code(match: re.Match[str]) -> _Piece:
    number = int(match[1] or match[2], 16)
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise _Unreadable
    return _text(chr(number))


def _one_of(match: re.Match[str]) -> _Piece:
    """A class: its characters, when they are few and written one by one."""
    inside = match[2].replace(r"\d", _DIGITS)
    if match[1] or "\\" in inside or "[:" in inside or "-" in inside[1:-1] or len(inside) > _CLASS_CHARS:
        return _ANYTHING
    return _Piece(exact=frozenset(inside))


def _escape(char: str) -> _Piece:
    if char in _PLACES:
        return _NOTHING
    if char == "d":
        return _DIGIT
    if char in "DsSwWC":
        return _ANYTHING
    if char in _CONTROLS:
        return _text(_CONTROLS[char])
    if char in _PUNCTUATION or not char.isascii():
        return _text(char)
    raise _Unreadable


def _text(char: str) -> _Piece:
    return _Piece(exact=frozenset({char}))


def _either(choices: list[_Piece]) -> _Piece:
    if len(choices) == 1:
        return choices[0]
    exact: Texts = frozenset().union(*(one.exact or () for one in choices))
    if all(one.exact is not None for one in choices) and len(exact) <= _MOST:
        return _Piece(exact)
    ranked = [sorted(one.needed, key=_frequency) for one in choices]
    if not all(ranked):
        return _ANYTHING
    unions: list[Texts] = []
    for turn in range(max(map(len, ranked))):  # the rarest need of each choice, then the next of each
        unions.append(frozenset().union(*(needs[min(turn, len(needs) - 1)] for needs in ranked)))
    return _Piece(needs=frozenset(texts for texts in unions if len(texts) <= _MOST))


def _joined(pieces: Iterable[_Piece]) -> _Piece:
    """One after the other: neighbours that are exact are written out together."""
    run, needs, whole = _EMPTY, set[Texts](), True
    for piece in pieces:
        longer = _product(run, piece.exact) if piece.exact is not None else None
        if longer is not None:
            run = longer
            continue
        whole = False
        needs |= _worth(run) | piece.needs
        run = piece.exact if piece.exact is not None else _EMPTY
    return _Piece(exact=run) if whole else _Piece(needs=frozenset(needs | _worth(run)))


def _product(left: Texts, right: Texts) -> Texts | None:
    if min(len(left), len(right)) > 1 and len(left) * len(right) > _EXACT:
        return None
    made = frozenset(map("".join, product(left, right)))
    return made if max(map(len, made), default=0) <= _LONGEST else None


def _worth(texts: Texts) -> frozenset[Texts]:
    """The texts as a need, when they are few, and each long enough that it is not in nearly every mail."""
    long = texts and all(len(text.encode()) >= LEAST for text in texts)
    return frozenset({texts} if long and len(texts) <= _MOST else ())


def _frequency(texts: Texts) -> tuple[float, list[str]]:
    """How likely it is that a mail holds one of these."""
    return sum(_RARITY ** len(text) for text in texts), sorted(texts)
