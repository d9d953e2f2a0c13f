"""The quarantine: the list of held mail, and what is done with the chosen ones.

A release is only asked for here: it is carried out when the time for undoing it is over. A deletion takes effect at
once and can be undone as long. Every id is checked against what the person may see; another's item does not exist
for them, and asking for it leaves a line in the audit log.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from filterd.frontends.web import query, rights
from filterd.frontends.web.view import reasons
from filterd.frontends.web.visit import NotFound, Refused, Visit
from filterd.store import QuarantineClass, QuarantineItem

PAGE = 50
AT_ONCE = 200  # items of one act


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
        classes=list(QuarantineClass),
        older=f"/quarantine?{urlencode({'q': typed, 'before': found.next})}" if found.next else "",
        first=not visit.asked("before"),
        here=_here(visit),
        shows_recipient=len(visit.person.addresses) != 1 or visit.person.addresses[0].startswith("@"),
    )


def act(visit: Visit) -> Response:
    """Release, delete or undo; on the chosen items."""
    back, what = visit.field("back") or "/quarantine", visit.field("act")
    ids = list(dict.fromkeys(visit.form.get("id", ())))[:AT_ONCE]
    if not rights.acts(visit.person):
        raise Refused("An auditor changes nothing.")
    if what not in ACTS:
        raise NotFound
    items = [theirs(visit, id_) for id_ in ids]
    if not items:
        return visit.redirect(back, visit.language.say("Nothing was chosen."))
    text, undo, done = ACTS[what](visit, items)
    return visit.redirect(back, text, undo=undo if done else "", ids=done)


def theirs(visit: Visit, id_: str) -> QuarantineItem:
    """An item that this person may see; raises NotFound, and notes it when there is one that they may not."""
    item = visit.site.store.quarantine.get(id_)
    if item is None:
        raise NotFound
    if not rights.sees_item(visit.person, item):
        visit.site.store.audit.write(visit.by, "refused", id_, f"not theirs, {visit.request.url.path}")
        raise NotFound
    return item


Done = tuple[str, str, list[str]]  # a sentence, the act that takes it back, what was done it to


def _release(visit: Visit, items: list[QuarantineItem]) -> Done:
    settings, count = visit.site.settings, visit.language.count
    free = [item for item in items if rights.may_release(visit.person, item.klass, settings)]
    if not free:
        raise Refused("Mail of this class is released by an administrator only.")
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=settings.undo)
    done = visit.site.store.quarantine.schedule(_ids(free), visit.by, at)
    seconds = round(settings.undo)
    text = count(
        "%(n)s message is released in %(seconds)s seconds.",
        "%(n)s messages are released in %(seconds)s seconds.",
        len(done),
        seconds=seconds,
    )
    if len(free) < len(items):
        kept = len(items) - len(free)
        text += " " + count("%(n)s is not yours to release.", "%(n)s are not yours to release.", kept)
    return text, "unrelease", done


def _unrelease(visit: Visit, items: list[QuarantineItem]) -> Done:
    done = visit.site.store.quarantine.unschedule(_ids(items), visit.by)
    return visit.language.count("%(n)s message stays here.", "%(n)s messages stay here.", len(done)), "", []


def _delete(visit: Visit, items: list[QuarantineItem]) -> Done:
    done = visit.site.store.quarantine.delete(_ids(items), visit.by)
    return (
        visit.language.count("%(n)s message was deleted.", "%(n)s messages were deleted.", len(done)),
        "undelete",
        done,
    )


def _undelete(visit: Visit, items: list[QuarantineItem]) -> Done:
    done = visit.site.store.quarantine.undelete(_ids(items), visit.by)
    return visit.language.count("%(n)s message is back.", "%(n)s messages are back.", len(done)), "", []


def _spam(visit: Visit, items: list[QuarantineItem]) -> Done:
    said = _taught(visit, items, "spam")
    text, _, done = _delete(visit, items)
    return f"{text} {said}", "unspam", done


def _unspam(visit: Visit, items: list[QuarantineItem]) -> Done:
    _taught(visit, items, "forget")
    return _undelete(visit, items)


def _ham(visit: Visit, items: list[QuarantineItem]) -> Done:
    text, _, done = _release(visit, items)
    return f"{text} {_taught(visit, [item for item in items if item.id in done], 'ham')}", "unham", done


def _unham(visit: Visit, items: list[QuarantineItem]) -> Done:
    _taught(visit, items, "forget")
    return _unrelease(visit, items)


def _taught(visit: Visit, items: list[QuarantineItem], klass: str) -> str:
    """Have these messages learnt; a sentence about what came of it."""
    teach, say = visit.site.teach, visit.language.say
    if teach is None or not rights.may_teach(visit.person, visit.site.settings):
        raise Refused("You are not one of those who teach.")
    raws = [raw for item in items if (raw := visit.site.store.quarantine.raw(item.id)) is not None]
    refused = [why for raw in raws if (why := teach(raw, klass, visit.person.name))]
    for item in items:
        visit.site.store.audit.write(visit.by, f"taught-{klass}", item.id, refused[0] if refused else "")
    return say("Not learnt: %(why)s", why=refused[0]) if refused else say("It was learnt.")


ACTS: dict[str, Callable[[Visit, list[QuarantineItem]], Done]] = {
    "release": _release,
    "unrelease": _unrelease,
    "delete": _delete,
    "undelete": _undelete,
    "spam": _spam,
    "unspam": _unspam,
    "ham": _ham,
    "unham": _unham,
}


def _ids(items: Iterable[QuarantineItem]) -> list[str]:
    return [item.id for item in items]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _here(visit: Visit) -> str:
    url = visit.request.url
    return url.path + (f"?{url.query}" if url.query else "")
