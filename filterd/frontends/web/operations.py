"""Operations: everything that the API does, each a plain function of a call; what bodies it takes.

Whoever calls has shown a token with the operation's scope; whose things these are is asked here, as on the pages.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from filterd.frontends.web import outcomes, query, rights
from filterd.frontends.web.pages import review, senders
from filterd.frontends.web.pages.acts import AT_ONCE
from filterd.frontends.web.pages.quarantine import theirs
from filterd.frontends.web.senders import Unfit
from filterd.frontends.web.teaching import decide, suggest, teach
from filterd.frontends.web.view import case
from filterd.frontends.web.visit import NotFound, Refused, Visit
from filterd.learning import Klass, Review
from filterd.store import QuarantineItem, Way

LIMIT = 200  # rows of a page


class Wrong(Exception):
    """The request cannot be understood; the text says why."""


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """What a program sends."""


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Line = Annotated[str, msgspec.Meta(max_length=400)]


class Ids(Body):
    ids: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=AT_ONCE)]


class Lesson(Ids):
    klass: Klass = msgspec.field(name="class")


class NewEntry(Body):
    allow: bool
    whom: Line
    recipient: Line = msgspec.field(name="for", default="")
    until: Line = ""
    comment: Line = ""


class Call(Visit):
    """A request by a program on behalf of a person."""

    body: Any = None

    @property
    def by(self) -> str:
        return f"api:{self.person.name}"


@dataclass(frozen=True)
class Operation:
    """One thing that the API does. `takes` are parameters of the query."""

    method: str
    path: str
    scope: str
    about: str
    run: Callable[[Call], Any]
    takes: tuple[str, ...] = ()
    body: type[Body] | None = None


def _page(call: Call) -> tuple[int, int | None]:
    """How many rows, and before which."""
    numbers = {}
    for name in ("limit", "before"):
        text = call.asked(name)
        if text and not (text.isascii() and text.isdigit() and len(text) < 19):
            raise Wrong(f"{name} is a number")
        numbers[name] = int(text) if text else None
    limit = numbers["limit"] if numbers["limit"] is not None else 50
    if not 0 < limit <= LIMIT:
        raise Wrong(f"limit is 1 to {LIMIT}")
    return limit, numbers["before"]


def _quarantine(call: Call) -> Any:
    wanted, wrong = query.quarantine(call.asked("q"), rights.scope(call.person))
    if wrong:
        raise Wrong(f"not understood: {', '.join(wrong)}")
    found = call.site.store.quarantine.find(wanted, *_page(call))
    return {"items": found.rows, "next": found.next}


def _item(call: Call) -> Any:
    item = theirs(call, call.request.path_params["id"])
    record = call.site.store.history.show(item.record)
    return {"item": item, "findings": case(record, [item.recipient]).verdict.findings if record else ()}


def _raw(call: Call) -> Any:
    item = theirs(call, call.request.path_params["id"])
    raw = call.site.store.quarantine.raw(item.id)
    if raw is None or not rights.may_release(call.person, item.klass, call.site.settings):
        raise NotFound
    call.site.store.audit.write(call.by, "downloaded", item.id)
    return {"id": item.id, "message": raw.decode("latin-1")}


def _release(call: Call) -> Any:
    items = _items(call)
    if not all(rights.may_release(call.person, item.klass, call.site.settings) for item in items):
        raise Refused("one of these is not yours to release; nothing was done")
    now = datetime.datetime.now(datetime.UTC)
    done = call.site.store.quarantine.schedule([item.id for item in items], call.by, now)
    suggest(call, [item for item in items if item.id in done], Klass.HAM, Way.RELEASE)
    return {"done": done}


def _keep(call: Call) -> Any:
    return {"done": call.site.store.quarantine.unschedule(_changed(call), call.by)}


def _learn(call: Call) -> Any:
    if not rights.acts(call.person):
        raise Refused("an auditor changes nothing")
    return {"text": teach(call, _items(call), call.body.klass)}


def _items(call: Call) -> list[QuarantineItem]:
    return [theirs(call, id_) for id_ in dict.fromkeys(call.body.ids)]


def _delete(call: Call) -> Any:
    return {"done": call.site.store.quarantine.delete(_changed(call), call.by)}


def _undelete(call: Call) -> Any:
    return {"done": call.site.store.quarantine.undelete(_changed(call), call.by)}


def _changed(call: Call) -> list[str]:
    if not rights.acts(call.person):
        raise Refused("an auditor changes nothing")
    return [item.id for item in _items(call)]


def _history(call: Call) -> Any:
    wanted, wrong = query.history(call.asked("q"), rights.scope(call.person))
    if wrong:
        raise Wrong(f"not understood: {', '.join(wrong)}")
    found = outcomes.find(call.site.store.history, call.person, wanted, *_page(call))
    return {"messages": found.rows, "next": found.next}


def _message(call: Call) -> Any:
    record = call.site.store.history.show(call.request.path_params["id"])
    recipients = [one.address for one in record.envelope.recipients] if record else []
    if record is None or not (own := rights.own(call.person, recipients)):
        raise NotFound
    why = case(record, own)
    return {
        "id": record.id,
        "received_at": record.envelope.received_at,
        "sender": record.envelope.sender,
        "outline": record.outline,
        "score": why.verdict.points / 100,
        "threshold": None if why.threshold is None else why.threshold / 100,
        "probability": record.verdict.probability,
        "findings": why.verdict.findings,
        "without": [one.name for one in why.alone or why.together],
        "auth": record.auth,
        "decisions": [one for one in record.decisions if one.recipient in own],
        "deliveries": [one for one in record.deliveries if one.recipient in own],
    }


def _stats(call: Call) -> Any:
    if not rights.sees_everything(call.person):
        raise Refused("this is for administrators and auditors")
    classes, hours = call.site.store.stats(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=7))
    return {"held": classes, "hours": hours}


def _audit(call: Call) -> Any:
    if not rights.sees_everything(call.person):
        raise Refused("this is for administrators and auditors")
    return {"lines": call.site.store.audit.find(None, _page(call)[0])}


def _senders(call: Call) -> Any:
    q = call.asked("q").replace("\0", "")[:200]
    return {"entries": call.site.store.access.find(rights.scope(call.person), q, _page(call)[0])}


def _add_sender(call: Call) -> Any:
    said = call.body
    try:
        entry = senders.said(call, said.allow, said.whom, said.recipient, said.until, said.comment)
    except Unfit as error:
        raise Wrong(str(error)) from None
    return call.site.store.access.add(entry, call.by)


def _remove_senders(call: Call) -> Any:
    ids = [senders.theirs(call, id_).id for id_ in dict.fromkeys(call.body.ids)]
    return {"done": call.site.store.access.remove(ids, call.by)}


def _suggestions(call: Call) -> Any:
    if not rights.reviews(call.person):
        raise Refused("this is for managers, administrators and auditors")
    view = call.asked("view") or "waiting"
    if view not in review.VIEWS:
        raise Wrong(f"view is one of {', '.join(review.VIEWS)}")
    wanted = review.wanted(call, view, call.asked("q").replace("\0", "")[:200])
    found = call.site.store.suggestions.find(wanted, *_page(call))
    return {"suggestions": found.rows, "next": found.next}


def _decided(what: Review) -> Callable[[Call], Any]:
    def decided(call: Call) -> Any:
        if not rights.acts(call.person):
            raise Refused("an auditor changes nothing")
        result = decide(call, [review.theirs(call, id_) for id_ in dict.fromkeys(call.body.ids)], what)
        if result.refused:
            raise Wrong(result.why)
        return {"done": result.done, "failed": result.failed}

    return decided


def _me(call: Call) -> Any:
    return call.person


PAGED = ("q", "limit", "before")
OPERATIONS = (
    Operation("GET", "/me", "read", "Whose token this is, and whose mail they see.", _me),
    Operation("GET", "/quarantine", "read", "Held mail, newest first; q as in the search box.", _quarantine, PAGED),
    Operation("GET", "/quarantine/{id}", "read", "One item, and the findings that add up to its score.", _item),
    Operation("GET", "/quarantine/{id}/raw", "read", "The message as it came, its bytes as Latin-1.", _raw),
    Operation("POST", "/quarantine/release", "release", "Deliver these to their recipients, now.", _release, (), Ids),
    Operation("POST", "/quarantine/keep", "release", "Do not deliver these after all.", _keep, (), Ids),
    Operation("POST", "/quarantine/delete", "delete", "Delete these.", _delete, (), Ids),
    Operation("POST", "/quarantine/undelete", "delete", "Hold these again that were deleted.", _undelete, (), Ids),
    Operation("POST", "/quarantine/learn", "teach", "Say what these are: spam, ham or forget.", _learn, (), Lesson),
    Operation("GET", "/senders", "senders", "Whose mail passes and whose does not.", _senders, ("q", "limit")),
    Operation("POST", "/senders", "senders", "Allow or block a sender.", _add_sender, (), NewEntry),
    Operation("POST", "/senders/remove", "senders", "Take these entries away.", _remove_senders, (), Ids),
    Operation("GET", "/suggestions", "teach", "What people's words suggest.", _suggestions, (*PAGED, "view")),
    *(
        Operation("POST", f"/suggestions/{one}", "teach", f"As a reviewer, {one} these.", _decided(one), (), Ids)
        for one in Review
    ),
    Operation("GET", "/history", "history", "Messages, newest first, whatever became of them.", _history, PAGED),
    Operation("GET", "/history/{id}", "history", "One message: what became of it, and why.", _message),
    Operation("GET", "/stats", "history", "What is held by class; messages of the week by hour and action.", _stats),
    Operation("GET", "/audit", "history", "The latest lines of the audit log.", _audit, ("limit",)),
)
