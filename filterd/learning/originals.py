"""Originals: the messages that somebody's copy, or a forward of them, is about, as we received them.

In goes a copy from a mailbox, or a mail to a report address; out come messages in wire form. A copy is known by the id
that we put into it, or by its digest; where the store has the message itself, that is what is learnt. Where it has
not, the copy is, without what we and the hosts after us put above it. A forward without an attachment leads to its
original by our id or by the Message-ID that it refers to, if the store has it. An id is 80 random bits, so who names
one has seen the message; a Message-ID finds only mail that was sent to whoever asks. Bounded; never raises but
StoreError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from filterd.mail import Message
from filterd.mail.part import MESSAGES, Part
from filterd.sources import wire_form
from filterd.store import HistoryFilter, ItemState, QuarantineFilter
from filterd.store.store import Store

MOST = 100  # messages of one report
LARGEST = 50_000_000  # bytes of one message
_TEXT = 100_000  # characters of a forward in which an id is looked for
_REFERENCES = 5
_ABOVE = 100  # fields among which ours are looked for
_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_NAMED = re.compile(rf"X-Filterd-Id:\s*({_ID.pattern})(?![0-9A-Z])", re.IGNORECASE)
_OURS = re.compile(r"x-filterd-.*|x-spam-(?:flag|status|score|level)|x-quarantine-id")
_HEAD = 100_000  # bytes of a header block in which our fields stand
_PASSED = re.compile(rb"^(?:x-(?:filterd|spam|quarantine)-|.*\(filterd/)", re.IGNORECASE | re.MULTILINE)
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")


@dataclass(frozen=True, slots=True)
class Original:
    """A message as we received it, or as near as can be had."""

    raw: bytes
    record: str = ""  # the record's id, where it is known


class Originals:
    def __init__(self, store: Store) -> None:
        self._store = store

    def of_copy(self, copy: bytes, readers: Sequence[str] = ()) -> Original:
        """The original of a copy from a mailbox of `readers`."""
        if not _PASSED.search(copy, 0, _HEAD):
            return Original(copy)
        message = Message(copy)
        mine = message.identity
        for id_ in _ids(message):
            raw = self._raw(id_)
            if raw is not None and (Message(raw).identity == mine or self._was_sent_to(id_, readers)):
                return Original(raw, id_)
        return Original(as_received(message))

    def of_report(self, report: bytes, readers: Sequence[str]) -> Iterator[Original]:
        """What a mail to a report address carries, each message once; nothing when it cannot be found."""
        message = Message(report)
        found = [self.of_copy(copy, readers) for copy in attached(message)]
        if not found:
            found = list(self._forwarded(message, readers))
        seen: set[str] = set()
        for one in found:
            digest = Message(one.raw).identity
            if digest not in seen:
                seen.add(digest)
                yield one

    def _forwarded(self, message: Message, readers: Sequence[str]) -> Iterator[Original]:
        """Of a mail that carries no message: one that was sent on as it is, or quoted in a text."""
        if _ids(message) or message.headers.first("Resent-From") is not None:
            yield self.of_copy(message.raw, readers)
            return
        for id_ in dict.fromkeys(found.upper() for found in _NAMED.findall(message.text[:_TEXT])):
            if (raw := self._raw(id_)) is not None:
                yield Original(raw, id_)
                return
        for name in _referred(message):
            wanted = HistoryFilter(message_id=name, mine=tuple(readers))
            for row in self._store.history.find(wanted, 5) if readers else ():
                if (raw := self._raw(row.id)) is not None:
                    yield Original(raw, row.id)
                    return

    def _raw(self, id_: str) -> bytes | None:
        """The message of a record, from the history or the quarantine."""
        raw = self._store.history.raw(id_)
        if raw is None:
            wanted = QuarantineFilter(record=id_, states=tuple(ItemState))
            items = (item for item in self._store.quarantine.find(wanted, 5) if item.stored)
            raw = next((raw for item in items if (raw := self._store.quarantine.raw(item.id)) is not None), None)
        return raw

    def _was_sent_to(self, id_: str, readers: Sequence[str]) -> bool:
        record = self._store.history.show(id_)
        theirs = {reader.casefold() for reader in readers}
        return record is not None and any(one.address.casefold() in theirs for one in record.envelope.recipients)


def attached(message: Message) -> Iterator[bytes]:
    """The messages that are attached, but not those attached to them; at most MOST."""
    outer: list[str] = []
    for part in message.parts:
        if len(outer) >= MOST:
            return
        if _is_message(part) and not any(part.path.startswith(f"{path}.") for path in outer):
            outer.append(part.path)
            if part.size <= LARGEST and part.content.strip():
                yield wire_form(part.content)


def as_received(message: Message) -> bytes:
    """The message without what we put above it when it passed, and what was put above that."""
    ours = [header.end for header in message.headers[:_ABOVE] if _is_ours(header.name, header.value)]
    return message.raw[max(ours, default=0) :]


def _is_message(part: Part) -> bool:
    return bool(part.depth) and (part.type in MESSAGES or any(name.lower().endswith(".eml") for name in part.names))


def _is_ours(name: str, value: bytes) -> bool:
    return bool(_OURS.fullmatch(name.lower())) or (name.lower() == "received" and b"(filterd/" in value)


def _ids(message: Message) -> list[str]:
    """The ids that we may have given it, the last that was put on it first."""
    values = [header.raw_text for header in message.headers[:_ABOVE] if header.name.lower() == "x-filterd-id"]
    return [value for value in values[:_REFERENCES] if _ID.fullmatch(value)]


def _referred(message: Message) -> list[str]:
    """The messages that this one says it is about, the likeliest first."""
    found: list[str] = []
    for name in ("In-Reply-To", "References"):
        header = message.headers.first(name)
        found += reversed(_MESSAGE_ID.findall(header.raw_text[-2_000:])) if header is not None else ()
    return list(dict.fromkeys(found))[:_REFERENCES]
