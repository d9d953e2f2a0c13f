"""A budget of bytes that all mail in flight shares, first come first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class OverBudget(Exception):
    """No room came free in time."""


class Budget:
    """At most `capacity` bytes are taken at once. What is larger than all of it passes when nothing else is there."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int, seconds: float) -> AsyncIterator[None]:
        """Hold `size` bytes for the length of the block; raises OverBudget after `seconds` in the queue."""
        if self._waiting or not self._fits(size):
            await self._queue(size, seconds)
        else:
            self.taken += size
        try:
            yield
        finally:
            self.taken -= size
            self._admit()

    @property
    def waiting(self) -> int:
        """How many wait for room."""
        return len(self._waiting)

    def _fits(self, size: int) -> bool:
        return self.taken == 0 or self.taken + size <= self.capacity

    async def _queue(self, size: int, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, future)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await future
        except BaseException as error:
            if future.done() and not future.cancelled():
                self.taken -= size  # admitted in the same instant
            elif entry in self._waiting:
                self._waiting.remove(entry)
            self._admit()
            if isinstance(error, TimeoutError):
                raise OverBudget("too much mail is in work at the same time") from error
            raise

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, future = self._waiting.popleft()
            if future.cancelled():
                continue
            self.taken += size
            future.set_result(None)
