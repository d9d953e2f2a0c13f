"""The doors: adapters around `examine` and `fulfil`, each in its own protocol.

A door depends on nothing but `Filter`; the engine is one, a test hands in a fake of a few lines.
"""

from __future__ import annotations

from typing import Protocol

from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.mail.envelope import Envelope, Moment
from filterd.reply import Reply


class Filter(Protocol):
    """What judges and fulfils. `raw` is the message as it was received, in wire form (CRLF)."""

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome: ...

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment: ...

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        """An early answer, as it is to be given; None is no news. See `Engine.screen` on what the envelope holds."""
        ...
