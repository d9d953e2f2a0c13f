"""Client: who hands us mail, as the sockets, PROXY, XCLIENT and XFORWARD tell, and what that lets him do.

Only a trusted peer's words count, and a trusted peer that says nothing leaves the origin unknown: it is never
its own address. XCLIENT speaks for the rest of the session and decides about relaying; XFORWARD speaks for
one mail and only tells, for then it is the trusted peer itself that hands the mail over.
"""

from __future__ import annotations

from collections.abc import Iterable

from filterd.frontends.smtp.account import Account
from filterd.frontends.smtp.commands import Path
from filterd.frontends.smtp.door import Caller
from filterd.frontends.smtp.identity import Said
from filterd.frontends.smtp.settings import Site
from filterd.mail.envelope import Direction, Origin, Source
from filterd.relay.hop import Handover


class Client:
    """One client of one session."""

    def __init__(self, caller: Caller, trusted: bool) -> None:
        self.caller = caller
        self.trusted = trusted
        self.helo = ""  # what the peer said
        self.extended = False  # with EHLO or LHLO
        self.account = Account()
        self.xclient: Said | None = None
        self.xforward: Said | None = None  # for the next mail

    @property
    def user(self) -> str | None:
        return self.account.user or (self.xclient.user if self.xclient else None)

    @property
    def session_helo(self) -> str:
        """Whom the session belongs to: XCLIENT's HELO stands against a later EHLO (XCLIENT_README)."""
        return (self.xclient and self.xclient.helo) or self.helo

    @property
    def origin(self) -> Origin:
        if self.xforward is not None:
            return self.xforward.origin(Source.XFORWARD)
        return self._session_origin

    @property
    def handover(self) -> Handover:
        """What the next hop is told."""
        said = self.xforward or self.xclient
        protocol = said.protocol if said else None
        port = said.port if said else self.caller.port if self.origin.known else None
        return Handover(
            client=self.origin,
            protocol=protocol or ("ESMTP" if self.extended else "SMTP"),
            port=port,
            user=self.user,
            queue_id=said.queue_id if said else None,
        )

    @property
    def traced(self) -> tuple[str, str | None, str | None]:
        """HELO, name and address for our Received line: the host that this session is with."""
        if self.xclient is not None:
            return self.session_helo, self.xclient.name, self.xclient.address
        return self.helo, None, self.caller.speaker

    def may_relay(self, site: Site) -> bool:
        """May it send to domains that are not ours?"""
        if self.user or site.internal.hold(self._session_origin.address):
            return True
        if self.xclient is not None:
            return not site.domains  # no list: only trusted peers reach us, and the next hop decides
        return self.trusted

    def direction(self, site: Site, recipients: Iterable[str]) -> Direction:
        """`recipients`: their domains."""
        origin = self.origin
        local = self.xforward is not None and self.xforward.local
        known_to_be_ours = site.internal.hold(origin.address if origin.known else self.caller.speaker)
        return site.direction(recipients, from_us=bool(self.user) or local or known_to_be_ours)

    @property
    def _session_origin(self) -> Origin:
        if self.xclient is not None:
            helo = self.session_helo or None
            return Origin(self.xclient.address, self.xclient.name, helo, Source.XCLIENT)
        if self.trusted:
            return Origin()
        source = Source.PROXY if self.caller.proxied else Source.PEER
        return Origin(self.caller.speaker, None, self.helo or None, source)


def relayed(path: Path, site: Site) -> bool:
    """Does a stranger's recipient ask us to relay? RFC 5321 section 3.6; `postmaster` alone is ours."""
    if path.routed:
        return True
    if not path.domain:
        return path.local.lower() != "postmaster"
    return not site.owns(path.domain)
