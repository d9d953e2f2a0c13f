"""MilterServer: a milter listener.

Its peers are mail servers, which the postmaster let reach it; they are believed and none of them is limited by
its address.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filterd.frontends import Filter
from filterd.frontends.listening import Listening
from filterd.frontends.milter.protocol import MilterProtocol
from filterd.frontends.milter.session import PROGRESS, Door
from filterd.frontends.settings import MilterListener
from filterd.frontends.smtp.dialogue import Traffic
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.spool import Memory


class MilterServer:
    """One listener, on one or several addresses."""

    def __init__(
        self,
        settings: MilterListener,
        *,
        limits: SmtpLimits,
        site: Site,
        filter: Filter,
        spool: Path | None = None,
        name: str | None = None,
        progress: float = PROGRESS,
    ) -> None:
        self.name = name or f"milter {settings.listen[0]}"
        self.door = Door(self.name, settings, limits, site, filter, spool, progress)
        self.listening = Listening[MilterProtocol](self.name, lambda: self.door.limits)
        self.traffic = Traffic(Memory(limits.memory), self.listening.work)

    @property
    def connections(self) -> int:
        return len(self.listening)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve these listening sockets; they are closed by `close`."""
        await self.listening.start(sockets, lambda: MilterProtocol(self))

    def adopt(self, **changes: Any) -> None:
        """Go on with other `settings`, `limits`, `site` or `filter`, from the next mail on. The name stays."""
        self.door = replace(self.door, **changes)
        self.traffic.memory.limit = self.door.limits.memory

    def close(self) -> None:
        """Take no new connections."""
        self.listening.close()

    async def drain(self, seconds: float | None = None) -> None:
        """Close what is idle, let messages end; what is left after `seconds`, or on cancel, is cut."""
        await self.listening.drain(seconds)
