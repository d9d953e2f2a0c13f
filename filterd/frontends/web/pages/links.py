"""What the links of a digest mail show: held mail, and buttons that release or delete it.

Nobody is logged in by a link. It shows and does what the person whom it was sent to may, for what it was made for; the
audit log says that it was done by a digest.
"""

from __future__ import annotations

import datetime

from starlette.responses import Response

from filterd.frontends.web import digest, preview, rights
from filterd.frontends.web.pages.login import bound
from filterd.frontends.web.teaching import suggest
from filterd.frontends.web.visit import NotFound, Refused, Visit
from filterd.learning import Klass
from filterd.store import ItemState, Person, QuarantineItem, Way


def show(visit: Visit) -> Response:
    person, items = _held(visit)
    raw = visit.site.store.quarantine.raw(items[0].id) if len(items) == 1 else None
    return bound(
        visit,
        visit.render(
            "digest.html",
            owner=person,
            items=items,
            text=preview.text(preview.read(raw)) if raw is not None else "",
            released=[one.id for one in items if rights.may_release(person, one.klass, visit.site.settings)],
            here=visit.request.url.path,
        ),
    )


def act(visit: Visit) -> Response:
    """Release or delete what is still held of it."""
    person, items = _held(visit)
    quarantine, by, what = visit.site.store.quarantine, f"digest:{person.name}", visit.field("act")
    held = [one for one in items if one.state is ItemState.HELD]
    if not rights.acts(person):
        raise Refused("An auditor changes nothing.")
    if what == "release":
        free = [one.id for one in held if rights.may_release(person, one.klass, visit.site.settings)]
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=visit.site.settings.undo)
        done = quarantine.schedule(free, by, at)
        suggest(visit, [one for one in held if one.id in done], Klass.HAM, Way.RELEASE, person)
    elif what == "keep":
        done = quarantine.unschedule([one.id for one in held], by)
        suggest(visit, [one for one in held if one.id in done], Klass.FORGET, Way.RELEASE, person)
    elif what == "delete":
        done = quarantine.delete([one.id for one in held], by)
    else:
        raise NotFound
    text = visit.language.count("Done, for %(n)s message.", "Done, for %(n)s messages.", len(done))
    return visit.redirect(visit.request.url.path, text)


def ask_to_stop(visit: Visit) -> Response:
    person = _subscriber(visit)
    return bound(visit, visit.render("unsubscribe.html", owner=person, done=False))


def stop(visit: Visit) -> Response:
    """No more digests. Mail programs send this by themselves, without our form (RFC 8058)."""
    person = _subscriber(visit)
    visit.site.store.people.change(person.name, f"digest:{person.name}", digest="")
    return visit.render("unsubscribe.html", owner=person, done=True)


def _held(visit: Visit) -> tuple[Person, list[QuarantineItem]]:
    now = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
    link = digest.read_link(visit.site, visit.request.path_params["link"], now)
    if link is None:
        raise NotFound
    people = visit.site.store.people
    if link.item:
        item = visit.site.store.quarantine.get(link.item)
        person = people.with_address(item.recipient) if item else None
    else:
        person = people.get(link.person)
    items = list(digest.items_of(visit.site, person, link)) if person else []
    if person is None or not items:
        raise NotFound
    return person, items


def _subscriber(visit: Visit) -> Person:
    person = visit.site.store.people.get(digest.read_stop_link(visit.site, visit.request.path_params["link"]))
    if person is None:
        raise NotFound
    return person
