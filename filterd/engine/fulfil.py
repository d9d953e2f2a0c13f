"""Fulfil: make an outcome happen, then say the one reply that is true of all of it.

The order is what keeps mail from being lost: quarantine on disk first, then each group to the next hop, then the
reply. SMTP has one reply to DATA, so refusals are answered only when they hold for every recipient; the table of all
cases stands in docs/architecture.md ("One reply, several outcomes"), with a test per cell.

Nothing here raises but for cancellation, and what was delivered before a cancellation is remembered.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from filterd.decision import Action, Copy, Decision, Edits, Reason
from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.marking import render
from filterd.record import DeliveryResult, Record
from filterd.reply import Reply
from filterd.store import Held, QuarantineClass, StoreUnavailable
from filterd.value import replace

log = structlog.get_logger("filterd.engine")

ACCEPTED = "Accepted"
TROUBLE = Reply(451, "Local trouble, try again later", "4.3.0")
LOOP = Reply(554, "Too many hops, this mail loops", "5.4.6")


class Keeper(Protocol):
    """What fulfilling needs of the store."""

    async def hold(self, record: Record, raw: bytes | memoryview, held: Sequence[Held]) -> tuple[str, ...]: ...
    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None: ...
    async def delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> frozenset[str]: ...
    async def remember_delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> None: ...
    async def spend_mark(self, mark_id: str, expires: float) -> bool: ...
    async def return_mark(self, mark_id: str) -> None: ...
    async def released(self, sender: str, recipient: str, since: datetime.datetime) -> bool: ...


class Fulfiller:
    """Fulfils outcomes, with a keeper for what is quarantined and recorded."""

    def __init__(self, keeper: Keeper, recorded: Callable[[Record], None]) -> None:
        self._keeper = keeper
        self._recorded = recorded

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        """See the module. The record in the answer says what became of each recipient."""
        work = _Work(outcome, raw, delivery, adapt(outcome, delivery))
        try:
            await self._act(work)
        except Exception as error:  # noqa: BLE001  a bug of ours is a 4xx; what was delivered is remembered
            log.error("not-fulfilled", id=work.record.id, stage=work.stage, why=f"{type(error).__name__}: {error}")
            work.fail(error)
            await self._remember(work)
        except BaseException:
            await asyncio.shield(self._remember(work))
            work.reply = work.reply or Reply(451, "The client left before the end", "4.4.2")
            self._keep(work)
            raise
        self._keep(work)
        return Fulfilment(reply=work.one_reply, replies=work.each_reply, record=work.record)

    async def _act(self, work: _Work) -> None:
        if work.delivery.advises:
            work.advise()
            return
        if work.refused_for_all:
            return
        try:
            await self._hold(work, work.positions(Action.QUARANTINE), "quarantined")
        except StoreUnavailable as error:
            log.error("quarantine-failed", id=work.record.id, why=str(error))
            work.fail_all(TROUBLE)
            return
        await self._deliver(work)
        if work.undelivered and not work.must_retry:
            try:
                await self._hold(work, work.undelivered, "undelivered", QuarantineClass.UNDELIVERED)
            except StoreUnavailable as error:
                log.error("quarantine-failed", id=work.record.id, why=str(error))
                for position in work.undelivered:
                    work.settle(position, "deferred", TROUBLE)
        if work.must_retry:
            await self._remember(work)

    async def _hold(
        self, work: _Work, positions: Sequence[int], fate: str, into: QuarantineClass | None = None
    ) -> None:
        """Put the copies of these recipients in the quarantine, in one transaction; raises StoreUnavailable."""
        if not positions:
            return
        work.stage = "hold"
        held = [
            Held(
                work.recipient(at),
                into or _class(work.decisions[at]),
                work.decisions[at].text,
                work.outcome.withheld,
            )
            for at in positions
        ]
        items = await self._keeper.hold(work.record, work.raw, held)
        for position, item in zip(positions, items, strict=True):
            reply = work.fates[position].reply if position in work.fates else ""
            work.fates[position] = DeliveryResult(work.recipient(position), fate, reply, item)
            work.replies[position] = Reply(250, ACCEPTED, "2.0.0")

    async def _deliver(self, work: _Work) -> None:
        """Hand each group to the next hop; those that an earlier try delivered are skipped."""
        work.stage = "deliver"
        digest, sender = work.record.outline.digest, work.record.envelope.sender
        targets = [work.recipient(at) for copy in work.copies if copy.action.delivers for at in copy.recipients]
        done = await self._keeper.delivered(digest, sender, targets) if targets and digest else frozenset()
        for copy in work.copies:
            if copy.action is Action.DISCARD:
                for position in copy.recipients:
                    work.settle(position, "discarded", Reply(250, ACCEPTED, "2.0.0"))
            if not copy.action.delivers:
                continue
            for position in copy.recipients:
                if work.recipient(position) in done:
                    work.settle(position, "skipped", Reply(250, ACCEPTED, "2.0.0"))
            left = tuple(at for at in copy.recipients if work.recipient(at) not in done)
            if left:
                await self._hand_over(work, Copy(left, copy.action, copy.edits))

    async def _hand_over(self, work: _Work, copy: Copy) -> None:
        replies = await work.delivery.deliver(copy, render(copy.edits, work.raw))
        for position, reply in zip(copy.recipients, replies, strict=True):
            if reply.ok:
                work.settle(position, "delivered", reply)
            else:
                work.settle(position, "deferred" if reply.temporary else "refused", reply)

    async def _remember(self, work: _Work) -> None:
        """Remember who has his copy, so that the client's next try does not give him a second one."""
        names = [one.recipient for one in work.fates.values() if one.fate == "delivered"]
        if names and work.record.outline.digest:
            digest, sender = work.record.outline.digest, work.record.envelope.sender
            try:
                await self._keeper.remember_delivered(digest, sender, names)
            except StoreUnavailable as error:
                log.warning("duplicates-possible", id=work.record.id, why=str(error))

    def _keep(self, work: _Work) -> None:
        fates = tuple(work.fates[at] for at in sorted(work.fates))
        work.record = replace(work.record, decisions=work.decisions, deliveries=fates)
        try:
            self._keeper.write(work.record, work.raw)
            self._recorded(work.record)
        except Exception as error:  # noqa: BLE001  mail that has been dealt with is not sent again for a record
            log.error("not-recorded", id=work.record.id, stage="record", why=f"{type(error).__name__}: {error}")


