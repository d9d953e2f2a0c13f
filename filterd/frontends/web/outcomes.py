"""Outcomes: the history as somebody may see it who sees the mail of some of a message's recipients only.

The same message may have gone to others and met another end there. Neither who they are nor what became of their copies
is told, and it cannot be asked either: what a search wants of recipients, actions, reasons, scores and words is asked
of the person's own copies. Pages may be short, as those of the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from filterd.decision import summary
from filterd.frontends.web import rights
from filterd.mail.envelope import domain_of
from filterd.record import Record
from filterd.store import HistoryFilter, HistoryRow, Person
from filterd.store.history import History
from filterd.store.search import Page
from filterd.store.text import fold
from filterd.value import replace

_BATCH = 500


def find(
    history: History, person: Person, wanted: HistoryFilter, limit: int = 50, before: int | None = None
) -> Page[HistoryRow]:
    """A page of messages, newest first."""
    if rights.sees_everything(person):
        return history.find(wanted, limit, before)
    found = history.find(_askable(person, wanted), limit, before)
    return Page(list(_theirs(history, person, wanted, found.rows)), found.next)


def each(history: History, person: Person, wanted: HistoryFilter) -> Iterator[HistoryRow]:
    """Every message that matches, newest first."""
    if rights.sees_everything(person):
        yield from history.each(wanted)
        return
    rows = history.each(_askable(person, wanted))
    while some := list(islice(rows, _BATCH)):
        yield from _theirs(history, person, wanted, some)


def _askable(person: Person, wanted: HistoryFilter) -> HistoryFilter:
    """The part of the question that is about no one recipient, of mail to this person."""
    mine = rights.scope(person)
    if wanted.recipient:
        mine = _within(person, mine, fold(wanted.recipient.strip().removeprefix("<").removesuffix(">")))
    return replace(wanted, mine=mine, recipient="", action=None, reason="", score=(None, None))


def _within(person: Person, mine: tuple[str, ...], sought: str) -> tuple[str, ...]:
    """What of a person's mail goes to an address or domain."""
    if "@" in sought.removeprefix("@"):
        return tuple(rights.own(person, [sought])) or rights.NOWHERE
    return tuple(one for one in mine if domain_of(one) == sought.removeprefix("@")) or rights.NOWHERE


def _theirs(history: History, person: Person, wanted: HistoryFilter, rows: list[HistoryRow]) -> Iterable[HistoryRow]:
    records = history.several(row.id for row in rows if len(row.recipients) > 1)
    for row in rows:
        theirs = _as_theirs(person, row, records.get(row.id))
        if _fits(theirs, wanted):
            yield theirs


def _as_theirs(person: Person, row: HistoryRow, record: Record | None) -> HistoryRow:
    """The row as it would be without the other recipients."""
    if record is None:
        return replace(row, recipients=tuple(rights.own(person, row.recipients)))
    own = rights.own(person, [one.address for one in record.envelope.recipients])
    row = replace(row, recipients=tuple(own))
    decision = summary([one for one in record.decisions if one.recipient in own])
    if decision is None:
        return row
    score = record.verdict_of(decision).points / 100
    return replace(row, action=decision.action, reason=decision.reason.value, score=score)


def _fits(row: HistoryRow, wanted: HistoryFilter) -> bool:
    least, most = wanted.score
    words = "\n".join((row.sender, *row.recipients, row.message_id, row.subject, row.from_))
    return (
        (wanted.action is None or row.action is wanted.action)
        and (not wanted.reason or row.reason == wanted.reason.strip().lower())
        and (least is None or row.score >= least)
        and (most is None or row.score <= most)
        and fold(wanted.text) in fold(words)
    )
