"""Digest: the mail that tells a person what is held for them, with links to it. Pure, but for the store it reads.

A link shows; only a button behind it acts, so that scanners that follow links do nothing. What a link may show is in
it, signed: one item for one recipient, or what was held for one person in a stretch of time; and until when. It is
good for nothing else, and it lets nobody in.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

from filterd.frontends.web.language import choose
from filterd.frontends.web.letters import letter
from filterd.frontends.web.site import Letter, Site
from filterd.store import Person, QuarantineFilter, QuarantineItem
from filterd.value import Value, replace

AT_ONCE = "at once"
EVERY = {AT_ONCE: 0.0, "hourly": 3600.0, "daily": 86_400.0, "weekly": 7 * 86_400.0}
GOOD_FOR = 14 * 86_400_000  # ms that a link lives
LISTED = 100  # items of one mail; a link leads to the rest
_LINK = re.compile(r"([iu])\.([0-9A-Za-z~-]{1,400})\.(\d{1,14})\.(\d{1,14})\.(\d{1,14})\.([0-9a-f]{32})", re.ASCII)


class Link(Value):
    """What a link shows: one item (`item`), or everything of one person that came in [since, until), in ms."""

    item: str = ""
    person: str = ""
    since: int = 0
    until: int = 0


def due(person: Person, digested: int, now: int) -> bool:
    """Is it time for this person's next digest? Times in ms."""
    return person.digest in EVERY and now - digested >= EVERY[person.digest] * 1000 and bool(mailbox(person))


def mailbox(person: Person) -> str:
    """Where their digest goes: their first address that is one."""
    return next((one for one in person.addresses if not one.startswith("@")), "")


def compose(site: Site, person: Person, since: int, now: int) -> Letter | None:
    """What was held for this person in [since, now); None when that is nothing."""
    mine = tuple(one for one in person.addresses if not one.startswith("@"))
    wanted = QuarantineFilter(mine=mine, since=_moment(since), until=_moment(now))
    items = site.store.quarantine.find(wanted, LISTED, budget=None).rows
    if not items:
        return None
    say, expires = choose(person.language, ""), now + GOOD_FOR
    base = site.settings.url or ""
    values = {
        "_": say.say,
        "count": say.count,
        "lang": say.code,
        "tongue": say,
        "person": person,
        "rows": [(item, f"{base}/d/{item_link(site, item, expires)}") for item in items],
        "everything": f"{base}/d/{all_link(site, person, since, now, expires)}",
        "stop": f"{base}/unsubscribe/{stop_link(site, person)}",
        "more": len(items) == LISTED,
    }
    subject = say.count("%(n)s message is held for you", "%(n)s messages are held for you", len(items))
    unsubscribe = {
        "List-Unsubscribe": f"<{values['stop']}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",  # RFC 8058 section 3.1
    }
    made = letter(site, mailbox(person), subject, _moment(now), "digest", values, unsubscribe)
    return replace(made, items=len(items))


def item_link(site: Site, item: QuarantineItem, expires: int) -> str:
    return _link(site, "i", item.id, 0, 0, expires, item.recipient)


def all_link(site: Site, person: Person, since: int, until: int, expires: int) -> str:
    return _link(site, "u", _hex(person.name), since, until, expires, "")


def read_link(site: Site, text: str, now: int) -> Link | None:
    """What a link shows; None when it is not ours, was changed, or is too old."""
    match = _LINK.fullmatch(text)
    if match is None or int(match[5]) <= now:
        return None
    kind, name, since, until, expires = match[1], match[2], int(match[3]), int(match[4]), int(match[5])
    item = site.store.quarantine.get(name) if kind == "i" else None
    whose = item.recipient if item else ""
    if (kind == "i") != (item is not None) or text != _link(site, kind, name, since, until, expires, whose):
        return None
    return Link(item=name) if item else Link(person=_unhex(name), since=since, until=until)


def stop_link(site: Site, person: Person) -> str:
    name = _hex(person.name)
    return f"{name}.{site.sign('unsubscribe', name)}"


def read_stop_link(site: Site, text: str) -> str:
    """Whom it unsubscribes; "" when it is not ours."""
    name, _, mark = text.partition(".")
    return _unhex(name) if site.signed("unsubscribe", name, mark) else ""


def items_of(site: Site, person: Person, link: Link) -> Sequence[QuarantineItem]:
    """What a link shows, of what this person sees."""
    mine = tuple(one for one in person.addresses if not one.startswith("@")) or ("@invalid.",)
    if link.item:
        item = site.store.quarantine.get(link.item)
        return [item] if item else []
    wanted = QuarantineFilter(mine=mine, since=_moment(link.since), until=_moment(link.until))
    return site.store.quarantine.find(wanted, LISTED).rows


def _link(site: Site, kind: str, name: str, since: int, until: int, expires: int, recipient: str) -> str:
    said = f"{kind}.{name}.{since}.{until}.{expires}"
    return f"{said}.{site.sign('digest', f'{said} {recipient}')}"


def _moment(stamp: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(stamp / 1000, datetime.UTC)


def _hex(name: str) -> str:
    return name.encode().hex()


def _unhex(text: str) -> str:
    try:
        return bytes.fromhex(text).decode()
    except ValueError:
        return ""
