"""What is refused before its message: only what the message could not have changed."""

from __future__ import annotations

import datetime
import random
import time
from typing import Any

import pytest

from filterd.access import AccessList
from filterd.authentication import Authentication, AuthResult, DkimResult, DmarcResult, SpfResult
from filterd.decision import Action, Decision, Reason
from filterd.early import Asked, Block, blocked, denied, limited, may_be_blocked
from filterd.mail.envelope import Direction, Envelope, Moment, Origin, Recipient, Source
from filterd.mail.received import certain_address
from filterd.policies import Policies, PolicySettings
from filterd.policy import decide
from filterd.record import Outline, Record, Verdict
from filterd.reply import Reply
from filterd.settings import Networks, parse_network

CONNECT, MAIL, RCPT = Moment.CONNECT, Moment.MAIL, Moment.RCPT
BLOCK = Block("LIST_SPAMMERS", "bl.example")
FULL = Reply(450, "Too much mail by this sender, try again later", "4.7.1")


def envelope(
    to: str | None = "ann@example.org", sender: str = "x@bad.example", address: str | None = "198.51.100.7", **more: Any
) -> Envelope:
    return Envelope(
        id="A",
        received_at=datetime.datetime(2026, 6, 1, 23, 30, tzinfo=datetime.UTC),
        listener="smtp 127.0.0.1:25",
        peer=address,
        client=Origin(address, None, "mx.bad.example", Source.PEER),
        sender=sender,
        recipients=() if to is None else (Recipient(to),),
        **more,
    )


def asked(moment: Moment = RCPT, policies: Policies | None = None, enforce: bool = True, **known: Any) -> Asked:
    if moment is not RCPT:
        known["to"] = None
    if moment is CONNECT:
        known["sender"] = ""
    mail = envelope(**known)
    return Asked(
        envelope=mail, moment=moment, address=mail.client.address, policies=policies or Policies(), enforce=enforce
    )


def says(lines: str, **how: Any) -> bool:
    return denied(asked(**how), [AccessList(lines.splitlines())]) is not None


@pytest.mark.parametrize(
    ("lines", "connect", "mail", "rcpt"),
    [
        ("deny bad.example", False, True, True),
        ("deny x@bad.example", False, True, True),
        ("deny 198.51.100.0/24", True, True, True),
        ("deny 198.51.100.7", True, True, True),
        ("deny bad.example for ann@example.org", False, False, True),
        ("deny bad.example for example.org", False, False, True),
        ("deny bad.example for ben@example.org", False, False, False),
        ("deny bad.example until 2026-06-01", False, True, True),  # its last day
        ("deny bad.example until 2026-05-31", False, False, False),
        ("deny ad.example", False, False, False),
        # an author who is not known yet may be allowed, and a name goes before a network
        ("deny 198.51.100.0/24\nallow shop.example", False, False, False),
        ("deny 198.51.100.0/24\nallow shop.example until 2026-05-31", True, True, True),
        ("deny 198.51.100.0/24\nallow shop.example for ben@example.org", False, False, True),
        ("deny 198.51.100.0/24\nallow shop.example for ann@example.org", False, False, False),
        ("deny bad.example\nallow news@shop.example", False, False, False),
        ("deny x@bad.example\nallow shop.example", False, True, True),  # an address goes before a domain
        ("deny bad.example\nallow good.bad.example", False, False, False),  # the author may be there
        ("deny bad.example for ann@example.org\nallow news@shop.example", False, False, True),
        # of networks it is known which hold
        ("deny 198.51.100.0/24\nallow 198.51.100.7", False, False, False),
        ("deny 198.51.100.0/24\nallow 198.51.100.8", True, True, True),
        ("deny 198.51.100.7\nallow 198.51.100.0/24", True, True, True),
        ("deny bad.example\nallow 198.51.100.7", False, True, True),
        ("deny bad.example\nallow 198.51.100.7 for ann@example.org", False, False, False),
        ("deny bad.example\nallow 192.0.2.1 for ann@example.org", False, True, True),
    ],
)
def test_what_decides_whatever_the_message_says(lines: str, connect: bool, mail: bool, rcpt: bool) -> None:
    assert [says(lines, moment=moment) for moment in (CONNECT, MAIL, RCPT)] == [connect, mail, rcpt]


@pytest.mark.parametrize(
    "sender", ["bounce@bad.example", "BOUNCE+ann=example.org@Bad.Example", "prvs=0123456789=bounce@bad.example"]
)
def test_forms_of_a_sender_are_one(sender: str) -> None:
    assert says("deny bounce@bad.example", sender=sender)


