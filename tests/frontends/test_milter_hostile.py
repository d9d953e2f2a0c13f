"""The milter door under bytes that are no milter protocol, floods, and connections that come to nothing."""

from __future__ import annotations

import asyncio
import random
import struct

import pytest
import structlog

from filterd.frontends.milter.wire import LONGEST
from tests.frontends.milter_kit import OFFER, Kit, packet, serving
from tests.frontends.smtp_kit import descriptors, on_both_loops, until

RAW = b"From: a@example.net\r\nSubject: hello\r\n\r\nbody\r\n"
NONSENSE = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "SMTP": b"EHLO client.example.net\r\n",
    "zeros": bytes(4096),
    "a length of 700 MB": struct.pack(">I", 700_000_000) + b"B" + bytes(65536),
    "a length of 4 GB": b"\xff" * 64,
    "a length of nothing": OFFER + struct.pack(">I", 0),
    "a message without negotiation": packet("M", b"<a@example.net>\0"),
    "two negotiations": OFFER + OFFER,
    "a short negotiation": packet("O", b"\0\0\0\6"),
    "an unknown command": OFFER + packet("x"),
    "a command of a milter": OFFER + packet("c"),
    "a connect that says nothing": OFFER + packet("C"),
    "a connect with a wrong address": OFFER + packet("C", b"x\x004\0\x19999.0.2.1\0"),
    "HELO without an end": OFFER + packet("H", b"client"),
    "MAIL without an end": OFFER + packet("M", b"<a@example.net>"),
    "RCPT without MAIL": OFFER + packet("R", b"<b@example.org>\0"),
    "a header without MAIL": OFFER + packet("L", b"Subject\0 x\0"),
    "an end of header without MAIL": OFFER + packet("N"),
    "a body without MAIL": OFFER + packet("B", b"x"),
    "an end without MAIL": OFFER + packet("E"),
    "a header of one string": OFFER + packet("M", b"<>\0") + packet("L", b"Subject\0"),
    "a header of three strings": OFFER + packet("M", b"<>\0") + packet("L", b"Subject\0 x\0y\0"),
    "macros without values": OFFER + packet("D", b"Mi\0"),
    "macros of nothing": OFFER + packet("D"),
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
    whole = OFFER + packet("C", b"x\x004\0\x19192.0.2.1\0") + packet("M", b"<>\0") + packet("R", b"<b>\0")
    whole += packet("L", b"Subject\0 x\0") + packet("N") + packet("B", bytes(5000)) + packet("E")

    async def main() -> None:
        async with serving() as kit, kit.mta() as other:
            for _ in range(100):
                async with kit.mta(greeted=False) as mta:
                    mta.writer.write(dice.choice((b"", OFFER)) + dice.randbytes(dice.randrange(200)))
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
                mta.writer.write(packet("M", b"<a@example.net>\0")[:-3])
                assert await mta.ended()
            await asyncio.sleep(0.5)
            assert (await patient.mail(RAW)).letter == "c"  # silence between commands is the client's own

    asyncio.run(main())


def test_a_flood_of_packets_is_taken_in_turns_within_bounds() -> None:
    """Macros ask for no answer: one connection sends 20 MB of them, and another goes on."""

    async def main() -> None:
        async with serving() as kit, kit.mta() as flood:
            many = packet("D", b"Mi\0" + b"x" * 1000 + b"\0") * 1000
            largest = packet("D", b"Mi\0" + b"x" * (LONGEST - 5) + b"\0")
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
                recipients = packet("M", b"<>\0") + packet("R", b"<b@example.org>\0") * 20_000
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


PIECES = (
    b"<a@example.net>\0", b"<b@example.org>\0SMTPUTF8\0", b"Subject\0 x\n\ty\0", b"Mi\x004ABC\0", b"Cj\0mx\0",
    b"x\x004\0\x19192.0.2.1\0", b"x\x006\0\x19IPv6:2001:db8::1\0", b"x\0U", b"body\r\n", b"", b"\0",
    "<b\u00e4r@b\u00fccher.example>\0".encode(), b"\xff\xfe\0\0\0",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_whole_packets_in_any_order(seed: int) -> None:
    """Right letters with data that is right, nearly right or another command's: no session breaks, some end."""
    dice = random.Random(seed)

    def session() -> bytes:
        packets = [packet(dice.choice("ABCDEHKLMNRTU"), dice.choice(PIECES)) for _ in range(dice.randrange(30))]
        whole = [packet("M", PIECES[0]), packet("R", PIECES[1]), packet("L", PIECES[2]), packet("N"), packet("E")]
        at = dice.randrange(len(packets) + 1)
        return b"".join((OFFER, *packets[:at], *dice.choice(((), whole)), *packets[at:], packet("Q")))

    async def main() -> None:
        async with serving() as kit, kit.mta() as other:
            for _ in range(200):
                async with kit.mta(greeted=False) as mta:
                    mta.writer.write(session())
                    assert await mta.ended()
            assert len(kit.filter.seen) > 5, "some said a whole message"
            assert (await other.mail(RAW)).letter == "c"
            await works(kit)

    with structlog.testing.capture_logs() as logs:
        on_both_loops(main)
    broken = [line for line in logs if line["event"] in ("session-failed", "filter-failed")]
    assert not broken
