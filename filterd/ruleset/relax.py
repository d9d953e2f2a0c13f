"""Cheaper patterns that match wherever a given one does, and perhaps elsewhere too.

`alternatives` parts a pattern at its `|`, for each has literals of its own. `loosen` takes the upper bound off
repeats: counting to eighty from every start is what makes an automaton large. `relax` makes a pattern for RE2 of a
backtracking one: it drops look-arounds, puts "anything" for a back-reference and makes atomic groups and
possessive repeats plain. Each step only lets more through, so where the cheaper pattern does not match the
original cannot, and it need not run.
"""

from __future__ import annotations

import re

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


def alternatives(pattern: str) -> tuple[str, ...]:
    """The alternatives of the pattern, each with its flags; the pattern itself where it cannot be parted."""
    parts: list[list[str]] = [[]]
    depth = position = 0
    flags = match[0] if (match := _FLAGS.match(pattern)) else ""
    while position < len(pattern):
        token = TOKEN.match(pattern, position)
        if token is None or (token.lastgroup == "flags" and position > 0):
            return (pattern,)
        position = token.end()
        match token.lastgroup:
            case "open" | "around" | "atomic":
                depth += 1
            case "close":
                depth -= 1
            case "plain" if token[0] == "|" and depth == 0:
                parts.append([flags])
                continue
        parts[-1].append(token[0])
    return tuple(map("".join, parts))


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
