"""What the next hop is told about the client: the XFORWARD and XCLIENT commands (Postfix's XFORWARD_README,
XCLIENT_README).

Every announced attribute that we know of is always sent, `[UNAVAILABLE]` where we know nothing, so that no
value of an earlier mail on the same connection can stand for this one. Values are xtext (RFC 3461 section
4). Pure.
"""

from __future__ import annotations

import re

from filterd.mail.envelope import Source
from filterd.relay.hop import Handover

_UNKNOWN = "[UNAVAILABLE]"
_QUOTED = re.compile(rb"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")  # all but printable ASCII without + and =
_MAX_VALUE = 255  # octets before encoding; Postfix refuses more
_MAX_COMMAND = 512


def xforward_commands(handover: Handover, announced: str) -> list[bytes]:
    """The XFORWARD commands, CRLF included, for the attributes in `announced` (the keyword's EHLO value)."""
    client = handover.client
    values = {
        "NAME": client.name,
        "ADDR": _address(client.address),
        "PORT": _number(handover.port),
        "PROTO": handover.protocol[:64],
        "HELO": client.helo,
        "IDENT": handover.queue_id,
        "SOURCE": "REMOTE" if client.known else ("LOCAL" if client.source is Source.REQUEST else None),
    }
    return _commands("XFORWARD", values, announced)


def xclient_commands(handover: Handover, announced: str) -> list[bytes]:
    """The XCLIENT commands, CRLF included; each begins the session anew (the answer is a banner)."""
    client = handover.client
    values = {
        "NAME": client.name,
        "ADDR": _address(client.address),
        "PORT": _number(handover.port),
        "PROTO": "SMTP" if handover.protocol.upper() == "SMTP" else "ESMTP",  # Postfix knows only these
        "HELO": client.helo,
        "LOGIN": handover.user,
    }
    return _commands("XCLIENT", values, announced)


def xtext(value: str) -> str:
    """RFC 3461 section 4: everything but printable ASCII, and + and =, as +HH."""
    octets = value.encode("utf-8", "surrogateescape")
    return _QUOTED.sub(lambda match: b"+%02X" % match[0][0], octets).decode("ascii")


def _commands(verb: str, values: dict[str, str | None], announced: str) -> list[bytes]:
    known = set(announced.upper().split())
    lines: list[str] = []
    for name, value in values.items():
        if name not in known:
            continue
        attribute = f" {name}={_encoded(value)}"
        if lines and len(lines[-1]) + len(attribute) <= _MAX_COMMAND - 2:
            lines[-1] += attribute
        else:
            lines.append(verb + attribute)
    return [line.encode("ascii") + b"\r\n" for line in lines]


def _encoded(value: str | None) -> str:
    if not value:
        return _UNKNOWN
    return xtext(value.encode("utf-8", "surrogateescape")[:_MAX_VALUE].decode("utf-8", "surrogateescape"))


def _address(address: str | None) -> str | None:
    return f"IPV6:{address}" if address and ":" in address else address


def _number(number: int | None) -> str | None:
    return None if number is None else str(number)
