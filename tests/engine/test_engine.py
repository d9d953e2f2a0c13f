"""The one way through: what fails becomes a decision, and every mail keeps the generation it was admitted under."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from filterd import mark
from filterd.decision import Action, Reason
from filterd.engine.engine import Engine, Generation, ask_nobody
from filterd.engine.outcome import Outcome
from filterd.engine.pool import Blamed
from filterd.engine.settings import EngineSettings, OnError
from filterd.engine.wire import Inspected, Judged, Ready
from filterd.facts import Facts, Questions
from filterd.findings import Finding
from filterd.judge import Inspection, Judgement
from filterd.mail.envelope import Envelope, Moment, Origin, Recipient
from filterd.marking import render
from filterd.policies import Policies
from filterd.record import Outline, Record, Verdict
from filterd.reply import Reply

RAW = b"Subject: hello\r\nX-Spam-Flag: YES\r\n\r\nbody\r\n"
KEY = bytes(32)


class Judges:
    """Finds what it is told to; fails at the step it is told to."""

    def __init__(self, points: int = 0, fails: str = "", error: Exception | None = None, name: str = "r1") -> None:
        self.ready = Ready(ruleset=name, model="m")
        self.alive, self.queued, self.delay = 1, 0, 0.0
        self.points, self.fails, self.error = points, fails, error or RuntimeError("as asked")
        self.closed = False
        self.forgotten: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def inspect(self, envelope: Envelope, raw: bytes | memoryview) -> tuple[Any, Inspected]:
        if self.fails == "read":
            raise self.error
        marks = tuple(line[18:].decode().strip() for line in bytes(raw).split(b"\r\n") if b"X-Filterd-Release" in line)
        inspection = Inspection(questions=Questions(origin=envelope.client), outline=Outline(digest="d"), marks=marks)
        return "ticket", Inspected(inspection=inspection, seconds=0.001)

    async def judge(self, ticket: Any, facts: Facts) -> Judged:
        await self.gate.wait()
        if self.fails == "judge":
            raise self.error
        findings = (Finding("SCRIPTED", self.points, "Scripted."),)
        return Judged(judgement=Judgement(verdict=Verdict(findings=findings, points=self.points)), seconds={"rules": 0})

    def forget(self, ticket: Any) -> None:
        self.forgotten.append(ticket)

    async def close(self) -> None:
        self.closed = True


class Keeper:
    """Remembers which marks were spent."""

    def __init__(self) -> None:
        self.spent: set[str] = set()

    async def spend_mark(self, mark_id: str, expires: float) -> bool:
        fresh = mark_id not in self.spent
        self.spent.add(mark_id)
        return fresh

    async def return_mark(self, mark_id: str) -> None:
        self.spent.discard(mark_id)

    async def hold(self, record: Record, raw: bytes | memoryview, held: Sequence[Any]) -> tuple[str, ...]:
        return tuple("item" for _ in held)

    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None:
        return None

    async def delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> frozenset[str]:
        return frozenset()

    async def remember_delivered(self, digest: str, sender: str, recipients: Sequence[str]) -> None:
        return None


def envelope(*recipients: str) -> Envelope:
    return Envelope(
        id="01TEST",
        received_at=datetime.datetime.now(datetime.UTC),
        listener="smtp test",
        peer="192.0.2.1",
        client=Origin("192.0.2.1"),
        sender="s@example.net",
        recipients=tuple(Recipient(one) for one in recipients or ("r@example.org",)),
    )


def generation(judges: Judges, on_error: OnError = OnError.DEFER, ask: Any = ask_nobody, **settings: Any) -> Generation:
    return Generation(
        config="c", hostname="mx.example.org", policies=Policies(), judges=judges, ask=ask,
        settings=EngineSettings(on_error=on_error, **settings),
    )  # fmt: skip


def examine(judges: Judges, raw: bytes = RAW, **how: Any) -> Outcome:
    async def main() -> Outcome:
        return await Engine(generation(judges, **how), Keeper(), mark_key=KEY).examine(envelope(), raw)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("on_error", "action"),
    [(OnError.DEFER, Action.DEFER), (OnError.ACCEPT, Action.ACCEPT), (OnError.QUARANTINE, Action.QUARANTINE)],
)
@pytest.mark.parametrize("stage", ["read", "judge"])
def test_an_exception_in_any_stage_is_the_on_error_policy_with_the_stage_named(
    stage: str, on_error: OnError, action: Action
) -> None:
    judges = Judges(fails=stage)
    outcome = examine(judges, on_error=on_error)
    (decision,) = outcome.record.decisions
    assert (decision.action, decision.reason) == (action, Reason.ERROR)
    assert outcome.record.error == f"{stage}: RuntimeError: as asked"
    assert judges.forgotten == (["ticket"] if stage == "judge" else [])


def test_a_failure_of_asking_is_an_outage_too() -> None:
    async def ask(questions: Questions, seconds: float) -> Facts:
        raise OSError("no network")

    outcome = examine(Judges(), ask=ask)
    assert outcome.record.error == "ask: OSError: no network"


def test_mail_accepted_unjudged_says_so_in_a_header() -> None:
    outcome = examine(Judges(fails="read"), on_error=OnError.ACCEPT)
    head = b"".join(render(outcome.copies[0].edits, RAW))
    assert b"X-Filterd-Bypass: error\r\n" in head
    assert b"X-Spam-Status" not in head


def test_a_message_that_kills_workers_is_quarantined_unread_whatever_on_error_says() -> None:
    outcome = examine(Judges(fails="read", error=Blamed("it ended two workers")), on_error=OnError.ACCEPT)
    (decision,) = outcome.record.decisions
    assert (decision.action, decision.reason) == (Action.QUARANTINE, Reason.UNJUDGED)


def test_the_record_names_its_generation_and_a_swap_waits_for_mail_in_work() -> None:
    async def main() -> None:
        old, new = Judges(name="old"), Judges(name="new")
        old.gate.clear()
        engine = Engine(generation(old), Keeper())
        first = asyncio.create_task(engine.examine(envelope(), RAW))
        await asyncio.sleep(0)
        swap = asyncio.create_task(engine.swap(generation(new)))
        await asyncio.sleep(0)
        second = await engine.examine(envelope(), RAW)
        assert second.record.generation.ruleset == "new"
        assert not old.closed, "a mail is still judged under it"
        old.gate.set()
        assert (await first).record.generation.ruleset == "old"
        await swap
        assert old.closed
        assert not new.closed

    asyncio.run(main())


def test_bypass_delivers_and_keeps_what_would_have_been() -> None:
    async def main() -> Outcome:
        engine = Engine(generation(Judges(points=2000)), Keeper())
        engine.bypass = True
        return await engine.examine(envelope(), RAW)

    outcome = asyncio.run(main())
    (decision,) = outcome.record.decisions
    assert (decision.action, decision.would) == (Action.ACCEPT, Action.QUARANTINE)
    assert b"X-Filterd-Bypass: bypass" in b"".join(render(outcome.copies[0].edits, RAW))


def marked(recipient: str = "r@example.org") -> bytes:
    value = mark.make(KEY, "item", recipient, RAW, datetime.datetime.now().timestamp() + 100)
    return b"X-Filterd-Release: " + value.encode() + b"\r\n" + RAW


def test_a_release_mark_is_honoured_once_and_for_its_recipient_alone() -> None:
    async def main() -> list[Reason]:
        engine = Engine(generation(Judges(points=2000)), Keeper(), mark_key=KEY)
        raw = marked()
        outcomes = [
            await engine.examine(envelope("other@example.org"), raw),
            await engine.examine(envelope("r@example.org", "other@example.org"), raw),
            await engine.examine(envelope("r@example.org"), raw.replace(b"body", b"bodY")),
            await engine.examine(envelope("r@example.org"), raw),
            await engine.examine(envelope("r@example.org"), raw),
        ]
        return [outcome.record.decisions[0].reason for outcome in outcomes]

    spam = Reason.SPAM_SCORE
    assert asyncio.run(main()) == [spam, spam, spam, Reason.RELEASED, spam]


def test_released_mail_that_the_next_hop_put_off_is_released_mail_on_the_next_try() -> None:
    class Busy:
        may_refuse, splits, replies_each, advises = True, True, False, False

        def __init__(self, *replies: Reply) -> None:
            self.replies = list(replies)

        async def deliver(self, copy: Any, content: Any) -> tuple[Reply, ...]:
            return (self.replies.pop(0),)

    async def main() -> list[Reason]:
        engine, raw, reasons = Engine(generation(Judges(points=2000)), Keeper(), mark_key=KEY), marked(), []
        hop = Busy(Reply(451, "Later"), Reply(250, "Ok"))
        for _ in range(2):
            outcome = await engine.examine(envelope("r@example.org"), raw)
            await engine.fulfil(outcome, raw, hop)
            reasons.append(outcome.record.decisions[0].reason)
        outcome = await engine.examine(envelope("r@example.org"), raw)
        return [*reasons, outcome.record.decisions[0].reason]

    assert asyncio.run(main()) == [Reason.RELEASED, Reason.RELEASED, Reason.SPAM_SCORE]


def test_mail_that_would_wait_too_long_is_put_off_before_its_data() -> None:
    async def main() -> list[Reply | None]:
        judges = Judges()
        engine = Engine(generation(judges), Keeper())
        early = [await engine.screen(envelope(), Moment.RCPT)]
        judges.delay = 6.0
        return [*early, await engine.screen(envelope(), Moment.RCPT)]

    well, busy = asyncio.run(main())
    assert well is None
    assert busy is not None
    assert (busy.code, busy.enhanced) == (451, "4.3.2")


def test_no_room_in_time_defers() -> None:
    async def main() -> Outcome:
        judges = Judges()
        judges.gate.clear()
        engine = Engine(generation(judges, in_flight=10, wait=0.05), Keeper())
        first = asyncio.create_task(engine.examine(envelope(), RAW))
        await asyncio.sleep(0)
        outcome = await engine.examine(envelope(), RAW)
        judges.gate.set()
        await first
        assert engine.load == {"bytes": 0, "waiting": 0, "queued": 0, "mails": 0}
        return outcome

    outcome = asyncio.run(main())
    assert outcome.record.decisions[0].action is Action.DEFER
    assert outcome.record.error.startswith("admit: ")


def test_a_record_survives_its_codec() -> None:
    record = examine(Judges(points=900)).record
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(record), type=Record) == record
