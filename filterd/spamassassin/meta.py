"""Meta expressions: `(A && !B) || (C + D + E > 1)` as a condition of filterd.

In: the text, and a function from a name to its condition. Out: a condition as plain data; NotTranslated says what has
no counterpart: products, differences, a sum that is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from filterd.spamassassin.perl import NotTranslated

Condition = dict[str, Any]
Named = Callable[[str, int], Condition]  # name, how often it must hold

MAX_WORDS = 2_000
MAX_DEPTH = 60
_WORD = re.compile(r"\s*(&&|\|\||>=|<=|==|!=|[()!<>+*/-]|[A-Za-z_][A-Za-z0-9_]*|[0-9]+(?:\.[0-9]+)?)")
_COMPARISONS = (">", ">=", "<", "<=", "==", "!=")


@dataclass(slots=True)
class _Sum:
    """Things that are counted together, not yet compared."""

    names: list[str] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    number: float | None = None


def condition(text: str, named: Named) -> Condition:
    words, at = [], 0
    while at < len(text.rstrip()):
        match = _WORD.match(text, at)
        if match is None:
            raise NotTranslated(f"{text[at:].strip()[:20]!r} is not understood in a meta rule")
        words.append(match[1])
        at = match.end()
    if not words or len(words) > MAX_WORDS:
        raise NotTranslated("an empty meta rule" if not words else f"a meta rule of over {MAX_WORDS} words")
    parser = _Parser(words, named)
    found = parser.whole()
    if parser.words:
        raise NotTranslated(f"{parser.words[0]!r} is not expected there in a meta rule")
    return found


@dataclass(slots=True)
class _Parser:
    words: list[str]
    named: Named
    depth: int = 0

    def whole(self) -> Condition:
        return self._least(self._either(), 1)

    def _either(self) -> _Sum:
        return self._joined("||", "any", self._both)

    def _both(self) -> _Sum:
        return self._joined("&&", "all", self._compared)

    def _joined(self, sign: str, combiner: str, part: Callable[[], _Sum]) -> _Sum:
        """Parts that a sign joins are one condition; one part alone stays what it is, so that brackets keep sums."""
        first = part()
        if self.words[:1] != [sign]:
            return first
        parts = [self._least(first, 1)]
        while self.words[:1] == [sign]:
            self.words.pop(0)
            parts.append(self._least(part(), 1))
        distinct = [one for place, one in enumerate(parts) if one not in parts[:place]]
        return _Sum([""], [distinct[0] if len(distinct) == 1 else {combiner: distinct}])

    def _compared(self) -> _Sum:
        total = self._sum()
        if self.words[:1] and self.words[0] in _COMPARISONS:
            return _Sum([""], [self._held(total, self.words.pop(0), self._sum())])
        return total

    def _sum(self) -> _Sum:
        total = self._term()
        while self.words[:1] == ["+"]:
            self.words.pop(0)
            more = self._term()
            if more.number is not None or total.number is not None:
                raise NotTranslated("a number is added in a meta rule")
            total = _Sum(total.names + more.names, total.conditions + more.conditions)
        if self.words[:1] and self.words[0] in "*/-":
            raise NotTranslated(f"{self.words[0]} in a meta rule: only sums can be counted")
        return total

    def _term(self) -> _Sum:
        negated = False
        while self.words[:1] == ["!"]:
            self.words.pop(0)
            negated = not negated
        total = self._bare()
        return _Sum([""], [{"not": self._least(total, 1)}]) if negated else total

    def _bare(self) -> _Sum:
        if not self.words:
            raise NotTranslated("a meta rule that ends too soon")
        word = self.words.pop(0)
        if word == "(":
            return self._bracket()
        if word[0].isdigit():
            return _Sum(number=float(word))
        if not (word[0].isalpha() or word[0] == "_"):
            raise NotTranslated(f"{word!r} is not expected there in a meta rule")
        if self.words[:1] == ["("]:
            raise NotTranslated(f"the function {word}() in a meta rule")
        return _Sum([word], [self.named(word, 1)])

    def _bracket(self) -> _Sum:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotTranslated(f"brackets nest deeper than {MAX_DEPTH} in a meta rule")
        total = self._either()
        if self.words[:1] != [")"]:
            raise NotTranslated("a bracket that is not closed in a meta rule")
        self.words.pop(0)
        self.depth -= 1
        return total

    def _held(self, left: _Sum, sign: str, right: _Sum) -> Condition:
        if left.number is not None and right.number is None:
            left, right, sign = right, left, sign.translate(str.maketrans("<>", "><"))
        if right.number is None or left.number is not None:
            raise NotTranslated("two sums are compared in a meta rule")
        limit = right.number
        above = int(limit) + 1 if limit >= 0 else 0  # the least whole number over it
        reached = int(limit) if limit == int(limit) else int(limit) + 1
        match sign:
            case ">":
                return self._least(left, above)
            case ">=":
                return self._least(left, reached)
            case "<":
                return {"not": self._least(left, reached)}
            case "<=":
                return {"not": self._least(left, above)}
        exactly: Condition = {"not": self._least(left, 1)}
        if limit:
            exactly = {"all": [self._least(left, reached), {"not": self._least(left, above)}]}
        return exactly if sign == "==" else {"not": exactly}

    def _least(self, total: _Sum, least: int) -> Condition:
        if total.number is not None:
            raise NotTranslated("a meta rule of a number holds always or never")
        if least < 1:
            raise NotTranslated("a comparison in a meta rule that always holds")
        if len(total.conditions) == 1:
            return total.conditions[0] if least == 1 else self.named(total.names[0], least)
        if least == 1:
            return {"any": total.conditions}
        if least > len(total.conditions):
            raise NotTranslated(
                "a sum that must be more than the number of its rules: matches of one rule are not summed with others"
            )
        return {"some": {"at_least": least, "of": total.conditions}}
