"""The same message, wherever a copy of it was found: a digest without what hosts and filters on the way added.

In: the header fields, and the bytes of the body. Out: SHA-256, hex, of all fields but those of trace, delivery,
mailboxes and verdicts, and of the body with plain line ends. Never raises, and linear, whatever the bytes. Labels are
stored under it: another digest would know no message that was taught before, so it never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from filterd.mail.headers import Header

_ON_THE_WAY = frozenset(
    (
        *("received", "return-path", "delivered-to", "envelope-to", "authentication-results", "received-spf"),
        *("status", "lines", "bytes", "xref", "content-length", "x-original-to", "x-status", "x-keywords"),
        *("x-gmail-labels", "x-bogosity", "x-rcpt-to"),
    )
)
_KINDS = (
    *("arc-", "x-envelope-", "x-uid", "x-mozilla-", "x-evolution"),
    *(f"x-{by}-" for by in ("spam", "spamd", "filterd", "quarantine", "rspamd", "virus", "ham")),
)
_LINE_ENDS = (b" \n", b"\t\n", b"\r\n")


def identity(headers: Iterable[Header], body: memoryview) -> str:
    """Equal for copies of the same message."""
    found = hashlib.sha256()
    for header in headers:
        name = header.name.lower()
        if name not in _ON_THE_WAY and not name.startswith(_KINDS):
            found.update(name.encode("utf-8", "replace") + b":" + b" ".join(header.value.split()) + b"\n")
    text = bytes(body).replace(b"\r\n", b"\n")
    if any(end in text for end in _LINE_ENDS):
        text = b"\n".join(line.rstrip(b" \t\r") for line in text.split(b"\n"))
    found.update(b"\n" + text.strip())
    return found.hexdigest()
