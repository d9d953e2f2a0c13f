"""What is refused before its message leaves a record, an id in the reply, and no flood of either."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from filterd.access import AccessList
from filterd.decision import Action, Reason
from filterd.early import Block
from filterd.engine import early
from filterd.engine.engine import Engine, Generation, ask_nobody
from filterd.engine.rates import Rates, RateSettings
from filterd.engine.settings import EngineSettings
from filterd.mail.envelope import Direction, Envelope, Moment, Origin, Recipient, Source
from filterd.policies import Policies
from filterd.record import Record
from filterd.reply import Reply
from filterd.settings import Networks, parse_network
from filterd.store import StoreUnavailable
from tests.engine.test_engine import Judges
from tests.engine.test_engine import Keeper as MarkKeeper

RCPT = Moment.RCPT
START = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)


class Keeper(MarkKeeper):
    """Keeps records by id, and knows what was released."""

    def __init__(self, *released: tuple[str, str], fails: bool = False) -> None:
        super().__init__()
        self.pairs, self.fails, self.asked = released, fails, 0
        self.records: dict[str, Record] = {}

    def write(self, record: Record, raw: bytes | memoryview | None = None) -> None:
        self.records[record.id] = record

    async def released(self, sender: str, recipient: str, since: datetime.datetime) -> bool:
        self.asked += 1
        if self.fails:
            raise StoreUnavailable("it is locked")
        return any(sender == one and recipient in ("", to) for one, to in self.pairs)


class Site:
    """An engine with one access list."""

    def __init__(
        self,
        *lines: str,
        keeper: Keeper | None = None,
        listed: str = "",
        rates: tuple[RateSettings, ...] = (),
        relays: str = "",
        blocks: dict[str, Block] | None = None,
        **settings: Any,
    ) -> None:
        self.keeper = keeper or Keeper()
        self.counted: list[Record] = []
        self.looked_up: list[str] = []
        self.blocking = blocks or {}
        generation = Generation(
            "c", "mx.example.org", Policies(access=lines), Judges(), ask_nobody,
            settings=EngineSettings(**settings), rates=Rates(rates), blocks=self.blocks,
            relays=Networks([parse_network(relays)]) if relays else Networks(),
        )  # fmt: skip
        self.engine = Engine(generation, self.keeper, early=self.counted.append)
        self.engine.listed = AccessList([listed] if listed else [])

    async def blocks(self, address: str, seconds: float) -> Block | None:
        self.looked_up.append(address)
        return self.blocking.get(address)

    def screen(self, moment: Moment = RCPT, after: float = 0.0, enforce: bool = True, **known: Any) -> Reply | None:
        mail = envelope(moment, after, **known)
        return asyncio.run(self.engine.screen(mail, moment, enforce=enforce))

    @property
    def records(self) -> list[Record]:
        return list(self.keeper.records.values())


def envelope(
    moment: Moment = RCPT, after: float = 0.0, to: str = "ann@example.org", sender: str = "x@bad.example",
    address: str | None = "198.51.100.7", **more: Any,
) -> Envelope:  # fmt: skip
    return Envelope(
        id="MAIL", received_at=START + datetime.timedelta(seconds=after), listener="smtp 127.0.0.1:25", peer=None,
        client=Origin(address, None, "mx", Source.PEER), sender="" if moment is Moment.CONNECT else sender,
        recipients=(Recipient(to),) if moment is RCPT else (), queue_id="4ABC", **more,
    )  # fmt: skip


def test_a_refusal_has_a_record_of_its_own_and_its_id_in_the_reply() -> None:
    site = Site("deny bad.example  # the flood of May")
    with capture_logs() as lines:
        reply = site.screen()
    (record,) = site.records
    assert reply == Reply(550, f"Refused: mail from this sender is not accepted here ({record.id})", "5.7.1")
    assert record.id != "MAIL"
    assert (record.envelope.id, record.moment, record.envelope.queue_id) == (record.id, RCPT, "4ABC")
    assert [one.address for one in record.envelope.recipients] == ["ann@example.org"]
    (decision,) = record.decisions
    assert (decision.recipient, decision.action, decision.reason) == ("ann@example.org", Action.REJECT, Reason.POLICY)
    assert decision.text == (
        "The access list says `deny bad.example` (the flood of May). It was refused at RCPT, without its message."
    )
    assert [(one.fate, one.reply) for one in record.deliveries] == [("refused", str(reply))]
    assert record.origin.address == "198.51.100.7"
    assert [one["event"] for one in lines] == ["refused-early"]
    assert (lines[0]["id"], lines[0]["to"], lines[0]["from"]) == (record.id, "ann@example.org", "<x@bad.example>")


def test_the_entries_of_the_pages_count_too() -> None:
    assert Site(listed="deny bad.example for ann@example.org").screen() is not None
    assert Site("deny bad.example", listed="allow news@shop.example for ann@example.org").screen() is None


@pytest.mark.parametrize(
    ("refuse_at", "said"),
    [("connect", [554, 550, 550]), ("mail", [None, 550, 550]), ("rcpt", [None, None, 550]), ("data", [None] * 3)],
)
def test_the_site_says_when_it_begins(refuse_at: str, said: list[int | None]) -> None:
    site = Site("deny 198.51.100.0/24", refuse_at=refuse_at)
    moments = (Moment.CONNECT, Moment.MAIL, RCPT)
    assert [reply and reply.code for reply in map(site.screen, moments)] == said
    assert [one.moment for one in site.records] == [moment for moment, code in zip(moments, said, strict=True) if code]
    assert site.screen(Moment.DATA) is None


def test_bypass_and_observing_listeners_refuse_nothing_early() -> None:
    limit = (RateSettings(by="sender", limit=1),)  # type: ignore[arg-type]
    site = Site("deny bad.example", rates=limit)
    assert [site.screen(moment, enforce=False) for moment in (Moment.MAIL, Moment.MAIL, RCPT)] == [None] * 3
    site.engine.bypass = True
    assert [site.screen(moment) for moment in (Moment.MAIL, Moment.MAIL, RCPT)] == [None] * 3
    assert not site.records


def test_what_our_own_relay_brings_has_no_address_yet() -> None:
    assert Site("deny 198.51.100.0/24", relays="198.51.100.0/24").screen() is None
    assert Site("deny bad.example", relays="198.51.100.0/24").screen() is not None


def test_released_mail_is_not_refused() -> None:
    site = Site("deny bad.example", refuse_at="mail", keeper=Keeper(("x@bad.example", "ann@example.org")))
    assert site.screen(Moment.MAIL) is None
    assert site.screen() is None
    assert site.screen(to="ben@example.org") is not None
    assert site.screen(sender="y@bad.example") is not None


def test_a_store_that_does_not_answer_refuses_nothing() -> None:
    site = Site("deny bad.example", keeper=Keeper(fails=True))
    assert site.screen() is None
    assert not site.records


def test_what_is_said_again_within_a_minute_is_counted() -> None:
    site = Site("deny bad.example")
    with capture_logs() as lines:
        replies = {str(site.screen(after=at * 0.1)) for at in range(150)}
    (record,) = site.records
    assert len(replies) == 1
    assert record.id in replies.pop()
    assert record.decisions[0].text.endswith("Within a minute that was said 100 times or more.")
    assert [one.get("times") for one in lines] == [None, 10, 100]
    assert len(site.counted) == 150
    assert site.keeper.asked == 1
    site.screen(after=61)
    assert len(site.records) == 2


def test_who_else_and_whom_else_has_a_record_of_its_own() -> None:
    site = Site("deny bad.example")
    for known in ({}, {"to": "ben@example.org"}, {"sender": "y@bad.example"}, {"address": "198.51.100.8"}, {}):
        site.screen(**known)
    assert len(site.records) == 4


def test_a_flood_fills_neither_the_history_nor_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "ROWS", 20)
    monkeypatch.setattr(early, "MANY", 50)
    site = Site("deny bad.example")
    with capture_logs() as lines:
        replies = [site.screen(sender=f"x{number}@bad.example", after=number * 0.05) for number in range(500)]
    assert all(reply is not None and reply.code == 550 for reply in replies)
    assert len(site.records) == 21  # one stands for the rest
    assert len(lines) == 20 + 3
    assert all(any(one.id in str(reply) for one in site.records) for reply in replies[-5:])
    assert site.records[-1].decisions[0].text.endswith("said 100 times or more.")
    assert len(site.engine._early._refusals) <= 50
    site.screen(sender="z@bad.example", after=100)
    assert len(site.records) == 22


def test_limits_leave_records_too() -> None:
    site = Site(rates=(RateSettings(by="sender", limit=1),))  # type: ignore[arg-type]
    assert site.screen(Moment.MAIL) is None
    reply = site.screen(Moment.MAIL)
    (record,) = site.records
    assert reply == Reply(450, f"Too much mail by this sender, try again later ({record.id})", "4.7.1")
    (decision,) = record.decisions
    assert (decision.recipient, decision.action, decision.reason) == ("", Action.DEFER, Reason.LIMIT)
    assert record.deliveries[0].fate == "deferred"


def test_a_connection_is_no_mail() -> None:
    """A milter is told of a connection before each MAIL; only the mail counts."""
    site = Site(rates=(RateSettings(by="address", limit=2),))  # type: ignore[arg-type]
    said = [site.screen(moment) is None for _ in range(3) for moment in (Moment.CONNECT, Moment.MAIL)]
    assert said == [True, True, True, True, True, False]


def test_our_users_have_limits_and_no_denial() -> None:
    site = Site("deny bad.example", rates=(RateSettings(by="user", limit=1),))  # type: ignore[arg-type]
    ours: dict[str, Any] = {"direction": Direction.OUTBOUND, "user": "ann"}
    assert [site.screen(Moment.MAIL, **ours) is None for _ in range(2)] == [True, False]
    assert site.screen(**ours) is None


def test_a_block_list_refuses_at_rcpt() -> None:
    site = Site(blocks={"198.51.100.7": Block("LIST_SPAM", "bl.example")})
    assert site.screen(Moment.MAIL) is None
    reply = site.screen()
    (record,) = site.records
    text = f"Refused: your address 198.51.100.7 is listed by bl.example ({record.id})"
    assert reply == Reply(550, text, "5.7.1")
    assert record.decisions[0].reason is Reason.LISTED
    assert site.screen(address="198.51.100.8") is None
    assert site.screen(to="postmaster@example.org") is None
    assert site.screen(enforce=False) is None


def test_nobody_is_looked_up_who_could_not_be_refused() -> None:
    site = Site("allow 198.51.100.8", listed="allow x@friend.example for ann@example.org")
    for known in ({"address": "198.51.100.8"}, {"sender": "x@friend.example"}, {"address": None}, {"user": "ann"}):
        assert site.screen(**{"sender": "y@other.example"} | known) is None
    assert site.looked_up == []
    late = Site(refuse_at="data", blocks={"198.51.100.7": Block("LIST_SPAM", "bl.example")})
    assert late.screen() is None
    assert late.looked_up == []


def test_too_much_work_is_said_even_where_nothing_is_enforced() -> None:
    site = Site()
    site.engine.generation.judges.delay = 6.0  # type: ignore[misc]
    assert site.screen(Moment.CONNECT) is None  # the next word will tell
    for moment in (Moment.MAIL, RCPT, Moment.DATA):
        assert str(site.screen(moment, enforce=False)).startswith("451 4.3.2")
