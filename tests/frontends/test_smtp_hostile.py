"""What hostile and broken clients do: smuggling, floods, odd octets, loops, leaving in the middle."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from filterd.mail.envelope import Direction
from filterd.reply import Reply
from tests.frontends.smtp_kit import Client, Hop, Sieve, descriptors, on_both_loops, serving, until

ENDINGS = json.loads((Path(__file__).parents[1] / "data" / "smuggling_endings.json").read_text())
MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
SECOND = b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"


@pytest.mark.parametrize("bare", ["normalize", "reject"])
@pytest.mark.parametrize("name", [name for name, ending in ENDINGS.items() if "\r\n.\r\n" not in ending])
def test_one_message_or_a_refusal_never_two(name: str, bare: str) -> None:
    async def run() -> None:
        async with serving(site={"bare_newline": bare}) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.net>")
            await client.ask("RCPT TO:<b@example.org>")
            await client.ask("DATA")
            client.send(b"Subject: first\r\n\r\nbody" + ENDINGS[name].encode() + SECOND)
            answer = await client.reply()
            assert (await client.ask("NOOP")).startswith("250 "), "nothing was left to be read as commands"
            refused = bare == "reject" or "\0" in ENDINGS[name]
            assert answer.startswith("554 5.6.0" if refused else "250 ")
            assert len(kit.hop.delivered) == (0 if refused else 1)
            for delivered in kit.hop.delivered:
                bare_ones = delivered.content.replace(b"\r\n", b"")
                assert b"\r" not in bare_ones
                assert b"\n" not in bare_ones

    asyncio.run(run())


def test_a_legal_end_is_an_end() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            assert (await client.mail(b"x\r\r\n.\r\n" + SECOND.removesuffix(b".\r\n"))).startswith("250 ")
            assert kit.hop.delivered[0].message == b"x\r\n\r\n"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (b"EHLO a\x1b[2Jb", "501"),
        (b"EHLO a\x00b", "501"),
        (b"EHLO b\xc3\xbccher.example", "501"),
        (b"MAIL FROM:<a\x00@b>", "501"),
        (b"MAIL FROM:<a\rb@c>", "501"),
        (b"MAIL FROM:<\xc3\xbc@b.example>", "553"),
        (b"MAIL FROM:<\xff@b.example> SMTPUTF8", "501"),
        (b"NOOP\n", "500"),
        (b"X" * 5000, "500"),
        (b"", "500"),
        (b" ", "500"),
        (b"BDAT ten", "501"),
        (b"AUTH PLAIN AGEAYg==", "502"),
        (b"VRFY root", "252"),
        (b"EXPN all", "502"),
        (b"RSET now", "501"),
        (b"HELP", "214"),
        (b"STARTTLS", "502"),
        (b"LHLO x", "500"),
        (b"RCPT TO:<b@example.org>", "503"),
        (b"DATA", "503"),
    ],
)
def test_odd_commands(command: bytes, code: str) -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            if not command.startswith(b"EHLO"):
                await client.hello()
            answer = await client.ask(command)
            assert answer.startswith(code)
            assert answer[3:7].strip().replace(".", "").isdigit(), "every reply has an enhanced code"
            assert "\x1b" not in answer

    asyncio.run(run())


def test_mail_before_hello() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            assert (await client.ask("MAIL FROM:<>")).startswith("503 5.5.1")

    asyncio.run(run())


def test_20000_recipients() -> None:
    async def run() -> None:
        async with serving(limits={"recipients": 100}) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.net>")
            codes: list[str] = []

            async def read() -> None:
                for _ in range(20_000):
                    codes.append((await client.reply())[:9])

            reading = asyncio.create_task(read())
            for start in range(0, 20_000, 1000):
                client.send("".join(f"RCPT TO:<b{at}@example.org>\r\n" for at in range(start, start + 1000)))
                await client.writer.drain()
            await reading
            assert codes == ["250 2.0.0"] * 100 + ["452 4.5.3"] * 19_900
            await client.ask("DATA")
            assert (await client.ask(MESSAGE + b".")).startswith("250 ")
            assert len(kit.hop.delivered[0].recipients) == 100

    asyncio.run(run())


def test_addresses_are_not_harvested_for_ever() -> None:
    async def run() -> None:
        hop = Hop(answer=lambda verb, argument: Reply(550, "Nobody", "5.1.1") if verb == "RCPT" else None)
        async with serving(hop=hop, limits={"recipients": 10}) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<>")
            codes = [(await client.ask(f"RCPT TO:<b{at}@example.org>"))[:3] for at in range(15)]
            assert codes == ["550"] * 10 + ["452"] * 5
            assert sum(verb.startswith("RCPT") for verb in kit.hop.verbs) == 10

    asyncio.run(run())


@pytest.mark.parametrize(
    ("flood", "answers"),
    [(b"NOOP\r\n", 101), (b"RSET\r\n", 101), (b"NONSENSE\r\n", 21), (b"MAIL\r\n", 21), (b"\n", 21)],
)
def test_floods_are_cut(flood: bytes, answers: int) -> None:
    async def run() -> None:
        with capture_logs() as logs:
            async with serving() as kit:
                for _ in range(3):
                    async with kit.client() as client:
                        await client.hello()
                        lines = (await _exchange(client, flood * 50_000)).split(b"\r\n")
                        assert len(lines) <= answers + 2
        assert sum(line["event"] == "abuse" for line in logs) == 1, "the log is not flooded"

    asyncio.run(run())


def test_the_last_word_to_a_flood_is_421() -> None:
    async def run() -> None:
        async with serving(limits={"idle_commands": 3, "bad_commands": 2}) as kit:
            async with kit.client() as client:
                codes = [(await client.ask("NOOP"))[:9] for _ in range(4)]
                assert codes == ["250 2.0.0"] * 3 + ["421 4.7.0"]
                assert await client.ends()
            async with kit.client() as client:
                for _ in range(2):
                    assert (await client.ask("WHAT")).startswith("500 5.5.1")
                assert (await client.ask("WHAT")).startswith("500 5.5.1")
                assert (await client.reply()).startswith("421 4.7.0")
                assert await client.ends()

    asyncio.run(run())


def test_whoever_sends_mail_may_say_noop_for_ever() -> None:
    async def run() -> None:
        async with serving(limits={"idle_commands": 5}) as kit, kit.client() as client:
            await client.hello()
            for _ in range(10):
                for _ in range(4):
                    assert (await client.ask("NOOP")).startswith("250 ")
                assert (await client.mail(MESSAGE)).startswith("250 ")

    asyncio.run(run())


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"POST /x HTTP/1.1", b"CONNECT x:25 HTTP/1.1"])
def test_http_is_sent_away(request_line: bytes) -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            client.send(request_line + b"\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
            assert (await client.reply()).startswith("421 4.7.0")
            await until(lambda: kit.server.connections == 0)

    asyncio.run(run())


@pytest.mark.parametrize("how", ["RSET", "EHLO", "second MAIL", "lost before DATA", "lost in DATA", "refused"])
def test_nothing_leaks_into_the_next_transaction(how: str) -> None:
    async def run() -> None:
        async with serving(trusted=["127.0.0.0/8"]) as kit:
            async with kit.client() as client:
                await client.hello()
                await client.ask("XFORWARD ADDR=198.51.100.9")
                await client.ask("MAIL FROM:<old@example.net> RET=FULL")
                await client.ask("RCPT TO:<old@example.org> NOTIFY=NEVER")
                match how:
                    case "RSET":
                        await client.ask("RSET")
                    case "EHLO":
                        await client.hello("new.example")
                    case "second MAIL":
                        assert (await client.ask("MAIL FROM:<new@example.net>")).startswith("503 5.5.1")
                        await client.ask("RSET")
                    case "refused":
                        await client.ask("DATA")
                        assert (await client.ask(b"a\0b\r\n.")).startswith("554 ")
                    case "lost in DATA":
                        await client.ask("DATA")
                        client.send(b"half a mess")
                        await client.writer.drain()
                if how.startswith("lost"):
                    client.writer.transport.abort()
                else:
                    assert (await client.mail(MESSAGE, sender="new@example.net")).startswith("250 ")
            await until(lambda: kit.hop.open == 0 and kit.server.connections == 0)
            assert len(kit.hop.delivered) == (0 if how.startswith("lost") else 1)
            for delivered in kit.hop.delivered:
                assert (delivered.sender, delivered.parameters) == ("new@example.net", ())
                assert [(one.address, one.parameters) for one in delivered.recipients] == [("b@example.org", ())]
                assert not delivered.handover.client.known
                assert kit.filter.seen[-1][0].direction is Direction.INBOUND

    asyncio.run(run())


def test_a_new_helo_drops_extensions() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            await client.ask("HELO old.example")
            assert (await client.mail(MESSAGE)).startswith("250 ")
            assert kit.filter.seen[0][0].protocol == "SMTP"
            assert kit.hop.delivered[0].handover.protocol == "SMTP"

    asyncio.run(run())


def test_too_many_hops() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            line = b"Received: from a by b; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            assert (await client.mail(line * 50 + MESSAGE)).startswith("250 ")
            assert (await client.mail(line.lower() * 51 + MESSAGE)).startswith("554 5.4.6")
            assert (await client.mail(MESSAGE + line * 60)).startswith("250 "), "the body may hold anything"

    asyncio.run(run())


def test_our_own_mark_again() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            await client.mail(MESSAGE, "b@example.org")
            once = kit.hop.delivered[0].content
            assert (await client.mail(once, "b@example.org")).startswith("554 5.4.6")
            assert (await client.mail(once, "c@example.org", "B@example.org")).startswith("554 5.4.6")
            assert (await client.mail(once, "c@example.org")).startswith("250 "), "as a mailing list does"
            await client.mail(MESSAGE, "b@example.org", "c@example.org")
            both = kit.hop.delivered[-1].content
            assert (await client.mail(both, "c@example.org", "b@example.org")).startswith("554 5.4.6")

    asyncio.run(run())


def test_a_large_message_reaches_the_filter_as_a_view_of_a_file() -> None:
    async def run() -> None:
        body = b"Subject: large\r\n\r\n" + (b"z" * 76 + b"\r\n") * 40_000
        async with serving() as kit, kit.client() as client:
            open_now = descriptors()
            await client.hello()
            assert (await client.mail(body)).startswith("250 ")
            assert kit.filter.raws == [memoryview]
            assert kit.hop.delivered[0].message == body
            assert descriptors() == open_now

    on_both_loops(run)


def test_descriptors_stay_flat() -> None:
    async def run() -> None:
        async with serving(limits={"connection_rate": 10_000}) as kit:
            async with kit.client() as client:
                await client.hello()
            await until(lambda: kit.server.connections == 0)
            before = descriptors()
            for at in range(1000):
                async with kit.client() as client:
                    if at % 4 == 0:
                        await client.hello()
                        await client.mail(MESSAGE)
                    elif at % 4 == 1:
                        await client.ask("QUIT")
                    elif at % 4 == 2:
                        client.writer.transport.abort()
            await until(lambda: kit.server.connections == 0 and descriptors() <= before)

    asyncio.run(run())


def test_random_octets_end_only_their_own_session() -> None:
    async def run() -> None:
        import random

        chance = random.Random(7)
        async with serving() as kit, kit.client() as steady:
            await steady.hello()
            for _ in range(10):
                async with kit.client() as client:
                    await _exchange(client, chance.randbytes(5000))
            assert (await steady.mail(MESSAGE)).startswith("250 ")

    asyncio.run(run())


async def _exchange(client: Client, data: bytes) -> bytes:
    """Send it all and read until the connection ends or is quiet."""
    client.send(data)
    heard = b""
    try:
        async with asyncio.timeout(0.3) as patience:
            while more := await client.reader.read(1 << 16):
                heard += more
                patience.reschedule(asyncio.get_running_loop().time() + 0.3)
    except (TimeoutError, ConnectionError):
        pass
    return heard


def test_the_hop_may_be_slow_to_learn_of_a_client_that_left() -> None:
    async def run() -> None:
        hop = Hop(after_dot=asyncio.Event())
        async with serving(hop=hop, filter=Sieve()) as kit:
            async with kit.client() as client:
                await client.hello()
                await client.ask("MAIL FROM:<>")
                await client.ask("RCPT TO:<b@example.org>")
                await client.ask("DATA")
                client.send(MESSAGE + b".\r\n")
                await until(lambda: hop.open == 1)
            assert hop.after_dot is not None
            hop.after_dot.set()
            await until(lambda: not kit.server.traffic.work)
            assert kit.filter.ended == 1

    asyncio.run(run())
