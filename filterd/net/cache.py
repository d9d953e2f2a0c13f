"""A cache whose entries age, bounded in bytes; the least recently used go first. Times are handed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TtlCache(Generic[K, V]):
    """Values by key, each until its own time."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity  # bytes, as `put` is told them
        self._size = 0
        self._entries: OrderedDict[K, tuple[float, int, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    def get(self, key: K, now: float) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        expires, size, value = entry
        if expires <= now:
            del self._entries[key]
            self._size -= size
            return None
        self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V, *, expires: float, size: int) -> None:
        """Keep `value`, which takes `size` bytes, until `expires`; not one larger than the cache."""
        if (old := self._entries.pop(key, None)) is not None:
            self._size -= old[1]
        if size > self._capacity:
            return
        self._entries[key] = (expires, size, value)
        self._size += size
        while self._size > self._capacity:
            _, (_, gone, _) = self._entries.popitem(last=False)
            self._size -= gone