def test_the_null_sender_is_nobody() -> None:
    assert not says("deny bad.example", sender="")


def test_a_client_that_is_not_known_has_no_network() -> None:
    assert not says("deny 198.51.100.0/24\ndeny 0.0.0.0/0", address=None)
    assert says("deny bad.example", address=None)
    assert not says("deny bad.example\nallow 192.0.2.1 for ann@example.org", address=None)  # Received may say so
    ours = Networks((parse_network("198.51.100.0/24"),))
    assert certain_address(envelope(), ours) is None
    assert certain_address(envelope(), Networks()) == "198.51.100.7"
    assert says("deny 198.51.100.0/24", address="::ffff:198.51.100.7")


@pytest.mark.parametrize("to", ["postmaster@example.org", "Abuse@example.org", "Postmaster"])
def test_postmaster_and_abuse_are_never_refused(to: str) -> None:
    lists = [AccessList(["deny bad.example", "deny 198.51.100.0/24"])]
    assert denied(asked(to=to), lists) is None
    assert blocked(asked(to=to), BLOCK) is None


@pytest.mark.parametrize("who", [{"direction": Direction.OUTBOUND}, {"direction": Direction.INTERNAL}, {"user": "ann"}])
def test_our_own_users_are_judged_by_their_message(who: dict[str, Any]) -> None:
    assert not says("deny bad.example", **who)
    assert not may_be_blocked(asked(**who), [])


def test_where_nothing_is_enforced_nothing_is_refused_early() -> None:
    observing = Policies(policies=(PolicySettings(name="p", recipients=("ann@example.org",), enforce=False),))
    assert not says("deny bad.example", enforce=False)
    assert not says("deny bad.example", policies=Policies(enforce=False))
    assert [says("deny bad.example", moment=one, policies=observing) for one in (MAIL, RCPT)] == [False, False]
    assert says("deny bad.example", policies=observing, to="ben@example.org")
    assert limited(asked(enforce=False), FULL) is None
    assert limited(asked(policies=observing), FULL) is None
    assert limited(asked(policies=observing, moment=MAIL), FULL) is not None
    assert blocked(asked(policies=observing), BLOCK) is None


def test_a_decision_says_why() -> None:
    one = denied(asked(), [AccessList(["deny bad.example  # the flood of May"])])
    assert one is not None
    assert (one.recipient, one.action, one.reason) == ("ann@example.org", Action.REJECT, Reason.POLICY)
    assert one.text == "The access list says `deny bad.example` (the flood of May)."
    assert (limit := limited(asked(moment=MAIL), FULL)) is not None
    assert (limit.recipient, limit.action, limit.reason) == ("", Action.DEFER, Reason.LIMIT)


@pytest.mark.parametrize(
    ("policy", "refused"),
    [
        ({}, True),
        ({"recipients": ["ben@example.org"], "action": "accept"}, True),
        ({"recipients": ["ann@example.org"], "action": "accept"}, False),
        ({"actions": {"reject": "tag"}}, False),
        ({"rules_off": ["LIST_SPAMMERS"]}, False),
        ({"rules_off": ["LIST_OTHERS"]}, True),
    ],
)
def test_a_policy_may_take_a_block_list_its_weight(policy: dict[str, Any], refused: bool) -> None:
    policies = Policies(policies=(PolicySettings(name="p", **policy),))
    assert (blocked(asked(policies=policies), BLOCK) is not None) is refused


@pytest.mark.parametrize(
    ("line", "may"),
    [
        ("allow 198.51.100.0/24", False),
        ("allow bad.example", False),  # the claim is enough here: the message will tell
        ("allow x@bad.example for ann@example.org", False),
        ("allow x@bad.example for ben@example.org", True),
        ("allow x@bad.example until 2026-05-31", True),
        ("allow shop.example", True),
        ("deny 198.51.100.0/24", True),
    ],
)
def test_whom_an_entry_allows_no_block_list_refuses(line: str, may: bool) -> None:
    assert may_be_blocked(asked(), [AccessList([]), AccessList([line])]) is may


@pytest.mark.parametrize("moment", [CONNECT, MAIL])
def test_block_lists_speak_at_rcpt(moment: Moment) -> None:
    assert not may_be_blocked(asked(moment=moment), [])


