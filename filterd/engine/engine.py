"""Engine: examine a mail, then fulfil what was decided. The only way through.

`examine` never raises but for cancellation: whatever fails becomes a decision (`on_error`), with the stage named in
the record. `fulfil` answers with the reply for the client. Both work under the generation that the mail was admitted
under, however often the engine is reloaded meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from filterd.access import AccessList
from filterd.decision import Action, Decision, Reason, Subject, Thresholds
from filterd.engine.budget import Budget, OverBudget
from filterd.engine.early import Blocks, EarlyAnswers, block_nobody
from filterd.engine.fulfil import Fulfiller, Keeper
from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.engine.pool import Blamed, NoWorker, PoolError
from filterd.engine.rates import Rates
from filterd.engine.settings import EngineSettings, OnError
from filterd.engine.wire import Inspected, Judged, Ready
from filterd.facts import NOTHING, Facts, Questions
from filterd.judge import Inspection
from filterd.mail.envelope import Envelope, Moment
from filterd.mark import MarkError, spent_by
from filterd.marking import copies, withheld
from filterd.policies import Policies
from filterd.policy import bypassed, decide, same_for_all
from filterd.record import Generation as GenerationIds
from filterd.record import Record
from filterd.reply import Reply
from filterd.settings import Networks
from filterd.store import StoreUnavailable
from filterd.value import replace
from filterd.wishes import Wishes, wish_of

log = structlog.get_logger("filterd.engine")

CROWD = 100  # mails that wait for memory when no more are taken
PATIENCE = 5.0  # seconds that a step waits for a worker when no more mail is taken: what is taken is answered in time


class Judges(Protocol):
    """A pool, or an inline pool."""

    ready: Ready

    @property
    def size(self) -> int: ...
    @property
    def alive(self) -> int: ...
    @property
    def deaths(self) -> int: ...
    @property
    def queued(self) -> int: ...
    @property
    def delay(self) -> float: ...
    async def inspect(self, envelope: Envelope, raw: bytes | memoryview) -> tuple[Any, Inspected]: ...
    async def judge(self, ticket: Any, facts: Facts) -> Judged: ...
    def forget(self, ticket: Any) -> None: ...
    async def close(self) -> None: ...


Ask = Callable[[Questions, float], Any]  # (questions, seconds) -> awaitable Facts


@dataclass(slots=True, eq=False)
class Generation:
    """Config, rules and models that belong together, and the workers that hold them."""

    config: str  # hash of the configuration
    hostname: str
    policies: Policies
    judges: Judges
    ask: Ask
    settings: EngineSettings = EngineSettings()
    wishes: Wishes = Wishes()
    rates: Rates = field(default_factory=lambda: Rates(()))
    relays: Networks = Networks()  # whose Received lines tell who the client was
    blocks: Blocks = block_nobody
    users: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ids(self) -> GenerationIds:
        return GenerationIds(self.config, self.judges.ready.ruleset, self.judges.ready.model)

    def enter(self) -> None:
        self.users += 1
        self.unused.clear()

    def leave(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.unused.set()


class Engine:
    """Examines and fulfils, under the current generation."""

    def __init__(
        self,
        generation: Generation,
        keeper: Keeper,
        recorded: Callable[[Record], None] = lambda record: None,
        mark_key: bytes = b"",
        early: Callable[[Record], None] = lambda record: None,
    ) -> None:
        self._generation = generation
        self._budget = Budget(generation.settings.in_flight)
        self._keeper = keeper
        self._fulfiller = Fulfiller(keeper, recorded)
        self._early = EarlyAnswers(keeper, early)
        self._mark_key = mark_key
        self.bypass = False
        self.listed = AccessList(())  # what people said on the pages; it changes without a reload

    @property
    def generation(self) -> Generation:
        return self._generation

    @property
    def load(self) -> dict[str, int]:
        """What is in work, for status and metrics."""
        return {
            "bytes": self._budget.taken,
            "waiting": self._budget.waiting,
            "queued": self._generation.judges.queued,
            "mails": self._generation.users,
        }

    async def swap(self, generation: Generation) -> None:
        """Take over a new generation, then end the old one when its last mail is done."""
        old, self._generation = self._generation, generation
        self._budget.capacity = generation.settings.in_flight
        if old.users:
            await old.unused.wait()
        if old.judges is not generation.judges:
            await old.judges.close()

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        """An early answer; None is no news. Work that could only wait in vain is put off whatever the switches say.

        At connect the envelope has neither sender nor recipients, and an answer is a 554; at MAIL it has no recipients,
        at RCPT that one alone.
        """
        generation = self._generation
        crowded = self._budget.waiting > CROWD or generation.judges.delay > PATIENCE
        if crowded and moment is not Moment.CONNECT:
            return Reply(451, "Too much mail at the moment, try again later", "4.3.2")
        if self.bypass or moment is Moment.DATA:
            return None
        lists = (generation.policies.access_list, self.listed)
        return await self._early.answer(generation, lists, envelope, moment, enforce)

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome:
        """The decisions about a mail, and the copies that they make. `enforce` is the listener's own switch."""
        generation = self._generation
        generation.enter()
        examination = _Examination(generation, envelope, raw)
        try:
            async with self._budget.hold(len(raw), generation.settings.wait):
                decisions = await self._decisions(examination, enforce)
        except OverBudget as error:
            decisions = _on_error(envelope, OnError.DEFER, str(error))
            examination.error = f"admit: {error}"
        finally:
            generation.leave()
        return examination.outcome(decisions)

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        """Quarantine first, then deliver each group, then say the reply. See `filterd.engine.fulfil`."""
        done = await self._fulfiller.fulfil(outcome, raw, delivery)
        if outcome.mark and not done.reply.ok:
            await self._return_mark(outcome)
        return done

    async def _return_mark(self, outcome: Outcome) -> None:
        """What was released but not delivered comes again, and is then released mail still."""
        try:
            await self._keeper.return_mark(outcome.mark)
        except StoreUnavailable as error:
            log.warning("release-mark-lost", id=outcome.record.id, why=str(error))

    async def _decisions(self, examination: _Examination, enforce: bool) -> tuple[Decision, ...]:
        envelope, policies = examination.envelope, examination.generation.policies
        try:
            await examination.run()
            if released := await self._released(examination):
                return released
            wish = wish_of(examination.record, examination.generation.wishes)
            access = (*policies.access_list.holding(examination.record), *self.listed.holding(examination.record))
            decisions = decide(
                examination.record.verdict, envelope, policies, enforce=enforce, wish=wish, access=access
            )
        except Blamed as error:
            examination.error = f"{examination.stage}: {error}"
            text = "It ended the processes that tried to read it, and is kept unread."
            return same_for_all(envelope, Action.QUARANTINE, Reason.UNJUDGED, text)
        except Exception as error:  # noqa: BLE001  an outage of ours is a decision, never an exception in the flow
            examination.error = f"{examination.stage}: {_sentence(error)}"
            log.error("not-judged", id=envelope.id, stage=examination.stage, why=_sentence(error))
            return _on_error(envelope, examination.generation.settings.on_error, examination.stage)
        return bypassed(decisions) if self.bypass else decisions

    async def _released(self, examination: _Examination) -> tuple[Decision, ...] | None:
        """Accept what carries our own release mark for its only recipient; a mark is honoured once."""
        if not examination.marks or len(examination.envelope.recipients) != 1:
            return None
        try:
            mark = spent_by(examination.marks, examination.envelope.recipients[0].address, examination.raw,
                            self._mark_key, examination.envelope.received_at)  # fmt: skip
        except MarkError as error:
            log.warning("release-mark-refused", id=examination.envelope.id, why=str(error))
            return None
        if not await self._keeper.spend_mark(mark.id, mark.expires):
            log.warning("release-mark-refused", id=examination.envelope.id, why="it was used before")
            return None
        examination.mark = mark.id
        text = "Released from the quarantine."
        return same_for_all(examination.envelope, Action.ACCEPT, Reason.RELEASED, text)


