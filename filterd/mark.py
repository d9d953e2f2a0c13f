"""The release mark: a header that says that this mail, for this recipient, left our quarantine once.

`make` writes it, `spent_by` reads it; both are pure. It is an HMAC-SHA256, under a key that only this site
has, over the mark's id, the recipient, the message's body and an expiry; a changed bit, another recipient,
another body or a later time make it worth nothing. That it is honoured once is the store's doing
(`Store.spend_mark`), by its id.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence

from filterd.told import Told
from filterd.value import Value

HEADER = "X-Filterd-Release"
KEPT = 7 * 86_400.0  # seconds that a mark is good for; a next hop may queue for days
_TRIED = 4  # marks of one message that are looked at
_FORM = re.compile(r"v1;id=([0-9A-Za-z.]{1,80});expires=(\d{1,12});mac=([0-9a-f]{64})", re.ASCII)
_BODY = re.compile(rb"(?:\A|\n)\r?\n")
_LINE_END = re.compile(rb"\r\n|\r|\n")


class MarkError(Told):
    """Why a mark is not honoured, in a few words for the log."""


class Mark(Value):
    """A mark that holds; it still has to be spent."""

    id: str
    expires: float  # seconds since 1970


def make(key: bytes, item: str, recipient: str, raw: bytes | memoryview, expires: float) -> str:
    """The header's value, in one line. Each call makes another mark, so each try of a release has its own."""
    id_, until = f"{item}.{secrets.token_hex(8)}", int(expires)
    return f"v1; id={id_}; expires={until}; mac={_mac(key, id_, recipient, raw, until)}"


def spent_by(
    marks: Sequence[str],
    recipient: str,
    raw: bytes | memoryview,
    key: bytes,
    at: datetime.datetime,
) -> Mark:
    """The first of a message's marks that holds for this recipient at this time; raises MarkError."""
    why = "no mark"
    for value in marks[:_TRIED]:
        match = _FORM.fullmatch("".join(value.split()))
        if not key or not match:
            why = "it cannot be read" if key else "we have no key"
        elif not hmac.compare_digest(match[3], _mac(key, match[1], recipient, raw, int(match[2]))):
            why = "it is not ours, or for another recipient or another message"
        elif at.timestamp() >= int(match[2]):
            why = "it has expired"
        else:
            return Mark(match[1], float(match[2]))
    raise MarkError(why)


def _mac(key: bytes, id_: str, recipient: str, raw: bytes | memoryview, expires: int) -> str:
    local, at, domain = recipient.rpartition("@")
    fields = ("release-v1", id_, f"{local}{at}{domain.lower()}", body_digest(raw), str(expires))
    said = b"".join(len(field := one.encode("utf-8", "replace")).to_bytes(4, "big") + field for one in fields)
    return hmac.new(key, said, hashlib.sha256).hexdigest()


def body_digest(raw: bytes | memoryview) -> str:
    """SHA-256 of the body as any relay would leave it: CRLF line ends, no empty lines at the end."""
    match = _BODY.search(raw)
    body = bytes(raw[match.end() :]) if match else b""
    return hashlib.sha256(_LINE_END.sub(b"\r\n", body).rstrip(b"\r\n")).hexdigest()
