"""The audit log: who did what, for those who watch."""

from __future__ import annotations

from starlette.responses import Response

from filterd.frontends.web import rights
from filterd.frontends.web.visit import Refused, Visit

LINES = 200


def show(visit: Visit) -> Response:
    if not rights.sees_everything(visit.person):
        raise Refused("The audit log is for administrators and auditors.")
    item = visit.asked("item") or None
    return visit.render("audit.html", lines=visit.site.store.audit.find(item, LINES), item=item or "")
