"""Probe: asks the world one thing about a mail.

A probe is `async (questions, net) -> value`; the value becomes the field of Facts that the probe names. It
need not watch the clock: `net` stops answering in time, and whoever gathers stops waiting a moment later. A
"no" and a "don't know" are different values. It may raise; that is then a fact about the mail too
(`Facts.failed`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from filterd.facts import Questions
from filterd.net.dns import Asks

if TYPE_CHECKING:
    from filterd.probes.lists import Lists
    from filterd.probes.senders import Remembers


@dataclass(frozen=True, slots=True)
class Net:
    """The doors to the world as one mail may use them, its budgets included."""

    dns: Asks
    lists: Lists | None = None
    memory: Remembers | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """`ask`, and the field of Facts that its value fills."""

    fact: str
    ask: Callable[[Questions, Net], Awaitable[Any]]
