"""Suggestions: what people said about messages, kept until a reviewer decides, and after that as long as it can be
undone. Blocks.

Everybody reads: `find`, `get`, `raw`, `counts`. Only the process that learns writes, by a `Change`: one transaction in
which what was decided and the label that follows from it are on disk together. Every decision is audited in it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, or_, select, update

from filterd.ids import new_id
from filterd.store import rows
from filterd.store.audit import note
from filterd.store.database import Database
from filterd.store.label_tables import labels
from filterd.store.labels import VERDICT, Label, adopt, label_from, put, remove
from filterd.store.search import Page
from filterd.store.suggestion_tables import suggestions
from filterd.store.text import ADDRESS, clean, fold
from filterd.store.words import Suggestion, SuggestionCounts, SuggestionFilter, SuggestionState, Way
from filterd.value import replace

_SEARCHED = 1_000
_LISTED = [
    *(column for column in suggestions.c if column.name not in ("example", "body", "search")),
    suggestions.c.body.is_not(None).label("stored"),
]
STANDING = (SuggestionState.PENDING, SuggestionState.ACCEPTED)


PENDING = SuggestionFilter()


class Kept(Suggestion, kw_only=True):
    """A suggestion with what the one who learns needs of it."""

    example: bytes = b""
    body: bytes | None = None
    before: bool | None = None  # the label that came by no suggestion


class Suggestions:
    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, wanted: SuggestionFilter = PENDING, limit: int = 50, before: int | None = None) -> Page[Suggestion]:
        """A page, newest first."""
        asked = select(*_LISTED).where(*_conditions(wanted)).order_by(suggestions.c.key.desc())
        if before is not None:
            asked = asked.where(suggestions.c.key < before)
        with self._database.read() as connection:
            found = connection.execute(asked.limit(limit + 1)).all()
        following = found[limit - 1].key if len(found) > limit else None
        return Page([_suggestion(row) for row in found[:limit]], following)

    def each(self, wanted: SuggestionFilter = PENDING) -> Iterator[Suggestion]:
        """Every one that matches, newest first."""
        page = self.find(wanted, 500)
        yield from page
        while page.next is not None:
            page = self.find(wanted, 500, page.next)
            yield from page

    def get(self, id_: str) -> Suggestion | None:
        asked = select(*_LISTED).where(suggestions.c.id == id_)
        with self._database.read() as connection:
            row = connection.execute(asked).first()
        return _suggestion(row) if row else None

    def raw(self, id_: str) -> bytes | None:
        """The message as it was received, from the suggestion or from the label that it became; None when gone."""
        own = select(suggestions.c.body).where(suggestions.c.id == id_)
        learnt = select(labels.c.body).join(suggestions, suggestions.c.digest == labels.c.digest)
        with self._database.read() as connection:
            body = connection.execute(own).scalar()
            body = body or connection.execute(learnt.where(suggestions.c.id == id_)).scalar()
        return None if body is None else rows.unsqueeze(body)

    def counts(self, mine: tuple[str, ...] = ()) -> SuggestionCounts:
        """How many are pending; and how many contradict a confident model and were not looked at, these or learnt."""
        standing = SuggestionFilter(states=STANDING, doubtful=True, mine=mine)
        asked = [select(func.count()).where(*_conditions(one)) for one in (SuggestionFilter(mine=mine), standing)]
        with self._database.read() as connection:
            return SuggestionCounts(*(int(connection.execute(one).scalar() or 0) for one in asked))

    def since(self, reporter: str, time: int) -> int:
        """How many this person gave since `time`, in milliseconds."""
        asked = select(func.count()).where(suggestions.c.reporter == fold(reporter), suggestions.c.time >= time)
        with self._database.read() as connection:
            return int(connection.execute(asked).scalar() or 0)

    def standing(self, digest: str, reporter: str | None = None) -> list[Suggestion]:
        """What is pending or accepted about this message, by this person if named; the newest last."""
        with self._database.read() as connection:
            return _standing(connection, digest, reporter)

    def any_about(self, digest: str) -> bool:
        """Did anybody ever suggest something of this message?"""
        with self._database.read() as connection:
            asked = select(suggestions.c.key).where(suggestions.c.digest == digest).limit(1)
            return connection.execute(asked).first() is not None

    @contextlib.contextmanager
    def change(self) -> Iterator[Change]:
        """A transaction, on disk when the block ends. Raises StoreUnavailable; then nothing was written."""
        with self._database.write() as connection:
            yield Change(connection)


class Change:
    """What is written together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, one: Suggestion, by: str, example: bytes, body: bytes | None) -> str:
        """Keep a suggestion in the state that it has; its id."""
        accepted = one.state is SuggestionState.ACCEPTED
        values = _columns(one) | {"id": new_id(), "decided_by": clean(by, 200) if accepted else ""}
        values |= {"before": self._origin(one.digest)} if accepted else _payload(example, body)
        self._connection.execute(insert(suggestions).values(**values))
        self._note(by, "learnt" if accepted else "made", replace(one, id=values["id"]))
        return str(values["id"])

    def kept(self, ids: Sequence[str]) -> list[Kept]:
        """These, with example and message, in the order they came."""
        wanted = select(suggestions).where(suggestions.c.id.in_(ids)).order_by(suggestions.c.key)
        return [_kept(row) for row in self._connection.execute(wanted)]

    def standing(self, digest: str, reporter: str | None = None) -> list[Suggestion]:
        """As `Suggestions.standing`."""
        return _standing(self._connection, digest, reporter)

    def accept(self, one: Suggestion, by: str) -> None:
        """It is learnt: call before the label is put. Example and message are the label's from now on. Of one that was
        accepted before: somebody looked at it."""
        values: dict[str, Any] = {"state": SuggestionState.ACCEPTED.value, "doubtful": 0, "note": ""}
        if one.state is not SuggestionState.ACCEPTED:
            values |= {"before": self._origin(one.digest), "example": None, "body": None}
        self._settle(one, by, values)

    def reject(self, one: Suggestion, by: str, text: str = "") -> None:
        self._settle(one, by, {"state": SuggestionState.REJECTED.value, "note": clean(text)})

    def reopen(self, one: Suggestion, by: str) -> None:
        """A rejection is taken back."""
        self._settle(one, by, {"state": SuggestionState.PENDING.value, "note": ""})

    def undo(self, one: Suggestion, by: str, example: bytes = b"", body: bytes | None = None) -> None:
        """It is taken back, with what is needed to accept it all the same one day."""
        values = {"state": SuggestionState.UNDONE.value}
        self._settle(one, by, values | (_payload(example, body) if example else {}))

    def overrule(self, digest: str, spam: bool | None, by: str) -> None:
        """Somebody whose word is final said what the message is, or (None) to forget it: settle all that stands."""
        for one in self.standing(digest):
            if one.spam is spam:
                self.accept(one, by)
            elif one.state is SuggestionState.PENDING and spam is not None:
                self.reject(one, by)
            else:
                self.undo(one, by)

    def remark(self, one: Suggestion, text: str) -> None:
        """Why it was not learnt; its state is as before."""
        self._connection.execute(update(suggestions).where(suggestions.c.id == one.id).values(note=clean(text)))

    def label(self, digest: str) -> Label | None:
        """What the message is said to be, and by which suggestion; with its body."""
        row = self._connection.execute(select(labels).where(labels.c.digest == digest)).first()
        return None if row is None else label_from(row, with_body=True)

    def attribute(self, digest: str, suggestion: str) -> None:
        """The label stands, but by another's word."""
        self._connection.execute(update(labels).where(labels.c.digest == digest).values(suggestion=suggestion))

    def adopt(self, digest: str, by: str, reporter: str = "", suggestion: str = "") -> None:
        """A label that came from a verdict of our own is this person's word now."""
        adopt(self._connection, digest, by, reporter, suggestion)

    def teach(self, label: Label, quota: int) -> int:
        """Put a label; the newest key."""
        return put(self._connection, [label], quota)

    def unteach(self, digest: str) -> int:
        """Drop a label; the newest key that is left."""
        return remove(self._connection, digest)

    def _origin(self, digest: str) -> int | None:
        """The label that came by no suggestion: what undoing all of them goes back to."""
        same = suggestions.c.digest == digest
        first = select(suggestions.c.before).where(same, suggestions.c.state == SuggestionState.ACCEPTED.value)
        row = self._connection.execute(first.order_by(suggestions.c.key).limit(1)).first()
        if row is None:
            said = select(labels.c.spam).where(labels.c.digest == digest, labels.c.by != VERDICT)
            row = self._connection.execute(said).first()
        return None if row is None or row[0] is None else int(row[0])

    def _settle(self, one: Suggestion, by: str, values: dict[str, Any]) -> None:
        values |= {"state_at": rows.now(), "decided_by": clean(by, 200)}
        self._connection.execute(update(suggestions).where(suggestions.c.id == one.id).values(**values))
        self._note(by, values["state"], one)

    def _note(self, by: str, what: str, one: Suggestion) -> None:
        said = f"{'spam' if one.spam else 'ham'}, by {one.way} of {one.reporter or 'the postmaster'}: {one.subject}"
        note(self._connection, by, f"suggestion-{what}", [one.item or one.id], said)


