"""The same message, wherever a copy of it was found: a digest without what hosts and filters on the way added.

In: the header fields, and the bytes of the body. Out: SHA-256, hex, of all fields but those of trace, delivery,
mailboxes and verdicts, and of the body with plain line ends. Never raises, and linear, whatever the bytes. Labels are
stored under it: another digest would know no message that was taught before, so it never changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from filterd.mail.headers import Header

_ON_THE_WAY = re.compile(
    r"(?:received|return-path|delivered-to|envelope-to|authentication-results|received-spf|status|lines|bytes|xref"
    r"|content-length|arc-.*|x-original-to|x-envelope-.*|x-status|x-uid.*|x-keywords|x-mozilla-.*|x-gmail-labels"
    r"|x-(?:spam|spamd|filterd|quarantine|rspamd|virus|ham)-.*|x-bogosity|x-evolution.*|x-uidl|x-rcpt-to)"
)
_LINE_END = re.compile(rb"(?<![ \t\r])[ \t\r]++\n")  # tried once where a run begins, however long it is


def identity(headers: Iterable[Header], body: memoryview) -> str:
    """Equal for copies of the same message."""
    found = hashlib.sha256()
    for header in headers:
        name = header.name.lower()
        if not _ON_THE_WAY.fullmatch(name):
            found.update(name.encode("utf-8", "replace") + b":" + b" ".join(header.value.split()) + b"\n")
    text = bytes(body).replace(b"\r\n", b"\n")
    found.update(b"\n" + _LINE_END.sub(b"\n", text).strip())
    return found.hexdigest()
