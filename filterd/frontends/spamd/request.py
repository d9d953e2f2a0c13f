"""Requests of the spamd protocol (SpamAssassin's spamd/PROTOCOL) and of rspamd's old line protocol. Pure.

In: the lines before a message. Out: a `Request`; raises BadRequest with the sentence that the client is told.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence

from filterd.frontends.advice import Asked, address_of, ip_of, said
from filterd.frontends.learner import Klass
from filterd.value import Value

MOST_HEADERS = 255  # as spamd; recipients of the rspamd variant do not count
_FIRST = re.compile(rb"([A-Z_]{1,20}) (R?SPAMC)/(\d)\.(\d{1,2})[ \t]*\r?\n?")

SCANS = frozenset({"CHECK", "SYMBOLS", "REPORT", "REPORT_IFSPAM", "PROCESS", "HEADERS"})
VERBS = SCANS | {"PING", "SKIP", "TELL"}


class BadRequest(ValueError):
    """The client does not speak the protocol."""


class First(Value):
    """The first line of a request."""

    verb: str
    rspamc: bool  # rspamd's line protocol
    version: tuple[int, int]


class Request(Value, kw_only=True):
    """What is asked about the message that follows."""

    verb: str
    rspamc: bool = False
    version: tuple[int, int] = (1, 5)
    length: int | None = None  # None: until the client closes its side
    zlib: bool = False
    user: str | None = None  # whose preferences are meant
    klass: Klass | None = None  # TELL: what is to be learnt; None: nothing that is done here
    asked: Asked = Asked()


def first_line(line: bytes) -> First | None:
    """The first line of a request; None when it is none of these protocols'."""
    found = _FIRST.fullmatch(line)
    if found is None:
        return None
    return First(found[1].decode(), found[2] == b"RSPAMC", (int(found[3]), int(found[4])))


def parse_request(first: First, lines: Sequence[bytes]) -> Request:
    """A request from its first line and its headers."""
    if first.verb not in VERBS:
        raise BadRequest(f"({first.verb} is no command)")
    headers: dict[str, bytes] = {}
    recipients: list[str] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise BadRequest("(header not in 'Name: value' format)")
        key = name.strip().lower().decode("latin-1")
        if key != "rcpt":
            headers[key] = value.strip()
        elif address := address_of(value):
            recipients.append(address)
        if len(headers) > MOST_HEADERS:
            raise BadRequest("(too many headers)")
    compress = headers.get("compress", b"").lower()
    if compress not in (b"", b"zlib"):
        raise BadRequest("(compression type not supported)")
    length = _length(headers.get("content-length"))
    if compress and length is None:
        raise BadRequest("(Compress requires Content-length header)")
    return Request(
        verb=first.verb,
        rspamc=first.rspamc,
        version=first.version,
        length=length,
        zlib=bool(compress),
        user=said(headers.get("user")),
        klass=_klass(headers) if first.verb == "TELL" else None,
        asked=_asked(headers, tuple(recipients)) if first.rspamc else _asked_spamc(headers),
    )


def inflated(data: bytes, most: int) -> bytes:
    """What `Compress: zlib` packed; raises BadRequest when it is broken, or more than `most` bytes."""
    unpacking = zlib.decompressobj()
    try:
        message = unpacking.decompress(data, most + 1)
    except zlib.error as error:
        raise BadRequest(f"(zlib: {error})") from error
    if len(message) > most:
        raise BadRequest("(the message is too large)")
    if not unpacking.eof:
        raise BadRequest("(zlib: failed to find end of zlib stream)")
    return message


def _length(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not value.isdigit() or len(value) > 18:
        raise BadRequest("(Content-Length contains non-numeric bytes)")
    return int(value)


def _klass(headers: Mapping[str, bytes]) -> Klass | None:
    """What TELL asks to learn. Reports to other people's databases (remote) are not made."""
    sets = b"local" in headers.get("set", b"").lower()
    removes = b"local" in headers.get("remove", b"").lower()
    if sets and removes:
        raise BadRequest("(Unable to set local and remove local in the same operation.)")
    if removes:
        return Klass.FORGET
    if not sets:
        return None
    told = headers.get("message-class", b"").lower()
    if told not in (b"spam", b"ham"):
        raise BadRequest("(Message-class header contains invalid class)")
    return Klass(told.decode())


def _asked(headers: Mapping[str, bytes], recipients: tuple[str, ...]) -> Asked:
    """The envelope, as Exim's src/spam.c sends it with variant=rspamd."""
    return Asked(
        sender=address_of(headers["from"]) if headers.get("from") else None,
        recipients=recipients,
        address=ip_of(headers.get("ip")),
        name=said(headers.get("hostname")),
        helo=said(headers.get("helo")),
        user=said(headers.get("user")),
        queue_id=said(headers.get("queue-id")),
    )


def _asked_spamc(headers: Mapping[str, bytes]) -> Asked:
    """The spamd protocol knows no envelope: its User is who gets the message, not who sent it."""
    user = address_of(headers.get("user"))
    return Asked(recipients=(user,) if user and "@" in user else ())
