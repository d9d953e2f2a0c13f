"""EarlyAnswers: what is refused at connect, MAIL and RCPT is said, recorded, logged and counted.

In: a mail before its message. Out: the reply, with the id of a record that says why, or None: no news. What is refused
is `filterd.early`'s to say. What the same client is told about the same mail again within a minute is only counted:
the record, and the log, say so at ten times, a hundred times, and so on. Beyond `ROWS` records in a minute one stands
for all of its reason. Mail that was released from the quarantine is not refused here, for the mark that lets it pass is
in the message; a store that cannot say whether it was refuses nothing.
"""

from __future__ import annotations

import datetime
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from filterd.access import AccessList
from filterd.decision import Action, Decision
from filterd.early import Asked, Block, blocked, denied, limited, may_be_blocked
from filterd.engine.fulfil import Keeper
from filterd.ids import new_id
from filterd.mail.envelope import Envelope, Moment
from filterd.mail.received import certain_address
from filterd.mark import KEPT
from filterd.record import DeliveryResult, Record
from filterd.reply import Reply
from filterd.store import StoreError
from filterd.value import replace

if TYPE_CHECKING:
    from filterd.engine.engine import Generation

log = structlog.get_logger("filterd.engine")

AGAIN = 60.0  # seconds in which the same refusal is not recorded twice
ROWS = 600  # records in that time
MANY = 2_000  # refusals that are remembered
_WHEN = {Moment.CONNECT: "as the client connected", Moment.MAIL: "at MAIL", Moment.RCPT: "at RCPT"}

Blocks = Callable[[str, float], Awaitable[Block | None]]  # (address, seconds): the list that refuses it
Said = Callable[[Record], None]


async def block_nobody(address: str, seconds: float) -> Block | None:
    """Where no list refuses."""
    return None


@dataclass(slots=True)
class _Refusal:
    """What was said, and how often since."""

    record: Record
    reply: Reply
    since: float
    times: int = 0


class EarlyAnswers:
    """Of one engine, over all its generations. `said` is called each time that something is refused."""

    def __init__(self, keeper: Keeper, said: Said) -> None:
        self._keeper = keeper
        self._said = said
        self._refusals: OrderedDict[tuple[Any, ...], _Refusal] = OrderedDict()
        self._minute, self._rows = 0.0, 0

    async def answer(
        self, generation: Generation, lists: tuple[AccessList, ...], envelope: Envelope, moment: Moment, enforce: bool
    ) -> Reply | None:
        """The refusal that is due now; access lists before limits, and these before anybody is asked."""
        address = certain_address(envelope, generation.relays)
        asked = Asked(envelope=envelope, moment=moment, address=address, policies=generation.policies, enforce=enforce)
        due = moment.is_at_least(generation.settings.refuse_at)
        if due and (decision := denied(asked, lists)) and (reply := await self._refuse(asked, decision, generation)):
            return reply
        full = generation.rates.take(envelope) if moment is not Moment.CONNECT else None
        if full is not None and (decision := limited(asked, full)):
            return await self._refuse(asked, decision, generation)
        if (
            due
            and may_be_blocked(asked, lists)
            and (block := await generation.blocks(address or "", generation.settings.ask))
        ):
            decision = blocked(asked, block)
            return await self._refuse(asked, decision, generation) if decision else None
        return None

    async def _refuse(self, asked: Asked, decision: Decision, generation: Generation) -> Reply | None:
        envelope = asked.envelope
        now = envelope.received_at.timestamp()
        client = envelope.client.address or envelope.peer
        key: tuple[Any, ...] = (client, decision.text, envelope.sender, decision.recipient)
        refusal = self._lately(key, now)
        if refusal is None:
            if await self._was_released(asked, decision):
                return None
            if self._is_flood(now):
                key = (decision.reason,)
            refusal = self._lately(key, now) or self._remember(key, _refusal(asked, decision, generation, now))
        refusal.times += 1
        self._said(refusal.record)
        if _is_round(refusal.times):
            self._note(refusal)
        return refusal.reply

    def _note(self, refusal: _Refusal) -> None:
        """Write it down: the first time, and ever less often."""
        record, times = refusal.record, refusal.times
        decision = record.decisions[0]
        if times > 1:
            text = f"{decision.text} Within a minute that was said {times} times or more."
            record = replace(record, decisions=(replace(decision, text=text),))
        self._keeper.write(record)
        envelope = record.envelope
        log.info(
            "refused-early",
            id=record.id,
            queue_id=envelope.queue_id,
            listener=envelope.listener,
            client=record.origin.address or envelope.peer or "unknown",
            helo=record.origin.helo,
            user=envelope.user,
            **{"from": f"<{envelope.sender}>" if record.moment is not Moment.CONNECT else None},
            to=decision.recipient or None,
            moment=record.moment.value,
            action=decision.action.value,
            reason=decision.reason.value,
            said=decision.text,
            reply=str(refusal.reply),
            times=times if times > 1 else None,
        )

    async def _was_released(self, asked: Asked, decision: Decision) -> bool:
        if asked.moment is Moment.CONNECT or decision.action is not Action.REJECT:
            return False
        since = asked.envelope.received_at - datetime.timedelta(seconds=KEPT)
        try:
            return await self._keeper.released(asked.envelope.sender, decision.recipient, since)
        except StoreError as error:
            log.warning("not-refused-early", id=asked.envelope.id, why=str(error))
            return True

    def _lately(self, key: tuple[Any, ...], now: float) -> _Refusal | None:
        refusal = self._refusals.get(key)
        return refusal if refusal is not None and now - refusal.since < AGAIN else None

    def _remember(self, key: tuple[Any, ...], refusal: _Refusal) -> _Refusal:
        self._refusals[key] = refusal
        self._refusals.move_to_end(key)
        if len(self._refusals) > MANY:
            self._refusals.popitem(last=False)
        return refusal

    def _is_flood(self, now: float) -> bool:
        """Are there records enough of this minute? Counts one more."""
        if now - self._minute >= AGAIN:
            self._minute, self._rows = now, 0
        self._rows += 1
        return self._rows > ROWS


def _refusal(asked: Asked, decision: Decision, generation: Generation, now: float) -> _Refusal:
    """A refusal with a record of its own: the mail may go on for others, under its own id."""
    id_ = new_id()
    refused = decision.action is Action.REJECT
    code = 450 if not refused else 554 if asked.moment is Moment.CONNECT else 550  # RFC 5321 section 3.1
    reply = Reply(code, f"{decision.reply} ({id_})", "5.7.1" if refused else "4.7.1")
    text = f"{decision.text} It was {'refused' if refused else 'put off'} {_WHEN[asked.moment]}, without its message."
    record = Record(
        id=id_,
        envelope=replace(asked.envelope, id=id_),
        origin=asked.envelope.client,
        thresholds=asked.policies.thresholds.value,
        decisions=(replace(decision, text=text),),
        deliveries=(DeliveryResult(decision.recipient, "refused" if refused else "deferred", str(reply)),),
        generation=generation.ids,
        moment=asked.moment,
    )
    return _Refusal(record, reply, now)


def _is_round(times: int) -> bool:
    """1, 10, 100, and so on."""
    return str(times).strip("0") == "1"
