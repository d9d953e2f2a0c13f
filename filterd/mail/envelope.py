"""What the transport knows about a mail, apart from its bytes. Frozen; made by a front end.

Nothing here is believed because the message says so: every field was seen by us on the wire, or handed over by
a peer that the postmaster listed as trusted.
"""

from __future__ import annotations

import datetime
import enum

from filterd.value import Value


class Source(enum.StrEnum):
    """How the origin of a mail was found."""

    PEER = "peer"  # the host that connected to us
    XCLIENT = "xclient"
    XFORWARD = "xforward"
    PROXY = "proxy"
    MILTER = "milter"  # the MTA's connect callback
    REQUEST = "request"  # said by the program that asked (spamd, HTTP, command line)
    RECEIVED = "received"  # the nth Received line, all above it written by hosts we know
    UNKNOWN = "unknown"  # a trusted peer that told us nothing: never its own address


class Direction(enum.StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"  # from an authenticated user or an internal network
    INTERNAL = "internal"  # outbound, and every recipient is ours


class Moment(enum.StrEnum):
    """When in the dialogue something is said, in order."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # the whole message is there

    def is_at_least(self, earliest: Moment) -> bool:
        moments = list(Moment)
        return moments.index(self) >= moments.index(earliest)


class Origin(Value):
    """The host that handed the mail to our side. SPF, iprev and block lists look at nothing else."""

    address: str | None = None  # IPv4 or IPv6 in text form, no brackets
    name: str | None = None  # reverse name as the MTA verified it, if it did
    helo: str | None = None
    source: Source = Source.UNKNOWN
    hop: int | None = None  # which Received line, counted from the top from 0, when source is RECEIVED

    @property
    def known(self) -> bool:
        return self.address is not None


class Recipient(Value):
    """One RCPT TO: the address without its angle brackets, and its ESMTP parameters as they came."""

    address: str
    parameters: tuple[str, ...] = ()

    @property
    def domain(self) -> str:
        """Lower case, the part after the last @; empty for a bare local part such as Postmaster."""
        return domain_of(self.address)


class Envelope(Value, kw_only=True):
    """All that the transport knows."""

    id: str  # ours, made by `filterd.ids.new_id`; names the mail in log, record, headers and replies
    received_at: datetime.datetime  # aware; the only clock that judging sees
    listener: str  # as `filterd status` names it, such as "smtp 127.0.0.1:10025"
    peer: str | None  # the address of the socket's other end; None on a Unix socket
    client: Origin  # the host that the transport says handed the mail over
    sender: str  # MAIL FROM without angle brackets; "" is the null sender
    recipients: tuple[Recipient, ...]
    sender_parameters: tuple[str, ...] = ()  # as they came: "SIZE=1234", "BODY=8BITMIME", "SMTPUTF8", ...
    protocol: str = "ESMTP"
    tls: str | None = None  # protocol and cipher of the client's connection
    user: str | None = None  # the authenticated user
    direction: Direction = Direction.INBOUND
    queue_id: str | None = None  # the MTA's name for it


def domain_of(address: str) -> str:
    """The lower-case domain of an envelope address; "" when it has none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""
