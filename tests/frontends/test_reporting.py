"""Reports beside other recipients, at the milter door, after the queue, over LMTP, and while nobody learns."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest

from filterd.engine.outcome import Fulfilment
from filterd.frontends.learner import Klass, LearnError
from filterd.frontends.reports import Reporting, plain
from filterd.mail.envelope import Direction, Envelope, Origin, Recipient
from filterd.settings import Networks, parse_network
from tests.engine.test_fulfil import FakeDelivery, FakeKeeper
from tests.frontends.milter_kit import Sieve, serving

RAW = b"Subject: Fwd\r\n\r\nsee this\r\n"
ADDRESSES = {"spam@example.org": "spam", "ham@xn--bcher-kva.example": "ham"}


class Desk:
    """Learns, or says why not."""

    def __init__(self, why: str = "") -> None:
        self.why = why
        self.took: list[tuple[Klass, str]] = []

    async def ready(self) -> bool:
        return not self.why

    async def report(self, raw: bytes, klass: Klass, *, reporter: str, sender: str, by: str) -> str:
        assert raw == RAW
        if self.why:
            raise LearnError(self.why)
        self.took.append((klass, reporter))
        return "1 learnt."


def fulfilled(
    *to: str, desk: Desk, direction: Direction = Direction.INTERNAL, user: str | None = None, **abilities: bool
) -> tuple[Fulfilment, FakeKeeper]:
    envelope = Envelope(
        id="01ID",
        received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        listener="test",
        peer=None,
        client=Origin(),
        sender="ann@example.org",
        recipients=tuple(Recipient(one) for one in to),
        user=user,
        direction=direction,
    )
    keeper: Any = FakeKeeper()

    async def main() -> Fulfilment:
        filter = Reporting(Sieve(keeper=keeper), desk, lambda: ADDRESSES)
        outcome = await filter.examine(envelope, RAW)
        return await filter.fulfil(outcome, RAW, FakeDelivery(keeper, {}, **abilities))

    return asyncio.run(main()), keeper


def fates(done: Fulfilment) -> list[str]:
    return [one.fate for one in done.record.deliveries]


def test_several_report_addresses_and_somebody_else() -> None:
    desk = Desk()
    done, _ = fulfilled("Spam@example.org", "b@example.org", "ham@bücher.example", "spam@EXAMPLE.org", desk=desk)
    assert fates(done) == ["discarded", "delivered", "discarded", "discarded"]
    assert done.reply.code == 250
    assert desk.took == [(Klass.SPAM, "ann@example.org"), (Klass.HAM, "ann@example.org")]
    assert [one.text for one in done.record.decisions][::2] == ["Taken as a report. 1 learnt."] * 2


def test_a_report_while_nobody_learns_is_asked_for_again() -> None:
    done, _ = fulfilled("spam@example.org", desk=Desk("it is gone"), user="bob")
    assert (done.reply.code, fates(done)) == (451, ["deferred"])
    assert done.record.decisions[0].text == "Not learnt: it is gone."


def test_others_have_their_mail_once_although_nobody_learns() -> None:
    done, _ = fulfilled("spam@example.org", "b@example.org", desk=Desk("it is gone"))
    assert (done.reply.code, fates(done)) == (250, ["discarded", "delivered"])
    assert done.record.decisions[0].text == "Not learnt: it is gone."


def test_lmtp_answers_each() -> None:
    done, _ = fulfilled("spam@example.org", "b@example.org", desk=Desk("it is gone"), replies_each=True)
    assert [reply.code for reply in done.replies] == [451, 250]


def test_a_stranger_who_could_not_be_refused_teaches_nothing() -> None:
    desk = Desk()
    done, keeper = fulfilled("spam@example.org", desk=desk, direction=Direction.INBOUND, may_refuse=False)
    assert (done.reply.code, fates(done), desk.took) == (250, ["quarantined"], [])
    done, keeper = fulfilled("spam@example.org", "b@example.org", desk=desk, direction=Direction.INBOUND)
    assert (fates(done), len(keeper.held), desk.took) == (["quarantined", "delivered"], 1, [])
    done, _ = fulfilled("spam@example.org", desk=desk, direction=Direction.INBOUND)
    assert (done.reply.code, desk.took) == (550, [])


def test_a_milter_takes_reports_from_our_own_and_deletes_the_recipient() -> None:
    async def main() -> None:
        desk = Desk()
        filter: Any = Reporting(Sieve(), desk, lambda: ADDRESSES)
        ours = Networks((parse_network("192.0.2.7/32"),))
        async with serving(filter=filter, internal=ours) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW, "spam@example.org", "b@example.org", sender="ann@example.org")
            assert (answer.letter, answer.recipients) == ("c", ["b@example.org"])
            answer = await mta.mail(RAW, "spam@example.org", sender="ann@example.org")
            assert answer.letter == "d"
            assert desk.took == [(Klass.SPAM, "ann@example.org")] * 2
            desk.why = "it is gone"
            answer = await mta.mail(RAW, "spam@example.org", sender="ann@example.org")
            assert (answer.letter, answer.text[:9]) == ("y", "451 4.3.0")
        async with serving(filter=filter) as kit, kit.mta() as mta:
            answer = await mta.mail(RAW, "spam@example.org", "b@example.org", sender="ann@example.org")
            assert (answer.letter, answer.recipients) == ("c", ["b@example.org"])
            answer = await mta.mail(RAW, "spam@example.org", sender="ann@example.org")
            assert (answer.letter, answer.text[:9]) == ("y", "550 5.7.1")

    asyncio.run(main())


@pytest.mark.parametrize("address", ["", "@", "postmaster", "a@b@c", "\udcff@x", '"spam@example.org"@x'])
def test_odd_recipients_are_no_report_addresses(address: str) -> None:
    assert plain(address) not in ADDRESSES
