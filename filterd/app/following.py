"""Following: what people said about senders on the pages, taken over by the mail process within a second.

The store says cheaply whether anything has changed; then the whole list is built anew, off the event loop. A store that
does not answer leaves the list as it is, and is asked again.
"""

from __future__ import annotations

import asyncio

import structlog

from filterd.access import AccessList
from filterd.engine.engine import Engine
from filterd.engine.loading import shipped_list
from filterd.store import Store, StoreError

log = structlog.get_logger("filterd.access")


class Following:
    """Keeps the engine's list as the store has it."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._shared = frozenset(shipped_list("freemail"))
        self._stamp: tuple[int, int] | None = None
        self._trouble = ""

    async def look(self) -> None:
        """Take over what has changed. Never raises."""
        try:
            stamp = await asyncio.to_thread(self._store.access.stamp)
            if stamp != self._stamp:
                self._engine.listed = await asyncio.to_thread(self._read)
                self._stamp = stamp
            self._trouble = ""
        except (StoreError, ValueError) as error:
            if self._trouble != str(error):
                log.warning("access-not-read", why=str(error))
            self._trouble = str(error)

    def _read(self) -> AccessList:
        return AccessList(self._store.access.lines(), self._shared)
