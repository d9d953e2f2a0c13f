"""One reply, several outcomes: the table in docs/architecture.md, a test per cell."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence

import pytest

from filterd.decision import Action, Copy, Decision, Reason
from filterd.engine.fulfil import Fulfiller
from filterd.engine.outcome import Fulfilment, Outcome
from filterd.mail.envelope import Envelope, Origin, Recipient
from filterd.marking import copies
from filterd.record import Outline, Record
from filterd.reply import Reply
from filterd.store import Held, StoreUnavailable

RAW = b"Subject: x\r\n\r\nbody\r\n"
OK = Reply(250, "Ok: queued as 1", "2.0.0")
BUSY = Reply(451, "Busy", "4.3.0")
NO = Reply(550, "No such user", "5.1.1")


class FakeKeeper:
    """Keeps everything in lists; refuses to hold when told so."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing
        self.held: list[Held] = []
        self.records: list[Record] = []
        self.memory: set[str] = set()
        self.journal: list[str] = []

    async def hold(self, record: Record, raw: bytes | memoryview, held: Sequence[Held]) -> tuple[str, ...]:
        if self.failing:
            raise StoreUnavailable("the disk is full")
        self.journal.append("hold")
        self.held += held
        return tuple(f"item-{one.recipient}" for one in held)

    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None:
        self.records.append(record)

    async def delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> frozenset[str]:
        return frozenset(self.memory & set(recipients))

    async def remember_delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> None:
        self.memory |= set(recipients)

    async def spend_mark(self, mark_id: str, expires: float) -> bool:
        return True


class FakeDelivery:
    """A door whose next hop answers per recipient as scripted."""

    def __init__(self, keeper: FakeKeeper, answers: dict[str, Reply], **abilities: bool) -> None:
        self.may_refuse = abilities.get("may_refuse", True)
        self.splits = abilities.get("splits", True)
        self.replies_each = abilities.get("replies_each", False)
        self.advises = abilities.get("advises", False)
        self._keeper = keeper
        self._answers = answers
        self.sent: list[tuple[str, ...]] = []

    async def deliver(self, copy: Copy, content: Sequence[bytes | memoryview]) -> tuple[Reply, ...]:
        names = tuple("abcdef"[at] + "@example.org" for at in copy.recipients)
        self._keeper.journal.append("deliver")
        self.sent.append(names)
        return tuple(self._answers.get(name[0], OK) for name in names)


def outcome(*actions: Action) -> Outcome:
    recipients = tuple(Recipient(f"{'abcdef'[n]}@example.org") for n in range(len(actions)))
    envelope = Envelope(
        id="01ID",
        received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        listener="smtp test",
        peer="192.0.2.1",
        client=Origin("192.0.2.1"),
        sender="s@example.net",
        recipients=recipients,
    )
    decisions = tuple(
        Decision(one.address, action, Reason.SPAM_SCORE, "Scripted.")
        for one, action in zip(recipients, actions, strict=True)
    )
    record = Record(
        id="01ID", envelope=envelope, origin=envelope.client, decisions=decisions, outline=Outline(digest="d")
    )
    return Outcome(record=record, copies=copies(record, decisions, (), "mx.example.org"))


def run(
    actions: Sequence[Action],
    answers: dict[str, Reply] | None = None,
    failing: bool = False,
    **abilities: bool,
) -> tuple[Fulfilment, FakeKeeper, FakeDelivery]:
    keeper = FakeKeeper(failing)
    delivery = FakeDelivery(keeper, answers or {}, **abilities)
    fulfiller = Fulfiller(keeper, lambda record: None)
    return asyncio.run(fulfiller.fulfil(outcome(*actions), RAW, delivery)), keeper, delivery


A, T, Q, D, F, R = Action.ACCEPT, Action.TAG, Action.QUARANTINE, Action.DISCARD, Action.DEFER, Action.REJECT

# actions, next hop's answers by recipient -> reply code, fates in order
TABLE = [
    ((A,), {}, 250, "delivered"),
    ((T,), {}, 250, "delivered"),
    ((Q,), {}, 250, "quarantined"),
    ((D,), {}, 250, "discarded"),
    ((F,), {}, 451, "deferred"),
    ((R,), {}, 550, "refused"),
    ((R, R), {}, 550, "refused refused"),
    ((F, F), {}, 451, "deferred deferred"),
    ((A, R), {}, 250, "delivered quarantined"),
    ((A, F), {}, 250, "delivered quarantined"),
    ((R, F), {}, 250, "quarantined quarantined"),
    ((Q, R), {}, 250, "quarantined quarantined"),
    ((D, R), {}, 250, "discarded quarantined"),
    ((A, Q, D), {}, 250, "delivered quarantined discarded"),
    ((A,), {"a": BUSY}, 451, "deferred"),
    ((A,), {"a": NO}, 550, "refused"),
    ((A, A), {"a": NO, "b": NO}, 550, "refused refused"),
    ((A, A), {"b": NO}, 250, "delivered undelivered"),
    ((A, A), {"b": BUSY}, 451, "delivered deferred"),
    ((A, T), {"b": BUSY}, 451, "delivered deferred"),
    ((A, Q), {"a": NO}, 250, "undelivered quarantined"),
    ((A, Q), {"a": BUSY}, 451, "deferred quarantined"),
    ((A, A, A), {"b": BUSY, "c": NO}, 451, "delivered deferred refused"),
    ((A, D), {"a": NO}, 250, "undelivered discarded"),
]


