"""Perl's pattern literals as patterns of filterd: `/viagra/i`, `m{^http://x}ix`.

In: what stands to the right of `=~`. Out: a `Literal` in the syntax that RE2 and the backtracking engine share, or a
NotTranslated that says why. Whether an engine takes it is for the caller to try.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BACKTRACKS = re.compile(r"\(\?<?[=!]|\(\?>|[*+?}]\+|\\[1-9gk]|\(\?P=")
_REFERENCE = re.compile(r"\\[1-9gk]")
_CLOSING = {"{": "}", "(": ")", "[": "]", "<": ">"}
_FLAGS = "imsxgoaul"
_TOKEN = re.compile(r"\\(?:x\{[^}]*\}|.)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?#[^)]*\)|.", re.DOTALL)
_WRITTEN = {r"\h": r"[ \t]", r"\H": r"[^ \t]", r"\Z": "$", r"\z": "$", r"\A": "^", r"\R": r"\s", r"\/": "/", r"\@": "@"}
_PLAIN = set("#%&'\"!,:;<>=~`@/- ")
_STRANGE = {r"\K", r"\G", r"\X", r"\C", r"\l", r"\u", r"\L", r"\U", r"\E", r"\Q", r"\N"}


class NotTranslated(Exception):
    """Something that cannot be said in rules of filterd; the message says what."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A pattern, with its flags in front of it."""

    text: str
    anchored: bool  # holds ^ or $, which mean something else where lines are joined
    crosses_lines: bool


def backtracks(pattern: str) -> bool:
    """Look-around, back-references and the like, which RE2 does not have."""
    bare = _TOKEN.sub(lambda match: match[0] if len(match[0]) == 1 or _REFERENCE.match(match[0]) else "x", pattern)
    return _BACKTRACKS.search(bare) is not None


def literal(written: str) -> tuple[Literal, str]:
    """The literal at the start of a text, and what stands behind it."""
    body, flags, rest = _parted(written.strip())
    if strange := set(flags) - set(_FLAGS):
        raise NotTranslated(f"the flag {min(strange)} of a pattern is not known")
    pieces, anchored = [], False
    for match in _TOKEN.finditer(body):
        token = match[0]
        if token.startswith("(?#"):
            continue
        if token in _STRANGE:
            raise NotTranslated(f"{token} of Perl's patterns has no counterpart")
        anchored = anchored or token in ("^", "$", r"\A", r"\z", r"\Z")
        pieces.append(_rewritten(token))
    text = _compact(pieces) if "x" in flags else "".join(pieces)
    if not text:
        raise NotTranslated("an empty pattern matches everything")
    kept = "".join(flag for flag in "is" if flag in flags)
    return Literal(f"(?{kept}){text}" if kept else text, anchored, r"\n" in text or r"\r" in text), rest


def _parted(written: str) -> tuple[str, str, str]:
    """What stands between the delimiters, the flags, and the rest."""
    start = 1 if written[:1] == "m" else 0
    opening = written[start : start + 1]
    if not opening or opening.isalnum() or opening.isspace() or (start == 0 and opening != "/"):
        raise NotTranslated(f"no pattern, which stands between slashes: {written[:40]}")
    closing, depth, at = _CLOSING.get(opening, opening), 1, start + 1
    while at < len(written):
        sign = written[at]
        if sign == "\\":
            at += 1
        elif sign == closing:
            depth -= 1
            if depth == 0:
                break
        elif sign == opening:
            depth += 1
        at += 1
    else:
        raise NotTranslated(f"a pattern that does not end: {written[:40]}")
    flags = re.match(r"[a-z]*", written[at + 1 :])
    found = flags[0] if flags else ""
    return written[start + 1 : at], found, written[at + 1 + len(found) :].strip()


def _rewritten(token: str) -> str:
    if token in _WRITTEN:
        return _WRITTEN[token]
    if token.startswith("[") and len(token) > 1:
        return token.replace(r"\h", r" \t").replace(r"\/", "/").replace(r"\@", "@")
    return token[1] if len(token) == 2 and token[0] == "\\" and token[1] in _PLAIN - {" ", "#", "-"} else token


def _compact(pieces: list[str]) -> str:
    """Without the white space and comments that the flag x allows."""
    kept, comment = [], False
    for piece in pieces:
        if comment:
            comment = piece != "\n"
        elif piece == "#":
            comment = True
        elif not piece.isspace():
            kept.append(piece)
    return "".join(kept)
