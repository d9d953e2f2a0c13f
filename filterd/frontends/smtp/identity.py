"""Who the client is, as a trusted peer says: XCLIENT and XFORWARD (Postfix's XCLIENT_README and
XFORWARD_README).

In: the argument of one command. Out: its attributes, decoded and checked, or the Reply that refuses it. What
these say is data from outside like any other: no value here holds a control character or a space.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

import msgspec

from filterd.frontends.proxy import plain_address
from filterd.frontends.smtp import replies
from filterd.frontends.smtp.commands import decode_xtext
from filterd.mail.envelope import Origin, Source
from filterd.reply import Reply
from filterd.value import Value

XCLIENT_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
XFORWARD_ATTRIBUTES = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")

_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")
_WORD = re.compile(r"[^\x00-\x20\x7f]{1,255}")


class Said(Value):
    """What was said of the client. None: not said, or said to be unavailable."""

    address: str | None = None
    name: str | None = None
    helo: str | None = None
    port: int | None = None
    protocol: str | None = None
    user: str | None = None
    queue_id: str | None = None
    local: bool = False  # SOURCE=LOCAL: it did not come over a network

    def origin(self, source: Source) -> Origin:
        return Origin(self.address, self.name, self.helo, source)


def parse_attributes(argument: str, allowed: tuple[str, ...], before: Said) -> Said | Reply:
    """`before`, with the attributes of one more command; a later one replaces the earlier."""
    fields: dict[str, Any] = {}
    for pair in argument.split():
        name, equals, value = pair.partition("=")
        name = name.upper()
        decoded = decode_xtext(value)
        if name not in allowed or not equals or decoded is None:
            return replies.BAD_PARAMETER
        try:
            fields |= _field(name, None if decoded.upper() in _UNKNOWN else decoded)
        except ValueError:
            return replies.BAD_PARAMETER
    said: Said = msgspec.structs.replace(before, **fields)  # type: ignore[type-var]
    return said if fields else replies.BAD_PARAMETER


def _field(name: str, value: str | None) -> dict[str, Any]:
    """The field of `Said` that an attribute fills; raises ValueError."""
    if value is not None and _WORD.fullmatch(value) is None:
        raise ValueError("not one printable word")
    match name:
        case "ADDR":
            return {"address": value and _address(value)}
        case "PORT":
            return {"port": value and _port(value)}
        case "NAME" | "HELO":
            return {name.lower(): value}
        case "PROTO":
            return {"protocol": value and value[:64]}
        case "LOGIN":
            return {"user": value}
        case "IDENT":
            return {"queue_id": value}
        case "SOURCE":
            return {"local": value is not None and value.upper() == "LOCAL"}
    return {}  # DESTADDR and DESTPORT say where the client connected to, which nothing here asks


def _address(value: str) -> str:
    if "%" in value:
        raise ValueError("an address with a zone")
    return plain_address(ip_address(value[5:] if value[:5].upper() == "IPV6:" else value))


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and int(value) <= 65535):
        raise ValueError("not a port")
    return int(value)
