"""Door: one listener and all that stands behind it; what a session is given, and what a reload replaces."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filterd.frontends import Filter
from filterd.frontends.settings import Position, SmtpListener, SubmissionListener, TlsUse
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.relay.hop import NextHop
from filterd.settings import Networks


@dataclass(frozen=True, slots=True)
class Door:
    """Raises ValueError when the listener asks for TLS and there is no certificate."""

    name: str  # Envelope.listener
    settings: SmtpListener | SubmissionListener
    limits: SmtpLimits
    site: Site
    hop: NextHop
    filter: Filter
    tls: ssl.SSLContext | None = None
    spool: Path | None = None  # folder of large messages in work; None is the system's
    trusted: Networks = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "trusted", self.settings.trust)
        if self.tls is None and (self.settings.tls is TlsUse.IMPLICIT or self.settings.require_tls):
            raise ValueError(f"{self.name}: TLS is asked for, but tls.certificate is not set")

    @property
    def submission(self) -> bool:
        """Is it for our own users only, who say who they are?"""
        return isinstance(self.settings, SubmissionListener)

    @property
    def begins_before_smtp(self) -> bool:
        """Does something come before the first word of SMTP?"""
        return self.settings.proxy_protocol or self.settings.tls is TlsUse.IMPLICIT

    @property
    def before_queue(self) -> bool:
        return self.settings.position is Position.BEFORE_QUEUE


@dataclass(frozen=True, slots=True)
class Caller:
    """Who speaks to us, as far as the sockets and a PROXY header tell."""

    address: str | None  # of the socket's other end; None on a Unix socket
    port: int | None = None
    proxied: bool = False  # a trusted proxy speaks for `client`
    client: str | None = None  # whom it speaks for; None when it does not say

    @classmethod
    def at(cls, peer: Any) -> Caller:
        """The caller at a socket's other end, as `getpeername` says."""
        if not isinstance(peer, tuple):
            return cls(None)
        return cls(peer[0].partition("%")[0].removeprefix("::ffff:"), peer[1])

    @property
    def speaker(self) -> str | None:
        """The host whose words we hear."""
        return self.client if self.proxied else self.address

    def trusted(self, networks: Networks) -> bool:
        """May it speak for others? A Unix socket has the permissions of its file."""
        return networks.hold(self.speaker) if self.proxied or self.address is not None else True
