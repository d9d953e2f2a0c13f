"""The built-in checks: what a pattern cannot say, because it compares two things or does arithmetic.

A check is a plain function that looks at (mail, facts, authentication) and yields findings; it asks nobody. All of
them, in order, stand in `CHECKS`.
"""

from filterd.checks.date import date
from filterd.checks.hidden import hidden
from filterd.checks.identity import identity
from filterd.checks.links import links
from filterd.checks.structure import structure
from filterd.findings import Check

CHECKS: tuple[Check, ...] = (structure, date, identity, links, hidden)

__all__ = ["CHECKS"]
