"""Advice: what the doors share that only say what they think (spamd, HTTP). Whoever asks acts, and answers for it.

In: a message as some program has it, and what that program says of the envelope; it is believed, for whoever may
connect here could also change the message. Out: an `Advice`, for all recipients the strictest of their decisions.
What is said and makes no sense (an address that is none, a control character) counts as not said.
"""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import structlog

from filterd.decision import Action, Copy, Decision, Edits, Reason, Thresholds
from filterd.engine.budget import Budget
from filterd.frontends import Filter
from filterd.frontends.learner import Klass, Learner
from filterd.frontends.smtp.settings import Site, SmtpLimits
from filterd.frontends.words import QuarantineAs
from filterd.ids import new_id
from filterd.mail.envelope import Envelope, Moment, Origin, Recipient, Source, domain_of
from filterd.marking import marked, render
from filterd.record import Record, Verdict
from filterd.reply import Reply
from filterd.sources import wire_form
from filterd.value import Value

log = structlog.get_logger("filterd.doors")

_SAYABLE = re.compile(r"[^\x00-\x1f\x7f]{1,1000}")
# What Exim's spool_mbox, procmail and formail put above a message: an mbox line, then Exim's own two fields.
_STAMPS = re.compile(rb"From [^\r\n]*\r?\n(?:X-Envelope-(?:From|To):[^\r\n]*\r?\n){0,2}")
_TURN = 1 << 20  # bytes that are worked on at a time
_EMPTY_LINE = re.compile(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)")
_ENVELOPE_FROM = re.compile(rb"^X-Envelope-From: *<([^\r\n]*)>", re.MULTILINE)
_ENVELOPE_TO = re.compile(rb"^X-Envelope-To: *([^\r\n]*)", re.MULTILINE)


class Unavailable(Exception):
    """It could not be judged now; the text says why."""


class Asked(Value, kw_only=True):
    """What a program says of a message's envelope. None and "" are not said."""

    sender: str | None = None
    recipients: tuple[str, ...] = ()
    address: str | None = None
    name: str | None = None
    helo: str | None = None
    user: str | None = None  # who authenticated to send it
    queue_id: str | None = None
    tls: str | None = None


class Original(Value):
    """A message as it came: what a program put above it, and the message."""

    stamps: bytes
    content: bytes

    @classmethod
    def of(cls, data: bytes) -> Original:
        found = _STAMPS.match(data)
        end = found.end() if found else 0
        return cls(data[:end], data[end:])

    @property
    def head(self) -> Original:
        """Its header block alone."""
        return Original(self.stamps, _parted(self.content)[0])

    @property
    def sender(self) -> str | None:
        """The envelope sender that Exim stamped on it."""
        found = _ENVELOPE_FROM.search(self.stamps)
        return said(found[1]) or "" if found else None

    @property
    def recipients(self) -> tuple[str, ...]:
        """The recipients that Exim stamped on it."""
        found = _ENVELOPE_TO.search(self.stamps)
        return tuple(filter(None, map(address_of, found[1].split(b", ")))) if found else ()


class Advice(Value, kw_only=True):
    """What we think of a message."""

    record: Record
    decision: Decision  # the strictest of all recipients'
    edits: Edits  # how it should be marked

    @property
    def spam(self) -> bool:
        """Treat it as spam?"""
        return self.decision.action not in (Action.ACCEPT, Action.DEFER)

    @property
    def points(self) -> int:
        """The score, in hundredths."""
        return self.verdict.points

    @property
    def verdict(self) -> Verdict:
        """The verdict for the recipient whom the decision is about."""
        return self.record.verdict_of(self.decision)

    @property
    def thresholds(self) -> Thresholds:
        """Those that the decision was made by."""
        return self.record.thresholds_of(self.decision)

    @property
    def required(self) -> int:
        """The score from which on it is spam, in hundredths.

        Some programs compare the two numbers and ignore the word. So where something other than the score decided
        (a rule, `enforce: false`, the bypass), this is moved to the side of the score where the word is true.
        """
        return min(self.decision.tag_at, self.points) if self.spam else max(self.decision.tag_at, self.points + 1)

    @property
    def failed(self) -> bool:
        """An outage of ours: there is no verdict, and it should be tried again."""
        return self.decision.action is Action.DEFER and self.decision.reason is Reason.ERROR


