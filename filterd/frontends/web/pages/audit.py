"""The audit log: who did what, for those who watch."""

from __future__ import annotations

from starlette.responses import Response

from filterd.frontends.web import rights
from filterd.frontends.web.visit import Refused, Visit

LINES = 200


def show(visit: Visit) -> Response:
    if not rights.sees_everything(visit.person):
        raise Refused("The audit log is for administrators and auditors.")
    item, who = visit.asked("item") or None, visit.asked("who").replace("\0", "")[:200]
    lines = visit.site.store.audit.find(item, LINES, who)
    return visit.render("audit.html", lines=lines, item=item or "", who=who, most=LINES)
