"""A message as signatures see it: canonical header fields and body hashes (RFC 6376 section 3.4).

Everything is linear in the size of the message, and made once, however many signatures want it: one
canonical body for each algorithm, one relaxed form for each header field. Line ends are CRLF, whatever the
file had.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from filterd.auth.library import relaxed_header
from filterd.mail.headers import Header
from filterd.mail.message import Message


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4; the same bytes as dkimpy's, which take quadratic time on white space."""
    body = body.replace(b"\t", b" ")
    while b"  " in body:  # each round halves every run
        body = body.replace(b"  ", b" ")
    body = _without_empty_lines_at_end(body.replace(b" \r\n", b"\r\n"))
    return b"" if body == b"\r\n" else body


def simple_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.3."""
    return _without_empty_lines_at_end(body)


def _without_empty_lines_at_end(body: bytes) -> bytes:
    """`body` with exactly one CRLF at its end."""
    if not body.endswith(b"\r\n"):
        return body + b"\r\n"
    start = len(body.rstrip(b"\r\n"))  # from here on there are only CR and LF
    start = max(start, body.rfind(b"\r\r", start) + 1, body.rfind(b"\n\n", start) + 1)
    if body[start : start + 1] == b"\n":
        start += 1
    return body[:start] + b"\r\n"  # what follows `start` is CRLF, once or more


class SignedMessage:
    """The parts of a message that signatures cover."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self._relaxed: dict[int, bytes] = {}
        self._bodies: dict[str, bytes] = {}
        self._digests: dict[tuple[str, int | None], bytes] = {}

    def body_length(self, algorithm: str) -> int:
        """Length of the canonical body; `algorithm` is "simple" or "relaxed"."""
        return len(self._body(algorithm))

    def body_digest(self, algorithm: str, length: int | None = None) -> bytes:
        """SHA-256 of the canonical body, or of its first `length` bytes."""
        key = algorithm, length
        if key not in self._digests:
            body = memoryview(self._body(algorithm))
            self._digests[key] = hashlib.sha256(body if length is None else body[:length]).digest()
        return self._digests[key]

    def field(self, header: Header, algorithm: str) -> bytes:
        """One header field in canonical form, CRLF at its end."""
        if algorithm == "simple":
            return self._raw(header)
        if header.start not in self._relaxed:
            self._relaxed[header.start] = relaxed(self._raw(header))
        return self._relaxed[header.start]

    def signature_field(self, header: Header, algorithm: str) -> bytes:
        """The field that holds the signature, as it is signed: b= empty, no CRLF (RFC 6376 section 3.7)."""
        field = without_signature(self._raw(header))
        return (relaxed(field) if algorithm == "relaxed" else field).rstrip()

    def select(self, names: Iterable[str]) -> list[Header]:
        """The fields that h= names: each mention takes the next one up from the bottom (section 5.4.2)."""
        left: dict[str, list[Header]] = {}
        found = []
        for name in names:
            if name not in left:
                left[name] = list(self._message.headers.all(name))
            if left[name]:
                found.append(left[name].pop())
        return found

    def has_every_from(self, fields: list[Header]) -> bool:
        """Whether all From fields are among `fields`, so that none was added after signing (section 8.15)."""
        signed = sum(field.name.lower() == "from" for field in fields)
        return signed == len(self._message.headers.all("From"))

    def _raw(self, header: Header) -> bytes:
        field = bytes(self._message.raw[header.start : header.end])
        if b"\n" in field:
            field = field.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return field if field.endswith(b"\r\n") else field + b"\r\n"

    def _body(self, algorithm: str) -> bytes:
        if algorithm not in self._bodies:
            body = bytes(self._message.body)
            if body.count(b"\n") != body.count(b"\r\n"):
                body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            self._bodies[algorithm] = relaxed_body(body) if algorithm == "relaxed" else simple_body(body)
        return self._bodies[algorithm]


def relaxed(field: bytes) -> bytes:
    """A raw header field in relaxed form."""
    name, _, value = field.partition(b":")
    return relaxed_header(name, value)


def without_signature(field: bytes) -> bytes:
    """A raw signature field with the value of its b= tag deleted."""
    name, colon, value = field.partition(b":")
    parts = value.split(b";")
    for number, part in enumerate(parts):
        tag, equals, _ = part.partition(b"=")
        if equals and tag.strip() == b"b":
            parts[number] = tag + equals
    return name + colon + b";".join(parts)