WHOM = ("bad.example", "x@bad.example", "a.bad.example", "shop.example", "news@shop.example", "198.51.100.0/24",
        "198.51.100.7", "198.51.100.8", "0.0.0.0/0", "192.0.2.0/24")  # fmt: skip
FOR = ("", " for ann@example.org", " for ben@example.org", " for example.org", " for other.example")
UNTIL = ("", "", " until 2026-06-01", " until 2026-05-31")
TO = ("ann@example.org", "ben@example.org", "carl@other.example", "postmaster@example.org", "Abuse@other.example")
PEOPLE = ("x@bad.example", "y@a.bad.example", "news@shop.example", "news+1@shop.example", "")


def some_policies(dice: random.Random) -> Policies:
    made = tuple(
        PolicySettings(
            name=f"p{number}",
            recipients=dice.choice(((), (TO[0],), ("*@other.example",))),
            enforce=dice.choice((None, None, None, None, None, True, False)),
            action=dice.choice((None, None, "accept", "tag")),
        )
        for number in range(dice.randrange(3))
    )
    return Policies(policies=made, enforce=dice.random() < 0.95)


def vouching(dice: random.Random) -> Authentication:
    domain = dice.choice(("bad.example", "a.bad.example", "shop.example", "strange.example"))
    return Authentication(
        spf=SpfResult(dice.choice((AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE)), domain),
        dkim=tuple(
            DkimResult(AuthResult.PASS, one)
            for one in dice.sample(("bad.example", "shop.example"), k=dice.randrange(3))
        ),
        dmarc=DmarcResult(dice.choice((AuthResult.NONE, AuthResult.PASS, AuthResult.FAIL)), domain="x.example"),
    )


def later(mail: Envelope, lists: list[AccessList], policies: Policies, enforce: bool, dice: random.Random) -> Decision:
    """What is decided about some message with that envelope, for its first recipient."""
    others = tuple(Recipient(one) for one in dice.sample(TO, k=dice.randrange(3)))
    whole = Envelope(
        **{name: getattr(mail, name) for name in mail.__struct_fields__} | {"recipients": mail.recipients + others}
    )
    authors = tuple(filter(None, dice.sample(PEOPLE, k=dice.randrange(3))))
    record = Record(id="A", envelope=whole, origin=mail.client, outline=Outline(authors=authors), auth=vouching(dice))
    access = [entry for one in lists for entry in one.holding(record)]
    verdict = Verdict(points=dice.choice((-500, 0, 900)))
    return decide(verdict, whole, policies, enforce=enforce, access=access)[0]


@pytest.mark.parametrize("seed", range(2))
def test_what_is_refused_early_would_have_been_refused_later(seed: int) -> None:
    dice = random.Random(seed)
    early = dict.fromkeys((CONNECT, MAIL, RCPT), 0)
    for _ in range(6_000):
        lines = [
            f"{dice.choice(('allow', 'deny', 'deny'))} {dice.choice(WHOM)}{dice.choice(FOR)}{dice.choice(UNTIL)}"
            for _ in range(dice.randrange(1, 5))
        ]
        cut = dice.randrange(len(lines) + 1)
        lists = [AccessList(lines[:cut]), AccessList(lines[cut:])]
        policies, enforce, moment = some_policies(dice), dice.random() < 0.95, dice.choice((CONNECT, MAIL, RCPT))
        to, sender = dice.choice(TO), dice.choice(PEOPLE)
        address = dice.choice(("198.51.100.7", "198.51.100.9", "192.0.2.1"))
        one = asked(moment, policies, enforce, to=to, sender=sender, address=address)
        if denied(one, lists) is None:
            continue
        early[moment] += 1
        for who in (to,) if moment is RCPT else TO[:3]:  # before RCPT postmaster cannot be told from others
            said = sender if moment is not CONNECT else dice.choice(PEOPLE)
            decision = later(envelope(who, said, address), lists, policies, enforce, dice)
            assert decision.action is Action.REJECT, (lines, moment, who, said, address)
    assert min(early.values()) > 40, early


def test_a_hundred_thousand_entries_cost_nothing_to_ask() -> None:
    lines = [f"deny d{number}.example" for number in range(50_000)]
    lines += [f"allow friend{number}@shop.example for u{number}@example.org" for number in range(50_000)]
    lists = [AccessList(["deny bad.example", *lines])]
    started = time.process_time()
    assert all(denied(asked(sender=f"x@d{number}.example"), lists) for number in range(1_000))
    assert time.process_time() - started < 2.0
