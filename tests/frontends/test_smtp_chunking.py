"""CHUNKING (RFC 3030): messages by BDAT, in chunks cut anywhere, judged and relayed as any other."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.frontends.smtp.commands import Chunk, parse_bdat
from filterd.frontends.smtp.data import Counted, Trouble
from filterd.frontends.spool import Memory
from filterd.relay import RelaySettings, next_hop
from filterd.reply import Reply
from tests.frontends.smtp_kit import Client, Hop, Kit, Sieve, on_both_loops, serving, until
from tests.nexthop import FakeHop

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n.\r\n..\r\nno end\r\n"


async def begin(client: Client, *recipients: str, name: str = "client.example") -> None:
    assert "CHUNKING" in await client.hello(name)
    assert (await client.ask("MAIL FROM:<a@example.net>")).startswith("250 ")
    for recipient in recipients or ("b@example.org",):
        await client.ask(f"RCPT TO:<{recipient}>")


def chunk(octets: bytes, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n" % (len(octets), b" LAST" if last else b"") + octets


@pytest.mark.parametrize(
    ("argument", "parsed"),
    [
        ("10", Chunk(10, last=False)),
        ("0 LAST", Chunk(0, last=True)),
        ("007 last", Chunk(7, last=True)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("0x10", None),
        ("\u0661", None),
        ("10 FIRST", None),
        ("10 LAST LAST", None),
        ("10LAST", None),
        ("9" * 21, None),
    ],
)
def test_the_command(argument: str, parsed: Chunk | None) -> None:
    assert isinstance(parse_bdat(argument), Reply) if parsed is None else parse_bdat(argument) == parsed


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b".", b"\r\n.\r\n"]), max_size=30), st.randoms())
def test_however_it_is_cut_it_is_the_same_message(words: list[bytes], cuts: random.Random) -> None:
    content = b"".join(words)
    plain = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    collector = Counted(10**6, Memory(10**6))
    rest = content
    while True:
        size = cuts.randint(0, len(rest))
        last = size == len(rest) and cuts.random() < 0.7
        collector.expect(size, last=last)
        wire, rest = rest[:size], rest[size:]
        while len(wire) > 1 and cuts.random() < 0.5:
            assert collector.feed(wire[:1]) is None
            wire = wire[1:]
        assert collector.feed(wire + b"NOOP") == b"NOOP"
        if last:
            break
    assert collector.trouble is None
    assert collector.message() == plain + (b"" if not plain or plain.endswith(b"\r\n") else b"\r\n")
    assert (collector.received, collector.size) == (len(content), len(collector.message()))
    collector.close()


def test_what_is_too_large_or_refused_is_not_stored() -> None:
    memory = Memory(10**6)
    collector = Counted(100, memory)
    collector.expect(60, last=False)
    assert collector.feed(b"a" * 60) == b""
    assert memory.taken == 60
    collector.expect(10**15, last=True)
    assert (collector.trouble, memory.taken) == (Trouble.SIZE, 0)
    assert collector.feed(b"a" * 10**6) is None
    assert memory.taken == 0


def test_one_chunk_and_several() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await begin(client)
            client.send(chunk(MESSAGE, last=True))
            assert (await client.reply()).startswith("250 ")
            await begin(client)
            for start in range(0, len(MESSAGE), 7):
                client.send(chunk(MESSAGE[start : start + 7]))
                assert (await client.reply()).startswith("250 2.0.0 ")
            client.send(chunk(b"", last=True))
            assert (await client.reply()).startswith("250 ")
            assert [one.message for one in kit.hop.delivered] == [MESSAGE, MESSAGE]
            assert [raw for _, raw in kit.filter.seen] == [MESSAGE, MESSAGE]
            assert (await client.mail(b"by DATA\r\n")).startswith("250 ")

    on_both_loops(run)


def test_all_in_one_breath_and_byte_by_byte() -> None:
    whole = (
        b"EHLO c.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"
        + chunk(MESSAGE[:9])
        + chunk(MESSAGE[9:], last=True)
        + b"MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"
        + chunk(MESSAGE, last=True)
        + b"QUIT\r\n"
    )

    async def run() -> None:
        async with serving() as kit:
            for step in (len(whole), 1, 10):
                async with kit.client() as client:
                    for start in range(0, len(whole), step):
                        client.send(whole[start : start + step])
                        await asyncio.sleep(0)
                    heard = (await client.reader.read()).decode()
                    codes = [line[:3] for line in heard.splitlines() if line[3:4] == " "]
                    assert codes == ["250", "250", "250", "250", "250", "250", "250", "250", "221"]
            assert [one.message for one in kit.hop.delivered] == [MESSAGE] * 6

    on_both_loops(run)


def test_an_empty_message_and_one_without_an_end() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            for content in (b"", b"no end", b"no end\r", b"."):
                await begin(client)
                client.send(chunk(content, last=True))
                assert (await client.reply()).startswith("250 ")
            assert [one.message for one in kit.hop.delivered] == [b"", b"no end\r\n", b"no end\r\n", b".\r\n"]

    asyncio.run(run())


SMUGGLED = b"MAIL FROM:<x@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nsmuggled\r\n.\r\n"


async def refused(kit: Kit, client: Client, octets: bytes, reply: str) -> None:
    """A chunk is refused, its octets are swallowed, and the session goes on."""
    client.send(chunk(octets, last=True) + b"NOOP\r\n")
    assert (await client.reply()).startswith(reply)
    assert (await client.reply()).startswith("250 2.0.0 Ok")
    assert kit.hop.delivered == []


def test_a_refused_chunk_is_swallowed() -> None:
    async def run() -> None:
        hop = Hop(answer=lambda verb, argument: Reply(550, "no") if verb == "RCPT" else None)
        async with serving(hop=hop) as kit, kit.client() as client:
            await refused(kit, client, SMUGGLED, "503 5.5.1")
            await client.hello()
            await refused(kit, client, SMUGGLED, "503 5.5.1")
            await client.ask("MAIL FROM:<a@example.net>")
            await refused(kit, client, SMUGGLED, "554 5.5.1")
            await begin(client)  # RCPT is refused
            await refused(kit, client, SMUGGLED, "554 5.5.1")
            await begin(client)
            client.send(chunk(SMUGGLED))
            assert (await client.reply()).startswith("554 5.5.1")
            hop.answer = lambda verb, argument: None
            assert (await client.ask("RCPT TO:<b@example.org>")).startswith("503 ")
            await refused(kit, client, SMUGGLED, "554 5.5.1")

    on_both_loops(run)


def test_within_the_chunks_nothing_else_may_come() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await begin(client)
            client.send(chunk(b"Subject: x\r\n"))
            assert (await client.reply()).startswith("250 ")
            for command in ("DATA", "RCPT TO:<c@example.org>", "MAIL FROM:<c@example.org>"):
                assert (await client.ask(command)).startswith("503 5.5.1")
            assert (await client.ask("NOOP")).startswith("250 ")
            client.send(chunk(b"\r\nbody\r\n", last=True))
            assert (await client.reply()).startswith("250 ")
            client.send(chunk(b"more\r\n", last=True))
            assert (await client.reply()).startswith("503 ")
            assert [one.message for one in kit.hop.delivered] == [b"Subject: x\r\n\r\nbody\r\n"]

    asyncio.run(run())


@pytest.mark.parametrize("ends", ["RSET", "EHLO again.example", "QUIT", "gone"])
def test_what_ends_a_message_in_the_middle_leaves_nothing(ends: str) -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await begin(client)
            client.send(chunk(b"a" * 100_000))
            assert (await client.reply()).startswith("250 ")
            if ends == "gone":
                client.send(b"BDAT 1000\r\nonly a part")
                return
            await client.ask(ends)
            if ends != "QUIT":
                client.send(chunk(b"rest\r\n", last=True))
                assert (await client.reply()).startswith("503 ")
                assert (await client.mail(MESSAGE.replace(b"\r\n.", b"\r\n.."))).startswith("250 ")
                assert [one.message for one in kit.hop.delivered] == [MESSAGE]

    on_both_loops(run)


@pytest.mark.parametrize("argument", ["", "ten", "10 FIRST", "-5", "99999999999999999999999"])
def test_a_command_without_a_size_ends_the_session(argument: str) -> None:
    """Its octets could not be told from commands."""

    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await begin(client)
            client.send(f"BDAT {argument}\r\n".encode() + SMUGGLED)
            assert (await client.reply()).startswith("501 5.5.4")
            assert (await client.reply()).startswith("421 ")
            assert await client.ends()
            assert kit.hop.delivered == []

    asyncio.run(run())


def test_a_size_over_the_limit_is_refused_and_costs_no_memory() -> None:
    async def run() -> None:
        async with serving(limits={"message_size": 100_000}) as kit, kit.client() as client:
            await begin(client)
            client.send(b"BDAT 5000000\r\n")
            for _ in range(50):
                client.send(b"x" * 100_000)
                await client.writer.drain()
                assert kit.server.traffic.memory.taken == 0
            assert (await client.reply()).startswith("552 5.3.4")
            client.send(chunk(b"small"))
            assert (await client.reply()).startswith("552 5.3.4")
            client.send(chunk(b"small", last=True))
            assert (await client.reply()).startswith("552 5.3.4")
            assert (await client.mail(b"small\r\n")).startswith("250 ")
            await begin(client)
            for _ in range(2):
                client.send(chunk(b"y" * 60_000))
                last = await client.reply()
            assert last.startswith("552 5.3.4")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("octets", "site", "reply"),
    [
        (b"a\0b\r\n", {}, "554 5.6.0"),
        (b"a\rb\r\n", {"bare_newline": "reject"}, "554 5.6.0"),
        (b"a\nb\r\n", {"bare_newline": "reject"}, "554 5.6.0"),
    ],
)
def test_the_content_is_held_to_the_same_rules(octets: bytes, site: dict[str, str], reply: str) -> None:
    async def run() -> None:
        async with serving(site=site) as kit, kit.client() as client:
            await begin(client)
            client.send(chunk(octets, last=True))
            assert (await client.reply()).startswith(reply)
            assert kit.hop.delivered == []

    asyncio.run(run())


def test_a_cr_and_its_lf_in_two_chunks() -> None:
    async def run() -> None:
        async with serving(site={"bare_newline": "reject"}) as kit, kit.client() as client:
            await begin(client)
            for octets in (b"Subject: x\r", b"\n\r\n", b"body\r"):
                client.send(chunk(octets))
                assert (await client.reply()).startswith("250 ")
            client.send(chunk(b"\n", last=True))
            assert (await client.reply()).startswith("250 ")
            assert kit.hop.delivered[0].message == b"Subject: x\r\n\r\nbody\r\n"

    asyncio.run(run())


def test_a_flood_of_tiny_chunks_is_cut() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await begin(client)
            client.send(chunk(b"x") * 2000)
            heard = (await client.reader.read()).decode()
            assert heard.splitlines()[-1].startswith("421 4.7.0 Too many chunks")
            assert heard.count("250 2.0.0 1 octets") == 1000
            assert kit.server.connections == 0

    asyncio.run(run())


def test_lmtp_has_a_reply_for_each_recipient() -> None:
    async def run() -> None:
        async with serving(lmtp=True) as kit, kit.client() as client:
            assert "CHUNKING" in await client.ask("LHLO client.example")
            await client.ask("MAIL FROM:<a@example.net>")
            for name in ("b", "c"):
                await client.ask(f"RCPT TO:<{name}@example.org>")
            client.send(chunk(MESSAGE[:5]))
            assert (await client.reply()).startswith("250 ")
            client.send(chunk(MESSAGE[5:], last=True))
            assert [(await client.reply())[:4] for _ in range(2)] == ["250 ", "250 "]
            assert (await client.ask("NOOP")).startswith("250 2.0.0 Ok")

    asyncio.run(run())


def test_the_next_hop_gets_it_by_data() -> None:
    async def run() -> None:
        async with FakeHop() as far:
            hop = next_hop(far.url, RelaySettings())
            async with serving(hop=hop) as kit, kit.client() as client:
                await begin(client)
                client.send(chunk(MESSAGE, last=True))
                assert (await client.reply()).startswith("250 ")
                assert far.messages[0].content.endswith(MESSAGE)
                assert b"\r\n..\r\n...\r\n" in far.messages[0].wire
            await hop.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("by", ["BDAT", "DATA"])
@pytest.mark.parametrize("bye", [b"QUIT\r\n", b""])
def test_a_client_that_ends_its_side_behind_quit_still_hears_what_became_of_its_mail(by: str, bye: bytes) -> None:
    """Exim closes its half of the connection so; without QUIT it is a client that left, and gets no delivery."""
    content = chunk(MESSAGE, last=True) if by == "BDAT" else MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"

    async def run() -> None:
        sieve = Sieve(pause=asyncio.Event())
        async with serving(filter=sieve) as kit, kit.client() as client:
            await begin(client)
            if by == "DATA":
                await client.ask("DATA")
            client.send(content + bye)
            client.writer.write_eof()
            if bye:
                await until(lambda: bool(sieve.seen))
                await asyncio.sleep(0.05)
                assert sieve.pause is not None
                sieve.pause.set()
                assert (await client.reply()).startswith("250 ")
                assert (await client.reply()).startswith("221 ")
            assert await client.ends()
            assert len(kit.hop.delivered) == bool(bye)

    on_both_loops(run)
