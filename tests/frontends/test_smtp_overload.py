"""Too many, too slow, too much: who is sent away, who is cut, and who still gets through."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.frontends.smtp_kit import Client, Sieve, on_both_loops, serving, until

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
LOOPBACK = ["127.0.0.0/8"]


def test_a_thousand_idle_connections_do_not_keep_a_normal_client_out() -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK) as kit, contextlib.AsyncExitStack() as stack:
            opening = [stack.enter_async_context(kit.client()) for _ in range(1000)]
            idle: list[Client] = await asyncio.gather(*opening)
            await asyncio.sleep(0.3)
            async with asyncio.timeout(5), kit.client() as client:
                await client.hello()
                assert (await client.mail(MESSAGE)).startswith("250 ")
            assert (await idle[0].reply()).startswith("421 4.3.2"), "the longest idle made room"

    asyncio.run(run())


def test_when_all_are_busy_the_next_is_told_to_come_back() -> None:
    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        limits = {"connections": 2}
        async with serving(filter=sieve, limits=limits) as kit, kit.client() as first, kit.client() as second:
            for client in (first, second):
                await client.hello()
                await client.ask("MAIL FROM:<>")
                await client.ask("RCPT TO:<b@example.org>")
                await client.ask("DATA")
                client.send(MESSAGE + b".\r\n")
            await until(lambda: len(kit.server.traffic.work) == 2)
            async with kit.client(greeted=False) as third:
                assert (await third.reply()).startswith("421 4.3.2")
                assert await third.ends()
            assert sieve.pause is not None
            sieve.pause.set()
            assert (await first.reply()).startswith("250 ")

    asyncio.run(run())


def test_connections_from_one_address() -> None:
    async def run() -> None:
        limits = {"connections_per_address": 2}
        async with serving(limits=limits) as kit, kit.client(), kit.client():
            async with kit.client(greeted=False) as third:
                assert (await third.reply()).startswith("421 4.7.0")
                assert await third.ends()
            async with kit.client(local_addr=("127.0.0.2", 0)):
                pass
        async with serving(limits=limits, trusted=LOOPBACK) as kit, kit.client(), kit.client(), kit.client():
            pass

    asyncio.run(run())


def test_new_connections_from_one_address_in_a_minute() -> None:
    async def run() -> None:
        async with serving(limits={"connection_rate": 3}) as kit:
            for _ in range(3):
                async with kit.client():
                    pass
            async with kit.client(greeted=False) as fourth:
                assert (await fourth.reply()).startswith("421 4.7.0")
        async with serving(limits={"connection_rate": 3}, trusted=LOOPBACK) as kit:
            for _ in range(5):
                async with kit.client():
                    pass

    asyncio.run(run())


def test_messages_in_work_are_limited() -> None:
    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with (
            serving(filter=sieve, limits={"messages": 1}) as kit,
            kit.client() as first,
            kit.client() as second,
        ):
            for client in (first, second):
                await client.hello()
                await client.ask("MAIL FROM:<>")
                await client.ask("RCPT TO:<b@example.org>")
            await first.ask("DATA")
            first.send(MESSAGE + b".\r\n")
            await until(lambda: len(kit.server.traffic.work) == 1)
            assert (await second.ask("DATA")).startswith("451 4.3.2")
            assert sieve.pause is not None
            sieve.pause.set()
            assert (await first.reply()).startswith("250 ")
            assert (await second.ask("DATA")).startswith("354 ")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("limits", "said"),
    [({"command_timeout": 0.3}, b""), ({"line_timeout": 0.3}, b"NO"), ({"line_timeout": 0.3}, b"x" * 9000)],
)
def test_who_says_no_command_is_cut(limits: dict[str, float], said: bytes) -> None:
    async def run() -> None:
        async with serving(limits=limits) as kit, kit.client() as client:
            client.send(said)
            assert (await client.reply()).startswith("421 4.4.2")
            assert await client.ends()

    asyncio.run(run())


def test_a_byte_now_and_then_is_no_command() -> None:
    async def run() -> None:
        async with serving(limits={"line_timeout": 0.4}) as kit, kit.client() as client:
            for _ in range(15):
                client.send(b"N")
                await asyncio.sleep(0.1)
            assert kit.server.connections == 0

    asyncio.run(run())


def test_many_slow_clients_are_cut_and_an_honest_one_is_not() -> None:
    """Ten bytes a second against a floor of 2,000, while the honest one sends 20,000 a second."""

    async def run() -> None:
        limits = {"data_rate": 2000, "data_window": 0.8}
        async with serving(trusted=LOOPBACK, limits=limits) as kit, contextlib.AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(kit.client()) for _ in range(100)]
            honest = await stack.enter_async_context(kit.client())
            for client in (*slow, honest):
                await client.hello()
                await client.ask("MAIL FROM:<>")
                await client.ask("RCPT TO:<b@example.org>")
                assert (await client.ask("DATA")).startswith("354 ")

            async def trickle(client: Client) -> str:
                while client.reader.at_eof() is False and not client.reader._buffer:  # type: ignore[attr-defined]
                    client.send(b"s")
                    await asyncio.sleep(0.1)
                return await client.reply()

            async def steady() -> str:
                for _ in range(25):
                    honest.send(b"h" * 1998 + b"\r\n")
                    await asyncio.sleep(0.1)
                return await honest.ask(b".")

            *cut, taken = await asyncio.gather(*map(trickle, slow), steady())
            assert {answer[:9] for answer in cut} == {"421 4.4.2"}
            assert taken.startswith("250 ")
            await until(lambda: kit.server.connections == 1)

    asyncio.run(run())


def test_data_has_a_deadline() -> None:
    async def run() -> None:
        limits = {"data_timeout": 0.5, "data_rate": 0}
        async with serving(limits=limits) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<>")
            await client.ask("RCPT TO:<b@example.org>")
            await client.ask("DATA")
            client.send(b"x\r\n")
            assert (await client.reply()).startswith("421 4.4.2")

    asyncio.run(run())


def test_who_reads_no_replies_is_cut() -> None:
    async def run() -> None:
        limits = {"command_timeout": 0.5, "idle_commands": 10**7, "bad_commands": 10**7}
        async with serving(limits=limits) as kit, kit.client() as client:
            client.reader._limit = 1  # type: ignore[attr-defined]  # stops reading
            client.send(b"EHLO x\r\n" * 60_000)
            await until(lambda: kit.server.connections == 0, 30)

    on_both_loops(run)


def test_slow_data_makes_room_when_all_places_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.frontends.smtp.watch._PATIENCE", 0.2)

    async def run() -> None:
        async with serving(limits={"connections": 1}) as kit, kit.client() as slow:
            await slow.hello()
            await slow.ask("MAIL FROM:<>")
            await slow.ask("RCPT TO:<b@example.org>")
            await slow.ask("DATA")
            await asyncio.sleep(0.4)
            async with kit.client() as client:
                await client.hello()
                assert (await client.mail(MESSAGE)).startswith("250 ")
            assert (await slow.reply()).startswith("421 4.3.2")

    asyncio.run(run())


def test_50_large_messages_at_once_stay_out_of_memory() -> None:
    async def run() -> None:
        chunk = (b"z" * 76 + b"\r\n") * 1000
        async with serving(limits={"memory": 1_000_000}) as kit, contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(kit.client()) for _ in range(50)]
            for client in clients:
                await client.hello()
                await client.ask("MAIL FROM:<>")
                await client.ask("RCPT TO:<b@example.org>")
                await client.ask("DATA")
            for _ in range(8):
                for client in clients:
                    client.send(chunk)
                await asyncio.gather(*(client.writer.drain() for client in clients))
                assert kit.server.traffic.memory.taken <= 1_000_000
            answers = await asyncio.gather(*(client.ask(b".") for client in clients))
            assert {answer[:3] for answer in answers} == {"250"}

    asyncio.run(run())
