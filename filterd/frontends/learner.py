"""Learner: where the doors take what people say about messages.

The site's learning is one; a test hands in a fake of a few lines.
"""

from __future__ import annotations

import enum
from typing import Protocol


class Klass(enum.StrEnum):
    """What a message is said to be."""

    SPAM = "spam"
    HAM = "ham"
    FORGET = "forget"


class LearnError(Exception):
    """It was not learnt; the text says why, in a sentence."""


class Learner(Protocol):
    async def learn(self, raw: bytes, klass: Klass, *, user: str | None, by: str) -> bool:
        """Learn a message in wire form. False: it was known so already. `by` names the door; raises LearnError."""
        ...
