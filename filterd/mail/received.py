"""Received lines (RFC 5321 section 4.4) as the common servers write them, and the origin that they give.

In: the unfolded text of a field, of Postfix, Exim, Sendmail, Exchange, qmail, Gmail and their kin. Out: a
`Received`; what a line does not say is "". A Received line is believed only if a host that we know wrote
it. Never raises, linear.
"""

from __future__ import annotations

import datetime
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING

from filterd.mail.dates import parse_date
from filterd.mail.envelope import Envelope, Origin, Source
from filterd.settings import Networks
from filterd.value import Value

if TYPE_CHECKING:
    from filterd.mail.message import Message

MAX_FIELD = 4_096
MAX_RECEIVED = 100

_PIECE = re.compile(r"[^\s()]++|[()]")
_ADDRESS = re.compile(
    r"\[(?:IPv6:)?([0-9a-f:.]{3,45})\]|(?:^|[\s(@=])(?:IPv6:)?((?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7})(?=$|[\s)\]])",
    re.IGNORECASE,
)
_HELO = re.compile(r"\b(?:helo|ehlo)[=\s]\s*([^\s()]+)", re.IGNORECASE)
_CLAUSES = frozenset({"from", "by", "with", "id", "for", "via"})


class Received(Value):
    """One hop, as the host `by_host` tells it."""

    by_host: str = ""
    from_helo: str = ""  # what the client called itself
    from_name: str = ""  # what reverse DNS called it; "" for unknown
    from_address: str = ""  # without brackets
    with_protocol: str = ""
    for_: str = ""
    date: datetime.datetime | None = None
    raw: str = ""


def parse_received(text: str) -> Received:
    """Read one Received line."""
    text = text[:MAX_FIELD]
    line, _, date = text.rpartition(";") if ";" in text else (text, "", "")
    clauses, comments = _clauses(line)
    helo, name, address = _client(clauses.get("from", ""), comments.get("from", ""))
    return Received(
        clauses.get("by", "").strip("[]").rstrip(";"),
        helo,
        name,
        address,
        clauses.get("with", ""),
        clauses.get("for", "").strip("<>;"),
        parse_date(date),
        text,
    )


def _clauses(line: str) -> tuple[dict[str, str], dict[str, str]]:
    """The word after each of the clause names, and the comments that follow it; the first of each counts."""
    words: dict[str, str] = {}
    comments: dict[str, str] = {}
    clause, depth, inside = "", 0, []
    awaiting = ""
    for match in _PIECE.finditer(line):
        piece = match[0]
        if piece == "(":
            depth += 1
            inside += ["("] if depth > 1 else []
        elif piece == ")":
            depth = max(0, depth - 1)
            if depth:
                inside.append(")")
            elif inside and len(inside) < 200:
                comments[clause] = (comments.get(clause, "") + " (" + " ".join(inside) + ")").strip()
                inside = []
        elif depth:
            inside.append(piece)
        elif piece.lower() in _CLAUSES and not awaiting:
            clause = awaiting = piece.lower() if piece.lower() not in words else ""
        elif awaiting:
            words[awaiting] = piece
            awaiting = ""
        elif clause == "with" and piece[:1].isalpha() and len(words["with"]) < 40:
            words["with"] += " " + piece  # "Microsoft SMTP Server"
    return words, comments


def _client(word: str, comment: str) -> tuple[str, str, str]:
    """HELO, verified name and address from what follows `from`."""
    said = _HELO.search(comment)
    address = _first_address(comment) or _first_address(word)
    if said:
        # qmail: `from name (HELO helo) (address)`; Exim: `from name ([address] helo=helo)`
        name = "" if word.startswith("[") or word.lower() == "unknown" else word
        return said[1].rstrip(")"), name, address
    inner = comment.removeprefix("(").strip().split()
    first = inner[0].rpartition("@")[2] if inner else ""
    named = (
        first
        and not first.startswith("[")
        and first.lower() != "unknown"
        and "." in first
        and not _first_address(first)
    )
    helo = word.strip("[]")
    if comment and not named and not inner[0].startswith("[") and first.lower() not in ("unknown", "") and not address:
        return helo, "", ""
    return helo, first.rstrip(".") if named else "", address


def _first_address(text: str) -> str:
    for match in _ADDRESS.finditer(text):
        try:
            return str(ip_address(match[1] or match[2]))
        except ValueError:
            continue
    return ""


def find_origin(envelope: Envelope, message: Message, relays: Networks) -> Origin:
    """The host that handed the mail to our side.

    That is the transport's client, unless it is one of our `relays`: then what the Received line says which
    that relay wrote, and so on down while the line names another relay. A relay's own address is never the
    origin, and below a line that cannot be read nothing is known.
    """
    client = envelope.client
    if client.address is None:
        if client.source is not Source.UNKNOWN or not relays.hold(envelope.peer):
            return client
    elif not relays.hold(client.address):
        return client
    for hop, line in enumerate(message.received):
        if not line.from_address:
            break
        if not relays.hold(line.from_address) and not ip_address(line.from_address).is_loopback:
            return Origin(line.from_address, line.from_name or None, line.from_helo or None, Source.RECEIVED, hop)
    return Origin(source=Source.UNKNOWN)
