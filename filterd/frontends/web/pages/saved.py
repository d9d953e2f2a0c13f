"""Saved: a search gets a name, and stands above the list from then on; each person has their own."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from filterd.frontends.web.query import LONGEST
from filterd.frontends.web.visit import NotFound, Visit
from filterd.store import SavedSearch
from filterd.store.saved import TITLE

ROOMS = ("quarantine", "history")


def change(visit: Visit) -> Response:
    """Give a search a name, or forget one."""
    room, title = visit.field("room"), " ".join(visit.field("title").split())[:TITLE]
    q = visit.field("q").strip()[:LONGEST]
    if room not in ROOMS or not title:
        raise NotFound
    if visit.field("act") == "remove":
        visit.site.store.saved.remove(visit.person.name, room, title)
        return visit.redirect(f"/{room}")
    if not q:
        raise NotFound
    visit.site.store.saved.save(visit.person.name, SavedSearch(room=room, title=title, q=q))
    return visit.redirect(f"/{room}?{urlencode({'q': q})}", visit.language.say("Saved."))


def searches(visit: Visit, room: str) -> list[tuple[SavedSearch, str]]:
    """This person's searches in a room, and where each leads."""
    found = visit.site.store.saved.find(visit.person.name, room)
    return [(one, f"/{room}?{urlencode({'q': one.q})}") for one in found]
