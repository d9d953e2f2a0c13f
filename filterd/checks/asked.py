"""What block and allow lists are asked about a mail. Pure, capped, and only what some list wants.

In: a Mail, and what the configured lists ask. Out: the fields of Questions by name: `senders`, `domains`,
`addresses`, `hashes`. Names of our own are never asked about, nor are those that the site calls its partners.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from filterd.checks.lists import Asks
from filterd.mail import Mail
from filterd.mail.domains import registrable
from filterd.mail.envelope import domain_of

MAX_ITEMS = 30
MAX_TEXT = 10_000  # characters in which addresses are looked for
_ADDRESS = re.compile(r"[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_GMAIL = frozenset({"gmail.com", "googlemail.com"})


def asked(mail: Mail, asks: Collection[Asks], ours: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """The fields of Questions that lists need."""
    message = mail.message
    found: dict[str, tuple[str, ...]] = {}
    if Asks.SENDER in asks:
        boxes = (*message.from_, *message.reply_to)
        found["senders"] = _domains((domain_of(mail.envelope.sender), *(box.domain for box in boxes)), ours)
    if Asks.LINK in asks:
        hosts = (link.domain or link.host for link in message.links if link.scheme in ("http", "https", "ftp"))
        found["domains"] = _domains(hosts, ours)
    if Asks.MAILBOX in asks:
        boxes = (*message.from_, *message.reply_to)
        text = message.text[:MAX_TEXT]
        some = (*(box.address for box in boxes), mail.envelope.sender, *_ADDRESS.findall(text))
        found["addresses"] = _unique(_normal(one) for one in some if "@" in one and domain_of(one) not in ours)
    if Asks.FILE in asks:
        found["hashes"] = _unique(one.digest for one in message.attachments if one.size)
    return found


def _domains(hosts: Iterable[str], ours: Collection[str]) -> tuple[str, ...]:
    names = (registrable(host) or host for host in hosts if host)
    return _unique(name for name in names if name not in ours and "." in name)


def _normal(address: str) -> str:
    """Lower case; for Gmail without dots and what follows a plus, for these reach the same person."""
    local, _, domain = address.lower().rpartition("@")
    if domain in _GMAIL:
        return f"{local.partition('+')[0].replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for item in items:
        found.setdefault(item)
        if len(found) >= MAX_ITEMS:
            break
    return tuple(found)
