"""Report addresses: mail to them teaches what it carries, and ends here.

`Reporting` stands before the filter at the doors that have recipients (SMTP, milter) and speaks as one. A report
address takes mail of our own users and machines only; anybody else is refused at RCPT, and where a door cannot refuse,
the mail is held. The other recipients of such a mail are the filter's. What a report taught is said in its record.
Nothing is answered by mail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from filterd.decision import Action, Copy, Decision, Edits, Reason
from filterd.engine.outcome import Delivery, Fulfilment, Outcome
from filterd.frontends import Filter
from filterd.frontends.learner import Klass, LearnError
from filterd.mail.domains import to_ascii
from filterd.mail.envelope import Direction, Envelope, Moment
from filterd.record import Record
from filterd.reply import Reply
from filterd.value import replace

log = structlog.get_logger("filterd.reports")

NOT_YOURS = Reply(550, "This address takes reports of our own users only", "5.7.1")
NOT_NOW = Reply(451, "Reports cannot be taken at the moment, try again later", "4.3.0")
_TOLD = "This address takes reports of our own users only."
_TAKEN = "Taken as a report."


class ReportDesk(Protocol):
    """Who learns from reports; a test hands in a fake."""

    async def ready(self) -> bool:
        """Is there somebody who learns?"""
        ...

    async def report(self, raw: bytes, klass: Klass, *, reporter: str, sender: str, by: str) -> str:
        """Learn what this mail carries; a sentence about what came of it. Raises LearnError: not now."""
        ...


Addresses = Mapping[str, str]  # of `learn.addresses`: what is reported there, by `plain` address


class Reporting:
    """A filter that keeps mail to report addresses for itself. `addresses` are those that are in force."""

    def __init__(self, filter: Filter, desk: ReportDesk, addresses: Callable[[], Addresses]) -> None:
        self._filter = filter
        self._desk = desk
        self._addresses = addresses

    async def screen(self, envelope: Envelope, moment: Moment, *, enforce: bool = True) -> Reply | None:
        """An early answer; about a report address 550 to strangers, and 451 while nobody learns."""
        early = await self._filter.screen(envelope, moment, enforce=enforce)
        if early is not None or not self._reports(envelope):
            return early
        if envelope.direction is Direction.INBOUND:
            return NOT_YOURS
        return None if await self._desk.ready() else NOT_NOW

    async def examine(self, envelope: Envelope, raw: bytes | memoryview, *, enforce: bool = True) -> Outcome:
        """The filter's outcome for the other recipients, with ours beside it."""
        reports = self._reports(envelope)
        if not reports:
            return await self._filter.examine(envelope, raw, enforce=enforce)
        others = [at for at in range(len(envelope.recipients)) if at not in reports]
        ours = {at: _decision(envelope, at) for at in reports}
        if not others:
            record = Record(id=envelope.id, envelope=envelope, origin=envelope.client)
            return _merged(Outcome(record=record, copies=()), envelope, others, ours)
        rest = replace(envelope, recipients=tuple(envelope.recipients[at] for at in others))
        return _merged(await self._filter.examine(rest, raw, enforce=enforce), envelope, others, ours)

    async def fulfil(self, outcome: Outcome, raw: bytes | memoryview, delivery: Delivery) -> Fulfilment:
        """Learn first, for that may be done twice; then what the filter does."""
        decisions = list(outcome.record.decisions)
        reported = [at for at, one in enumerate(decisions) if one.reason is Reason.REPORT]
        said: dict[Klass, Decision] = {}
        for at in reported if outcome.record.envelope.direction is not Direction.INBOUND else ():
            klass = self._reports(outcome.record.envelope).get(at)
            if klass is not None and klass not in said:
                said[klass] = await self._learn(outcome.record.envelope, decisions[at], raw, klass)
            if klass is not None:
                alone = len(reported) == len(decisions) or delivery.replies_each
                decisions[at] = _said(decisions[at], said[klass], may_defer=alone)
        if said:
            outcome = replace(outcome, record=replace(outcome.record, decisions=tuple(decisions)))
        return await self._filter.fulfil(outcome, raw, delivery)

    async def _learn(self, envelope: Envelope, decision: Decision, raw: bytes | memoryview, klass: Klass) -> Decision:
        """The decision with what came of it: deferred, when nobody learns now."""
        reporter = envelope.user or envelope.sender
        by = f"{envelope.listener} report"
        try:
            text = await self._desk.report(bytes(raw), klass, reporter=reporter, sender=envelope.sender, by=by)
        except LearnError as error:
            log.error("report-lost", id=envelope.id, reporter=reporter, klass=klass.value, why=str(error))
            return replace(decision, action=Action.DEFER, reason=Reason.ERROR, text=f"Not learnt: {error}.")
        log.info("report", id=envelope.id, reporter=reporter, klass=klass.value, said=text)
        return replace(decision, text=f"{_TAKEN} {text}")

    def _reports(self, envelope: Envelope) -> dict[int, Klass]:
        """What is reported by which of the recipients, by position."""
        addresses = self._addresses()
        if not addresses:
            return {}
        found = ((at, addresses.get(plain(one.address))) for at, one in enumerate(envelope.recipients))
        return {at: Klass(klass) for at, klass in found if klass is not None}


def plain(address: str) -> str:
    """An address as report addresses are compared: upper and lower case alike, the domain in A-labels."""
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{to_ascii(domain) or domain.casefold()}"


def _decision(envelope: Envelope, at: int) -> Decision:
    recipient = envelope.recipients[at].address
    if envelope.direction is Direction.INBOUND:
        return Decision(recipient, Action.REJECT, Reason.REPORT, _TOLD, reply=NOT_YOURS.text)
    return Decision(recipient, Action.DISCARD, Reason.REPORT, _TAKEN)


def _said(decision: Decision, said: Decision, *, may_defer: bool) -> Decision:
    """What came of the report, for this recipient. Others that have the mail are not made to take it twice."""
    action = said.action if may_defer or said.action is not Action.DEFER else Action.DISCARD
    return replace(said, recipient=decision.recipient, action=action)


def _merged(outcome: Outcome, envelope: Envelope, others: Sequence[int], ours: Mapping[int, Decision]) -> Outcome:
    """An outcome for some recipients as one for all."""
    theirs = dict(zip(others, outcome.record.decisions, strict=True))
    decisions = tuple(ours.get(at) or theirs[at] for at in range(len(envelope.recipients)))
    copies = [replace(copy, recipients=tuple(others[at] for at in copy.recipients)) for copy in outcome.copies]
    copies += [Copy((at,), one.action, Edits()) for at, one in ours.items()]
    record = replace(outcome.record, envelope=envelope, decisions=decisions)
    return replace(outcome, record=record, copies=tuple(copies))
