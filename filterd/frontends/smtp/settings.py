"""SmtpLimits and Site: how much an SMTP or milter listener takes, and what it knows of the site.

The listener itself is `filterd.frontends.settings.SmtpListener`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydantic import Field

from filterd.mail.domains import to_ascii
from filterd.mail.envelope import Direction
from filterd.recipients import RecipientList
from filterd.settings import Duration, Networks, Settings, Size


class BareNewline(enum.StrEnum):
    """What becomes of a message that holds a CR without LF, or an LF without CR."""

    NORMALIZE = "normalize"
    REJECT = "reject"


class SmtpLimits(Settings):
    """Bounds on what one client, one address and all clients together may cost."""

    message_size: Size = Field(50_000_000, ge=1000, description="The largest message; 552 above it.")
    recipients: int = Field(1000, ge=1, description="Recipients of one message; 452 above it.")
    connections: int = Field(
        1000,
        ge=1,
        description="Connections to one listener. When full, the longest idle one is closed with 421.",
    )
    connections_per_address: int = Field(
        50,
        ge=1,
        description="Connections from one address (IPv6: one /64); 421 above it. Not for trusted peers.",
    )
    connection_rate: int = Field(
        600,
        ge=1,
        description="New connections from one address in a minute; 421 above it. Not for trusted peers.",
    )
    messages: int = Field(500, ge=1, description="Messages in work at the same time; 451 to DATA above it.")
    memory: Size = Field(
        64_000_000,
        description="Messages being received are kept in memory up to this sum, above it in a file each. "
        "What is over 1 MB is always in a file.",
    )
    command_timeout: Duration = Field(300.0, gt=0, description="How long a client may be silent between commands.")
    line_timeout: Duration = Field(60.0, gt=0, description="How long a client may take for one command line.")
    data_timeout: Duration = Field(3600.0, gt=0, description="How long a client may take for the data of one message.")
    data_rate: Size = Field(500, description="Bytes a second that data must come in at, measured over `data_window`.")
    data_window: Duration = Field(60.0, gt=0, description="Over how long `data_rate` is measured.")
    handshake_timeout: Duration = Field(30.0, gt=0, description="How long a TLS handshake or a PROXY header may take.")
    idle_commands: int = Field(
        100, ge=1, description="Commands such as NOOP, RSET or EHLO between two messages; then 421."
    )
    failed_logins: int = Field(
        3, ge=1, description="Failed AUTH commands in one session of a submission listener; then 421."
    )
    failed_logins_per_address: int = Field(
        30,
        ge=1,
        description="Failed AUTH commands from one address in ten minutes; then no more is tried for it until they "
        "are over.",
    )
    bad_commands: int = Field(20, ge=1, description="Commands that cannot be understood in one session; then 421.")


@dataclass(frozen=True, slots=True)
class Site:
    """What every listener of the site shares."""

    hostname: str  # in the banner and in Received
    domains: frozenset[str] = frozenset()  # ours: lower case, A-labels
    internal: Networks = field(default_factory=Networks)  # mail from here is outbound
    recipients: RecipientList = field(default_factory=RecipientList)  # who can be written to, as far as that is known
    reports: frozenset[str] = frozenset()  # addresses whose mail ends here, as `reports.plain` writes them
    bare_newline: BareNewline = BareNewline.NORMALIZE
    deadline: float = 90.0  # seconds from the end of the data to our reply

    def owns(self, domain: str) -> bool:
        """Is this domain one of ours? Asked with a lower-case domain; "" is a bare local part, which is."""
        if not domain.isascii():
            domain = to_ascii(domain) or "-"
        return not domain or domain in self.domains

    def direction(self, domains: Iterable[str], *, from_us: bool) -> Direction:
        """Of mail to these domains; `from_us`: of an authenticated user or a machine of ours."""
        if not from_us:
            return Direction.INBOUND
        return Direction.INTERNAL if all(map(self.owns, domains)) else Direction.OUTBOUND
