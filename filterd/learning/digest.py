"""The same message, wherever the copy was found: a digest without what hosts and filters on the way added.

In goes a Message; out comes SHA-256 in hex of its header fields but those of trace, delivery, mailboxes and verdicts,
and of its body with plain line ends. Never raises. And what nearly equal messages have in common, as four numbers.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from filterd.mail import Message

_ON_THE_WAY = re.compile(
    r"(?:received|return-path|delivered-to|envelope-to|authentication-results|received-spf|status|lines|bytes|xref"
    r"|content-length|arc-.*|x-original-to|x-envelope-.*|x-status|x-uid.*|x-keywords|x-mozilla-.*|x-gmail-labels"
    r"|x-(?:spam|spamd|filterd|quarantine|rspamd|virus|ham)-.*|x-bogosity|x-evolution.*|x-uidl|x-rcpt-to)"
)
_LINE_END = re.compile(rb"[ \t\r]*\n")
_ODD = tuple(np.uint32(0x9E3779B1 * odd % (1 << 32)) for odd in range(1, 32, 2))
_TOGETHER = 4  # hashes in each number: half of the words in common gives a sixteenth of the numbers


@lru_cache(maxsize=1)
def message_of(raw: bytes) -> Message:
    """The message; who learns it, who remembers its sender and who keeps a person's word read it once together."""
    return Message(raw)


@lru_cache(maxsize=1)
def digest_of(message: Message) -> str:
    """Equal for copies of the same message."""
    found = hashlib.sha256()
    for header in message.headers:
        name = header.name.lower()
        if not _ON_THE_WAY.fullmatch(name):
            found.update(name.encode("utf-8", "replace") + b":" + b" ".join(header.value.split()) + b"\n")
    body = message.raw[message.body_start :]
    found.update(b"\n" + _LINE_END.sub(b"\n", body).strip())
    return found.hexdigest()


def likeness(indices: NDArray[np.uint32]) -> tuple[int, ...]:
    """Four numbers, of which nearly equal messages share most, and others few: the least of some hashes of their
    words, four together (Broder 1997)."""
    if not len(indices):
        return ()
    mixed = indices.astype(np.uint32)
    mixed ^= mixed << np.uint32(13)
    least = [int((mixed * odd ^ odd).min()) for odd in _ODD]
    return tuple(hash((place, *least[place : place + _TOGETHER])) for place in range(0, len(least), _TOGETHER))
