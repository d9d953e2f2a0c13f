"""A linear pattern that matches wherever a backtracking one does, and perhaps elsewhere too.

RE2 has no look-around, back-references, atomic groups or possessive repeats. `relax` drops the
look-arounds, puts "anything" for a back-reference and makes the others plain: each step only lets more
through, so where the relaxed pattern does not match the original cannot, and the costly one need not run.
Raises ValueError for what it cannot relax (conditionals, recursion).
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
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
    |(?P<possessive>(?<=[*+?}])\+)
    |(?P<plain>.)""",
    re.VERBOSE | re.DOTALL,
)


def relax(pattern: str) -> str:
    """The relaxed pattern; raises ValueError."""
    out: list[str] = []
    dropped: list[bool] = []  # for each open group: is it, or anything around it, a look-around
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
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
