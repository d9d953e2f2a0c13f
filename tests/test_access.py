"""The access list: whose mail passes, whose is refused, and who only says that he is somebody."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest

from filterd.access import AccessList, Entry, chosen, forms, parse_entry
from filterd.app.scan import Said, Scanned, scan
from filterd.authentication import Authentication, AuthResult, DkimResult, DmarcResult, SpfResult
from filterd.config import ConfigError, load
from filterd.decision import Action, Reason
from filterd.mail import Message
from filterd.mail.envelope import Envelope, Origin, Recipient, Source
from filterd.outline import outline
from filterd.policies import Policies, PolicySettings, ThresholdSettings
from filterd.policy import decide
from filterd.record import Outline, Record, Verdict
from filterd.sources import Found
from filterd.value import replace

ANN, BEN = Recipient("Ann@Example.org"), Recipient("ben@example.org")
SIGNED = Authentication(dkim=(DkimResult(AuthResult.PASS, "shop.example"),))
SENT = Authentication(spf=SpfResult(AuthResult.PASS, "shop.example"))
FAILED = Authentication(
    dkim=(DkimResult(AuthResult.PASS, "shop.example"),), dmarc=DmarcResult(AuthResult.FAIL, domain="bank.example")
)


def record(
    from_: str = "Shop <news@shop.example>",
    sender: str = "bounce@shop.example",
    auth: Authentication = SIGNED,
    address: str = "192.0.2.7",
    day: str = "2026-06-01",
) -> Record:
    client = Origin(address, None, "mx.shop.example", Source.PEER)
    envelope = Envelope(
        id="A",
        received_at=datetime.datetime.fromisoformat(f"{day}T23:30:00+00:00"),
        listener="smtp",
        peer=address,
        client=client,
        sender=sender,
        recipients=(ANN, BEN),
    )
    return Record(id="A", envelope=envelope, origin=client, outline=Outline(from_=from_), auth=auth)


def says(line: str, found: Record, recipient: Recipient = ANN) -> bool:
    return chosen(AccessList([line]).holding(found), recipient) is not None


@pytest.mark.parametrize("whom", ["news@shop.example", "shop.example", "@shop.example", "NEWS@Shop.Example"])
@pytest.mark.parametrize("auth", [SIGNED, SENT])
def test_what_is_allowed_must_be_vouched_for(whom: str, auth: Authentication) -> None:
    assert says(f"allow {whom}", record(auth=auth))
    assert not says(f"allow {whom}", record(auth=Authentication()))
    assert says(f"deny {whom}", record(auth=Authentication()))


@pytest.mark.parametrize(
    "found",
    [
        record(from_="news@shop.example", auth=Authentication(spf=SpfResult(AuthResult.PASS, "evil.example"))),
        record(from_="boss@bank.example", sender="news@shop.example", auth=FAILED),  # DMARC of the author fails
        record(from_="news@shop.example, x@evil.example", sender="x@evil.example"),  # two authors
        record(from_='"news@shop.example" <x@evil.example>', sender="x@evil.example"),
        record(from_="news@shop.example.evil.example", sender="x@evil.example"),
        record(from_="news@evilshop.example", sender="x@evil.example"),
        record(from_="", sender=""),
    ],
)
def test_what_a_stranger_says_of_himself_allows_nothing(found: Record) -> None:
    assert not says("allow news@shop.example", found)
    assert not says("allow shop.example", found)


def test_a_domain_is_the_same_however_it_is_written() -> None:
    for written in ("news@bücher.example", "news@xn--bcher-kva.example"):
        for listed in ("news@bücher.example", "xn--bcher-kva.example"):
            assert says(f"deny {listed}", record(from_=written, sender=""))


def test_domains_hold_what_is_below_them() -> None:
    below = record(from_="a@mail.shop.example", sender="x@other.example")
    assert says("allow shop.example", below)
    assert not says("deny hop.example", below)


@pytest.mark.parametrize(
    "sender",
    [
        "bounce@shop.example",
        "bounce+ann=example.org@shop.example",
        "bounce-17-ann=example.org@shop.example",
        "bounce-2026-3@shop.example",
        "prvs=0123456789=bounce@shop.example",
        "prvs=0123456789=bounce+x@shop.example",
    ],
)
def test_variable_senders_are_one_sender(sender: str) -> None:
    assert says("allow bounce@shop.example", record(sender=sender, auth=SENT))
    assert says("deny bounce@shop.example", record(sender=sender, auth=Authentication()))


def test_a_hyphen_alone_makes_no_variable_sender() -> None:
    assert forms("mary-ann@shop.example") == ["mary-ann@shop.example"]
    assert forms("") == []
    assert len(forms("-+" * 500 + "=@shop.example")) <= 1001


def test_a_network_is_the_client_itself() -> None:
    assert says("allow 192.0.2.0/24", record(auth=Authentication()))
    assert says("deny 2001:db8::/32", record(address="2001:db8::1"))
    assert says("deny 192.0.2.0/24", record(address="::ffff:192.0.2.9"))
    assert says("allow 0.0.0.0/0", record())
    assert not says("allow 0.0.0.0/0", record(address="2001:db8::1"))
    assert not says("allow 0.0.0.0/0", record(address=""))
    assert not says("allow 198.51.100.1", record())


def test_an_entry_ends_with_its_last_day() -> None:
    assert says("deny shop.example until 2026-06-01", record())
    assert not says("deny shop.example until 2026-05-31", record())


def test_the_narrowest_entry_decides_and_deny_before_allow() -> None:
    listed = AccessList(
        [
            "deny shop.example",
            "allow news@shop.example   # wanted",
            "deny news@shop.example for ann@example.org",
            "allow 192.0.2.7 for example.org",
            "deny 192.0.2.7 for example.net",
            "",
            "# nothing",
        ]
    )
    holding = listed.holding(record())
    assert chosen(holding, ANN) == parse_entry("deny news@shop.example for Ann@example.org")
    assert chosen(holding, BEN) == parse_entry("allow 192.0.2.7 for example.org")
    other = chosen(holding, Recipient("x@example.com"))
    assert isinstance(other, Entry)
    assert (other.text, other.comment) == ("allow news@shop.example", "wanted")


def test_what_follows_for_each_recipient() -> None:
    policies = Policies(
        thresholds=ThresholdSettings(),
        policies=(PolicySettings(name="watch", recipients=("ben@*",), enforce=False),),
        access=("allow shop.example", "deny shop.example for ben@example.org"),
    )
    found = record()
    access = policies.access_list.holding(found)
    first, second = decide(Verdict(points=2000), found.envelope, policies, access=access)
    assert (first.action, first.reason) == (Action.ACCEPT, Reason.POLICY)
    assert "allow shop.example" in first.text
    assert (second.action, second.would, second.reason) == (Action.ACCEPT, Action.REJECT, Reason.POLICY)
    forced = Verdict(points=0, forced=("reject", "PROGRAM_ATTACHED", ""))
    assert decide(forced, found.envelope, policies, access=access)[0].action is Action.REJECT


def test_postmaster_is_not_refused_by_a_list() -> None:
    policies = Policies(access=("deny shop.example",))
    found = record()
    envelope = Envelope(
        id="B", received_at=found.envelope.received_at, listener="smtp", peer=None, client=Origin(), sender="",
        recipients=(Recipient("postmaster@example.org"),),
    )  # fmt: skip
    (decision,) = decide(Verdict(), envelope, policies, access=policies.access_list.holding(found))
    assert (decision.action, decision.reason) == (Action.QUARANTINE, Reason.ROLE_ADDRESS)


@pytest.mark.parametrize(
    "line",
    ["allow", "permit a.example", "allow a.example for", "allow a.example while b.example", "deny nonsense",
     "deny a.example until tomorrow", "deny 192.0.2.1/24", "deny a@b@c d", "allow a.example for x"],
)  # fmt: skip
def test_what_is_no_entry_is_said(line: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_entry(line)
    (tmp_path / "access").write_text(f"# ours\n\n{line}\n")
    config = tmp_path / "filterd.yaml"
    config.write_text(f"access: {tmp_path}/access\n")
    with pytest.raises(ConfigError, match=r"filterd.yaml:1: access .*access:3: "):
        load(config)


def test_it_is_asked_about_every_mail(tmp_path: Path) -> None:
    (tmp_path / "access").write_text("deny 192.0.2.0/24  # they never stop\n")
    config = tmp_path / "filterd.yaml"
    config.write_text(f"state: {tmp_path}\nrules: {{paths: []}}\naccess: {tmp_path}/access\n")
    before = load(config)

    async def judged() -> Record:
        items = [Found("a", b"From: a@b.example\r\n\r\nHello.\r\n")]
        (one,) = [one async for one in scan(items, before, Said(ip="192.0.2.4"), offline=True)]
        assert isinstance(one, Scanned)
        return one.record

    (decision,) = asyncio.run(judged()).decisions
    assert (decision.action, decision.reason) == (Action.REJECT, Reason.POLICY)
    assert "they never stop" in decision.text
    (tmp_path / "access").write_text("deny 198.51.100.0/24\n")
    assert load(config).hash != before.hash  # so a reload takes it over


GMAIL = Authentication(
    dkim=(DkimResult(AuthResult.PASS, "gmail.com"),), dmarc=DmarcResult(AuthResult.PASS, domain="gmail.com")
)


def of_message(from_lines: str, auth: Authentication, sender: str = "x@gmail.com") -> Record:
    """A mail whose From fields are read from the message, as in the service."""
    message = Message(f"{from_lines}\r\nSubject: hello\r\n\r\nHello.\r\n".encode())
    return replace(record(sender=sender, auth=auth), outline=outline(message))


@pytest.mark.parametrize(
    "from_lines",
    [
        "From: x@gmail.com",
        'From: "ann@gmail.com" <x@gmail.com>',
        "From: =?utf-8?q?ann=40gmail.com_=28?= <x@gmail.com>",  # decoded, the address would be in a comment
        "From: =?utf-8?q?=3Cann=40gmail.com=3E=2C?= <x@gmail.com>",
        "From: =?utf-8?q?ann=40gmail.com=2C?= <x@gmail.com>",
        "From: ann@gmail.com," + " " * 600 + "x@gmail.com",  # longer than what the record shows of it
        "From: ann@gmail.com\r\nFrom: x@gmail.com",
        "From: x@gmail.com\r\nFrom: ann@gmail.com",
        "From: ann@gmail.com (\r\nFrom: x@gmail.com",
        "From: Ann: ann@gmail.com, x@gmail.com;",
    ],
)
def test_another_customer_of_the_same_freemail_host_is_not_allowed(from_lines: str) -> None:
    assert not says("allow ann@gmail.com", of_message(from_lines, GMAIL))


def test_the_customer_himself_is_allowed() -> None:
    assert says("allow ann@gmail.com", of_message('From: "x@gmail.com" <Ann@Gmail.com>', GMAIL))


def test_a_signature_says_nothing_of_the_envelope() -> None:
    """Who has one signed mail of his own can send it again under any envelope sender."""
    replayed = of_message("From: x@gmail.com", GMAIL, sender="ann@gmail.com")
    assert not says("allow ann@gmail.com", replayed)
    assert says("allow gmail.com", replayed)
    sent = replace(replayed, auth=replace(GMAIL, spf=SpfResult(AuthResult.PASS, "gmail.com")))
    assert says("allow ann@gmail.com", sent)


def test_counted_addresses_of_a_shared_host_are_other_people() -> None:
    spf = Authentication(spf=SpfResult(AuthResult.PASS, "gmx.de"))
    other = record(from_="x@gmx.de", sender="ann-17@gmx.de", auth=spf)
    assert chosen(AccessList(["allow ann@gmx.de"], {"gmx.de"}).holding(other), ANN) is None
    assert chosen(AccessList(["allow ann@gmx.de"]).holding(other), ANN) is not None
    assert chosen(AccessList(["deny ann@gmx.de"], {"gmx.de"}).holding(other), ANN) is not None


def test_readers_who_disagree_about_the_author_leave_nobody_allowed() -> None:
    odd = of_message("From: news@shop.example <x@evil.example>", SIGNED, sender="x@evil.example")
    assert "" in odd.outline.authors
    assert not says("allow shop.example", odd)
    assert says("deny evil.example", odd)


def test_of_two_networks_the_narrower_decides() -> None:
    listed = AccessList(["deny 192.0.2.0/24", "allow 192.0.2.7"])
    assert chosen(listed.holding(record()), ANN) == parse_entry("allow 192.0.2.7")