class Advising:
    """The delivery of a door that only advises."""

    may_refuse = True
    splits = False
    replies_each = False
    advises = True

    async def deliver(self, copy: Copy, content: Sequence[bytes | memoryview]) -> tuple[Reply, ...]:
        raise NotImplementedError("who only advises delivers nothing")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a door's requests are worked on; a reload replaces it."""

    name: str  # Envelope.listener
    filter: Filter
    learner: Learner
    site: Site
    limits: SmtpLimits
    room: Budget  # bytes of messages being received
    wait: float = 20.0  # seconds that a request may wait for room
    quarantine: QuarantineAs = QuarantineAs.ADD_HEADER
    enforce: bool = True

    async def advise(self, asked: Asked, original: Original, peer: str | None) -> Advice:
        """Judge a message; raises Unavailable. The record is kept as that of any other mail."""
        raw = await _wire(original.content)
        envelope = self._envelope(asked, original, peer)
        try:
            async with asyncio.timeout(self.site.deadline):
                if (early := await self.filter.screen(envelope, Moment.DATA)) is not None:
                    raise Unavailable(early.text)
                outcome = await self.filter.examine(envelope, raw, enforce=self.enforce)
        except TimeoutError as error:
            log.warning("given-up", id=envelope.id, why="deadline")
            raise Unavailable("It took too long") from error
        record = (await self.filter.fulfil(outcome, raw, Advising())).record
        decision = record.strictest
        if decision is None:
            raise Unavailable("Nothing was decided")
        edits = marked(record, decision, outcome.strip, self.site.hostname, outcome.subject)
        return Advice(record=record, decision=decision, edits=edits)

    async def learn(self, original: Original, klass: Klass, user: str | None) -> bool:
        """Learn a message, as it was before anybody stamped it; raises LearnError."""
        return await self.learner.learn(await _wire(original.content), klass, user=user, by=self.name)

    def _envelope(self, asked: Asked, original: Original, peer: str | None) -> Envelope:
        recipients = asked.recipients or original.recipients or (self._somebody,)
        if len(recipients) > self.limits.recipients:
            raise Unavailable("Too many recipients")
        client = Origin(asked.address, asked.name, asked.helo, Source.REQUEST)
        sender = original.sender if asked.sender is None else asked.sender
        known = client.address or client.name or client.helo
        return Envelope(
            id=new_id(),
            received_at=datetime.datetime.now(datetime.UTC),
            listener=self.name,
            peer=peer,
            client=client if known else Origin(),
            sender=sender or "",
            recipients=tuple(map(Recipient, recipients)),
            protocol="request",
            tls=asked.tls,
            user=asked.user,
            direction=self.site.direction(
                map(domain_of, recipients),
                from_us=bool(asked.user) or self.site.internal.hold(asked.address),
            ),
            queue_id=asked.queue_id,
        )

    @property
    def _somebody(self) -> str:
        return f"somebody@{min(self.site.domains, default='localhost')}"


def marked_copy(advice: Advice, original: Original) -> bytes:
    """The message with its marks, its body as it came, its header lines ended as they came."""
    head, body = _parted(original.content)
    edited = b"".join(render(advice.edits, wire_form(head)))
    if b"\r\n" not in head:
        edited = edited.replace(b"\r\n", b"\n")
    return original.stamps + edited + body


def said(value: bytes | str | None) -> str | None:
    """A value that a program sent, if it is one line of text."""
    if value is None:
        return None
    text = (value.decode("utf-8", "replace") if isinstance(value, bytes) else value).strip()
    return text if _SAYABLE.fullmatch(text) else None


def address_of(value: bytes | str | None) -> str | None:
    """A mail address, without its angle brackets; "" for the null sender; None for what is not said."""
    text = said(value)
    return None if text is None else text.removeprefix("<").removesuffix(">")


def ip_of(value: bytes | str | None) -> str | None:
    """An IP address in its usual form; None for what is none."""
    text = (said(value) or "").strip("[]").removeprefix("IPv6:")
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


async def _wire(content: bytes) -> bytes:
    """The message in wire form. Others get their turn between the pieces of a large one."""
    if len(content) <= _TURN:
        return wire_form(content)
    pieces, start = [], 0
    while start < len(content):
        end = start + _TURN
        end += content[end - 1 : end + 1] == b"\r\n"
        pieces.append(wire_form(content[start:end]))
        start = end
        await asyncio.sleep(0)
    return b"".join(pieces)


def _parted(content: bytes) -> tuple[bytes, bytes]:
    """Header block, with the empty line that ends it, and body."""
    if content.startswith((b"\r\n", b"\n")):
        return b"", content
    found = _EMPTY_LINE.search(content)
    end = found.end() if found else len(content)
    return content[:end], content[end:]