def adapt(outcome: Outcome, delivery: Delivery) -> tuple[Decision, ...]:
    """The decisions as this door can carry them out. Refusals that it cannot say become quarantine."""
    decisions = outcome.record.decisions
    if not delivery.may_refuse:
        return tuple(
            _quarantined(one, Reason.AFTER_QUEUE, "After the queue nothing is refused, so it is quarantined.")
            if one.action is Action.REJECT
            else one
            for one in _split(decisions, delivery, {Action.DEFER})
        )
    return _split(decisions, delivery, {Action.REJECT, Action.DEFER})


def _split(decisions: tuple[Decision, ...], delivery: Delivery, refusals: set[Action]) -> tuple[Decision, ...]:
    actions = {one.action for one in decisions}
    if delivery.replies_each or not delivery.splits or not actions & refusals or len(actions) == 1:
        return decisions
    text = "One reply speaks for all recipients and others get this mail, so it is quarantined."
    return tuple(_quarantined(one, Reason.SPLIT, text) if one.action in refusals else one for one in decisions)


def _quarantined(one: Decision, reason: Reason, text: str) -> Decision:
    return replace(one, action=Action.QUARANTINE, reason=reason, text=f"{one.text} {text}", would=one.action)


def _class(decision: Decision) -> QuarantineClass:
    by_reason = {
        Reason.SPLIT: QuarantineClass.SPLIT,
        Reason.UNJUDGED: QuarantineClass.UNJUDGED,
        Reason.ERROR: QuarantineClass.UNJUDGED,
        Reason.POLICY: QuarantineClass.POLICY,
    }
    return by_reason.get(decision.reason, QuarantineClass.SPAM)


