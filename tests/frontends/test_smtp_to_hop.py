"""The SMTP door before a real relay leg and a next hop on a socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import dkim
import pytest

from filterd.relay import RelaySettings, next_hop
from tests.frontends.smtp_kit import on_both_loops, serving
from tests.nexthop import DIE, FakeHop

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
RFC8463 = Path(__file__).parents[1] / "data" / "dkim" / "rfc8463-example.msg"
KEY = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="  # RFC 8463 appendix A.2


def test_a_mail_on_its_way_and_what_the_next_hop_sees() -> None:
    async def run() -> None:
        async with FakeHop(keywords=("PIPELINING", "8BITMIME", "XFORWARD ADDR NAME HELO")) as far:
            hop = next_hop(far.url, RelaySettings())
            async with serving(hop=hop) as kit, kit.client() as client:
                greeting = await client.hello()
                assert "8BITMIME" in greeting
                assert "SMTPUTF8" not in greeting
                for message in (MESSAGE, b"..\r\n..x\r\n", b"..\r\n"):
                    assert (await client.mail(message)).startswith("250 ")
                unstuffed = [MESSAGE, b".\r\n.x\r\n", b".\r\n"]
                assert [one.content[one.content.index(b"+0000\r\n") + 7 :] for one in far.messages] == unstuffed
                assert any(command.startswith("XFORWARD") and "127.0.0.1" in command for command in far.commands)
            await hop.aclose()

    on_both_loops(run)


@pytest.mark.parametrize(
    ("script", "answers"),
    [
        ({"MAIL": "550 5.7.1 not you"}, ["550 5.7.1"]),
        ({"RCPT": "550 5.1.1 nobody"}, ["250", "550 5.1.1"]),
        ({"RCPT": "451 4.7.1 later"}, ["250", "451 4.7.1"]),
        ({".": "554 5.7.1 content"}, ["250", "250", "354", "554 5.7.1"]),
        ({".": "452 4.3.1 full"}, ["250", "250", "354", "452 4.3.1"]),
        ({".": DIE}, ["250", "250", "354", "451"]),
        ({"DATA": DIE}, ["250", "250", "354", "451"]),
        ({"MAIL": DIE}, ["451"]),
        ({"BANNER": "554 5.3.2 go away"}, ["4"]),
    ],
)
def test_answers_keep_their_class(script: dict[str, Any], answers: list[str]) -> None:
    async def run() -> None:
        async with FakeHop(script=script) as far:
            hop = next_hop(far.url, RelaySettings())
            async with serving(hop=hop) as kit, kit.client() as client:
                await client.hello()
                commands: list[str | bytes] = [
                    "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.org>", "DATA", MESSAGE + b"."
                ]  # fmt: skip
                for command, answer in zip(commands, answers, strict=False):
                    assert (await client.ask(command)).startswith(answer)
            await hop.aclose()

    asyncio.run(run())


def test_nobody_is_there() -> None:
    async def run() -> None:
        async with FakeHop() as far:
            url = far.url
        hop = next_hop(url, RelaySettings())
        async with serving(hop=hop) as kit, kit.client() as client:
            assert (await client.hello()).startswith("250-")
            assert (await client.ask("MAIL FROM:<a@example.net> BODY=8BITMIME")).startswith("451 4.4.1")
        await hop.aclose()

    asyncio.run(run())


def test_a_signature_still_verifies_at_the_next_hop() -> None:
    wire = RFC8463.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    async def run() -> bytes:
        async with FakeHop() as far:
            hop = next_hop(far.url, RelaySettings())
            async with serving(hop=hop) as kit, kit.client() as client:
                await client.hello()
                assert (await client.mail(wire)).startswith("250 ")
            await hop.aclose()
            return far.messages[0].content

    def key(name: bytes, timeout: float = 5) -> bytes:
        assert name == b"brisbane._domainkey.football.example.com."
        return KEY

    arrived = asyncio.run(run())
    assert arrived.endswith(wire)
    assert dkim.verify(wire, dnsfunc=key)
    assert dkim.verify(arrived, dnsfunc=key)
