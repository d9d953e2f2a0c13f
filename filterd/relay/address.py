"""HopAddress: a relay address taken apart. `smtp://host:port`, `smtps://host:port`, `lmtp://host:port`,
`lmtp+unix:/path`, `maildir:/path`.

`parse_url` raises ValueError with one sentence for a person; nothing is resolved or opened.
"""

from __future__ import annotations

import enum
from urllib.parse import urlsplit

from filterd.value import Value

_DEFAULT_PORTS = {"smtp": 25, "smtps": 465, "lmtp": 24}


class HopProtocol(enum.StrEnum):
    SMTP = "smtp"
    LMTP = "lmtp"
    MAILDIR = "maildir"


class HopAddress(Value):
    protocol: HopProtocol
    host: str = ""  # no brackets; "" when there is a path
    port: int = 0
    path: str = ""  # of the Unix socket or the Maildir
    tls: bool = False  # from the first byte


def parse_url(url: str) -> HopAddress:
    """The address that `url` names; raises ValueError."""
    scheme, separator, rest = url.partition(":")
    if not separator or any(ord(character) < 0x21 for character in url):
        raise ValueError(f"not a relay address: {url!r}; write smtp://host:port, lmtp+unix:/path or maildir:/path")
    match scheme.lower():
        case "maildir" | "lmtp+unix" as kind:
            path = rest.removeprefix("//") if rest.startswith("///") else rest
            if not path.startswith("/"):
                raise ValueError(f"{kind}: wants an absolute path, as in {kind}:/path, not {url!r}")
            return HopAddress(HopProtocol.MAILDIR if kind == "maildir" else HopProtocol.LMTP, path=path)
        case "smtp" | "smtps" | "lmtp" as kind:
            return _network(kind, url)
        case other:
            raise ValueError(
                f"unknown relay protocol {other!r} in {url!r}; known: smtp, smtps, lmtp, lmtp+unix, maildir"
            )


def _network(scheme: str, url: str) -> HopAddress:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not a relay address: {url!r}: {error}") from error
    if not parts.hostname:
        raise ValueError(f"no host in the relay address {url!r}; write {scheme}://host:port")
    if parts.username or parts.password or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise ValueError(f"a relay address is {scheme}://host:port and nothing else: {url!r}")
    protocol = HopProtocol(scheme.removesuffix("s"))
    return HopAddress(protocol, parts.hostname, port or _DEFAULT_PORTS[scheme], tls=scheme == "smtps")
