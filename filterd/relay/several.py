"""SeveralHops: next hops in the order in which they are to be used; who is down is passed over.

A mail goes to the first that is up. It moves on to the next while nothing of its content was asked for or sent,
and only for trouble of the host or of the way to it (RFC 3463 sections 3.4 and 3.5: X.3.x, X.4.x), which another
host may not have. From the first byte of the content on it stays where it is: a connection that breaks there is
a 451, for a second host might make a second copy. All transactions of a mail begin at the hop that the first of
them found. A hop that cannot be reached is passed over until it answers again, which is tried in the background,
so that no mail waits for it; when none is up, all are tried.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from filterd.mail.envelope import Recipient
from filterd.relay.delivering import deliver
from filterd.relay.hop import Capabilities, Handover, NextHop, Transaction
from filterd.relay.own import OwnHop
from filterd.reply import Reply

log = logging.getLogger(__name__)

OUT_OF_ORDER = Reply(503, "Send MAIL first", "5.5.1")


class Member:
    """One of the hops, and whether it is up."""

    def __init__(self, hop: NextHop, retry: float) -> None:
        self.hop = hop
        self._retry = retry
        self._returning: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        return self._returning is None

    def rest(self) -> None:
        """It cannot be reached: pass over it until it answers."""
        if self._returning is None:
            log.warning("The next hop %s is passed over until it answers.", self.hop.url)
            self._returning = asyncio.create_task(self._until_it_answers())

    async def aclose(self) -> None:
        if self._returning is not None:
            self._returning.cancel()

    async def _until_it_answers(self) -> None:
        wrong: str | None = ""
        while wrong is not None:
            await asyncio.sleep(self._retry)
            wrong = await self.hop.healthy()
        log.warning("The next hop %s answers again.", self.hop.url)
        self._returning = None


class SeveralHops:
    """See NextHop. The hops themselves belong to whoever made them."""

    def __init__(self, hops: Sequence[NextHop], retry: float) -> None:
        self.url = ", ".join(hop.url for hop in hops)
        self._members = [Member(hop, retry) for hop in hops]

    async def capabilities(self) -> Capabilities | None:
        """What all of them have that are up: the mail may go to any."""
        members = list(self.in_turn(None))
        announced = await asyncio.gather(*(member.hop.capabilities() for member in members))
        for member, has in zip(members, announced, strict=True):
            if has is None:
                member.rest()
        return common([has for has in announced if has is not None])

    def transaction(self, handover: Handover) -> SeveralTransaction:
        return SeveralTransaction(self, handover, None)

    async def reserve(self, handover: Handover) -> OwnHop | None:
        for member in self.in_turn(None):
            if (own := await member.hop.reserve(handover)) is not None:
                return own
            member.rest()
        return None

    async def healthy(self) -> str | None:
        """None when one of them answers."""
        wrong = await asyncio.gather(*(member.hop.healthy() for member in self._members))
        return None if None in wrong else " ".join(filter(None, wrong))

    def renew(self) -> None:
        """Whoever made them renews them."""

    async def aclose(self) -> None:
        await asyncio.gather(*(member.aclose() for member in self._members))

    def in_turn(self, first: Member | None) -> Iterator[Member]:
        """Those to try: `first`, then those that are up; all when none is."""
        up = [member for member in self._members if member.up]
        members = up or self._members
        if first is not None:
            yield first
        yield from (member for member in members if member is not first)


class SeveralTransaction:
    """See Transaction: a conversation with the first hop that takes it."""

    def __init__(self, hops: SeveralHops, handover: Handover, first: Member | None) -> None:
        self._hops = hops
        self._handover = handover
        self._member = first
        self._current: Transaction | None = None

    async def mail(self, sender: str, parameters: Sequence[str]) -> Reply:
        async def attempt(transaction: Transaction) -> tuple[Reply, ...]:
            return (await transaction.mail(sender, parameters),)

        return (await self._somewhere(attempt, lambda: True))[0]

    async def rcpt(self, recipient: Recipient) -> Reply:
        return OUT_OF_ORDER if self._current is None else self._noted(await self._current.rcpt(recipient))

    async def data(self, chunks: Iterable[bytes | memoryview]) -> tuple[Reply, ...]:
        return () if self._current is None else tuple(map(self._noted, await self._current.data(chunks)))

    async def deliver(
        self,
        sender: str,
        parameters: Sequence[str],
        recipients: Sequence[Recipient],
        chunks: Iterable[bytes | memoryview],
    ) -> tuple[Reply, ...]:
        """A whole mail; see `filterd.relay.deliver`."""
        content = _Content(chunks)

        async def attempt(transaction: Transaction) -> tuple[Reply, ...]:
            return await deliver(transaction, sender, parameters, recipients, content)

        return await self._somewhere(attempt, lambda: not content.begun)

    async def reset(self) -> None:
        if self._current is not None:
            await self._current.reset()

    async def close(self) -> None:
        if self._current is not None:
            await self._current.close()
            self._current = None

    def another(self) -> SeveralTransaction:
        return SeveralTransaction(self._hops, self._handover, self._member)

    async def _somewhere(
        self, attempt: Callable[[Transaction], Awaitable[tuple[Reply, ...]]], may_move_on: Callable[[], bool]
    ) -> tuple[Reply, ...]:
        """What the first hop says that has no trouble of its own, or the last one that was tried."""
        replies: tuple[Reply, ...] = ()
        for member in self._hops.in_turn(self._member):
            await self.close()
            self._member, self._current = member, member.hop.transaction(self._handover)
            replies = tuple(map(self._noted, await attempt(self._current)))
            if not all(map(_is_trouble, replies)) or not may_move_on():
                break
        return replies

    def _noted(self, reply: Reply) -> Reply:
        if self._member is not None and reply.code < 500 and (reply.enhanced or "").startswith("4.4."):
            self._member.rest()
        return reply


class _Content:
    """The content, and whether anybody has asked for it."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self._chunks = chunks
        self.begun = False

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self.begun = True
        return iter(self._chunks)


def common(announced: Sequence[Capabilities]) -> Capabilities | None:
    """What all of these have: keywords, the smallest SIZE, the AUTH mechanisms; None when there are none."""
    if not announced:
        return None
    first, *others = announced
    keywords = {word: value for word, value in first.keywords.items() if all(one.has(word) for one in others)}
    if "SIZE" in keywords:
        sizes = [one.size for one in announced if one.size is not None]
        keywords["SIZE"] = str(min(sizes)) if sizes else ""
    if "AUTH" in keywords:
        known = [one.keywords["AUTH"].upper().split() for one in others]
        shared = [name for name in keywords["AUTH"].split() if all(name.upper() in names for names in known)]
        keywords["AUTH"] = " ".join(shared)
    return Capabilities(keywords)


def _is_trouble(reply: Reply) -> bool:
    """Of the host or the way to it, rather than with this mail."""
    return 400 <= reply.code < 500 and (reply.enhanced or "").startswith(("4.3.", "4.4."))
