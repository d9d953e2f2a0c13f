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
_EXIM_HELO = re.compile(r"(?:^|\s)helo=(\S+)")
_QMAIL_HELO = re.compile(r"(?:helo|ehlo)\s+(\S+)", re.IGNORECASE)
_MAX_WORDS = 200  # of one comment that are read
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
    helo, name, address = _client(clauses.get("from", ""), comments.get("from", []))
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


def _clauses(line: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The word after each of the clause names, and the comments that follow it; the first of each counts."""
    words: dict[str, str] = {}
    comments: dict[str, list[str]] = {}
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
            elif inside:
                comments.setdefault(clause, []).append(" ".join(inside[:_MAX_WORDS]))
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


def _client(word: str, comments: list[str]) -> tuple[str, str, str]:
    """HELO, verified name and address from what follows `from`.

    Where the client's own words stand (HELO, ident, the name in a certificate) no address is looked for.
    """
    first = comments[0] if comments else ""
    if said := _EXIM_HELO.search(first):  # `name ([address] helo=helo)`, or without a name `[address] (helo=helo)`
        if not word.startswith("["):
            return said[1], word, _last_address(first[: said.start()])
        return said[1], "", "" if _last_address(first[said.end() :]) else _last_address(word)
    if said := _QMAIL_HELO.match(first):  # `name (HELO helo) (ident@address)`
        name = "" if word.startswith("[") or word.lower() == "unknown" else word
        return said[1], name, _last_address(" ".join(comments[1:2]))
    # Postfix, Sendmail, Exchange: `helo (ident@name [address])`
    name = first.partition(" ")[0].rpartition("@")[2].rstrip(".")
    address = _last_address(first)
    named = "." in name and not name.startswith("[") and not _last_address(name)
    return word.strip("[]"), name if named and address else "", address


def _last_address(text: str) -> str:
    for match in reversed(list(_ADDRESS.finditer(text))):
        try:
            address = ip_address(match[1] or match[2])
        except ValueError:
            continue
        return str(getattr(address, "ipv4_mapped", None) or address)
    return ""


def find_origin(envelope: Envelope, message: Message, relays: Networks) -> Origin:
    """The host that handed the mail to our side.

    That is the transport's client, unless it is one of our `relays`: then what the Received line says which
    that relay wrote, and so on down while the line names another relay. A relay's own address is never the
    origin, and below a line that cannot be read nothing is known.
    """
    return follow(envelope, message, relays)[0]


def follow(envelope: Envelope, message: Message, relays: Networks) -> tuple[Origin, int]:
    """The origin, and how many Received lines, from the top, our `relays` wrote."""
    client = envelope.client
    if client.address is None:
        if client.source is not Source.UNKNOWN or not relays.hold(envelope.peer):
            return client, 0
    elif not relays.hold(client.address):
        return client, 0
    hop = -1
    for hop, line in enumerate(message.received):
        if not line.from_address:
            break
        if not relays.hold(line.from_address) and not ip_address(line.from_address).is_loopback:
            return Origin(
                line.from_address, line.from_name or None, line.from_helo or None, Source.RECEIVED, hop
            ), hop + 1
    return Origin(source=Source.UNKNOWN), hop + 1


def certain_address(envelope: Envelope, relays: Networks) -> str | None:
    """The address that the origin has whatever the Received lines will say; None where that is not certain."""
    address = envelope.client.address
    return None if relays.hold(address) else address


def relays_end(message: Message, lines: int) -> int:
    """Up to which byte the header block was written by our relays, who wrote its first `lines` Received lines.

    A host puts what it adds on top of what it was given (RFC 5321 section 4.4, RFC 8601 section 4), so what stands
    above its Received line is its own, or of one that had the message after it.
    """
    return message.headers.all("received")[lines - 1].start if lines else 0