class _Examination:
    """One mail on its way to its outcome; knows which stage it is in."""

    def __init__(self, generation: Generation, envelope: Envelope, raw: bytes | memoryview) -> None:
        self.generation = generation
        self.envelope = envelope
        self.raw = raw
        self.stage = "admit"
        self.error = ""
        self.marks: tuple[str, ...] = ()  # release marks that the message carries
        self.mark = ""  # the one that was honoured
        self.inspection: Inspection | None = None
        self.milliseconds: dict[str, float] = {}
        self.record = Record(
            id=envelope.id,
            envelope=envelope,
            origin=envelope.client,
            generation=generation.ids,
            thresholds=generation.policies.thresholds.value if generation.policies else Thresholds(),
        )

    async def run(self) -> None:
        """inspect, gather, judge; the record grows with each."""
        judges, settings = self.generation.judges, self.generation.settings
        self.stage = "read"
        async with asyncio.timeout(settings.wait + 60):
            ticket, inspected = await judges.inspect(self.envelope, self.raw)
        self.milliseconds["read"] = inspected.seconds * 1000
        self.inspection = inspection = inspected.inspection
        self.marks = inspection.marks
        self._grow(origin=inspection.questions.origin, outline=inspection.outline)
        try:
            self.stage = "ask"
            started = time.perf_counter()
            facts = await self.generation.ask(inspection.questions, settings.ask)
            self.milliseconds["ask"] = (time.perf_counter() - started) * 1000
            self._grow(facts=facts)
            self.stage = "judge"
            judged = await judges.judge(ticket, facts)
        except BaseException:
            judges.forget(ticket)
            raise
        self.milliseconds |= {stage: seconds * 1000 for stage, seconds in judged.seconds.items()}
        judgement = judged.judgement
        self._grow(
            auth=judgement.auth,
            verdict=judgement.verdict,
            opinion=judgement.opinion,
            generation=replace(self.generation.ids, site_model=judgement.opinion.site),
        )
        self.stage = "decide"

    def outcome(self, decisions: tuple[Decision, ...]) -> Outcome:
        """The outcome that these decisions make."""
        self._grow(
            decisions=decisions,
            milliseconds={stage: round(value, 3) for stage, value in self.milliseconds.items()},
            error=self.error,
            observed=any(one.would is not None and one.reason is not Reason.BYPASS for one in decisions),
        )
        strip = self.inspection.strip if self.inspection is not None else ()
        subject = self.inspection.subject if self.inspection is not None else Subject()
        made = copies(self.record, decisions, strip, self.generation.hostname, subject)
        held = withheld(self.record, strip, self.generation.hostname)
        return Outcome(record=self.record, copies=made, strip=strip, subject=subject, withheld=held, mark=self.mark)

    def _grow(self, **fields: Any) -> None:
        self.record = replace(self.record, **fields)


def _on_error(envelope: Envelope, what: OnError, stage: str) -> tuple[Decision, ...]:
    text = f"It could not be judged: trouble on our side ({stage})."
    return same_for_all(envelope, Action(what.value), Reason.ERROR, text)


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "it took too long"
    if isinstance(error, PoolError | NoWorker):
        return str(error)
    return f"{type(error).__name__}: {error}"[:500]


async def ask_nobody(questions: Questions, seconds: float) -> Facts:
    """Facts for `--offline`: nothing was asked."""
    return NOTHING