@pytest.mark.parametrize(("actions", "answers", "code", "fates"), TABLE)
def test_before_the_queue(actions: tuple[Action, ...], answers: dict[str, Reply], code: int, fates: str) -> None:
    done, keeper, _ = run(actions, answers)
    assert done.reply.code == code
    assert [one.fate for one in done.record.deliveries] == fates.split()
    assert keeper.records == [done.record]
    assert keeper.journal == sorted(keeper.journal, reverse=True) or "undelivered" in fates, "hold comes first"


@pytest.mark.parametrize(
    ("actions", "code", "fates"),
    [
        ((R,), 250, "quarantined"),
        ((R, R), 250, "quarantined quarantined"),
        ((A, R), 250, "delivered quarantined"),
        ((F,), 451, "deferred"),
        ((F, A), 250, "quarantined delivered"),
    ],
)
def test_after_the_queue_nothing_is_refused(actions: tuple[Action, ...], code: int, fates: str) -> None:
    done, _, _ = run(actions, may_refuse=False)
    assert done.reply.code == code
    assert [one.fate for one in done.record.deliveries] == fates.split()


@pytest.mark.parametrize(
    ("actions", "answers", "codes", "fates"),
    [
        ((A, R), {}, [250, 550], "delivered refused"),
        ((A, F), {}, [250, 451], "delivered deferred"),
        ((Q, R, A), {"c": BUSY}, [250, 550, 451], "quarantined refused deferred"),
        ((A, A), {"b": NO}, [250, 550], "delivered refused"),
        ((R, R), {}, [550, 550], "refused refused"),
    ],
)
def test_lmtp_answers_each_recipient(
    actions: tuple[Action, ...], answers: dict[str, Reply], codes: list[int], fates: str
) -> None:
    done, _, _ = run(actions, answers, replies_each=True)
    assert [reply.code for reply in done.replies] == codes
    assert [one.fate for one in done.record.deliveries] == fates.split()


@pytest.mark.parametrize("actions", [(A,), (Q,), (R,), (A, Q)])
def test_a_door_that_advises_holds_and_delivers_nothing(actions: tuple[Action, ...]) -> None:
    done, keeper, delivery = run(actions, advises=True, splits=False)
    assert {one.fate for one in done.record.deliveries} == {"advised"}
    assert (keeper.held, delivery.sent) == ([], [])


def test_a_split_refusal_says_what_it_would_have_been() -> None:
    done, _, _ = run((A, R))
    assert done.record.decisions[1].reason is Reason.SPLIT
    assert done.record.decisions[1].would is R


def test_a_quarantine_that_cannot_commit_defers_everything_and_delivers_nothing() -> None:
    done, _, delivery = run((A, Q), failing=True)
    assert done.reply.code == 451
    assert delivery.sent == []
    assert [one.fate for one in done.record.deliveries] == ["deferred", "deferred"]


def test_an_undelivered_copy_that_cannot_be_held_is_asked_for_again() -> None:
    done, keeper, _ = run((A, A), {"b": NO}, failing=True)
    assert done.reply.code == 451
    assert keeper.memory == {"a@example.org"}
    assert [one.fate for one in done.record.deliveries] == ["delivered", "deferred"]


def test_recipients_with_an_identical_copy_are_one_transaction() -> None:
    _, _, delivery = run((A, A, T, A))
    assert delivery.sent == [("a@example.org", "b@example.org", "d@example.org"), ("c@example.org",)]


def test_the_retry_after_a_partial_delivery_gives_nobody_a_second_copy() -> None:
    async def twice() -> tuple[Fulfilment, FakeDelivery]:
        keeper = FakeKeeper()
        fulfiller = Fulfiller(keeper, lambda record: None)
        first = await fulfiller.fulfil(outcome(A, A), RAW, FakeDelivery(keeper, {"b": BUSY}))
        assert first.reply.code == 451
        again = FakeDelivery(keeper, {})
        return await fulfiller.fulfil(outcome(A, A), RAW, again), again

    done, delivery = asyncio.run(twice())
    assert done.reply.code == 250
    assert delivery.sent == [("b@example.org",)]
    assert [one.fate for one in done.record.deliveries] == ["skipped", "delivered"]


def test_what_was_delivered_before_the_client_left_is_remembered() -> None:
    class Leaving(FakeDelivery):
        async def deliver(self, copy: Copy, content: Sequence[bytes | memoryview]) -> tuple[Reply, ...]:
            if self.sent:
                raise asyncio.CancelledError
            return await super().deliver(copy, content)

    async def leave() -> FakeKeeper:
        keeper = FakeKeeper()
        with pytest.raises(asyncio.CancelledError):
            await Fulfiller(keeper, lambda record: None).fulfil(distinct(), RAW, Leaving(keeper, {}))
        return keeper

    keeper = asyncio.run(leave())
    assert keeper.memory == {"a@example.org"}
    assert len(keeper.records) == 1


def distinct() -> Outcome:
    """Two recipients whose copies differ, so that there are two transactions."""
    made = outcome(A, A)
    (first,) = made.copies
    split = (Copy((0,), A, first.edits), Copy((1,), A))
    return Outcome(record=made.record, copies=split)
