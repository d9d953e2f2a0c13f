"""Records as the engine would make them, and what is held of them."""

from __future__ import annotations

import datetime
from typing import Any

from filterd.decision import Action, Decision, Reason
from filterd.findings import Finding
from filterd.ids import new_id
from filterd.mail.envelope import Envelope, Origin, Recipient, Source
from filterd.record import Generation, Opinion, Outline, Record, Verdict
from filterd.store import Held, QuarantineClass

SPAM = b"From: Crook <crook@bad.example>\r\nSubject: Cheap pills\r\n\r\nBuy them.\r\n"


def make_record(**changes: Any) -> Record:
    """A record of a quarantined spam; `changes` may name the sender, recipients, subject, findings, and so on."""
    recipients = changes.get("recipients", ("ann@example.org",))
    action, reason = changes.get("action", Action.QUARANTINE), changes.get("reason", Reason.SPAM_SCORE)
    findings = tuple(Finding(name, 300) for name in changes.get("findings", ("PILLS", "URGENT")))
    at = changes.get("at", datetime.datetime.now(datetime.UTC))
    origin = Origin(changes.get("client", "192.0.2.7"), None, "mx.bad.example", Source.PEER)
    return Record(
        id=changes.get("id") or new_id(),
        envelope=Envelope(
            id="",
            received_at=at,
            listener="smtp 127.0.0.1:10025",
            peer="127.0.0.1",
            client=origin,
            sender=changes.get("sender", "crook@bad.example"),
            recipients=tuple(Recipient(one) for one in recipients),
            sender_parameters=changes.get("sender_parameters", ()),
            queue_id=changes.get("queue_id"),
        ),
        origin=origin,
        outline=Outline(
            subject=changes.get("subject", "Cheap pills"),
            from_=changes.get("from_", "Crook <crook@bad.example>"),
            message_id=changes.get("message_id", "<1@bad.example>"),
            size=len(SPAM),
        ),
        verdict=Verdict(
            findings=findings, points=sum(one.points for one in findings), probability=changes.get("probability")
        ),
        opinion=Opinion(model=changes.get("model", "base-1")),
        decisions=tuple(Decision(one, action, reason, "It looks like spam.") for one in recipients),
        generation=Generation(ruleset=changes.get("ruleset", "r1"), model=changes.get("model", "base-1")),
    )


def held(*recipients: str, klass: QuarantineClass = QuarantineClass.SPAM) -> list[Held]:
    return [Held(one, klass, "It looks like spam.") for one in recipients or ("ann@example.org",)]
