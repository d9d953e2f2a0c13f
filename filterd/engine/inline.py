"""A pool of none: reads and judges in this very process. For `filterd scan` and tests, where the mail is one's own."""

from __future__ import annotations

from dataclasses import dataclass

from filterd.engine.wire import Inspected, Judged, Ready
from filterd.engine.worker import Stopwatch
from filterd.facts import Facts
from filterd.judge import Judge
from filterd.mail import Envelope, Mail


@dataclass(slots=True)
class InlineTicket:
    mail: Mail


class InlinePool:
    """The same verbs as `Pool`."""

    size = alive = 1
    queued = deaths = 0
    delay = 0.0

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.ready = Ready(ruleset=judge.ruleset.hash, model=judge.model.id if judge.model else "")

    async def inspect(self, envelope: Envelope, raw: bytes | memoryview) -> tuple[InlineTicket, Inspected]:
        watch = Stopwatch()
        mail, inspection = self._judge.inspect(envelope, bytes(raw))
        watch("read")
        return InlineTicket(mail), Inspected(inspection=inspection, seconds=watch.seconds["read"])

    async def judge(self, ticket: InlineTicket, facts: Facts) -> Judged:
        watch = Stopwatch()
        judgement = self._judge.judge(ticket.mail, facts, watch)
        return Judged(judgement=judgement, seconds=watch.seconds)

    def forget(self, ticket: InlineTicket) -> None:
        return None

    async def close(self) -> None:
        return None
