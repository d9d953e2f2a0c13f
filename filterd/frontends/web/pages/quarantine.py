"""The quarantine: the list of held mail.

Every id is checked against what the person may see; another's item does not exist for them, and asking for it leaves a
line in the audit log.
"""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from filterd.frontends.web import query, rights
from filterd.frontends.web.pages.saved import searches
from filterd.frontends.web.view import reasons
from filterd.frontends.web.visit import NotFound, Visit
from filterd.store import QuarantineClass, QuarantineItem

PAGE = 50


def home(visit: Visit) -> Response:
    return RedirectResponse("/quarantine", 303)


def show(visit: Visit) -> Response:
    typed = visit.asked("q")
    wanted, wrong = query.quarantine(typed, rights.scope(visit.person))
    found = visit.site.store.quarantine.find(wanted, PAGE, _number(visit.asked("before")))
    records = visit.site.store.history.several({item.record for item in found})
    rows = [(item, reasons(records.get(item.record)) or [item.text]) for item in found]
    return visit.render(
        "quarantine.html",
        rows=rows,
        q=typed,
        wrong=wrong,
        may_list=bool(rights.choices(visit.person, visit.site.settings)),
        classes=list(QuarantineClass),
        saved=searches(visit, "quarantine"),
        older=f"/quarantine?{urlencode({'q': typed, 'before': found.next})}" if found.next else "",
        first=not visit.asked("before"),
        here=_here(visit),
        shows_recipient=len(visit.person.addresses) != 1 or visit.person.addresses[0].startswith("@"),
    )


def theirs(visit: Visit, id_: str) -> QuarantineItem:
    """An item that this person may see; raises NotFound, and notes it when there is one that they may not."""
    item = visit.site.store.quarantine.get(id_)
    if item is None:
        raise NotFound
    if not rights.sees_item(visit.person, item):
        visit.site.store.audit.write(visit.by, "refused", id_, f"not theirs, {visit.request.url.path}")
        raise NotFound
    return item


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _here(visit: Visit) -> str:
    url = visit.request.url
    return url.path + (f"?{url.query}" if url.query else "")