def _standing(connection: Connection, digest: str, reporter: str | None) -> list[Suggestion]:
    about = suggestions.c.digest == digest, suggestions.c.state.in_([state.value for state in STANDING])
    asked = select(*_LISTED).where(*about).order_by(suggestions.c.key)
    if reporter is not None:
        asked = asked.where(suggestions.c.reporter == clean(fold(reporter), ADDRESS))
    return [_suggestion(row) for row in connection.execute(asked)]


def _conditions(wanted: SuggestionFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [suggestions.c.state.in_([state.value for state in wanted.states])]
    if wanted.spam is not None:
        found.append(suggestions.c.spam == int(wanted.spam))
    if wanted.way is not None:
        found.append(suggestions.c.way == wanted.way.value)
    if wanted.reporter:
        found.append(suggestions.c.reporter == clean(fold(wanted.reporter), ADDRESS))
    if wanted.doubtful is not None:
        found.append(suggestions.c.doubtful == int(wanted.doubtful))
    if wanted.text:
        found.append(suggestions.c.search.contains(fold(wanted.text.replace("\0", "")), autoescape=True))
    if wanted.mine:
        found.append(or_(*(_belongs(fold(one)) for one in wanted.mine)))
    if wanted.since is not None:
        found.append(suggestions.c.time >= rows.milliseconds(wanted.since))
    return found


def _belongs(mine: str) -> ColumnElement[bool]:
    if mine.startswith("@"):
        return suggestions.c.address.endswith(mine, autoescape=True)
    return suggestions.c.address == mine


def _columns(one: Suggestion) -> dict[str, Any]:
    stamp = rows.now()
    reporter, address = clean(fold(one.reporter), ADDRESS), clean(fold(one.address), ADDRESS)
    from_, subject, message_id = clean(one.from_), clean(one.subject), clean(one.message_id, ADDRESS)
    return {
        "time": stamp,
        "digest": one.digest,
        "spam": int(one.spam),
        "way": one.way.value,
        "reporter": reporter,
        "address": address,
        "record": clean(one.record, 64),
        "item": clean(one.item, 64),
        "from_": from_,
        "subject": subject,
        "message_id": message_id,
        "search": fold("\n".join((reporter, address, subject[:200], from_[:200], message_id)))[:_SEARCHED],
        "said": one.said,
        "doubtful": int(one.doubtful),
        "state": one.state.value,
        "state_at": stamp,
        "note": clean(one.note),
    }


def _payload(example: bytes, body: bytes | None) -> dict[str, bytes | None]:
    return {
        "example": rows.squeeze(example) if example else None,
        "body": None if body is None else rows.squeeze(body),
    }


def _fields(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "time": rows.moment(row.time),
        "digest": row.digest,
        "spam": bool(row.spam),
        "way": Way(row.way),
        "reporter": row.reporter,
        "address": row.address,
        "record": row.record,
        "item": row.item,
        "from_": row.from_,
        "subject": row.subject,
        "message_id": row.message_id,
        "said": row.said,
        "doubtful": bool(row.doubtful),
        "state": SuggestionState(row.state),
        "state_at": rows.moment(row.state_at),
        "decided_by": row.decided_by,
        "note": row.note,
    }


def _suggestion(row: Row[Any]) -> Suggestion:
    return Suggestion(**_fields(row), stored=bool(row.stored))


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        **_fields(row),
        stored=row.body is not None,
        example=b"" if row.example is None else rows.unsqueeze(row.example),
        body=None if row.body is None else rows.unsqueeze(row.body),
        before=None if row.before is None else bool(row.before),
    )
