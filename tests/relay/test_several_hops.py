"""Several next hops: mail goes to the first that is up, and never to two."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from filterd.mail.envelope import Origin, Recipient, Source
from filterd.relay import Handover, RelaySettings, SeveralHops, deliver, next_hop
from filterd.relay.hop import Capabilities
from filterd.relay.several import common
from tests.frontends.smtp_kit import until
from tests.nexthop import ABORT, DIE, FakeHop

BODY = b"Subject: hi\r\n\r\nhello\r\n"
HANDOVER = Handover(client=Origin(address="192.0.2.1", source=Source.PEER))
ANN, BOB = Recipient("ann@b.example"), Recipient("bob@b.example")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


@contextlib.asynccontextmanager
async def several(*fakes: FakeHop, **changes: Any) -> AsyncIterator[SeveralHops]:
    """Hops to these servers, in this order; those that do not listen yet are down."""
    settings = RelaySettings(**{"command_timeout": 2, "data_timeout": 2, "connect_timeout": 2, "retry": 60, **changes})
    async with contextlib.AsyncExitStack() as stack:
        for fake in fakes:
            await stack.enter_async_context(fake)
        hops = [next_hop(fake.url, settings) for fake in fakes]
        for hop in hops:
            stack.push_async_callback(hop.aclose)
        both = SeveralHops(hops, settings.retry)
        stack.push_async_callback(both.aclose)
        yield both


async def send(hop: SeveralHops, *recipients: Recipient, step: bool = False) -> list[int]:
    transaction = hop.transaction(HANDOVER)
    recipients = recipients or (ANN,)
    try:
        if not step:
            return [reply.code for reply in await deliver(transaction, "s@a.example", (), recipients, [BODY])]
        mailed = await transaction.mail("s@a.example", ())
        if not mailed.ok:
            return [mailed.code]
        for recipient in recipients:
            await transaction.rcpt(recipient)
        return [reply.code for reply in await transaction.data([BODY])]
    finally:
        await transaction.close()


STEPS = pytest.mark.parametrize("step", [False, True], ids=["at once", "in step"])


@STEPS
def test_the_first_is_used_while_it_is_up(step: bool) -> None:
    async def test() -> None:
        first, second = FakeHop(), FakeHop()
        async with several(first, second) as hop:
            assert [await send(hop, step=step) for _ in range(3)] == [[250]] * 3
            assert (len(first.messages), len(second.messages)) == (3, 0)

    run(test())


@STEPS
@pytest.mark.parametrize(
    "script",
    [
        {"BANNER": "421 4.3.2 going down"},
        {"BANNER": "554 5.3.2 no service here"},
        {"BANNER": DIE},
        {"EHLO": DIE},
        {"MAIL": DIE},
        {"MAIL": ABORT},
        {"MAIL": "421 4.3.2 going down"},
        {"MAIL": "452 4.3.1 the disk is full"},
        {"MAIL": "not SMTP at all"},
    ],
    ids=str,
)
def test_a_hop_with_trouble_of_its_own_is_passed_over(script: dict[str, Any], step: bool) -> None:
    async def test() -> None:
        first, second = FakeHop(script=script), FakeHop()
        async with several(first, second) as hop:
            assert await send(hop, ANN, BOB, step=step) == [250, 250]
            assert (len(first.messages), len(second.messages)) == (0, 1)

    run(test())


@pytest.mark.parametrize(
    "script",
    [
        {"RCPT": DIE},
        {"RCPT": "452 4.3.1 the disk is full"},
        {"DATA": DIE},
        {"DATA": "451 4.3.0 queue file write error"},
        {"DATA": "421 4.3.2 going down"},
    ],
    ids=str,
)
def test_it_may_move_on_until_the_content_is_asked_for(script: dict[str, Any]) -> None:
    async def test() -> None:
        first, second = FakeHop(script=script), FakeHop()
        async with several(first, second) as hop:
            assert await send(hop, ANN, BOB) == [250, 250]
            assert (len(first.messages), len(second.messages)) == (0, 1)

    run(test())


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"script": {".": DIE}}, 451),
        ({"script": {".": ABORT}}, 451),
        ({"script": {".": "421 4.3.2 going down"}}, 451),
        ({"script": {".": "451 4.3.0 trouble"}}, 451),
        ({"die_in_body": 5}, 451),
        ({"script": {"MAIL": "450 4.7.1 come again"}}, 450),
        ({"script": {"MAIL": "550 5.7.1 not you"}}, 550),
        ({"script": {"RCPT": "550 5.1.1 unknown"}}, 550),
        ({"script": {"RCPT": "450 4.2.1 mailbox busy"}}, 450),
    ],
    ids=str,
)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "lockstep"])
def test_what_a_hop_may_have_taken_or_said_of_the_mail_goes_to_no_other(
    how: dict[str, Any], code: int, pipelining: bool
) -> None:
    async def test() -> None:
        keywords = ("PIPELINING", "SIZE") if pipelining else ("SIZE",)
        first, second = FakeHop(**how, keywords=keywords), FakeHop()
        async with several(first, second) as hop:
            assert await send(hop) == [code]
            assert second.commands == []

    run(test())


def test_a_hop_that_is_down_is_passed_over_until_it_answers() -> None:
    async def test() -> None:
        first, second = FakeHop(), FakeHop()
        async with several(first, second, retry=0.05) as hop:
            await first.stop()
            asked: list[Any] = []

            def refuse(session: Any, argument: str) -> str:
                asked.append(argument)
                return "421 4.3.2 starting"

            assert await send(hop) == [250]
            first.script["BANNER"] = refuse
            await first.start()
            await until(lambda: bool(asked))
            assert await send(hop) == [250]
            assert len(second.messages) == 2
            del first.script["BANNER"]
            while not first.messages:
                await asyncio.sleep(0.05)
                assert await send(hop) == [250]

    run(test())


@STEPS
def test_with_none_up_it_is_451_and_all_are_tried_each_time(step: bool) -> None:
    async def test() -> None:
        first, second = FakeHop(), FakeHop()
        async with several(first, second) as hop:
            await first.stop()
            await second.stop()
            assert await send(hop, step=step) == [451]
            assert await hop.capabilities() is None
            assert "cannot be reached" in (await hop.healthy() or "")
            await second.start()
            assert await send(hop, step=step) == [250]
            assert await hop.healthy() is None

    run(test())


def test_the_copies_of_a_mail_stay_where_its_recipients_were_asked_about() -> None:
    async def test() -> None:
        first, second = FakeHop(), FakeHop()
        async with several(first, second, retry=0.02) as hop:
            await first.stop()
            asked = hop.transaction(HANDOVER)
            assert (await asked.mail("s@a.example", ())).ok
            await first.start()
            fresh = hop.transaction(HANDOVER)
            await until(lambda: bool(first.sessions and first.sessions[0].ended))  # asked, and found to be up
            await asyncio.sleep(0.05)
            assert (await fresh.mail("s@a.example", ())).ok
            assert first.sessions[-1].mail is not None
            copy = asked.another()
            assert [r.code for r in await deliver(copy, "s@a.example", (), (ANN,), [BODY])] == [250]
            assert (len(first.messages), len(second.messages)) == (0, 1)
            for transaction in (asked, fresh, copy):
                await transaction.close()

    run(test())


def test_a_busy_hop_hands_its_overflow_to_the_next() -> None:
    async def test() -> None:
        first, second = FakeHop(), FakeHop()
        async with several(first, second, max_connections=1, queue_timeout=0.05) as hop:
            holding = hop.transaction(HANDOVER)
            await holding.mail("s@a.example", ())
            assert await send(hop) == [250]
            assert len(second.messages) == 1
            await holding.close()
            assert await send(hop) == [250]
            assert len(first.messages) == 1

    run(test())


def test_what_is_announced_is_what_all_have_that_are_up() -> None:
    def has(**keywords: str) -> Capabilities:
        return Capabilities({word.removeprefix("_"): value for word, value in keywords.items()})

    both = common(
        [has(SIZE="100", _8BITMIME="", AUTH="PLAIN LOGIN"), has(SIZE="50", DSN="", _8BITMIME="", AUTH="plain")]
    )
    assert both == has(SIZE="50", _8BITMIME="", AUTH="PLAIN")
    assert common([has(SIZE=""), has(SIZE="0")]) == has(SIZE="")
    assert common([]) is None


def test_a_hop_that_is_down_does_not_count_for_what_is_announced() -> None:
    async def test() -> None:
        first, second = FakeHop(keywords=("SIZE 100", "DSN")), FakeHop(keywords=("SIZE 50",))
        async with several(first, second) as hop:
            assert await hop.capabilities() == Capabilities({"SIZE": "50"})
        async with several(first, second) as hop:
            await second.stop()
            assert await hop.capabilities() == Capabilities({"SIZE": "100", "DSN": ""})

    run(test())


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hop.test` is 127.0.0.2, where nobody listens, and 127.0.0.1."""
    real = socket.getaddrinfo

    def found(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host != "hop.test":
            return real(host, port, *rest, **more)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.usefixtures("two_addresses")
def test_a_name_with_several_addresses_is_tried_at_each() -> None:
    async def test() -> None:
        async with FakeHop() as fake:
            hop = next_hop(f"smtp://hop.test:{fake.port}", RelaySettings(keep=0))
            for _ in range(2):
                assert [r.code for r in await deliver(hop.transaction(HANDOVER), "", (), (ANN,), [BODY])] == [250]
            await fake.stop()
            wrong = await hop.healthy()
            assert wrong == f"The next hop smtp://hop.test:{fake.port} cannot be reached: Connection refused."
            await hop.aclose()

    run(test())
