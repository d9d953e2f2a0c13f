"""Connections are kept, bounded, found dead in time, never with one client's name in another's mail."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from filterd.mail.envelope import Origin, Recipient, Source
from filterd.relay import Handover, NextHop, RelaySettings, deliver, next_hop
from tests.nexthop import ABORT, DIE, KEYWORDS, FakeHop

BODY = b"Subject: hi\r\n\r\nhello\r\n"
ANN = Recipient("ann@b.example")
XFORWARD = (*KEYWORDS, "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT")
XCLIENT = (*XFORWARD, "XCLIENT NAME ADDR PROTO HELO LOGIN PORT")


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def client(number: int, **more: Any) -> Handover:
    return Handover(client=Origin(address=f"192.0.2.{number}", helo=f"h{number}", source=Source.PEER), **more)


@contextlib.asynccontextmanager
async def hop_to(fake: FakeHop, **changes: Any) -> AsyncIterator[NextHop]:
    async with fake:
        hop = next_hop(fake.url, RelaySettings(**{"command_timeout": 2, "data_timeout": 2, **changes}))
        try:
            yield hop
        finally:
            await hop.aclose()


async def send(hop: NextHop, handover: Handover | None = None) -> int:
    transaction = hop.transaction(handover or client(1))
    try:
        [reply] = await deliver(transaction, "s@a.example", (), [ANN], [BODY])
        return reply.code
    finally:
        await transaction.close()


def test_one_connection_serves_many_mails() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake) as hop:
            assert [await send(hop) for _ in range(5)] == [250] * 5
            assert len(fake.sessions) == 1
        assert fake.sessions[0].commands[-1] == "QUIT"

    run(test())


@pytest.mark.parametrize("changes", [{"keep": 0}, {"max_age": 0}])
def test_unless_they_are_not_kept(changes: dict[str, Any]) -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake, **changes) as hop:
            assert [await send(hop) for _ in range(3)] == [250] * 3
            await fake.ended(3)
            assert [session.commands[-1] for session in fake.sessions] == ["QUIT"] * 3

    run(test())


def test_an_idle_connection_is_closed_after_a_while() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake, keep=0.05) as hop:
            assert await send(hop) == 250
            await fake.ended(1)
            assert fake.sessions[0].commands[-1] == "QUIT"
            assert await send(hop) == 250

    run(test())


def test_no_more_connections_than_allowed() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake, max_connections=3) as hop:
            assert await asyncio.gather(*(send(hop) for _ in range(30))) == [250] * 30
            assert len(fake.sessions) == 3

    run(test())


def test_all_lent_and_none_comes_back() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake, max_connections=1, queue_timeout=0.1) as hop:
            holder = hop.transaction(client(1))
            assert (await holder.mail("a@b", ())).ok
            other = hop.transaction(client(2))
            assert str(await other.mail("a@b", ())) == "451 4.3.2 The next hop is busy"
            await holder.close()
            assert await send(hop) == 250

    run(test())


@pytest.mark.parametrize("step", [False, True], ids=["at once", "in step"])
@pytest.mark.parametrize(
    "death",
    [
        {"MAIL": ["250 ok", DIE]},
        {"MAIL": ["250 ok", ABORT]},
        {"MAIL": ["250 ok", "421 4.4.2 Idle too long"]},
        {"RSET": [DIE]},
    ],
)
def test_a_kept_connection_that_died_is_replaced_before_mail_was_accepted(death: dict[str, Any], step: bool) -> None:
    async def test() -> None:
        fake = FakeHop(script=death)
        async with hop_to(fake) as hop:
            first = hop.transaction(client(1))
            await first.mail("s@a", ())
            await first.close()
            transaction = hop.transaction(client(1))
            if step:
                assert (await transaction.mail("s@a", ())).ok
                assert (await transaction.rcpt(ANN)).ok
                [reply] = await transaction.data([BODY])
            else:
                [reply] = await deliver(transaction, "s@a", (), [ANN], [BODY])
            await transaction.close()
            assert reply.code == 250
            assert len(fake.sessions) == 2
            assert len(fake.messages) == 1

    run(test())


def test_all_kept_connections_died_with_the_server() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake) as hop:
            assert await asyncio.gather(*(send(hop) for _ in range(5))) == [250] * 5
            await fake.stop()
            await fake.start()
            assert await asyncio.gather(*(send(hop) for _ in range(5))) == [250] * 5
            assert len(fake.messages) == 10

    run(test())


@pytest.mark.parametrize("verb", ["RCPT", "DATA", "."])
def test_never_a_second_attempt_once_mail_was_accepted(verb: str) -> None:
    async def test() -> None:
        fake = FakeHop(script={verb: ["354 go" if verb == "DATA" else "250 ok", DIE]})
        async with hop_to(fake) as hop:
            assert await send(hop) == 250
            assert await send(hop) == 451
            assert len(fake.sessions) == 1
            assert len(fake.messages) == (2 if verb == "." else 1)

    run(test())


def test_a_fresh_connection_is_tried_once() -> None:
    async def test() -> None:
        fake = FakeHop(script={"MAIL": DIE})
        async with hop_to(fake) as hop:
            assert await send(hop) == 451
            assert len(fake.sessions) == 1

    run(test())


def test_an_unfinished_transaction_is_forgotten_by_the_hop() -> None:
    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake) as hop:
            transaction = hop.transaction(client(1))
            await transaction.mail("secret@a", ())
            await transaction.rcpt(Recipient("other@b"))
            await transaction.close()
            assert await send(hop) == 250
            assert "RSET" in fake.commands
            assert len(fake.sessions) == 1
            assert fake.messages[0].rcpts == ["RCPT TO:<ann@b.example>"]

    run(test())


def test_xforward_comes_anew_with_each_mail() -> None:
    async def test() -> None:
        fake = FakeHop(keywords=XFORWARD)
        async with hop_to(fake) as hop:
            await send(hop, client(1, port=7, queue_id="Q1"))
            await send(hop, Handover(client=Origin()))
            assert [command for command in fake.commands if command.startswith("XFORWARD")] == [
                "XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=7 PROTO=ESMTP HELO=h1 IDENT=Q1 SOURCE=REMOTE",
                "XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] PROTO=ESMTP"
                " HELO=[UNAVAILABLE] IDENT=[UNAVAILABLE] SOURCE=[UNAVAILABLE]",
            ]
            assert len(fake.sessions) == 1

    run(test())


def test_xforward_that_is_refused_or_not_wanted() -> None:
    async def test() -> None:
        fake = FakeHop(keywords=XFORWARD, script={"XFORWARD": "501 5.5.4 Bad"})
        async with hop_to(fake) as hop:
            assert await send(hop) == 250
        fake = FakeHop(keywords=XFORWARD)
        async with hop_to(fake, xforward=False) as hop:
            assert await send(hop) == 250
            assert "XFORWARD" not in " ".join(fake.commands)

    run(test())


def test_xclient_begins_a_session_for_each_client() -> None:
    async def test() -> None:
        fake = FakeHop(keywords=XCLIENT)
        async with hop_to(fake, xclient=True, xforward=False) as hop:
            assert await hop.healthy() is None
            ann, bob = client(1, user="ann"), client(2)
            assert [await send(hop, one) for one in (ann, bob, ann, bob)] == [250] * 4
            sessions = [session for session in fake.sessions if session.commands[-1] != "QUIT"]
            assert [session.commands[:3] for session in sessions] == [
                ["EHLO localhost",
                 "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=[UNAVAILABLE] PROTO=ESMTP HELO=h1 LOGIN=ann",
                 "EHLO localhost"],
                ["EHLO localhost",
                 "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.2 PORT=[UNAVAILABLE] PROTO=ESMTP HELO=h2"
                 " LOGIN=[UNAVAILABLE]",
                 "EHLO localhost"],
            ]  # fmt: skip
            assert [message.session for message in fake.messages] == [sessions[0], sessions[1]] * 2

    run(test())


def test_idle_connections_make_room_for_another_client() -> None:
    async def test() -> None:
        fake = FakeHop(keywords=XCLIENT)
        async with hop_to(fake, xclient=True, max_connections=2) as hop:
            assert [await send(hop, client(n)) for n in range(1, 6)] == [250] * 5
            await fake.ended(3)
            assert [session.ended for session in fake.sessions] == [True] * 3 + [False] * 2

    run(test())


@pytest.mark.parametrize("script", [{}, {"XCLIENT": "550 5.7.0 Not you"}, {"XCLIENT": DIE}])
def test_without_xclient_no_mail_is_sent_as_filterd_itself(script: dict[str, Any]) -> None:
    async def test() -> None:
        fake = FakeHop(keywords=XCLIENT if script else XFORWARD, script=script)
        async with hop_to(fake, xclient=True) as hop:
            assert await send(hop) == 451
            assert fake.messages == []
            assert (await hop.healthy() is None) == bool(script)

    run(test())


def test_a_slow_client_does_not_keep_the_connection_from_others() -> None:
    async def test() -> None:
        fake = FakeHop(script={"RCPT": ["250 ok", "550 5.1.1 No"]})
        async with hop_to(fake, max_connections=1, hold=0.05) as hop:
            slow = hop.transaction(client(1))
            assert (await slow.mail("slow@a", ("BODY=8BITMIME",))).ok
            assert (await slow.rcpt(ANN)).ok
            assert (await slow.rcpt(Recipient("no@b"))).code == 550
            assert await send(hop) == 250
            assert (await slow.rcpt(Recipient("bob@b"))).ok
            assert await send(hop) == 250
            [one, two] = await slow.data([BODY])
            assert (one.code, two.code) == (250, 250)
            await slow.close()
            assert len(fake.sessions) == 1
            assert fake.messages[-1].mail == "MAIL FROM:<slow@a> BODY=8BITMIME"
            assert fake.messages[-1].rcpts == ["RCPT TO:<ann@b.example>", "RCPT TO:<bob@b>"]

    run(test())


def test_a_slow_client_comes_back_to_another_answer() -> None:
    """What was accepted before and is refused now is temporary: the client was told yes."""

    async def test() -> None:
        fake = FakeHop()
        async with hop_to(fake, hold=0.02) as hop:
            slow = hop.transaction(client(1))
            await slow.mail("slow@a", ())
            await slow.rcpt(ANN)
            await asyncio.sleep(0.1)
            fake.script["RCPT"] = "550 5.1.1 No"
            assert (await slow.rcpt(Recipient("bob@b"))).code == 451
            assert [reply.code for reply in await slow.data([BODY])] == [451]
            await slow.close()
            assert fake.messages == []

    run(test())


def test_file_descriptors_stay_flat_when_everything_fails() -> None:
    import os

    async def test() -> None:
        fake = FakeHop(script={"MAIL": DIE})
        async with hop_to(fake) as hop:
            await send(hop)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(50):
                await send(hop)
            await fake.ended(51)
            await asyncio.sleep(0.05)
            assert len(os.listdir("/proc/self/fd")) <= before + 2

    run(test())
