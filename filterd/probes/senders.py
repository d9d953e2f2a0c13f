"""What this site remembers of a sender, and of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from filterd.facts import Near, Questions, Seen
from filterd.probes.probe import Net
from filterd.value import replace


class Remembers(Protocol):
    """The door to the memory."""

    async def look(self, keys: Sequence[str]) -> dict[str, Seen]: ...
    async def near(self, bands: Sequence[int]) -> Near: ...


async def senders(questions: Questions, net: Net) -> dict[str, Seen] | None:
    """The keys that are remembered; None when there is no memory, or nothing to ask it."""
    if net.memory is None or not questions.memory:
        return None
    return await net.memory.look(questions.memory)


async def near(questions: Questions, net: Net) -> Near | None:
    """The near duplicates of the text; None when there is no memory, or too little text."""
    if net.memory is None or not questions.bands:
        return None
    return replace(await net.memory.near(questions.bands), bands=questions.bands)
