"""Issues of newsletters, as many as a test wants: what stays the same from one to the next, and what does not."""

from __future__ import annotations

import random

_WORDS = [f"{first}{second}" for first in ("ka", "lo", "mi", "ne", "tu", "ro", "be", "da") for second in ("ra", "vin")]


def newsletter(number: int, name: str = "harbour") -> bytes:
    """The same number and name give the same message."""
    chance = random.Random(f"{number} {name}")
    new = " ".join(chance.choices(_WORDS, k=40))
    return (
        f"From: The {name.title()} <news@{name}.example>\r\nTo: readers@{name}.example\r\n"
        f"Subject: {name.title()} weekly {number}\r\nMessage-ID: <{number}@{name}.example>\r\n"
        f"List-Id: <weekly.{name}.example>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"
        f"Hello reader, this is what happened at the {name} in the last week, and what is going to happen.\r\n"
        f"{new}\r\n"
        f"You read this because you asked for the {name} weekly. Leave at https://www.{name}.example/leave\r\n"
    ).encode()
