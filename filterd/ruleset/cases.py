"""Cases: the messages that a rule says it hits and misses, and whether it does.

A case is a file under `cases/` beside the rules, or a message written in the rule, perhaps with what the
transport, authentication and other findings say. Cases are judged by the very call that serves; nothing
outside the rule's own folder is read.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from filterd.authentication import UNAUTHENTICATED, Authentication
from filterd.facts import NOTHING, Facts
from filterd.findings import Finding
from filterd.mail import Direction, Envelope, Mail, Message, Origin, Recipient, Source
from filterd.ruleset.place import Place, shown

CASE_KEYS = {
    "file": "A file under cases/, instead of message.",
    "message": "The message, written here.",
    "sender": "MAIL FROM.",
    "recipients": "RCPT TO, a list.",
    "client": "The client's address.",
    "client_name": "Its verified name.",
    "helo": "Its HELO.",
    "user": "The authenticated user.",
    "direction": "inbound, outbound or internal.",
    "listener": "The listener.",
    "received_at": "When it arrived, ISO 8601 with a zone; without it, when the message is dated.",
    "auth": "Authentication results, such as {dmarc: {result: fail, policy: reject}}.",
    "facts": "What probes answered, such as {listings: [{list: zen, item: 192.0.2.1, codes: [127.0.0.2]}]}.",
    "found": "Names of findings of checks.",
    "probability": "The learnt probability.",
}
_ARRIVAL = datetime.datetime(2026, 1, 5, 12, tzinfo=datetime.UTC)
MAX_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One message with what is known about it, and whether the rule must find it."""

    place: Place
    hits: bool
    mail: Mail
    facts: Facts = NOTHING
    auth: Authentication = UNAUTHENTICATED
    found: tuple[Finding, ...] = ()
    probability: float | None = None


def read_cases(rule: Place, folder: Path) -> Iterator[Case]:
    """The cases of the rule at `rule`, whose files stand under `folder`; what is wrong is refused."""
    holders = [rule]
    if "examples" in rule:
        examples = rule["examples"]
        examples.mapping("examples", ("hits", "misses"))
        holders.append(examples)
    for holder in holders:
        for key, hits in (("hits", True), ("misses", False)):
            if key in holder:
                for place in holder[key].each():
                    if (case := _case(place, hits, folder)) is not None:
                        yield case


def _case(place: Place, hits: bool, folder: Path) -> Case | None:
    if isinstance(place.data, str):
        key = "message" if "\n" in place.data else "file"
        given: Mapping[str, Any] = {key: place.data}
    else:
        given = {name: inner.data for name, inner in place.mapping("a case", CASE_KEYS).items()}
    if ("file" in given) == ("message" in given):
        place.refuse("a case has either a file or a message")
        return None
    _refuse_unknown(place)
    raw = _inline(given["message"], place) if "message" in given else _file(str(given["file"]), place, folder)
    if raw is None:
        return None
    try:
        return Case(
            place,
            hits,
            make_mail(raw, given),
            msgspec.convert(given.get("facts", {}), Facts),
            msgspec.convert(given.get("auth", {}), Authentication),
            tuple(Finding(str(name), 0) for name in given.get("found", ())),
            msgspec.convert(given.get("probability"), Annotated[float, msgspec.Meta(ge=0, le=1)] | None),
        )
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        place.refuse(f"a case that cannot be used: {error}")
        return None


def _refuse_unknown(place: Place) -> None:
    """Keys of `auth` and `facts` that nothing would read."""
    read: dict[str, Any] = {"auth": Authentication, "facts": Facts}
    for key, kind in read.items():
        if key in place:
            place[key].mapping(key, kind.__struct_fields__)


def _inline(text: Any, place: Place) -> bytes | None:
    if not isinstance(text, str):
        place.refuse(f"a message is text, not {shown(text)}")
        return None
    return "\r\n".join(text.split("\n")).encode("utf-8", "surrogateescape")


def _file(name: str, place: Place, folder: Path) -> bytes | None:
    cases = (folder / "cases").resolve()
    path = (folder / name).resolve()
    if not path.is_relative_to(cases):
        place.refuse(f"{shown(name)} is not under cases/, where the files of cases are")
        return None
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        place.refuse(f"{shown(name)} cannot be read: {error.strerror}")
        return None


def make_mail(raw: bytes, given: Mapping[str, Any]) -> Mail:
    """A mail as a case describes it: the bytes, and what of CASE_KEYS is given about the transport."""
    message = Message(raw)
    address, name, helo = (given.get(key) for key in ("client", "client_name", "helo"))
    if address:
        ipaddress.ip_address(address)
    origin = Origin(address, name, helo, Source.REQUEST if address or name or helo else Source.UNKNOWN)
    arrived = given.get("received_at")
    envelope = Envelope(
        id="CASE",
        received_at=datetime.datetime.fromisoformat(arrived) if arrived else message.date or _ARRIVAL,
        listener=str(given.get("listener", "test")),
        peer=address,
        client=origin,
        sender=str(given.get("sender", "")),
        recipients=tuple(Recipient(str(one)) for one in given.get("recipients", ())),
        user=given.get("user"),
        direction=Direction(given.get("direction", "inbound")),
    )
    return Mail(envelope, message, origin)
