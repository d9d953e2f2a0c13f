"""Lines of .cf files: comments gone, `if` blocks decided, each with its file and line.

`ifplugin` and `can()` hold, for what a plugin's own tests are is said where they stand; `version` is that of
SpamAssassin 4.0.1. A condition that cannot be read leaves its block out, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

VERSION = 4.000001
PERL = 5.036
MAX_LINE = 20_000
_COMMENT = re.compile(r"(?<!\\)#.*")
_HOLDS = re.compile(r"(?:plugin|can|has)\s*\([^()]*\)")
_COMPARED = re.compile(r"(version|perl_version)\s*(==|>=|<=|>|<|!=)\s*([0-9.]+)")
_WORDS = re.compile(r"\s*(&&|\|\||!|\(|\)|[01])")


@dataclass(frozen=True, slots=True)
class Line:
    """One directive: `header`, and the rest of its line."""

    word: str
    rest: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Left:
    """What was not taken over, where it stands, and why."""

    file: str
    line: int
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.why}"


def read(text: str, file: str, left: list[Left]) -> Iterator[Line]:
    """The directives that are in force; what is wrong with the blocks is added to `left`."""
    blocks: list[tuple[bool, int]] = []  # does it hold, where it began
    for number, raw in enumerate(text.splitlines(), 1):
        word, _, rest = _COMMENT.sub("", raw[:MAX_LINE]).strip().replace("\\#", "#").partition(" ")
        word, rest = _split_tab(word, rest)
        match word:
            case "":
                continue
            case "if" | "ifplugin":
                blocks.append((word == "ifplugin" or _holds(rest, file, number, left), number))
            case "else" if blocks:
                blocks[-1] = (not blocks[-1][0], blocks[-1][1])
            case "endif" if blocks:
                blocks.pop()
            case "else" | "endif":
                left.append(Left(file, number, word, "there is no if before it"))
            case _ if all(holds for holds, _ in blocks):
                if len(raw) > MAX_LINE:
                    left.append(Left(file, number, word, f"longer than {MAX_LINE} characters"))
                else:
                    yield Line(word, rest, file, number)
    left += [Left(file, number, "if", "it has no endif") for _, number in blocks]


def _split_tab(word: str, rest: str) -> tuple[str, str]:
    first, _, more = word.partition("\t")
    return first, f"{more} {rest}".strip()


def _holds(condition: str, file: str, number: int, left: list[Left]) -> bool:
    said = _HOLDS.sub("1", condition).replace("local_tests_only", "0")
    said = _COMPARED.sub(lambda match: "1" if _compare(*match.groups()) else "0", said)
    words = _WORDS.findall(said)
    answer = _any(words) if words and not _WORDS.sub("", said).strip() else None
    if answer is None or words:
        left.append(Left(file, number, "if", f"a condition that cannot be read, so its block is left out: {condition}"))
        return False
    return answer


def _compare(what: str, how: str, number: str) -> bool:
    mine = VERSION if what == "version" else PERL
    try:
        other = float(number)
    except ValueError:
        return False
    return {"==": mine == other, "!=": mine != other, ">=": mine >= other, "<=": mine <= other}.get(
        how, mine > other if how == ">" else mine < other
    )


def _any(words: list[str]) -> bool | None:
    """`a || b`; takes its words from the list."""
    found = _all(words)
    while found is not None and words[:1] == ["||"]:
        words.pop(0)
        found = None if (other := _all(words)) is None else found or other
    return found


def _all(words: list[str]) -> bool | None:
    found = _one(words)
    while found is not None and words[:1] == ["&&"]:
        words.pop(0)
        found = None if (other := _one(words)) is None else found and other
    return found


def _one(words: list[str]) -> bool | None:
    """One word, or a bracket; as deep as the line is long, which `MAX_LINE` bounds, and Python's stack does not."""
    negated = False
    while words[:1] == ["!"]:
        words.pop(0)
        negated = not negated
    if not words:
        return None
    word = words.pop(0)
    if word == "(":
        if _depth(words) > 50:
            return None
        found = _any(words)
        if words[:1] != [")"]:
            return None
        words.pop(0)
    elif word in "01":
        found = word == "1"
    else:
        return None
    return found if found is None else found != negated


def _depth(words: Iterable[str]) -> int:
    return sum(word == "(" for word in words)
