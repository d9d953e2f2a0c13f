"""Cheaper patterns that match wherever a given one does, and perhaps elsewhere too.

`alternatives` parts a pattern at its `|`, for each has literals of its own. `loosen` takes the upper bound off
repeats: counting to eighty from every start is what makes an automaton large. `relax` makes a pattern for RE2 of a
backtracking one: it drops look-arounds, puts "anything" for a back-reference and makes atomic groups and
possessive repeats plain. Each step only lets more through, so where the cheaper pattern does not match the
original cannot, and it need not run.
"""

from __future__ import annotations

import re
from itertools import accumulate

TOKEN = re.compile(
    r"""(?P<class>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])
    |(?P<number>\\[1-9]\d?)|(?P<named>\(\?P=\w+\)|\\k<\w+>|\\g<\w+>)
    |(?P<escape>\\.)
    |(?P<around>\(\?<?[=!])
    |(?P<atomic>\(\?>)
    |(?P<comment>\(\?\#[^)]*\))
    |(?P<strange>\(\?(?:\(|R|&|\||[+-]?\d))
    |(?P<open>\((?:\?P?<\w+>|\?[aimsLux-]*:)?(?!\?))
    |(?P<flags>\(\?[aimsLux-]+\))
    |(?P<close>\))
    |(?P<range>\{(?P<least>\d{1,4}),(?P<most>\d{1,4})\})
    |(?P<possessive>(?<=[*+?}])\+)
    |(?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)


_FLAGS = re.compile(r"\(\?[aimsLux-]+\)")
_SPAN = 8  # a repeat may count that far beyond its least
_DEEPER = {"open": 1, "around": 1, "atomic": 1, "close": -1}
_BORDER = ("escape", r"\b")


def alternatives(pattern: str) -> tuple[str, ...]:
    """The alternatives of the pattern, each with its flags; the pattern itself where it cannot be parted."""
    flags = match[0] if (match := _FLAGS.match(pattern)) else ""
    read = _tokens(pattern[len(flags) :])
    if read is None or any(kind == "flags" for kind, _ in read):
        return (pattern,)
    before, inside, after = _unwrapped(read)
    parts: list[list[str]] = [[]]
    depth = 0
    for kind, text in inside:
        depth += _DEEPER.get(kind, 0)
        if depth == 0 and text == "|":
            parts.append([])
        else:
            parts[-1].append(text)
    return tuple(f"{flags}{before}{''.join(part)}{after}" for part in parts)


def _tokens(pattern: str) -> list[tuple[str, str]] | None:
    """Each token, after its kind; None where the pattern cannot be read."""
    found, position = [], 0
    while position < len(pattern):
        if (token := TOKEN.match(pattern, position)) is None:
            return None
        found.append((str(token.lastgroup), token[0]))
        position = token.end()
    return found


def _bordered(read: list[tuple[str, str]]) -> tuple[bool, list[tuple[str, str]], bool]:
    """The tokens between the word borders at both ends, and whether there are such."""
    before, after = read[:1] == [_BORDER], read[1:][-1:] == [_BORDER]
    return before, read[before : len(read) - after], after


def _unwrapped(read: list[tuple[str, str]]) -> tuple[str, list[tuple[str, str]], str]:
    """What is in the group that is all of the pattern, with the word borders around it: `\\b(?:one|two)\\b`."""
    before, inside, after = _bordered(read)
    depths = list(accumulate(_DEEPER.get(kind, 0) for kind, _ in inside))
    if inside[:1] != [("open", "(?:")] or 0 in depths[:-1] or depths[-1] != 0:
        return "", read, ""
    return r"\b" * before, inside[1:-1], r"\b" * after


def loosen(pattern: str) -> str:
    """The pattern with `{0,}` for `{0,80}`; the pattern itself where it cannot be read."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        token = TOKEN.match(pattern, position)
        if token is None:
            return pattern
        position = token.end()
        wide = token.lastgroup == "range" and int(token["most"]) - int(token["least"]) > _SPAN
        out.append(f"{{{token['least']},}}" if wide else token[0])
    return "".join(out)


def relax(pattern: str) -> str:
    """The pattern for RE2; raises ValueError for what it cannot relax (conditionals, recursion)."""
    out: list[str] = []
    dropped: list[bool] = []  # for each open group: is it, or anything around it, a look-around
    position = 0
    while position < len(pattern):
        token = TOKEN.match(pattern, position)
        if token is None:
            raise ValueError(f"cannot read it from {pattern[position : position + 20]!r} on")
        position = token.end()
        inside = bool(dropped and dropped[-1])
        match token.lastgroup:
            case "strange":
                raise ValueError(f"{token[0]} is not supported")
            case "around":
                dropped.append(True)
                out.append("" if inside else "(?:")
                continue
            case "atomic" | "open":
                dropped.append(inside)
                text = "(?:" if token.lastgroup == "atomic" else token[0]
            case "close":
                if not dropped:
                    raise ValueError("a ) without its (")
                was = dropped.pop()
                text = ")" if was and not (dropped and dropped[-1]) else token[0]
                inside = bool(dropped and dropped[-1])
            case "number" | "named":
                text = r"(?s:.*)"
            case "possessive" | "comment":
                text = ""
            case _:
                text = token[0]
        if not inside:
            out.append(text)
    return "".join(out)
