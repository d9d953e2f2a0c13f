"""RelaySettings: how filterd talks to a next hop."""

from __future__ import annotations

import enum
import re
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from filterd.settings import Duration, Settings

_SHA256 = re.compile("[0-9a-f]{64}").fullmatch


class TlsMode(enum.StrEnum):
    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFY = "verify"


class RelaySettings(Settings):
    """Time limits, kept connections, TLS, and what the next hop is told about the client."""

    hostname: str = Field(
        default="localhost",
        pattern=r"^[A-Za-z0-9.:\[\]_-]+$",
        description="How filterd names itself in EHLO and LHLO; usually the site's hostname.",
    )
    connect_timeout: Duration = Field(
        default=10.0,
        description="How long to wait for a connection, its banner and TLS.",
    )
    command_timeout: Duration = Field(default=30.0, description="How long the next hop may take to answer a command.")
    data_timeout: Duration = Field(
        default=60.0,
        description="How long it may take to answer the final dot, or stop reading before that.",
    )
    keep: Duration = Field(
        default=30.0, description="How long an idle connection is kept for the next mail; 0 keeps none."
    )
    max_age: Duration = Field(
        default=300.0, description="A kept connection older than this is not used for another mail."
    )
    max_connections: int = Field(default=20, ge=1, description="Connections to one next hop at the same time.")
    queue_timeout: Duration = Field(
        default=20.0, description="How long a mail may wait for one of these connections, before it is 451."
    )
    retry: Duration = Field(
        default=10.0,
        gt=0,
        description="Of several next hops, one that cannot be reached is passed over; how often it is tried again.",
    )
    hold: Duration = Field(
        default=2.0,
        description="How long a slow client may hold a connection between two commands; then it serves "
        "others, and MAIL and RCPT are said again when the client comes back.",
    )
    tls: TlsMode = Field(
        default=TlsMode.OPPORTUNISTIC,
        description="STARTTLS: off; opportunistic (if announced, any certificate); required (any "
        "certificate); verify (required, and the certificate must be valid for the host). With an `smtps:` "
        "address TLS is always there, and verify says whether it is checked. Never used on a Unix socket.",
    )
    ca: Path | None = Field(
        default=None,
        description="The file of certificates that `tls: verify` trusts; the system's when null.",
    )
    fingerprints: tuple[str, ...] = Field(
        default=(),
        description="SHA-256 fingerprints of certificates, as `openssl x509 -fingerprint -sha256` prints them. The "
        "next hop must show one of them, whatever its name and issuer are. With `tls: required` or `verify`.",
    )

    @field_validator("fingerprints")
    @classmethod
    def _are_sha256(cls, fingerprints: tuple[str, ...]) -> tuple[str, ...]:
        plain = tuple(one.replace(":", "").lower() for one in fingerprints)
        if wrong := next((given for given, one in zip(fingerprints, plain, strict=True) if not _SHA256(one)), None):
            raise ValueError(f"{wrong!r} is not a SHA-256 fingerprint: 64 hexadecimal digits")
        return plain

    @model_validator(mode="after")
    def _fingerprints_need_tls(self) -> RelaySettings:
        if self.fingerprints and self.tls not in (TlsMode.REQUIRED, TlsMode.VERIFY):
            raise ValueError("fingerprints need tls: required or verify")
        return self

    xforward: bool = Field(
        default=True, description="Tell the next hop about the client by XFORWARD, when it announces that."
    )
    xclient: bool = Field(
        default=False,
        description="Speak to the next hop as if filterd were the client (XCLIENT). A next hop that does not "
        "announce XCLIENT then gets no mail: it would take all mail for filterd's own.",
    )
    just_send_8bit: bool = Field(
        default=False,
        description="Send 8-bit mail to a next hop without 8BITMIME, instead of refusing it with 554 5.6.3.",
    )
    source_address: str | None = Field(
        default=None,
        description="The local address that connections are made from; chosen by the system when null.",
    )
