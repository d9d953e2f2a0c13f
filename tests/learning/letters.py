"""Messages of two kinds, as many as a test wants, none like the other."""

from __future__ import annotations

import random

_HAM = ("minutes", "agenda", "budget", "release", "review", "compiler", "patch", "lunch", "garden", "report", "train")
_SPAM = ("bamboo", "walnut", "copper", "saffron", "marble", "linen", "amber", "cobalt", "velvet", "pewter", "quartz")
_BOTH = [f"{first}{second}" for first in ("ka", "lo", "mi", "ne", "tu", "ro") for second in ("ra", "sel", "to", "vin")]


def letter(number: int, *, spam: bool, trace: str = "") -> bytes:
    """The same number and class give the same message."""
    chance = random.Random(2 * number + spam)
    words = chance.choices(_SPAM if spam else _HAM, k=12) + chance.choices(_BOTH, k=60)
    chance.shuffle(words)
    return (
        f"{trace}From: {chance.choice(_BOTH)}@example.net\r\nTo: you@example.org\r\n"
        f"Subject: {' '.join(chance.choices(_BOTH, k=4))}\r\nMessage-ID: <{number}.{spam:d}@example.net>\r\n"
        f"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n{' '.join(words)}\r\n"
    ).encode()
