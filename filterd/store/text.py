"""Text from strangers, made fit for a column and for search. Pure."""

from __future__ import annotations

import unicodedata

LINE = 500  # characters of a subject or a From header that are listed
ADDRESS = 320
SEARCHED = 300  # characters of each row that a substring search looks at


def clean(value: str, limit: int = LINE) -> str:
    """Text that any database can hold: no NUL (PostgreSQL has none), no lone surrogates, bounded."""
    value = value[:limit]
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def fold(value: str) -> str:
    """Text as search compares it: compatibility forms and cases made one."""
    return value.lower() if value.isascii() else unicodedata.normalize("NFKC", value).casefold()
