"""Standing: how one next hop does: whether it answers, since when, what was wrong last, and what it was handed.

Told by whoever speaks with the hop, asked by status and metrics. A hop is up until it is found to be down.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from filterd.reply import Reply


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


@dataclass(slots=True)
class Standing:
    up: bool = True
    since: datetime.datetime = field(default_factory=_now)  # of `up`, or of `down`
    wrong: str = ""  # what was wrong last, also when it is well again
    wrong_at: datetime.datetime | None = None
    connections: int = 0  # that were made
    failures: int = 0  # of connections that were tried, or lost
    copies: Counter[str] = field(default_factory=Counter)  # by what it said to each recipient's copy

    def answered(self) -> None:
        """A connection was made."""
        self.connections += 1
        self._is(up=True)

    def unreachable(self, why: str) -> None:
        """No connection can be made."""
        self.lost(why)
        self._is(up=False)

    def lost(self, why: str) -> None:
        """A connection broke, or what was said on it made no sense."""
        self.failures += 1
        self.wrong, self.wrong_at = why[:300], _now()

    def said(self, replies: Sequence[Reply]) -> None:
        """What it answered to a message, for each recipient."""
        for reply in replies:
            self.copies["delivered" if reply.ok else "deferred" if reply.temporary else "refused"] += 1

    def report(self) -> dict[str, Any]:
        """For status; times in ISO 8601."""
        return {
            "up": self.up,
            "since": self.since.isoformat(timespec="seconds"),
            "delivered": self.copies["delivered"],
            "deferred": self.copies["deferred"],
            "refused": self.copies["refused"],
            "connections": self.connections,
            "failures": self.failures,
            "last_error": self.wrong or None,
            "last_error_at": self.wrong_at.isoformat(timespec="seconds") if self.wrong_at else None,
        }

    def _is(self, *, up: bool) -> None:
        if up is not self.up:
            self.up, self.since = up, _now()
