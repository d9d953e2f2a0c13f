"""The milter door under bytes that are no milter protocol, floods, and connections that come to nothing."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest

from filterd.frontends.milter.wire import LONGEST
from tests.frontends.milter_kit import Kit, serving
from tests.frontends.smtp_kit import descriptors, on_both_loops, until

RAW = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
GREETING = struct.pack(">IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)


def packet(letter: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data) + 1) + letter + data


NONSENSE = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "SMTP": b"EHLO client.example.net\r\n",
    "zeros": bytes(4096),
    "a length of 700 MB": struct.pack(">I", 700_000_000) + b"B" + bytes(65536),
    "a length of 4 GB": b"\xff" * 64,
    "a length of nothing": GREETING + struct.pack(">I", 0),
    "a message without negotiation": packet(b"M", b"<a@example.net>\0"),
    "two negotiations": GREETING + GREETING,
    "a short negotiation": packet(b"O", b"\0\0\0\6"),
    "an unknown command": GREETING + packet(b"x"),
    "a command of a milter": GREETING + packet(b"c"),
    "a connect that says nothing": GREETING + packet(b"C"),
    "a connect with a wrong address": GREETING + packet(b"C", b"x\x004\0\x19999.0.2.1\0"),
    "HELO without an end": GREETING + packet(b"H", b"client"),
    "MAIL without an end": GREETING + packet(b"M", b"<a@example.net>"),
    "RCPT without MAIL": GREETING + packet(b"R", b"<b@example.org>\0"),
    "a header without MAIL": GREETING + packet(b"L", b"Subject\0 x\0"),
    "an end of header without MAIL": GREETING + packet(b"N"),
    "a body without MAIL": GREETING + packet(b"B", b"x"),
    "an end without MAIL": GREETING + packet(b"E"),
    "a header of one string": GREETING + packet(b"M", b"<>\0") + packet(b"L", b"Subject\0"),
    "a header of three strings": GREETING + packet(b"M", b"<>\0") + packet(b"L", b"Subject\0 x\0y\0"),
    "macros without values": GREETING + packet(b"D", b"Mi\0"),
    "macros of nothing": GREETING + packet(b"D"),
}


async def works(kit: Kit) -> None:
    async with kit.mta() as mta:
        assert (await mta.mail(RAW)).letter == "c"


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_ends_that_session_alone(nonsense: bytes) -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta() as other:
            async with kit.mta(greeted=False) as mta:
                mta.writer.write(nonsense)
                assert await mta.ended()
            assert (await other.mail(RAW)).letter == "c"
            await works(kit)

    asyncio.run(main())


def test_random_bytes_and_cut_off_packets() -> None:
    dice = random.Random(5)
    whole = GREETING + packet(b"C", b"x\x004\0\x19192.0.2.1\0") + packet(b"M", b"<>\0") + packet(b"R", b"<b>\0")
    whole += packet(b"L", b"Subject\0 x\0") + packet(b"N") + packet(b"B", bytes(5000)) + packet(b"E")

    async def main() -> None:
        async with serving() as kit, kit.mta() as other:
            for _ in range(100):
                async with kit.mta(greeted=False) as mta:
                    mta.writer.write(dice.choice((b"", GREETING)) + dice.randbytes(dice.randrange(200)))
            for _ in range(100):
                async with kit.mta(greeted=False) as mta:
                    mta.writer.write(whole[: dice.randrange(len(whole))])
            for _ in range(100):  # and one octet changed
                async with kit.mta(greeted=False) as mta:
                    at = dice.randrange(len(whole))
                    mta.writer.write(whole[:at] + dice.randbytes(1) + whole[at + 1 :])
            assert (await other.mail(RAW)).letter == "c"
            await works(kit)
            await until(lambda: kit.server.connections <= 1)

    on_both_loops(main)


def test_a_thousand_sessions_leave_no_descriptor() -> None:
    async def main() -> None:
        async with serving() as kit:
            await works(kit)
            await until(lambda: kit.server.connections == 0)
            before = descriptors()
            for number in range(1000):
                if number % 3:
                    async with kit.mta(greeted=False):
                        pass
                else:
                    await works(kit)
            await until(lambda: kit.server.connections == 0)
            assert descriptors() <= before + 1

    on_both_loops(main)


def test_when_it_is_full_the_one_that_is_idle_longest_makes_room() -> None:
    async def main() -> None:
        async with serving(limits={"connections": 20}) as kit:
            idle = [await asyncio.open_connection(*kit.where) for _ in range(20)]
            await until(lambda: kit.server.connections == 20)
            async with kit.mta(greeted=False) as mta:  # nobody has been idle for long: no room is made
                assert await mta.ended()
            await asyncio.sleep(0.3)
            await works(kit)
            for _, writer in idle:
                writer.close()

    asyncio.run(main())


def test_who_is_within_a_message_is_not_closed_for_another() -> None:
    async def main() -> None:
        async with serving(limits={"connections": 1}) as kit, kit.mta() as mta:
            await mta.ask("M", b"<a@example.net>\0")
            await asyncio.sleep(0.3)
            async with kit.mta(greeted=False) as other:
                assert await other.ended()
            assert (await mta.mail(RAW)).letter == "c"

    asyncio.run(main())


def test_slow_packets_and_silence_before_the_negotiation_are_cut() -> None:
    async def main() -> None:
        async with serving(limits={"line_timeout": 0.3, "handshake_timeout": 0.3}) as kit, kit.mta() as patient:
            async with kit.mta(greeted=False) as mta:
                assert await mta.ended()
            async with kit.mta() as mta:
                mta.writer.write(packet(b"M", b"<a@example.net>\0")[:-3])
                assert await mta.ended()
            await asyncio.sleep(0.5)
            assert (await patient.mail(RAW)).letter == "c"  # silence between commands is the client's own

    asyncio.run(main())


def test_a_flood_of_packets_is_taken_in_turns_within_bounds() -> None:
    """Macros ask for no answer: one connection sends 20 MB of them, and another goes on."""

    async def main() -> None:
        async with serving() as kit, kit.mta() as flood:
            many = packet(b"D", b"Mi\0" + b"x" * 1000 + b"\0") * 1000
            largest = packet(b"D", b"Mi\0" + b"x" * (LONGEST - 5) + b"\0")
            for _ in range(20):
                flood.writer.write(many)
            flood.writer.write(largest)
            await works(kit)
            async with asyncio.timeout(20):
                await flood.writer.drain()
            assert (await flood.mail(RAW)).letter == "c"

    asyncio.run(main())


def test_a_mail_server_that_does_not_read_is_not_answered_for_ever() -> None:
    async def main() -> None:
        async with serving(limits={"command_timeout": 0.5, "line_timeout": 1.0}) as kit:
            async with kit.mta() as mta:
                mta.writer.transport.pause_reading()  # type: ignore[attr-defined]
                recipients = packet(b"M", b"<>\0") + packet(b"R", b"<b@example.org>\0") * 20_000
                for _ in range(30):
                    mta.writer.write(recipients)
                    await asyncio.sleep(0)
                await until(lambda: kit.server.connections == 0, 30)
            await works(kit)

    asyncio.run(main())


def test_draining_lets_a_message_end_and_closes_the_idle() -> None:
    async def main() -> None:
        async with serving() as kit, kit.mta() as idle, kit.mta() as mta:
            await mta.ask("M", b"<a@example.net>\0")
            await until(lambda: kit.server.connections == 2)
            draining = asyncio.ensure_future(kit.server.drain(20))
            assert await idle.ended()
            assert (await mta.ask("R", b"<b@example.org>\0"))[0] == "c"
            mta.send("E")
            assert (await mta.end(["b@example.org"], [])).letter == "c"
            assert await mta.ended()
            await draining

    asyncio.run(main())
