"""SmtpServer: an SMTP, LMTP or submission listener. Who may come in, and who may go on trying passwords.

Peers that are trusted are not limited by their address.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from filterd.frontends import Filter
from filterd.frontends.listening import Listening
from filterd.frontends.settings import SmtpListener, SubmissionListener
from filterd.frontends.smtp import replies
from filterd.frontends.smtp.admission import Admission, Failures
from filterd.frontends.smtp.arrivals import Arrivals
from filterd.frontends.smtp.dialogue import Traffic
from filterd.frontends.smtp.door import Caller, Door
from filterd.frontends.smtp.protocol import SmtpProtocol
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.spool import Memory
from filterd.relay.hop import NextHop
from filterd.reply import Reply

log = structlog.get_logger("filterd.smtp")


class SmtpServer:
    """One listener, on one or several addresses."""

    def __init__(
        self,
        settings: SmtpListener | SubmissionListener,
        *,
        limits: SmtpLimits,
        site: Site,
        hop: NextHop,
        filter: Filter,
        tls: ssl.SSLContext | None = None,
        spool: Path | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or f"{'lmtp' if settings.lmtp else settings.protocol} {settings.listen[0]}"
        self.door = Door(self.name, settings, limits, site, hop, filter, tls, spool)
        self.listening = Listening[SmtpProtocol](self.name, lambda: self.door.limits)
        self.traffic = Traffic(Memory(limits.memory), self.listening.work)
        self._arrivals = Arrivals(self) if self.door.begins_before_smtp else None
        self._admission = Admission()
        self._failures = Failures()

    @property
    def connections(self) -> int:
        return len(self.listening)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Serve these listening sockets; they are closed by `close`."""
        await self.listening.start(() if self._arrivals else sockets, lambda: SmtpProtocol(self))
        if self._arrivals:
            self._arrivals.start(sockets)

    def adopt(self, **changes: Any) -> None:
        """Go on with other `settings`, `limits`, `site`, `hop`, `filter` or `tls`, from the next mail on.

        The name stays, and so does what stands before SMTP: PROXY headers and implicit TLS.
        """
        self.door = replace(self.door, **changes)
        self.traffic.memory.limit = self.door.limits.memory

    def close(self) -> None:
        """Take no new connections."""
        self.listening.close()
        if self._arrivals:
            self._arrivals.close()

    async def drain(self, seconds: float | None = None) -> None:
        """Dismiss the idle, let transactions end; what is left after `seconds`, or on cancel, is cut."""
        self.close()
        await self.listening.drain(seconds)

    def admit(self, session: SmtpProtocol) -> Reply | None:
        """A session begins. A refusal, if it may not; else it is to be `dismissed` at its end."""
        if not self.listening.enter(session):
            return replies.TOO_BUSY
        if session.caller.trusted(self.door.trusted):
            return None
        refusal = self._admission.enter(session.caller.speaker, self.door.limits, self.listening.loop.time())
        session.counted = refusal is None
        if refusal is not None:
            self.listening.leave(session)
            session.note("connections from one address")
        return refusal

    def dismissed(self, session: SmtpProtocol) -> None:
        if session.counted:
            session.counted = False
            self._admission.leave(session.caller.speaker)

    def may_log_in(self, caller: Caller) -> Reply | None:
        """A refusal, if too much has been tried from there."""
        if not self._failures.too_many(caller.speaker, self.door.limits, self.listening.loop.time()):
            return None
        self.listening.note("failed logins", caller.speaker)
        return replies.TOO_MANY_LOGINS

    def login_failed(self, caller: Caller) -> None:
        log.warning("login-failed", listener=self.name, client=caller.speaker or "")
        self._failures.note(caller.speaker, self.listening.loop.time())
