"""AbuseLog: who was told to go, in a log that floods cannot fill.

Counts only; time comes as an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import Counter

import structlog

log = structlog.get_logger("filterd.doors")

_QUIET = 10.0  # seconds between two log lines about the same thing


class AbuseLog:
    """One line about each kind of abuse in ten seconds, saying how many it stands for."""

    def __init__(self, listener: str) -> None:
        self._listener = listener
        self._quiet_until: dict[str, float] = {}
        self._unsaid: Counter[str] = Counter()

    def note(self, what: str, peer: str | None, now: float) -> None:
        if now < self._quiet_until.get(what, 0.0):
            self._unsaid[what] += 1
            return
        self._quiet_until[what] = now + _QUIET
        more = self._unsaid.pop(what, 0)
        log.warning("abuse", what=what, peer=peer or "", listener=self._listener, more=more)
