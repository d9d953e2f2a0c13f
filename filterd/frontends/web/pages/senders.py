"""Senders: whose mail always passes and whose never does; seen, added, changed, renewed and taken away.

Users say it for their own addresses, managers for their domains, admins for everybody. It holds within a second.
"""

from __future__ import annotations

import datetime
from dataclasses import replace

from starlette.responses import Response

from filterd.access import Entry, parse_entry
from filterd.frontends.web import rights
from filterd.frontends.web.senders import Unfit, described
from filterd.frontends.web.visit import NotFound, Refused, Visit
from filterd.store import AccessEntry
from filterd.store.text import fold

MOST = 200  # entries of a page
FIELDS = ("verb", "whom", "for", "until", "comment", "id")
EMPTY = dict.fromkeys(FIELDS, "") | {"verb": "allow"}


def show(visit: Visit) -> Response:
    """The list; with `change=ID` the form holds that entry."""
    if not (id_ := visit.asked("change")):
        return _page(visit, EMPTY)
    one = theirs(visit, id_)
    verb, until = "allow" if one.allows else "deny", one.until.isoformat() if one.until else ""
    values = (verb, one.whom, one.recipient, until, one.comment, one.id)
    return _page(visit, dict(zip(FIELDS, values, strict=True)))


def change(visit: Visit) -> Response:
    """Add one, change one, or remove some."""
    if visit.field("act") == "remove":
        ids = [theirs(visit, id_).id for id_ in visit.form.get("id", ())]
        done = visit.site.store.access.remove(ids, visit.by)
        return visit.redirect(
            _back(visit), visit.language.count("%(n)s was removed.", "%(n)s were removed.", len(done))
        )
    if visit.field("act") == "renew":
        return _renew(visit, [theirs(visit, id_) for id_ in visit.form.get("id", ())])
    form = {name: visit.field(name) for name in FIELDS}
    try:
        entry = said(visit, form["verb"] == "allow", form["whom"], form["for"], form["until"], form["comment"])
    except Unfit as error:
        return _page(visit, form, 400, visit.language.say(str(error)))
    access, say = visit.site.store.access, visit.language.say
    if not form["id"]:
        access.add(entry, visit.by)
    elif not access.change(theirs(visit, form["id"]).id, entry, visit.by):
        return _page(visit, form, 400, say("There is another entry about the same sender already."))
    return visit.redirect("/senders", say("Saved. It holds from now on."))


def _renew(visit: Visit, some: list[AccessEntry]) -> Response:
    """Those of these that have a last day hold for another year."""
    last = _today() + datetime.timedelta(days=365)
    lasting = [one for one in some if one.until is not None]
    done = [
        one for one in lasting if visit.site.store.access.change(one.id, replace(_entry(one), until=last), visit.by)
    ]
    text = visit.language.count("%(n)s holds until %(day)s.", "%(n)s hold until %(day)s.", len(done), day=last)
    return visit.redirect(_back(visit), text)


def said(visit: Visit, allows: bool, whom: str, recipient: str, until: str, comment: str) -> Entry:
    """The entry that somebody describes, if they may say it. Raises Unfit and Refused."""
    recipient = fold(recipient.strip()).removeprefix("@")
    if not rights.lists(visit.person, recipient, visit.site.settings):
        raise Refused("You cannot say this for somebody else.")
    return described(allows, whom, recipient, until, comment, visit.site.shared)


def theirs(visit: Visit, id_: str) -> AccessEntry:
    """An entry that this person may change."""
    found = visit.site.store.access.get(id_)
    if found is None or not rights.lists(visit.person, found.recipient, visit.site.settings):
        raise NotFound
    return found


def _entry(one: AccessEntry) -> Entry:
    return parse_entry(one.line)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _back(visit: Visit) -> str:
    return "/senders?over=1" if visit.field("over") else "/senders"


def _page(visit: Visit, form: dict[str, str], status: int = 200, wrong: str = "") -> Response:
    q = visit.asked("q").replace("\0", "")[:200]
    today, over = _today(), bool(visit.asked("over"))
    entries = visit.site.store.access.find(rights.scope(visit.person), q, MOST, today if over else None)
    return visit.render(
        "senders.html",
        status,
        entries=entries,
        most=MOST,
        mine={one.id for one in entries if rights.lists(visit.person, one.recipient, visit.site.settings)},
        choices=rights.choices(visit.person, visit.site.settings),
        today=today,
        over=over,
        q=q,
        form=form,
        wrong=wrong,
    )
