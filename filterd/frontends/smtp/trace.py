"""Our Received line, and the marks by which we know a mail that has been here before.

A mail loops when it comes to the same listener for the same recipients again; a mailing list or a forwarder
that brings a mail back to other recipients makes no loop. So the mark in our Received line is a hash of
listener and recipients, and what is looked for is that hash. More than 50 Received lines are a loop whoever
wrote them (RFC 5321 section 6.3).
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Sequence
from email.utils import format_datetime

from filterd.mail.envelope import Envelope, Recipient

MOST_HOPS = 50
_MARK = re.compile(rb"\(filterd/([0-9a-f]{16})\)")
_ODD = re.compile(r"[^A-Za-z0-9._:\[\]-]")


def protocol_word(*, lmtp: bool, extended: bool, tls: bool, user: bool, utf8: bool) -> str:
    """How the mail came in, as Received says it (RFC 3848; RFC 6531 section 4.3)."""
    base = "LMTP" if lmtp else "SMTP"
    suffix = ("S" if tls else "") + ("A" if user else "")
    if utf8:
        return f"UTF8{base}{suffix}"
    return f"E{base}{suffix}" if extended and not lmtp else base + suffix


def mark(listener: str, hostname: str, recipients: Iterable[str]) -> str:
    """What a copy for these recipients carries when it has been through this listener."""
    names = sorted(recipient.lower() for recipient in recipients)
    return hashlib.sha256("\0".join((hostname, listener, *names)).encode()).hexdigest()[:16]


def received_line(
    envelope: Envelope,
    recipients: Sequence[Recipient],
    now: datetime.datetime,
    *,
    helo: str,
    name: str | None,
    address: str | None,
    hostname: str,
) -> bytes:
    """The Received field for a copy (RFC 5321 section 4.4); `for` only when one recipient gets it."""
    host = f"[IPv6:{address}]" if address and ":" in address else f"[{address or 'unknown'}]"
    whose = mark(envelope.listener, hostname, (recipient.address for recipient in recipients))
    lines = [
        f"Received: from {_ODD.sub('?', helo) or 'unknown'} ({_ODD.sub('?', name or 'unknown')} {host})",
        f"by {hostname} (filterd/{whose}) with {envelope.protocol} id {envelope.id}",
    ]
    if envelope.tls:
        lines.append(f"(using {envelope.tls})")
    if len(recipients) == 1:
        lines.append(f"for <{recipients[0].address}>")
    lines[-1] += f"; {format_datetime(now)}"
    return ("\r\n\t".join(lines) + "\r\n").encode("utf-8", "replace")


def loops(raw: bytes | memoryview, envelope: Envelope, hostname: str) -> bool:
    """Has it passed too many hosts, or this listener for one of these recipients or for all of them?"""
    fields = _header(raw).lower()
    if fields.count(b"\nreceived:") + fields.startswith(b"received:") > MOST_HOPS:
        return True
    seen = {match.decode() for match in _MARK.findall(fields)}
    if not seen:
        return False
    names = [recipient.address for recipient in envelope.recipients]
    if mark(envelope.listener, hostname, names) in seen:
        return True
    return any(mark(envelope.listener, hostname, (name,)) in seen for name in names)


def _header(raw: bytes | memoryview) -> bytes:
    """The header block, or its first megabyte."""
    start = bytes(raw[:1_000_000])
    end = start.find(b"\r\n\r\n")
    return start if end < 0 else start[:end]
