"""From a score to a decision, recipient by recipient."""

from __future__ import annotations

import datetime

import pytest
from pydantic import ValidationError

from filterd.decision import Action, Reason
from filterd.mail.envelope import Direction, Envelope, Origin, Recipient
from filterd.policies import OwnThresholds, Policies, PolicySettings, ThresholdSettings
from filterd.policy import bypassed, decide
from filterd.record import Verdict


def envelope(*recipients: str, direction: Direction = Direction.INBOUND) -> Envelope:
    return Envelope(
        id="1",
        received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        listener="smtp 127.0.0.1:10025",
        peer=None,
        client=Origin(),
        sender="s@example.net",
        recipients=tuple(map(Recipient, recipients)),
        direction=direction,
    )


ALL = Policies(thresholds=ThresholdSettings(tag=5, quarantine=8, reject=15))


@pytest.mark.parametrize(
    ("points", "action", "reason"),
    [
        (-300, Action.ACCEPT, Reason.CLEAN),
        (499, Action.ACCEPT, Reason.CLEAN),
        (500, Action.TAG, Reason.SPAM_SCORE),
        (799, Action.TAG, Reason.SPAM_SCORE),
        (800, Action.QUARANTINE, Reason.SPAM_SCORE),
        (1500, Action.REJECT, Reason.SPAM_SCORE),
    ],
)
def test_thresholds_are_reached_not_passed(points: int, action: Action, reason: Reason) -> None:
    (decision,) = decide(Verdict(points=points), envelope("a@example.org"), ALL)
    assert (decision.action, decision.reason) == (action, reason)
    assert f"{points / 100:.2f}" in decision.text


@pytest.mark.parametrize("address", ["Postmaster", "postmaster@example.org", "ABUSE@example.org"])
def test_role_addresses_are_never_refused_for_content(address: str) -> None:
    (decision,) = decide(Verdict(points=9999), envelope(address), ALL)
    assert (decision.action, decision.reason) == (Action.QUARANTINE, Reason.ROLE_ADDRESS)


def test_each_recipient_gets_his_own_policy_and_the_first_that_covers_him_applies() -> None:
    policies = Policies(
        thresholds=ThresholdSettings(),
        policies=(
            PolicySettings(name="boss", recipients=("boss@*",), thresholds=OwnThresholds(tag=1, quarantine=2)),
            PolicySettings(name="all", domains=("example.org",), thresholds=OwnThresholds(tag=3, quarantine=9)),
        ),
    )
    decisions = decide(Verdict(points=400), envelope("Boss@Example.org", "x@example.org", "x@example.net"), policies)
    assert [one.action for one in decisions] == [Action.QUARANTINE, Action.TAG, Action.ACCEPT]
    assert [one.policy for one in decisions] == ["boss", "all", ""]


@pytest.mark.parametrize("where", ["site", "policy", "listener"])
def test_observe_mode_delivers_and_says_what_would_have_been(where: str) -> None:
    policies = Policies(
        thresholds=ThresholdSettings(),
        enforce=where != "site",
        policies=(PolicySettings(name="try", enforce=False),) if where == "policy" else (),
    )
    verdict = Verdict(points=900)
    (decision,) = decide(verdict, envelope("a@example.org"), policies, enforce=where != "listener")
    assert (decision.action, decision.would) == (Action.ACCEPT, Action.QUARANTINE)
    assert "would have been quarantined" in decision.text


def test_a_rule_can_force_an_action_with_its_own_reply() -> None:
    verdict = Verdict(points=0, forced=("reject", "BAD_THING", "Not here"))
    (decision,) = decide(verdict, envelope("a@example.org"), ALL)
    assert (decision.action, decision.reason, decision.reply) == (Action.REJECT, Reason.RULE, "Not here")


def test_our_own_users_mail_is_never_discarded() -> None:
    verdict = Verdict(points=0, forced=("discard", "X", ""))
    sent = envelope("a@example.net", direction=Direction.OUTBOUND)
    assert decide(verdict, sent, ALL)[0].action is Action.QUARANTINE


def test_bypass_lets_everything_through_and_keeps_what_would_have_been() -> None:
    (decision,) = bypassed(decide(Verdict(points=900), envelope("a@example.org"), ALL))
    assert (decision.action, decision.would, decision.reason) == (
        Action.ACCEPT,
        Action.QUARANTINE,
        Reason.BYPASS,
    )


def test_thresholds_must_rise() -> None:
    with pytest.raises(ValidationError, match="rise"):
        ThresholdSettings(tag=9, quarantine=8)


def test_no_threshold_at_all_accepts() -> None:
    off = Policies(thresholds=ThresholdSettings(tag=None, quarantine=None, reject=None))
    assert decide(Verdict(points=9900), envelope("a@example.org"), off)[0].action is Action.ACCEPT
