"""Passwords: argon2id hashes made and checked. A check costs 64 MB and some 50 ms; two are done at a time."""

from __future__ import annotations

import functools
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 10, 1000

_hasher = PasswordHasher()
_turn = threading.BoundedSemaphore(2)


def weakness(password: str) -> str | None:
    """Why a password will not do; None when it will."""
    if len(password) < SHORTEST:
        return f"a password has at least {SHORTEST} characters"
    if len(password) > LONGEST:
        return f"a password has at most {LONGEST} characters"
    return "a password has at least 5 different characters" if len(set(password)) < 5 else None


def hashed(password: str) -> str:
    with _turn:
        return _hasher.hash(password)


def right(kept: str, password: str) -> bool:
    """Is it the password? It takes as long when nothing was kept."""
    with _turn:
        try:
            return _hasher.verify(kept or _nobodys(), password[:LONGEST]) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False


@functools.cache
def _nobodys() -> str:
    return _hasher.hash("nobody has this password")
