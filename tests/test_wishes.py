"""DMARC's policy as the site says, trusted forwarders and sealers, greylisting; and what `decide` makes of a wish."""

from __future__ import annotations

from typing import Any

import pytest

from filterd.auth.arc import _said
from filterd.authentication import ArcResult, Authentication, AuthResult, DmarcPolicy, DmarcResult
from filterd.checks.remembering import triple
from filterd.decision import Action, Reason
from filterd.engine.loading import load_judge
from filterd.engine.wire import Setup
from filterd.facts import Facts, Seen
from filterd.mail import Direction, Envelope, Origin, Recipient, Source
from filterd.mail.headers import Headers
from filterd.policies import Policies
from filterd.policy import decide
from filterd.record import Outline, Record, Verdict
from filterd.wishes import DmarcSettings, Wish, Wishes, wish_of
from tests.auth.mails import NOW, mail

FAIL = Authentication(dmarc=DmarcResult(AuthResult.FAIL, DmarcPolicy.REJECT, "bank.example"))
SEALED = ArcResult(AuthResult.PASS, 2, ("first.example", "arc.lists.example"), dmarc=AuthResult.PASS)
ORIGIN = Origin("203.0.113.9", source=Source.PEER)


def record(points: int = 0, auth: Authentication = FAIL, senders: Any = None, **envelope: Any) -> Record:
    made = Envelope(
        id="x", received_at=NOW, listener="t", peer=None, client=ORIGIN, sender="a@bank.example",
        **{"recipients": (Recipient("bob@example.org"),)} | envelope,
    )  # fmt: skip
    facts = Facts(senders=senders)
    outline = Outline(from_="A <a@bank.example>")
    return Record(
        id="x", envelope=made, origin=ORIGIN, auth=auth, verdict=Verdict(points=points), facts=facts, outline=outline
    )


def wished(one: Record, **settings: Any) -> tuple[Action, Reason] | None:
    wish = wish_of(one, Wishes.model_validate(settings))
    return None if wish is None else (wish.action, wish.reason)


@pytest.mark.parametrize(
    ("policy", "settings", "action"),
    [
        (DmarcPolicy.REJECT, {}, None),
        (DmarcPolicy.REJECT, {"reject": "reject"}, Action.REJECT),
        (DmarcPolicy.REJECT, {"reject": "quarantine"}, Action.QUARANTINE),
        (DmarcPolicy.QUARANTINE, {"reject": "reject"}, None),
        (DmarcPolicy.QUARANTINE, {"quarantine": "quarantine"}, Action.QUARANTINE),
        (DmarcPolicy.NONE, {"reject": "reject", "quarantine": "quarantine"}, None),
    ],
)
def test_dmarc_is_applied_as_the_site_says(
    policy: DmarcPolicy, settings: dict[str, str], action: Action | None
) -> None:
    auth = Authentication(dmarc=DmarcResult(AuthResult.FAIL, policy, "bank.example"))
    assert wished(record(auth=auth), dmarc=settings) == (None if action is None else (action, Reason.DMARC))


@pytest.mark.parametrize("result", [AuthResult.PASS, AuthResult.NONE, AuthResult.TEMPERROR, AuthResult.PERMERROR])
def test_only_a_failure_is_one(result: AuthResult) -> None:
    auth = Authentication(dmarc=DmarcResult(result, DmarcPolicy.REJECT, "bank.example"))
    assert wished(record(auth=auth), dmarc={"reject": "reject"}) is None


