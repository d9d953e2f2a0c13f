"""Symbol, Finding, Check: what can be found, what was found, and who looks.

A symbol is declared once, beside the check (or by the YAML rule) that may find it. Points are whole hundredths
(int), so that a sum is exact; a cap or a group limit is a finding too, with negative points, so the sum of the
findings is always the score. A check that yields a symbol it did not declare is an error, never a silent 0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filterd.value import Value

if TYPE_CHECKING:
    from filterd.authentication import Authentication
    from filterd.facts import Facts
    from filterd.mail import Mail

Look = Callable[["Mail", "Facts", "Authentication"], Iterable["Finding"]]


def hundredths(score: float) -> int:
    """Whole hundredths of a score that a person wrote, rounded half away from zero as people do."""
    return int(abs(score) * 100 + 0.5 + 1e-9) * (1 if score >= 0 else -1)


class Finding(Value):
    """One thing that was found: its symbol, the evidence, and what it weighs."""

    name: str
    points: int  # hundredths
    about: str = ""  # one sentence for the postmaster
    detail: str = ""  # the evidence in this message
    source: str = ""  # where it is defined: "rules/headers.yaml:41", "filterd.checks.date"
    decisive: bool = False  # may alone lift authenticated mail over the tag threshold

    @property
    def score(self) -> float:
        return self.points / 100


@dataclass(frozen=True, slots=True)
class Symbol:
    """A declared name, its default score, and one sentence for the postmaster."""

    name: str
    score: float
    about: str
    decisive: bool = False
    source: str = ""

    @property
    def points(self) -> int:
        return hundredths(self.score)

    def found(self, detail: str = "", score: float | None = None) -> Finding:
        """This symbol, found. `score` replaces the default where the evidence has a size."""
        points = self.points if score is None else hundredths(score)
        return Finding(self.name, points, self.about, detail, self.source, self.decisive)


class UndeclaredSymbol(Exception):
    """A check yielded a symbol that it did not declare: a bug in the check."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that looks at (mail, facts, authentication) and yields findings; it asks nobody."""

    name: str
    symbols: tuple[Symbol, ...]
    look: Look
    about: str = ""

    def __call__(self, mail: Mail, facts: Facts, auth: Authentication) -> list[Finding]:
        found = list(self.look(mail, facts, auth))
        names = {symbol.name for symbol in self.symbols}
        for finding in found:
            if finding.name not in names:
                raise UndeclaredSymbol(f"{self.name} yielded {finding.name}, which it does not declare")
        return found


def check(*symbols: Symbol) -> Callable[[Look], Check]:
    """Make a plain function a Check that declares `symbols`."""

    def declare(look: Look) -> Check:
        name = f"{look.__module__}.{getattr(look, '__name__', 'check')}"
        declared = tuple(
            Symbol(symbol.name, symbol.score, symbol.about, symbol.decisive, look.__module__) for symbol in symbols
        )
        sources = {symbol.name: symbol.source for symbol in declared}

        def sourced(mail: Mail, facts: Facts, auth: Authentication) -> Iterable[Finding]:
            for finding in look(mail, facts, auth):
                yield Finding(
                    finding.name,
                    finding.points,
                    finding.about,
                    finding.detail,
                    sources.get(finding.name, ""),
                    finding.decisive,
                )

        return Check(name, declared, sourced, (look.__doc__ or "").strip())

    return declare


def total(findings: Sequence[Finding]) -> int:
    """The score in hundredths: nothing but the sum."""
    return sum(finding.points for finding in findings)
