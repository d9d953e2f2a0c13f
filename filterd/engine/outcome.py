"""Outcome, Delivery, Fulfilment: what examine concludes, what a front end can do about it, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from filterd.decision import Copy, Edits, HeaderSpan, Subject
from filterd.record import Record
from filterd.reply import Reply
from filterd.value import Value


class Outcome(Value, kw_only=True):
    """The decisions (in `record`), and the copies of the message that they make."""

    record: Record
    copies: tuple[Copy, ...]
    withheld: Edits = Edits()  # how a held copy is changed when it is released
    mark: str = ""  # the release mark that was spent on it
    strip: tuple[HeaderSpan, ...] = ()  # what a marked copy loses; for doors that mark without delivering
    subject: Subject = Subject()  # what it may be given another one for


class Delivery(Protocol):
    """What a front end can do about an outcome.

    `may_refuse`: its position lets it answer 4xx or 5xx for content (false after the queue).
    `splits`: it can treat recipients differently; when false it only says or edits, once for all of them.
    `replies_each`: it has one reply per recipient (LMTP), so refusals need not be shared.
    `advises`: it only says what it thinks (spamd, HTTP); nothing is held or delivered by us.
    """

    may_refuse: bool
    splits: bool
    replies_each: bool
    advises: bool

    async def deliver(self, copy: Copy, content: Sequence[bytes | memoryview]) -> tuple[Reply, ...]:
        """Hand one copy on. `content` is the message with the copy's edits made, in wire form (CRLF).

        One reply per recipient of the copy, in order. 2xx means that somebody else is responsible for it now.
        Temporary trouble is a 4xx reply, never an exception.
        """
        ...


class Fulfilment(Value, kw_only=True):
    """What the client is to be told, and the record of what was done."""

    reply: Reply  # the one reply to DATA
    replies: tuple[Reply, ...]  # one per recipient, in the envelope's order (LMTP)
    record: Record
