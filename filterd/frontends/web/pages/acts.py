"""Acts: what is done with chosen held mail, and taken back.

A release is only asked for here: it is carried out when the time for undoing it is over. A deletion takes effect at
once and can be undone as long. To allow a sender releases too, to block one deletes; undoing takes back both. Every
act gives a sentence, the act that undoes it, and the ids that it was done to.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable

from starlette.responses import Response

from filterd.access import Entry
from filterd.frontends.web import rights
from filterd.frontends.web.pages.quarantine import theirs
from filterd.frontends.web.senders import Unfit, to_allow, to_block
from filterd.frontends.web.teaching import suggest, teach
from filterd.frontends.web.visit import NotFound, Refused, Visit
from filterd.learning import Klass
from filterd.mail.envelope import domain_of
from filterd.record import Record
from filterd.store import QuarantineItem, Way
from filterd.store.text import fold

AT_ONCE = 200  # items of one act

Done = tuple[str, str, list[str]]


def act(visit: Visit) -> Response:
    """One of `ACTS`, on the chosen items."""
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


def _release(visit: Visit, items: list[QuarantineItem]) -> Done:
    text, done = _let_go(visit, items)
    suggest(visit, _of(items, done), Klass.HAM, Way.RELEASE)
    return text, "unrelease", done


def _let_go(visit: Visit, items: list[QuarantineItem]) -> tuple[str, list[str]]:
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
    return text, done


def _unrelease(visit: Visit, items: list[QuarantineItem]) -> Done:
    suggest(visit, items, Klass.FORGET, Way.RELEASE)
    return _kept(visit, items)


def _kept(visit: Visit, items: list[QuarantineItem]) -> Done:
    done = visit.site.store.quarantine.unschedule(_ids(items), visit.by)
    if not done:
        return visit.language.say("It was released already."), "", []
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
    said = teach(visit, items, Klass.SPAM)
    text, _, done = _delete(visit, items)
    return f"{text} {said}", "unspam", done


def _unspam(visit: Visit, items: list[QuarantineItem]) -> Done:
    said = teach(visit, items, Klass.FORGET)
    text, undo, done = _undelete(visit, items)
    return f"{text} {said}", undo, done


def _ham(visit: Visit, items: list[QuarantineItem]) -> Done:
    text, done = _let_go(visit, items)
    return f"{text} {teach(visit, _of(items, done), Klass.HAM)}", "unham", done


def _unham(visit: Visit, items: list[QuarantineItem]) -> Done:
    said = teach(visit, items, Klass.FORGET)
    text, undo, done = _kept(visit, items)
    return f"{text} {said}", undo, done


def _forget(visit: Visit, items: list[QuarantineItem]) -> Done:
    return teach(visit, items, Klass.FORGET), "", []


def _allow(visit: Visit, items: list[QuarantineItem]) -> Done:
    whose = [_whose(visit, item) for item in items]  # before anything is done
    text, _, done = _release(visit, items)

    def made(record: Record | None, _sender: str, recipient: str) -> Entry:
        return to_allow(record, recipient, visit.site.shared)

    return f"{text} {_listed(visit, items, whose, done, made)}", "unallow", done


def _block(visit: Visit, items: list[QuarantineItem]) -> Done:
    whose = [_whose(visit, item) for item in items]
    text, _, done = _delete(visit, items)
    said = _listed(visit, items, whose, done, to_block)
    suggest(visit, _of(items, done), Klass.SPAM, Way.DENY)
    return f"{text} {said}", "unblock", done


def _unallow(visit: Visit, items: list[QuarantineItem]) -> Done:
    visit.site.store.access.take_back(_ids(items), visit.by)
    return _unrelease(visit, items)


def _unblock(visit: Visit, items: list[QuarantineItem]) -> Done:
    suggest(visit, items, Klass.FORGET, Way.DENY)
    visit.site.store.access.take_back(_ids(items), visit.by)
    return _undelete(visit, items)


def _listed(
    visit: Visit,
    items: list[QuarantineItem],
    whose: list[str],
    done: list[str],
    made: Callable[[Record | None, str, str], Entry],
) -> str:
    """Put the senders of what was done on the list, for whom the form says; a sentence about what came of it."""
    entries, unfit, say = [], "", visit.language.say
    for item, recipient in zip(items, whose, strict=True):
        if item.id not in done:
            continue
        try:
            entry = made(visit.site.store.history.show(item.record), item.sender, recipient)
        except Unfit as error:
            unfit = say(str(error))
            continue
        entries.append(visit.site.store.access.add(entry, visit.by, item.id))
    whom = ", ".join(dict.fromkeys(one.whom for one in entries))[:200]
    if not entries:
        return unfit
    sentence = (
        say("From now on %(whom)s passes.", whom=whom)
        if entries[0].allows
        else say("From now on %(whom)s is blocked.", whom=whom)
    )
    return f"{sentence} {unfit}".strip()


def _whose(visit: Visit, item: QuarantineItem) -> str:
    """For whom it is said: the item's recipient, their domain, or everybody."""
    recipient = fold(item.recipient)
    choices = {"domain": domain_of(recipient), "all": ""}
    whose = choices.get(visit.field("whose"), recipient)
    if not rights.lists(visit.person, whose, visit.site.settings):
        raise Refused("You cannot say this for somebody else.")
    return whose


ACTS: dict[str, Callable[[Visit, list[QuarantineItem]], Done]] = {
    "release": _release,
    "unrelease": _unrelease,
    "delete": _delete,
    "undelete": _undelete,
    "spam": _spam,
    "unspam": _unspam,
    "ham": _ham,
    "unham": _unham,
    "forget": _forget,
    "allow": _allow,
    "unallow": _unallow,
    "block": _block,
    "unblock": _unblock,
}


def _of(items: Iterable[QuarantineItem], ids: Iterable[str]) -> list[QuarantineItem]:
    return [item for item in items if item.id in ids]


def _ids(items: Iterable[QuarantineItem]) -> list[str]:
    return [item.id for item in items]
