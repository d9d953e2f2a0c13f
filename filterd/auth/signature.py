"""What DKIM-Signature, ARC-Message-Signature and ARC-Seal have in common: their tags, their key, their
verification.

In: a header field. Out: a Signature, or a Problem with the RFC 8601 word and the reason. Never raises.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from filterd.auth.canonical import SignedMessage
from filterd.auth.keys import Key, read_key
from filterd.auth.library import parse_tags
from filterd.authentication import AuthResult
from filterd.facts import DnsStatus, Facts
from filterd.mail.domains import to_ascii
from filterd.mail.headers import Header

MAX_FIELD = 16_384  # bytes of one signature field
MAX_SIGNED = 524_288  # bytes of header that one signature may cover
MIN_BITS = 1_024  # RFC 8301 section 3.2

_ALGORITHMS = {b"rsa-sha256": "rsa", b"ed25519-sha256": "ed25519"}
_NUMBER = re.compile(rb"\d{1,20}")
_CANONICAL = {b"simple", b"relaxed"}
_FIELD_NAME = re.compile(r"[!-9;-~]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a signature is not a pass."""

    result: AuthResult
    reason: str


def permanent(reason: str) -> Problem:
    return Problem(AuthResult.PERMERROR, reason)


@dataclass(frozen=True, slots=True)
class Signature:
    """The tags of one signature, checked for form."""

    header: Header
    tags: dict[bytes, bytes]
    domain: str  # d=, lower-case A-labels
    selector: str
    kind: str  # "rsa" or "ed25519"
    value: bytes  # b=
    header_algorithm: str = "relaxed"
    body_algorithm: str = "relaxed"

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def signed(self) -> tuple[str, ...]:
        """The field names of h=, lower case."""
        return tuple(name.strip().lower() for name in self.tags[b"h"].decode("latin-1").split(":"))


def read_tags(header: Header) -> dict[bytes, bytes] | Problem:
    if len(header.value) > MAX_FIELD:
        return permanent("signature field too long")
    tags = parse_tags(header.value)
    return permanent("signature field unreadable") if tags is None else tags


def names(tags: dict[bytes, bytes]) -> tuple[str, str]:
    """(d=, s=) as A-labels in lower case; "" for one that is not a domain name."""
    return _domain(tags.get(b"d", b"")), _domain(tags.get(b"s", b""))


def _domain(value: bytes) -> str:
    try:
        text = value.decode()  # RFC 8616: other scripts are UTF-8
    except UnicodeDecodeError:
        return ""
    return "" if text.endswith(".") else to_ascii(text) or ""


def read_signature(header: Header, tags: dict[bytes, bytes], needed: str) -> Signature | Problem:
    """The signature in `header`, which must have the tags that `needed` lists, with blanks between."""
    missing = [tag for tag in needed.split() if tag.encode() not in tags]
    if missing:
        return permanent(f"no {missing[0]}= in the signature")
    if tags[b"a"] == b"rsa-sha1":
        return permanent("rsa-sha1 is historic (RFC 8301)")
    kind = _ALGORITHMS.get(tags[b"a"])
    if kind is None:
        return permanent("unknown algorithm")
    domain, selector = names(tags)
    if not domain:
        return permanent("d= is not a domain name")
    if not selector:
        return permanent("s= is not a selector")
    value = decode(tags[b"b"])
    if not value:
        return permanent("b= is not base64")
    header_algorithm, _, body_algorithm = tags.get(b"c", b"simple/simple").partition(b"/")
    body_algorithm = body_algorithm or b"simple"
    if not {header_algorithm, body_algorithm} <= _CANONICAL:
        return permanent("unknown canonicalization")
    return Signature(header, tags, domain, selector, kind, value, header_algorithm.decode(), body_algorithm.decode())


def decode(value: bytes) -> bytes:
    """Base64 with white space anywhere; b"" when it is not that."""
    try:
        return base64.b64decode(b"".join(value.split()), validate=True)
    except binascii.Error:
        return b""


def number(value: bytes | None) -> int | None:
    """A decimal number; None when absent, -1 when it is not one."""
    if value is None:
        return None
    return int(value) if _NUMBER.fullmatch(value) else -1


def find_key(signature: Signature, facts: Facts) -> Key | Problem:
    """The signer's key out of the answers. Of several records the first that is a key counts."""
    answer = facts.text(signature.key_name)
    if answer.status is DnsStatus.TEMPERROR:
        return Problem(AuthResult.TEMPERROR, f"key not available: {answer.reason}")  # section 6.1.2 step 2
    if not answer.records:
        return permanent("no key")  # step 3
    keys = [read_key(record) for record in answer.records[:4]]
    key = next((key for key in keys if isinstance(key, Key)), keys[0])
    if isinstance(key, str):
        return permanent(key)
    return key if key.kind == signature.kind else permanent("key of another type than the signature")


def check_body(signature: Signature, message: SignedMessage, length: int | None = None) -> Problem | None:
    """Compare bh= with the hash of the body."""
    if decode(signature.tags[b"bh"]) != message.body_digest(signature.body_algorithm, length):
        return Problem(AuthResult.FAIL, "body hash mismatch")
    return None


def check_header(signature: Signature, key: Key, message: SignedMessage, fields: list[Header]) -> Problem | None:
    """Verify b= over `fields` and the signature's own field."""
    if sum(field.end - field.start for field in fields) > MAX_SIGNED:
        return permanent("too much header signed")
    digest = hashlib.sha256()
    for field in fields:
        digest.update(message.field(field, signature.header_algorithm))
    digest.update(message.signature_field(signature.header, signature.header_algorithm))
    if not key.verifies(signature.value, digest.digest()):
        return Problem(AuthResult.FAIL, "signature mismatch")
    return None
