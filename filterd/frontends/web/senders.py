"""Senders: what an entry about the sender of a held message, or one that somebody typed, may say. Pure.

To allow, somebody must vouch for the sender: the entry that is made is one that would have held for that very message.
It names the author's domain; where strangers have addresses beside each other it names the one address. To block, the
address that the message claims is enough. What cannot be is `Unfit`, with one sentence.
"""

from __future__ import annotations

from collections.abc import Container

from filterd.access import AccessList, Entry, parse_entry
from filterd.mail.address import parse_addresses
from filterd.mail.domains import registrable, to_ascii
from filterd.mail.envelope import domain_of
from filterd.record import Record
from filterd.store.access_words import line_of

COMMENT = 200


class Unfit(Exception):
    """There can be no such entry; the text says why."""


def described(allows: bool, whom: str, recipient: str, until: str, comment: str, shared: Container[str]) -> Entry:
    """The entry that a form describes. Raises Unfit."""
    words = [whom.strip(), *(["for", recipient] if recipient else []), *(["until", until.strip()] if until else [])]
    if any(len(word.split()) != 1 for word in words) or "#" in "".join(words):
        raise Unfit("Name one address, domain or network.")
    said = " ".join(comment.split())[:COMMENT]
    try:
        found = parse_entry(f"{'allow' if allows else 'deny'} {' '.join(words)} # {said}")
    except ValueError as error:
        raise Unfit(str(error)) from None
    if allows and found.whom and "@" not in found.whom and not _somebodys(found.whom, shared):
        raise Unfit("Strangers have addresses at this domain: name one address.")
    if found.network is not None and found.network.prefixlen < 8:
        raise Unfit("This network is too large.")
    return found


def to_allow(record: Record | None, recipient: str, shared: Container[str]) -> Entry:
    """The entry by which this message would have passed: by its author's domain, or else by the address."""
    author = _author(record) if record else ""
    domain = to_ascii(domain_of(author)) or ""
    for whom in (domain, author):
        if not whom or (whom == domain and not _somebodys(domain, shared)):
            continue
        found = _entry(f"allow {whom} {_for(recipient)}")
        if record is not None and AccessList([line_of(found)], shared).holding(record):
            return found
    raise Unfit("Nobody vouches for the sender, so that anybody could use this name.")


def to_block(record: Record | None, sender: str, recipient: str) -> Entry:
    """The entry that refuses what comes from this address, whoever writes it."""
    whom = (_author(record) if record else "") or sender
    return _entry(f"deny {whom.lower()} {_for(recipient)}")


def _for(recipient: str) -> str:
    return f"for {recipient}" if recipient else ""


def _entry(line: str) -> Entry:
    try:
        return parse_entry(line)
    except ValueError:
        raise Unfit("The message names no sender.") from None


def _author(record: Record) -> str:
    """The one address in From; "" when there is not exactly one."""
    authors = record.outline.authors or [box.address for box in parse_addresses(record.outline.from_).mailboxes]
    return authors[0].lower() if len(authors) == 1 else ""


def _somebodys(domain: str, shared: Container[str]) -> bool:
    """Is all of this domain one owner's?"""
    whose = registrable(domain)
    return whose is not None and whose not in shared and domain not in shared
