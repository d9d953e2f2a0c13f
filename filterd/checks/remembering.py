"""What is remembered of a mail, and what is asked of the memory. Pure.

Keys are a letter and a thing. `d:` the author's domain, and `a:` his address, are written only when the domain vouches
for the mail, so that nobody spoils, or earns, another's name; `n:` is the network of the client, `t:` the triple of
network, envelope sender and recipient; `w:` an address that our own users wrote to; `*` everything. Big mail hosts,
where anybody may have an address, have no `d:`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from ipaddress import ip_network

from filterd.authentication import Authentication, AuthResult
from filterd.checks.shingles import bands
from filterd.facts import SenderNote, TextNote
from filterd.mail import Direction, Mail
from filterd.mail.address import parse_addresses
from filterd.mail.domains import registrable
from filterd.mail.envelope import Envelope, Origin
from filterd.record import Record

EVERYTHING = "*"
MAX_KEY = 300
MAX_RECIPIENTS = 20  # of one mail that our users are remembered to have written to
OWN = "SENDER_"  # what the memory itself found does not feed it


def asked(mail: Mail, hosts: Collection[str]) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
    """The fields of Questions: `memory`, `bands`. Nothing for mail of our own users."""
    if mail.envelope.direction is not Direction.INBOUND or mail.envelope.user is not None:
        return {}
    author = mail.message.from_[0].address.lower() if mail.message.from_ else ""
    keys = [EVERYTHING, *_author_keys(author, hosts)]
    if "@" in author:
        keys.append(f"w:{author}"[:MAX_KEY])
    if network := network_of(mail.origin.address):
        keys += [f"n:{network}", triple(mail.envelope, mail.origin)]
    return {"memory": tuple(dict.fromkeys(keys)), "bands": bands(mail.message.text)}


def vouched(auth: Authentication, author: str) -> bool:
    """Does the domain of the author's address vouch for the mail?"""
    domain = author.rpartition("@")[2].lower()
    if auth.dmarc.result is AuthResult.PASS:
        return auth.dmarc.domain == domain
    own = registrable(domain)
    return auth.dmarc.result is AuthResult.NONE and own is not None and own in map(registrable, auth.domains)


def learnt(record: Record, hosts: Collection[str], *, triples: bool = False) -> tuple[list[SenderNote], list[TextNote]]:
    """What one mail adds to the memory, when it has been decided on. `triples` are for greylisting alone."""
    if record.error:
        return [], []
    if record.envelope.direction is not Direction.INBOUND or record.envelope.user is not None:
        return list(_written_to(record.envelope)), []
    bad = _points(record) >= (record.thresholds.quarantine or 800)
    good = not bad and _points(record) < (record.thresholds.tag or 500) // 2 and (record.opinion.probability or 0) < 0.5
    keys = [EVERYTHING, *known_as(record, hosts)]
    if triples and (key := triple(record.envelope, record.origin)):
        keys.append(key)
    notes = [SenderNote(key, float(good), float(bad)) for key in keys]
    near = record.facts.near
    texts = [TextNote(near.bands, bad, record.id, record.outline.subject)] if near is not None else []
    return notes, texts


def known_as(record: Record, hosts: Collection[str]) -> list[str]:
    """The keys of the sender of a mail that came in: the author's only where his domain vouches for it."""
    if record.error or record.envelope.direction is not Direction.INBOUND or record.envelope.user is not None:
        return []
    network = network_of(record.origin.address)
    keys = [f"n:{network}"] if network else []
    boxes = parse_addresses(record.outline.from_).mailboxes
    author = boxes[0].address.lower() if len(boxes) == 1 else ""
    return [*keys, *_author_keys(author, hosts)] if vouched(record.auth, author) else keys


def triple(envelope: Envelope, origin: Origin) -> str:
    """The key of network, envelope sender and first recipient; "" without a client."""
    network = network_of(origin.address)
    first = envelope.recipients[0].address.lower() if envelope.recipients else ""
    if not network:
        return ""
    text = f"{network}\0{envelope.sender.lower()}\0{first}"
    return "t:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]


@lru_cache(maxsize=4_096)
def network_of(address: str | None) -> str:
    """The /24 or /48 of an address; "" when there is none."""
    if not address:
        return ""
    try:
        return str(ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))
    except ValueError:
        return ""


def _points(record: Record) -> int:
    return record.verdict.points - sum(one.points for one in record.verdict.findings if one.name.startswith(OWN))


def _author_keys(author: str, hosts: Collection[str]) -> Iterator[str]:
    domain = registrable(author.rpartition("@")[2]) if "@" in author else None
    if domain is not None:
        yield f"a:{author}"[:MAX_KEY]
        if domain not in hosts:
            yield f"d:{domain}"


def _written_to(envelope: Envelope) -> Iterator[SenderNote]:
    for recipient in envelope.recipients[:MAX_RECIPIENTS]:
        if "@" in recipient.address:
            yield SenderNote(f"w:{recipient.address.lower()}"[:MAX_KEY])
