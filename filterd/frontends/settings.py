"""The settings of every door: where it listens, whom it believes, and what stands behind it.

Values only; importing this imports no protocol. One class for each `protocol:` of a listener.
"""

from __future__ import annotations

import enum
import re
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema, field_validator

from filterd.frontends.words import QuarantineAs
from filterd.settings import NetworkField, Networks, Settings, Size, parse_network
from filterd.value import Value

_HOST_PORT = re.compile(r"(?:\[([0-9a-fA-F:.%]+)\]|([^\[\]:/\s]*)):(\d{1,5})", re.ASCII)


class Address(Value):
    """Where a door is: a host and a port, the path of a Unix socket, or a socket that systemd opened."""

    host: str = ""  # "" is every address of the machine
    port: int = 0
    path: str = ""
    name: str = ""  # of an inherited socket: FileDescriptorName in the .socket unit

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        if self.name:
            return f"fd:{self.name}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Can only this machine reach it?"""
        if self.path or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(value: Any) -> Address:
    """An address from `127.0.0.1:25`, `[::1]:25`, `unix:/path` or `fd:name`; raises ValueError."""
    if isinstance(value, Address):
        return value
    text = str(value)
    if text.startswith("unix:") and text[5:].startswith("/"):
        return Address(path=text[5:])
    if text.startswith("fd:") and text[3:]:
        return Address(name=text[3:])
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ValueError("not an address: write 127.0.0.1:25, [::1]:25, unix:/path or fd:name")
    return Address(host=match[1] or match[2], port=int(match[3]))


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


AddressField = Annotated[
    Address,
    PlainValidator(parse_address),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:10025", "unix:/run/filterd/milter.sock"]}),
]
ListenField = Annotated[tuple[AddressField, ...], BeforeValidator(_several), Field(min_length=1)]
RelayField = Annotated[tuple[str, ...], BeforeValidator(_several), Field(min_length=1)]

LOOPBACK = (parse_network("127.0.0.0/8"), parse_network("::1/128"))


class Position(enum.StrEnum):
    """Where an SMTP listener stands towards the queue of the mail server."""

    BEFORE_QUEUE = "before-queue"
    AFTER_QUEUE = "after-queue"


class TlsUse(enum.StrEnum):
    """What an SMTP listener does with the site's certificate, when there is one."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    OFF = "off"


class Listener(Settings):
    """What every door has."""

    listen: ListenField = Field(description="An address or a list of them: `host:port`, `unix:/path`, `fd:name`.")
    enforce: bool = Field(True, description="false: score, record and add headers, but deliver everything.")


class TrustingListener(Listener):
    trusted: tuple[NetworkField, ...] = Field(
        LOOPBACK,
        description="Peers that may say on whose behalf they speak (XCLIENT, XFORWARD, PROXY), and relay.",
    )

    @property
    def trust(self) -> Networks:
        return Networks(self.trusted)


class RelayingListener(TrustingListener):
    """What doors have that hand mail to a next hop."""

    relay: RelayField = Field(
        description="The next hop: `smtp://host:port`, `smtps://host:port`, `lmtp://host:port`, `lmtp+unix:/path` or "
        "`maildir:/path`; or a list of them, of which mail goes to the first that is up."
    )
    xclient: bool = Field(False, description="Pass the client on to the next hop with XCLIENT.")
    proxy_protocol: bool = Field(
        False,
        description="Connections start with a PROXY header (HAProxy); only trusted peers may connect.",
    )
    tls: TlsUse = Field(
        TlsUse.STARTTLS, description="starttls: offered; implicit: from the first byte, as on port 465; off."
    )


class SmtpListener(RelayingListener):
    """The SMTP proxy: it answers a client with what the next hop says."""

    protocol: Literal["smtp"]
    position: Position = Field(
        Position.BEFORE_QUEUE, description="after-queue never refuses: reject becomes quarantine."
    )
    lmtp: bool = Field(False, description="Speak LMTP (RFC 2033): a reply for each recipient.")
    require_tls: bool = Field(False, description="Take no mail before TLS is on.")


class SubmissionListener(RelayingListener):
    """Mail of our own users: AUTH is passed on to the next hop, which must be `smtp://`; nothing goes without it."""

    protocol: Literal["submission"]
    insecure_relay: bool = Field(
        False, description="Allow passwords to go to a next hop beyond this machine without `relay.tls: required`."
    )
    position: ClassVar[Position] = Position.BEFORE_QUEUE
    lmtp: ClassVar[bool] = False
    require_tls: ClassVar[bool] = True

    @field_validator("tls")
    @classmethod
    def _needs_tls(cls, tls: TlsUse) -> TlsUse:
        if tls is TlsUse.OFF:
            raise ValueError("passwords are taken under TLS only: starttls or implicit")
        return tls


class MilterListener(Listener):
    """A milter for Postfix and Sendmail."""

    protocol: Literal["milter"]


class AdvisingListener(Listener):
    """A door that only says what it thinks."""

    quarantine_as: QuarantineAs = Field(
        QuarantineAs.ADD_HEADER,
        description="What rspamd's clients are told to do with mail that is to be quarantined, for here nothing is "
        "held: `add header` (deliver it marked), `reject`, or the word `quarantine` for clients that know it.",
    )


class SpamdListener(AdvisingListener):
    """SpamAssassin's spamd protocol, for spamc and Exim."""

    protocol: Literal["spamd"]
    tell: bool = Field(True, description="Take TELL (`spamc -L`): whoever may connect may teach.")


class HttpListener(AdvisingListener):
    """rspamd's HTTP protocol; of several addresses the first only scans. Also /metrics and /healthy."""

    protocol: Literal["http"]
    password: str | None = Field(
        None, description="Asked for by everything that changes something. null: only programs on this machine may."
    )
    body_size: Size = Field(60_000_000, description="The largest request.")


class WebListener(Listener):
    """The quarantine pages."""

    protocol: Literal["web"]
    insecure: bool = Field(
        False, description="Allow an address beyond loopback without TLS, because a proxy in front has it."
    )


AnyListener = Annotated[
    SmtpListener | SubmissionListener | MilterListener | SpamdListener | HttpListener | WebListener,
    Field(discriminator="protocol"),
]
