"""Search: pages of a big table, newest first, in bounded time.

A question is a list of `Ask`s that must all hold. The first that an index can answer leads: its keys are read
backwards in chunks, and the rest is tried on those rows alone. So the cost of a page does not hang on the
mood of a query planner, and a question that matches hardly anything stops at its budget of time and says
where to go on, instead of reading ten million rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    func,
    literal,
    or_,
    select,
    true,
)

from filterd.store.dialect import Dialect
from filterd.store.facets import PRECISE, Facet, address, token
from filterd.store.text import fold

FIRST_CHUNK = 256
MAX_CHUNK = 16_384
BUDGET = 0.5  # seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, newest first. `next` is where the following page starts; None after the last.

    A page may be short, even empty, and still have a `next`: the budget ended before the table did.
    """

    rows: list[T]
    next: int | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)


@dataclass(frozen=True, slots=True)
class Lead:
    """An index that yields keys in order."""

    source: FromClause
    key: ColumnElement[int]
    condition: ColumnElement[bool]
    exact: bool = True  # false: a superset, to be checked


@dataclass(frozen=True, slots=True)
class Ask:
    """One condition: as an index answers it, if one does, and as it is tried on a row."""

    lead: Lead | None
    test: ColumnElement[bool]


def own(of: Table, *equal: tuple[ColumnElement[Any], Any]) -> Ask:
    """Columns that have an index on them, in this order, and then the key."""
    lead = Lead(of, of.c.key, and_(*(column == value for column, value in equal)))
    # coalesce: a form that no index answers, so that no planner takes another lead than ours
    return Ask(lead, and_(*(func.coalesce(column, None) == value for column, value in equal)))


def having(dialect: Dialect, of: Table, pairs: Sequence[tuple[Facet, str]]) -> Ask:
    """Rows with all of these facets."""
    tokens = [token(kind, value) for kind, value in pairs]
    padded = literal(" ").concat(of.c.facets).concat(" ")
    tests = (padded.contains(f" {one} ", autoescape=True) for one in tokens)
    return Ask(Lead(*dialect.having(of, tokens)), and_(*tests))


def belonging(dialect: Dialect, of: Table, mine: Sequence[str]) -> Ask:
    """Rows with a recipient among these addresses, and domains with their @."""
    tokens = [token(*address(Facet.RECIPIENT, Facet.RECIPIENT_DOMAIN, one)) for one in mine]
    padded = literal(" ").concat(of.c.facets).concat(" ")
    tests = (padded.contains(f" {one} ", autoescape=True) for one in tokens)
    return Ask(Lead(*dialect.having(of, tokens, some=True)), or_(*tests))


def only(test: ColumnElement[bool]) -> Ask:
    """A condition that no index answers."""
    return Ask(None, test)


def containing(dialect: Dialect, of: Table, text: str) -> Ask:
    """Rows whose search text contains this, upper and lower case alike."""
    needle = fold(text.replace("\0", ""))
    test = of.c.search.contains(needle, autoescape=True)
    found = dialect.containing(of, needle)
    return Ask(Lead(*found, exact=False) if found else None, test)


def asked(
    dialect: Dialect,
    of: Table,
    pairs: Sequence[tuple[Facet, str]],
    text: str,
    rest: Sequence[Ask],
    mine: Sequence[str] = (),
) -> list[Ask]:
    """The question in the order that answers it soonest: exact facets, then text, then broad facets."""
    asks = [having(dialect, of, pairs)] if pairs else []
    if text:
        precise = any(kind in PRECISE for kind, _ in pairs)
        asks.insert(len(asks) if precise else 0, containing(dialect, of, text))
    if mine:
        few = not any(one.startswith("@") for one in mine)
        asks.insert(0 if few else len(asks), belonging(dialect, of, mine))
    return [*asks, *rest]


def page(
    connection: Connection,
    of: Table,
    asks: Sequence[Ask],
    *,
    limit: int,
    before: int | None = None,
    floor: int = 0,
    budget: float | None = BUDGET,
) -> tuple[list[Any], int | None]:
    """Rows of `of`, newest first, with keys in [floor, before); and the `before` of the next page, or None.

    `budget` in seconds; None reads on until the page is full or the table ends.
    """
    leading = next((ask for ask in asks if ask.lead), None)
    lead = leading.lead if leading and leading.lead else Lead(of, of.c.key, true())
    tests = [ask.test for ask in asks if ask is not leading or not lead.exact]
    top = before if before is not None else 1 << 62
    found: list[Any] = []
    chunk, ends = max(FIRST_CHUNK, limit + 1), time.monotonic() + (budget if budget is not None else 1e9)
    while True:
        low = _nth_key(connection, lead, floor, top, chunk)
        found += connection.execute(_rows(of, lead, tests, low or floor, top, limit + 1 - len(found)))
        if len(found) > limit:
            return found[:limit], found[limit - 1].key
        if low is None:
            return found, None
        if time.monotonic() > ends:
            return found, low
        top, chunk = low, min(chunk * 4, MAX_CHUNK)


def _nth_key(connection: Connection, lead: Lead, floor: int, top: int, nth: int) -> int | None:
    """The nth key below `top`, downwards; None when there are fewer."""
    keys = select(lead.key).select_from(lead.source).where(lead.condition, lead.key < top, lead.key >= floor)
    return connection.execute(keys.order_by(lead.key.desc()).offset(nth - 1).limit(1)).scalar()


def _rows(of: Table, lead: Lead, tests: Sequence[ColumnElement[bool]], low: int, top: int, limit: int) -> Any:
    within = and_(lead.key < top, lead.key >= low)
    chosen = select(of).order_by(of.c.key.desc()).limit(limit).where(*tests)
    if lead.source is of:
        return chosen.where(lead.condition, within)
    keys = select(lead.key).select_from(lead.source).where(lead.condition, within)
    return chosen.where(of.c.key.in_(keys))
