"""One held message: why it is here, who vouches for it, and what is in it."""

from __future__ import annotations

from starlette.responses import HTMLResponse, Response

from filterd.frontends.web import preview, rights
from filterd.frontends.web.pages.around import campaign_of, others_of, remembered
from filterd.frontends.web.pages.quarantine import theirs
from filterd.frontends.web.view import case
from filterd.frontends.web.visit import NotFound, Visit
from filterd.mail import Message
from filterd.mail.envelope import domain_of
from filterd.store import QuarantineItem
from filterd.store.text import fold

SANDBOX = "sandbox; default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
VIEWS = ("text", "html", "headers", "source")


def show(visit: Visit) -> Response:
    item = theirs(visit, visit.request.path_params["id"])
    store, view = visit.site.store, visit.asked("view")
    raw = store.quarantine.raw(item.id)
    message = preview.read(raw) if raw is not None else None
    record = store.history.show(item.record)
    return visit.render(
        "message.html",
        item=item,
        record=record,
        case=case(record, [item.recipient]) if record else None,
        message=message,
        view=view if view in VIEWS else "text",
        preview=preview,
        raw=raw,
        others=others_of(visit, item.sender, item.record),
        campaign=campaign_of(visit, record),
        remembered=remembered(visit, record),
        lines=store.audit.find(item.id, 20),
        may_list=rights.lists(visit.person, fold(item.recipient), visit.site.settings),
        whose=_whose(visit, item),
        taught=_taught(visit, raw),
        may_release=rights.may_release(visit.person, item.klass, visit.site.settings),
    )


def html(visit: Visit) -> Response:
    """The message's HTML, tamed, for a frame whose sandbox would allow nothing anyway."""
    item = theirs(visit, visit.request.path_params["id"])
    raw = visit.site.store.quarantine.raw(item.id)
    if raw is None:
        raise NotFound
    headers = {"Content-Security-Policy": SANDBOX, "X-Frame-Options": "SAMEORIGIN"}
    return HTMLResponse(preview.html(preview.read(raw)), headers=headers)


def download(visit: Visit) -> Response:
    """The message as it came, as a file; mail with a virus is not handed out to users."""
    item = theirs(visit, visit.request.path_params["id"])
    raw = visit.site.store.quarantine.raw(item.id)
    if raw is None or not rights.may_release(visit.person, item.klass, visit.site.settings):
        raise NotFound
    visit.site.store.audit.write(visit.by, "downloaded", item.id)
    name = "".join(char for char in item.id if char.isalnum())
    headers = {"Content-Disposition": f'attachment; filename="{name}.eml"'}
    return Response(raw, headers=headers, media_type="message/rfc822")


def _taught(visit: Visit, raw: bytes | None) -> bool:
    """Does something stand that this person said of this message?"""
    if raw is None or not visit.teaches:
        return False
    return bool(visit.site.store.suggestions.standing(Message(raw).identity, visit.person.name))


def _whose(visit: Visit, item: QuarantineItem) -> list[tuple[str, str]]:
    """For whom this person may allow or block the sender: what the form says, and for whom that is."""
    recipient = fold(item.recipient)
    choices = (("", recipient), ("domain", domain_of(recipient)), ("all", ""))
    return [(value, whose) for value, whose in choices if rights.lists(visit.person, whose, visit.site.settings)]