@dataclass(slots=True)
class _Work:
    """One outcome being fulfilled: what was decided, and what became of it so far."""

    outcome: Outcome
    raw: bytes | memoryview
    delivery: Delivery
    decisions: tuple[Decision, ...]
    fates: dict[int, DeliveryResult] = field(default_factory=dict)
    replies: dict[int, Reply] = field(default_factory=dict)
    reply: Reply | None = None
    stage: str = "adapt"
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = replace(self.outcome.record, decisions=self.decisions)
        if not self.delivery.replies_each and not self.refused_for_all:
            return
        for position, decision in enumerate(self.decisions):
            if decision.action in (Action.REJECT, Action.DEFER):
                refused = decision.action is Action.REJECT
                self.settle(position, "refused" if refused else "deferred", self._refusal(decision))

    @property
    def copies(self) -> Iterable[Copy]:
        """The outcome's copies, with the recipients moved whose decision had to be adapted."""
        for copy in self.outcome.copies:
            kept = tuple(at for at in copy.recipients if self.decisions[at].action is copy.action)
            if kept:
                yield Copy(kept, copy.action, copy.edits if copy.action.delivers else Edits())

    @property
    def refused_for_all(self) -> bool:
        """Nothing is held, delivered or discarded: every recipient's answer is a refusal."""
        return all(one.action in (Action.REJECT, Action.DEFER) for one in self.decisions)

    @property
    def must_retry(self) -> bool:
        return any(one.fate == "deferred" for one in self.fates.values()) and not self.delivery.replies_each

    @property
    def undelivered(self) -> list[int]:
        """Recipients that the next hop refused when others were already served: nobody can be told any more."""
        if self.delivery.replies_each:
            return []
        refused = [at for at, one in self.fates.items() if one.fate == "refused"]
        return refused if len(refused) < len(self.decisions) else []

    @property
    def one_reply(self) -> Reply:
        """The reply to DATA: the first that asks to try again, or the refusal that holds for all, or 250."""
        replies = [self.replies[at] for at in sorted(self.replies)]
        for reply in replies:
            if reply.temporary:
                return reply
        if replies and all(reply.permanent for reply in replies):
            return replies[0]
        return Reply(250, f"{ACCEPTED} as {self.record.id}", "2.0.0")

    @property
    def each_reply(self) -> tuple[Reply, ...]:
        return tuple(self.replies.get(at, TROUBLE) for at in range(len(self.decisions)))

    def positions(self, action: Action) -> list[int]:
        """Recipients whose action this is."""
        return [at for at, one in enumerate(self.decisions) if one.action is action]

    def recipient(self, position: int) -> str:
        return self.record.envelope.recipients[position].address

    def settle(self, position: int, fate: str, reply: Reply) -> None:
        self.fates[position] = DeliveryResult(self.recipient(position), fate, str(reply))
        self.replies[position] = reply

    def advise(self) -> None:
        """This door only says what it thinks; whoever asked acts, and stays responsible."""
        for position in range(len(self.decisions)):
            self.settle(position, "advised", Reply(250, ACCEPTED, "2.0.0"))

    def fail_all(self, reply: Reply) -> None:
        for position in range(len(self.decisions)):
            self.settle(position, "deferred", reply)

    def fail(self, error: Exception) -> None:
        """An exception in a stage: whoever has no copy yet is to be tried again, and the record says why."""
        self.record = replace(self.record, error=f"{self.stage}: {type(error).__name__}: {error}"[:500])
        for position in range(len(self.decisions)):
            if position not in self.fates:
                self.settle(position, "deferred", TROUBLE)

    def _refusal(self, decision: Decision) -> Reply:
        if decision.action is Action.DEFER:
            return TROUBLE if decision.reason is Reason.ERROR else Reply(451, "Try again later", "4.7.1")
        if decision.reason is Reason.LOOP:
            return LOOP
        text = decision.reply or f"Refused as unwanted mail; ask your recipient's postmaster about {self.record.id}"
        return Reply(550, text, "5.7.1")
