"""Attempts: how often somebody may be wrong about a password.

Counted by name and by client address, in memory, over a sliding quarter of an hour. Whether a name exists makes no
difference, here or in the time that a refusal takes.
"""

from __future__ import annotations

import collections
import threading
import time

WINDOW = 900.0  # seconds
BY_NAME, BY_CLIENT = 10, 30
KNOWN = 50_000  # names and addresses that are remembered; then the longest unheard of are forgotten


class Attempts:
    """Failed logins of the last quarter of an hour."""

    def __init__(self) -> None:
        self._failed: collections.OrderedDict[tuple[str, str], list[float]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def too_many(self, name: str, client: str) -> bool:
        with self._lock:
            return len(self._recent("name", name)) >= BY_NAME or len(self._recent("client", client)) >= BY_CLIENT

    def failed(self, name: str, client: str) -> None:
        with self._lock:
            for key in (("name", name), ("client", client)):
                self._failed[key] = [*self._recent(*key), time.monotonic()][-BY_CLIENT:]
                self._failed.move_to_end(key)
            while len(self._failed) > KNOWN:
                self._failed.popitem(last=False)

    def succeeded(self, name: str) -> None:
        with self._lock:
            self._failed.pop(("name", name), None)

    def _recent(self, kind: str, value: str) -> list[float]:
        since = time.monotonic() - WINDOW
        return [one for one in self._failed.get((kind, value), ()) if one > since]
