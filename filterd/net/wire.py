"""DNS messages as bytes (RFC 1035), as much of them as a stub resolver needs.

In: a name and a kind of record. Out: a query packet; and from a reply, its code and its records. Pure.
Decoding is strict, linear and never recurses: a compression pointer must point backwards, so that every
name ends. Bytes that are not a DNS message raise WireError and nothing else.
"""

from __future__ import annotations

import enum
import ipaddress
import os
import re
import struct
from typing import NamedTuple

UDP_SIZE = 1232  # what fits one unfragmented IPv6 datagram; announced by EDNS (RFC 6891, DNS flag day 2020)


class Kind(enum.IntEnum):
    A = 1
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28


class Code(enum.IntEnum):
    """RCODEs that mean something to us; any other is a failure of the server."""

    NOERROR = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    REFUSED = 5


Data = bytes | str | tuple[int, str]  # TXT: bytes; A, AAAA, PTR, CNAME: text; MX: (preference, host)


class Record(NamedTuple):
    name: str  # lower case, no final dot
    kind: int
    ttl: int  # seconds
    data: Data


class Reply(NamedTuple):
    code: int
    truncated: bool
    answers: tuple[Record, ...]
    negative_ttl: int | None  # how long a "no" may be kept; None when the server did not say


class WireError(ValueError):
    """Not a DNS message, or not one that we can read."""


_HEADER = struct.Struct("!HHHHHH")
_FIXED = struct.Struct("!HHIH")  # type, class, TTL, length of the data
_PLAIN = re.compile(rb"[a-zA-Z0-9_\-]+")
_OPT = b"\x00" + struct.pack("!HHIH", 41, UDP_SIZE, 0, 0)


def encode_name(name: str) -> bytes | None:
    """The wire form of a name without its final dot, as spelt; None when there can be no such name."""
    if not name:
        return b"\x00"
    try:
        labels = name.encode("ascii").split(b".")
    except UnicodeEncodeError:
        return None
    if any(not 0 < len(label) < 64 for label in labels):
        return None
    wire = b"".join([bytes((len(label),)) + label for label in labels]) + b"\x00"
    return wire if len(wire) <= 255 else None


def encode_query(name: bytes, kind: int) -> tuple[bytes, bytes]:
    """A query packet with a random id and a randomly spelt name, and its question section, to compare
    replies with.

    The case of the letters is random, so that a forged reply has to guess it besides id and port (draft
    vixie-dnsext-dns0x20).
    """
    noise = os.urandom(2 + len(name))
    mixed = bytes([b ^ (n & 0x20) if 65 <= b & 0xDF <= 90 else b for b, n in zip(name, noise[2:], strict=True)])
    question = mixed + struct.pack("!HH", kind, 1)
    return noise[:2] + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01" + question + _OPT, question


def replies_to(packet: bytes, query: bytes, question: bytes, *, spelling: bool = True) -> bool:
    """Whether `packet` replies to just this query: id, direction and question, in its `spelling` or any."""
    asked = packet[12 : 12 + len(question)]
    return (
        packet[:2] == query[:2]
        and len(packet) > 12
        and packet[2] & 0xF8 == 0x80  # a reply, opcode QUERY
        and packet[4:6] == b"\x00\x01"
        and (asked == question or (not spelling and asked.lower() == question.lower()))
    )


def decode_reply(packet: bytes, question: bytes) -> Reply:
    """The code and the records of a reply whose question was compared already; raises WireError."""
    try:
        return _decode(packet, 12 + len(question))
    except (IndexError, struct.error) as error:
        raise WireError("the message ends early") from error


def _decode(packet: bytes, offset: int) -> Reply:
    _, flags, _, answer_count, authority_count, _ = _HEADER.unpack_from(packet)
    answers, negative_ttl = [], None
    for number in range(answer_count + authority_count):
        name, offset = _name(packet, offset)
        kind, klass, ttl, length = _FIXED.unpack_from(packet, offset)
        offset += _FIXED.size
        end = offset + length
        if end > len(packet):
            raise WireError("the message ends early")
        ttl = ttl if ttl < 1 << 31 else 0  # RFC 2181 section 8
        if number < answer_count:
            if klass == 1 and (data := _data(packet, kind, offset, end)) is not None:
                answers.append(Record(name, kind, ttl, data))
        elif kind == Kind.SOA and negative_ttl is None:
            negative_ttl = min(ttl, struct.unpack_from("!I", packet, end - 4)[0])  # RFC 2308 section 5
        offset = end
    return Reply(flags & 0x0F, bool(flags & 0x0200), tuple(answers), negative_ttl)


def _data(packet: bytes, kind: int, offset: int, end: int) -> Data | None:
    if kind == Kind.TXT:
        return _strings(packet, offset, end)
    if kind == Kind.A and end - offset == 4:
        return str(ipaddress.IPv4Address(packet[offset:end]))
    if kind == Kind.AAAA and end - offset == 16:
        return str(ipaddress.IPv6Address(packet[offset:end]))
    if kind in (Kind.PTR, Kind.CNAME):
        return _name(packet, offset)[0]
    if kind == Kind.MX:
        return struct.unpack_from("!H", packet, offset)[0], _name(packet, offset + 2)[0]
    return None


def _strings(packet: bytes, offset: int, end: int) -> bytes:
    """The strings of a TXT record, joined without anything between (RFC 7208 section 3.3)."""
    pieces = []
    while offset < end:
        start = offset + 1
        offset = start + packet[offset]
        if offset > end:
            raise WireError("a string runs out of its record")
        pieces.append(packet[start:offset])
    return b"".join(pieces)


def _name(packet: bytes, offset: int) -> tuple[str, int]:
    """The name at `offset`, lower case, and where the message goes on after it."""
    labels: list[str] = []
    size, after, limit = 1, 0, offset
    while length := packet[offset]:
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | packet[offset + 1]
            if target >= limit:
                raise WireError("a compression pointer does not point backwards")
            after = after or offset + 2
            offset = limit = target
            continue
        if length > 63:
            raise WireError("an unknown kind of label")
        label = packet[offset + 1 : offset + 1 + length]
        size += length + 1
        if len(label) < length or size > 255:
            raise WireError("a name is too long")
        labels.append(label.decode("ascii").lower() if _PLAIN.fullmatch(label) else _escaped(label))
        offset += 1 + length
    return ".".join(labels), after or offset + 1


def _escaped(label: bytes) -> str:
    r"""A label with odd bytes, as master files write it: `\.` `\\` and `\DDD` (RFC 1035 section 5.1)."""
    return "".join(f"\\{chr(b)}" if b in b".\\" else chr(b).lower() if 32 <= b < 127 else f"\\{b:03d}" for b in label)
