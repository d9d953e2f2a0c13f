"""One id names a mail everywhere: log, record, headers, quarantine, and the reply that a sender sees.

26 characters of Crockford base32: 48 bits of milliseconds, then 80 random bits, so that ids sort by time
and cannot be guessed (the form of a ULID).
"""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> str:
    """A fresh id, sortable by time."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
