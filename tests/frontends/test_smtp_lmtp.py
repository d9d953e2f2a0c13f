"""LMTP (RFC 2033): LHLO, and a reply for each recipient that was accepted."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from filterd.decision import Action
from filterd.frontends.smtp import Site, SmtpLimits
from filterd.frontends.smtp.server import SmtpServer
from filterd.ids import new_id
from filterd.reply import Reply
from tests.frontends.smtp_kit import Client, Hop, Sieve, listener, on_both_loops, serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def test_lmtp_greets_in_its_own_words() -> None:
    async def run() -> None:
        async with serving(lmtp=True) as kit, kit.client(greeted=False) as client:
            assert await client.reply() == "220 mx.example.org LMTP filterd\r\n"
            assert (await client.ask("EHLO client.example")).startswith("500 5.5.1")
            assert (await client.ask("HELO client.example")).startswith("500 5.5.1")
            assert "250-PIPELINING" in await client.ask("LHLO client.example")
            assert kit.server.name.startswith("lmtp ")

    asyncio.run(run())


def test_each_recipient_has_a_reply() -> None:
    async def run() -> None:
        full = Reply(452, "Mailbox full", "4.2.2")
        hop = Hop(answer=lambda verb, argument: full if (verb, argument) == ("DOT", "full@example.org") else None)
        sieve = Sieve(action=lambda who: Action.REJECT if who == "no@example.org" else Action.ACCEPT)
        async with serving(hop=hop, filter=sieve, lmtp=True) as kit, kit.client() as client:
            await client.ask("LHLO client.example")
            await client.ask("MAIL FROM:<a@example.net>")
            for name in ("b", "full", "no", "c"):
                await client.ask(f"RCPT TO:<{name}@example.org>")
            await client.ask("RCPT TO:<x@elsewhere.example>")
            await client.ask("DATA")
            client.send(MESSAGE + b".\r\n")
            assert [(await client.reply())[:9] for _ in range(4)] == [
                "250 2.0.0", "452 4.2.2", "550 5.7.1", "250 2.0.0"
            ]  # fmt: skip
            assert (await client.ask("NOOP")).startswith("250 ")
            assert kit.filter.seen[0][0].protocol == "LMTP"

    asyncio.run(run())


def test_what_cannot_be_taken_is_said_to_each() -> None:
    async def run() -> None:
        async with serving(lmtp=True) as kit, kit.client() as client:
            await client.ask("LHLO client.example")
            await client.ask("MAIL FROM:<a@example.net>")
            await client.ask("RCPT TO:<b@example.org>")
            await client.ask("RCPT TO:<c@example.org>")
            await client.ask("DATA")
            client.send(b"a\0b\r\n.\r\n")
            assert [(await client.reply())[:9] for _ in range(2)] == ["554 5.6.0"] * 2
            assert (await client.ask("DATA")).startswith("503 ")

    asyncio.run(run())


def test_a_unix_socket_is_trusted_as_its_file_is(tmp_path: Path) -> None:
    async def run() -> None:
        path = str(tmp_path / f"lmtp-{new_id()}")
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen()
        hop, sieve = Hop(), Sieve()
        server = SmtpServer(
            listener(listen=f"unix:{path}", lmtp=True),
            limits=SmtpLimits(),
            site=Site("mx.example.org", frozenset(("example.org",))),
            hop=hop,
            filter=sieve,
        )
        await server.start([listening])
        client = Client(*await asyncio.open_unix_connection(path))
        await client.reply()
        assert "XFORWARD" in await client.ask("LHLO client.example")
        assert (await client.mail(MESSAGE, "x@elsewhere.example")).startswith("250 ")
        assert sieve.seen[0][0].peer is None
        assert b"from client.example (unknown [unknown])" in hop.delivered[0].content
        await client.close()
        await server.drain(5)

    on_both_loops(run)
