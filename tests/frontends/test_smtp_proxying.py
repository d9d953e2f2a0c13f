"""The way of a mail through the SMTP door: the next hop in step, the decision, the copies, the reply."""

from __future__ import annotations

import asyncio

from filterd.decision import Action
from filterd.relay.hop import Capabilities
from filterd.reply import Reply

from tests.frontends.smtp_kit import Hop, Sieve, serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def test_a_mail_goes_through() -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            assert (await client.mail(MESSAGE)).startswith("250 2.")
            assert (await client.ask("QUIT")).startswith("221 2.0.0")
            assert await client.ends()
            (delivered,) = kit.hop.delivered
            assert delivered.message == MESSAGE
            assert delivered.sender == "a@example.net"
            assert delivered.content.startswith(
                b"Received: from client.example (unknown [127.0.0.1])\r\n\tby mx.example.org"
            )
            assert b"\r\n\tfor <b@example.org>; " in delivered.content

    asyncio.run(run())
