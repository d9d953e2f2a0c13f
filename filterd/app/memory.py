"""Memory: the mail process' door to what the store remembers of senders and texts.

Reading goes through a small cache that is some minutes old at most; and where this process alone writes, it knows
which keys there are, so that a stranger costs no question. Writing is gathered and done once a second, in one
transaction; what cannot be written is lost, and counted: remembering never stops mail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence

import structlog

from filterd.checks.remembering import learnt
from filterd.checks.senders import SenderSettings
from filterd.facts import Near, Seen, SenderNote, TextNote
from filterd.record import Record
from filterd.store import Store, StoreError

log = structlog.get_logger("filterd.memory")

FRESH = 300.0  # seconds that an answer is used again
CACHED = 20_000
KNOWN = 500_000  # keys, and bands, that are known by heart
PAUSE = 1.0
WAITING = 20_000  # notes that may wait while the store is out


class Memory:
    def __init__(
        self, store: Store, settings: SenderSettings, hosts: Collection[str], *, triples: bool = False
    ) -> None:
        self._store = store
        self._settings = settings
        self._hosts = hosts
        self._triples = triples
        self._cache: dict[str, tuple[float, Seen | None]] = {}
        self._senders: list[SenderNote] = []
        self._texts: list[TextNote] = []
        self._known: tuple[set[int], set[int]] | None = None
        self.lost = 0

    async def look(self, keys: Sequence[str]) -> dict[str, Seen]:
        """What is known of these keys. Raises StoreError."""
        now = time.monotonic()
        if self._known is not None:
            keys = [key for key in keys if hash(key) in self._known[0]]
        cached = {key: self._cache.get(key, (0.0, None)) for key in keys}
        missing = [key for key, (until, _) in cached.items() if until < now]
        found: dict[str, Seen] = {}
        if missing:
            found = await asyncio.to_thread(self._store.memory.look, missing, self._settings.half_life)
            if len(self._cache) > CACHED:
                self._cache.clear()
            self._cache.update({key: (now + FRESH, found.get(key)) for key in missing if not key.startswith("t:")})
        return found | {key: seen for key, (until, seen) in cached.items() if until >= now and seen is not None}

    async def near(self, bands: Sequence[int]) -> Near:
        """The near duplicates of a text. Raises StoreError."""
        if self._known is not None and self._known[1].isdisjoint(bands):
            return Near()
        return await asyncio.to_thread(self._store.memory.near, bands)

    def note(self, record: Record) -> None:
        """Remember one mail, soon. Never raises."""
        if len(self._senders) > WAITING:
            self.lost += 1
            return
        some, texts = learnt(record, self._hosts, triples=self._triples)
        self._senders += some
        self._texts += texts

    async def run(self) -> None:
        """Write what was noted, for ever."""
        await self.recall()
        while True:
            await asyncio.sleep(PAUSE)
            await self.flush()

    async def recall(self) -> None:
        """Learn by heart which keys there are."""
        try:
            self._known = await asyncio.to_thread(self._store.memory.known, KNOWN)
        except StoreError as error:
            log.warning("not-recalled", why=str(error))

    async def flush(self) -> None:
        """Write what was noted."""
        some, self._senders = self._senders, []
        texts, self._texts = self._texts, []
        if not some and not texts:
            return
        try:
            await self._store.remember(some, texts, self._settings.half_life)
            self._learn(some, texts)
        except StoreError as error:
            self.lost += len(some)
            log.warning("not-remembered", why=str(error), notes=len(some))

    def _learn(self, some: Sequence[SenderNote], texts: Sequence[TextNote]) -> None:
        if self._known is None:
            return
        self._known[0].update(hash(one.key) for one in some)
        self._known[1].update(band for one in texts for band in one.bands)
        if max(map(len, self._known)) > 2 * KNOWN:
            self._known = None