@pytest.mark.parametrize(
    ("arc", "settings", "trusted"),
    [
        (SEALED, {"sealers": ["lists.example"]}, True),
        (SEALED, {"sealers": ["first.example"]}, False),  # only the last seal speaks for what came in
        (SEALED, {"sealers": ["evillists.example"]}, False),
        (SEALED, {}, False),
        (ArcResult(AuthResult.PASS, 1, ("lists.example",)), {"sealers": ["lists.example"]}, False),
        (
            ArcResult(AuthResult.FAIL, 1, ("lists.example",), dmarc=AuthResult.PASS),
            {"sealers": ["lists.example"]},
            False,
        ),
        (None, {"forwarders": ["203.0.113.0/24"]}, True),
        (None, {"forwarders": ["198.51.100.0/24"]}, False),
    ],
)
def test_trusted_forwarders_do_not_fail(arc: ArcResult | None, settings: dict[str, Any], trusted: bool) -> None:
    auth = Authentication(dmarc=FAIL.dmarc, arc=arc)
    assert bool(DmarcSettings.model_validate(settings).forwarder(ORIGIN, auth)) == trusted
    assert (wished(record(auth=auth), dmarc={"reject": "reject", **settings}) is None) == trusted


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("i=2; mx.example; dmarc=pass header.from=a.b; spf=fail", AuthResult.PASS),
        ("i=2; mx.example; spf=fail;\r\n\tDMARC = fail", AuthResult.FAIL),
        ('i=2; mx.example; spf=fail reason="; dmarc=pass"', AuthResult.NONE),
        ("i=2; mx.example (; dmarc=pass); spf=fail", AuthResult.NONE),
        ("i=2; mx.example; dmarc=pass; dmarc=fail", AuthResult.NONE),
        ("i=2; mx.example; dmarc=wonderful", AuthResult.NONE),
        ("i=2; " + '"' * 50_000, AuthResult.NONE),
    ],
)
def test_what_a_sealer_said_of_dmarc(value: str, word: AuthResult) -> None:
    headers = Headers(f"ARC-Authentication-Results: {value}\r\n\r\n".encode())
    assert _said(headers.all("ARC-Authentication-Results")[0]) is word


def test_a_trusted_forwarder_takes_the_points_of_the_failure_off() -> None:
    setup = Setup(hostname="mx.example.org", dmarc=b'{"forwarders": ["203.0.113.9"]}', rules=b'{"paths": []}')
    facts = Facts()  # nothing was answered: SPF and DMARC are temporary errors
    one = mail(b"From: a@bank.example\r\nSubject: x\r\n\r\nHello.\r\n", address="203.0.113.9")
    names = {finding.name for finding in load_judge(setup).judge(one, facts).verdict.findings}
    assert "FORWARDER_TRUSTED" in names


def test_our_own_users_are_not_asked() -> None:
    assert wished(record(direction=Direction.OUTBOUND), dmarc={"reject": "reject"}) is None
    assert wished(record(user="bob"), dmarc={"reject": "reject"}) is None


def seconds_ago(seconds: float) -> Seen:
    return Seen(NOW.timestamp() - seconds, NOW.timestamp() - seconds, 1)


KEY = triple(record().envelope, ORIGIN)
NO_AUTH = Authentication()
PASS = Authentication(dmarc=DmarcResult(AuthResult.PASS, domain="bank.example"))


@pytest.mark.parametrize(
    ("points", "auth", "known", "deferred"),
    [
        (350, NO_AUTH, {}, True),
        (250, NO_AUTH, {}, False),
        (350, NO_AUTH, None, False),  # no memory
        (350, NO_AUTH, {KEY: seconds_ago(20)}, True),
        (350, NO_AUTH, {KEY: seconds_ago(400)}, False),
        (350, NO_AUTH, {"d:bank.example": seconds_ago(9)}, True),  # nobody vouches
        (350, PASS, {"d:bank.example": seconds_ago(9)}, False),
    ],
)  # fmt: skip
def test_greylisting(points: int, auth: Authentication, known: dict[str, Seen] | None, deferred: bool) -> None:
    one = record(points, auth, known)
    assert wished(one) is None
    expected = (Action.DEFER, Reason.GREYLISTED) if deferred else None
    assert wished(one, greylist={"enabled": True}) == expected


@pytest.mark.parametrize(
    ("points", "wish", "recipient", "action"),
    [
        (0, Action.REJECT, "bob@example.org", Action.REJECT),
        (0, Action.REJECT, "postmaster@example.org", Action.QUARANTINE),
        (900, Action.QUARANTINE, "bob@example.org", Action.QUARANTINE),
        (0, Action.DEFER, "bob@example.org", Action.DEFER),
        (600, Action.DEFER, "bob@example.org", Action.DEFER),
        (900, Action.DEFER, "bob@example.org", Action.QUARANTINE),
    ],
)
def test_what_decide_makes_of_a_wish(points: int, wish: Action, recipient: str, action: Action) -> None:
    envelope = record(recipients=(Recipient(recipient),)).envelope
    wanted = Wish(wish, Reason.DMARC, "why", "reply")
    [decision] = decide(Verdict(points=points), envelope, Policies(), wish=wanted)
    assert decision.action is action
    [observed] = decide(Verdict(points=points), envelope, Policies(), enforce=False, wish=wanted)
    assert (observed.action, observed.would) == (Action.ACCEPT, action)
    forced = Verdict(points=points, forced=("accept", "RULE", ""))
    [kept] = decide(forced, envelope, Policies(), wish=wanted)
    assert kept.action is Action.ACCEPT
