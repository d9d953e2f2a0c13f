"""Senders: whose mail always passes and whose never does; seen, added, changed and taken away.

Users say it for their own addresses, managers for their domains, admins for everybody. It holds within a second.
"""

from __future__ import annotations

import datetime

from starlette.responses import Response

from filterd.access import Entry
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
        return visit.redirect("/senders", visit.language.count("%(n)s was removed.", "%(n)s were removed.", len(done)))
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


def _page(visit: Visit, form: dict[str, str], status: int = 200, wrong: str = "") -> Response:
    q = visit.asked("q").replace("\0", "")[:200]
    entries = visit.site.store.access.find(rights.scope(visit.person), q, MOST)
    return visit.render(
        "senders.html",
        status,
        entries=entries,
        most=MOST,
        mine={one.id for one in entries if rights.lists(visit.person, one.recipient, visit.site.settings)},
        choices=rights.choices(visit.person, visit.site.settings),
        today=datetime.datetime.now(datetime.UTC).date(),
        q=q,
        form=form,
        wrong=wrong,
    )
