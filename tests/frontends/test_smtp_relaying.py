"""Who may do what: strangers, our own networks, trusted peers, and those they speak for. No open relay."""

from __future__ import annotations

import asyncio
import struct

import pytest

from filterd.frontends.proxy import SIGNATURE
from filterd.mail.envelope import Direction, Envelope, Source
from filterd.settings import Networks, parse_network
from tests.frontends.smtp_kit import Client, Kit, serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
LOOPBACK = ["127.0.0.0/8"]
INTERNAL = {"internal": Networks((parse_network("192.0.2.0/24"),))}


async def envelope_of(kit: Kit, client: Client, *to: str) -> Envelope:
    assert (await client.mail(MESSAGE, *to)).startswith("250 ")
    return kit.filter.seen[-1][0]


@pytest.mark.parametrize(
    "recipient",
    [
        "x@elsewhere.example",
        "x@example.org.evil.example",
        "x@sub.example.org",
        "x@xexample.org",
        "a%elsewhere.example@example.org",
        '"a%elsewhere.example"@example.org',
        "@example.org:x@elsewhere.example",
        "@relay.example:x@example.org",
        '"x@elsewhere.example"@example.org',
        "elsewhere.example!x@example.org",
        "x@[127.0.0.1]",
        "x",
    ],
)
def test_strangers_cannot_relay(recipient: str) -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<a@example.org>")
            assert (await client.ask(f"RCPT TO:<{recipient}>")).startswith("550 5.7.1")
            assert (await client.ask("DATA")).startswith("554 5.5.1")
            assert not any(verb.startswith("RCPT") for verb in kit.hop.verbs)

    asyncio.run(run())


@pytest.mark.parametrize(
    "recipient", ["b@example.org", "b@EXAMPLE.org", "Postmaster", "postmaster", "abuse@example.org"]
)
def test_strangers_reach_us(recipient: str) -> None:
    async def run() -> None:
        async with serving() as kit, kit.client() as client:
            await client.hello()
            envelope = await envelope_of(kit, client, recipient)
            assert envelope.direction is Direction.INBOUND
            assert envelope.recipients[0].address == recipient

    asyncio.run(run())


def test_our_own_domains_may_be_written_in_other_scripts() -> None:
    async def run() -> None:
        site = {"domains": frozenset(("xn--bcher-kva.example",))}
        async with serving(site=site) as kit, kit.client() as client:
            await client.hello()
            await client.ask("MAIL FROM:<> SMTPUTF8")
            assert (await client.ask("RCPT TO:<b@bücher.example>")).startswith("250 ")
            assert (await client.ask("RCPT TO:<b@xn--bcher-kva.example>")).startswith("250 ")
            assert (await client.ask("RCPT TO:<b@büchse.example>")).startswith("550 ")

    asyncio.run(run())


def test_internal_hosts_send_out() -> None:
    async def run() -> None:
        site = {"internal": Networks((parse_network("127.0.0.0/8"),))}
        async with serving(site=site) as kit, kit.client() as client:
            await client.hello()
            assert (await envelope_of(kit, client, "x@elsewhere.example")).direction is Direction.OUTBOUND
            both = await envelope_of(kit, client, "b@example.org", "x@elsewhere.example")
            assert both.direction is Direction.OUTBOUND
            assert (await envelope_of(kit, client, "b@example.org")).direction is Direction.INTERNAL

    asyncio.run(run())


def test_a_trusted_peer_relays_and_is_never_taken_for_the_client() -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK) as kit, kit.client() as client:
            await client.hello()
            envelope = await envelope_of(kit, client, "x@elsewhere.example")
            assert envelope.peer == "127.0.0.1"
            assert not envelope.client.known
            assert envelope.client.source is Source.UNKNOWN
            assert envelope.direction is Direction.INBOUND
            assert kit.hop.delivered[0].handover.client == envelope.client

    asyncio.run(run())


@pytest.mark.parametrize("command", ["XCLIENT ADDR=192.0.2.1", "XFORWARD ADDR=192.0.2.1"])
def test_strangers_may_not_speak_for_others(command: str) -> None:
    async def run() -> None:
        async with serving(site=INTERNAL) as kit, kit.client() as client:
            greeting = await client.hello()
            assert "XCLIENT" not in greeting
            assert "XFORWARD" not in greeting
            assert (await client.ask(command)).startswith("550 5.7.1")
            envelope = await envelope_of(kit, client)
            assert envelope.client.address == "127.0.0.1"
            assert envelope.direction is Direction.INBOUND

    asyncio.run(run())


def test_xforward_speaks_for_one_mail() -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK, site=INTERNAL) as kit, kit.client() as client:
            greeting = await client.hello()
            assert "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in greeting
            assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" in greeting
            for attributes in (
                "NAME=spike.example ADDR=198.51.100.9 PORT=99",
                "HELO=spike PROTO=SMTP IDENT=3F2A",
            ):
                assert (await client.ask(f"XFORWARD {attributes}")).startswith("250 2.0.0")
            envelope = await envelope_of(kit, client, "x@elsewhere.example")
            origin = envelope.client
            assert (origin.address, origin.name, origin.helo) == ("198.51.100.9", "spike.example", "spike")
            assert origin.source is Source.XFORWARD
            assert envelope.queue_id == "3F2A"
            assert envelope.direction is Direction.INBOUND
            handover = kit.hop.delivered[0].handover
            assert (handover.client, handover.port, handover.protocol) == (origin, 99, "SMTP")
            assert b"Received: from client.example (unknown [127.0.0.1])" in kit.hop.delivered[0].content
            assert not (await envelope_of(kit, client)).client.known

    asyncio.run(run())


@pytest.mark.parametrize("between", ["RSET", "EHLO again"])
def test_xforward_is_forgotten_with_its_transaction(between: str) -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK) as kit, kit.client() as client:
            await client.hello()
            await client.ask("XFORWARD ADDR=198.51.100.9")
            await client.ask(between)
            assert not (await envelope_of(kit, client)).client.known

    asyncio.run(run())


def test_local_mail_of_a_trusted_peer_is_outbound() -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK) as kit, kit.client() as client:
            await client.hello()
            await client.ask("XFORWARD ADDR=[UNAVAILABLE] SOURCE=LOCAL")
            envelope = await envelope_of(kit, client, "x@elsewhere.example")
            assert envelope.direction is Direction.OUTBOUND
            assert not envelope.client.known

    asyncio.run(run())


def test_xclient_speaks_for_the_session_and_has_no_more_rights_than_its_client() -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK, site=INTERNAL) as kit, kit.client() as client:
            await client.hello()
            answer = await client.ask("XCLIENT NAME=spike.example ADDR=IPV6:2001:db8::9 HELO=spike")
            assert answer == "220 mx.example.org ESMTP filterd\r\n"
            assert (await client.ask("MAIL FROM:<>")).startswith("503 5.5.1")
            await client.hello("liar.example")
            for _ in range(2):
                envelope = await envelope_of(kit, client)
                origin = envelope.client
                assert (origin.address, origin.name, origin.helo) == ("2001:db8::9", "spike.example", "spike")
                assert origin.source is Source.XCLIENT
                assert envelope.direction is Direction.INBOUND
            assert b"from spike (spike.example [IPv6:2001:db8::9])" in kit.hop.delivered[0].content
            await client.ask("MAIL FROM:<>")
            assert (await client.ask("RCPT TO:<x@elsewhere.example>")).startswith("550 5.7.1")
            assert (await client.ask("XCLIENT ADDR=192.0.2.1")).startswith("503 5.5.1")
            await client.ask("RSET")
            await client.ask("XCLIENT ADDR=192.0.2.1")
            await client.hello()
            assert (await envelope_of(kit, client, "x@elsewhere.example")).direction is Direction.OUTBOUND

    asyncio.run(run())


def test_xclient_login_is_an_authenticated_user() -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK) as kit, kit.client() as client:
            await client.hello()
            await client.ask("XCLIENT ADDR=198.51.100.9 LOGIN=joe")
            await client.hello()
            envelope = await envelope_of(kit, client, "x@elsewhere.example")
            assert (envelope.user, envelope.protocol) == ("joe", "ESMTPA")
            assert envelope.direction is Direction.OUTBOUND
            assert kit.hop.delivered[0].handover.user == "joe"

    asyncio.run(run())


@pytest.mark.parametrize("argument", ["", "ADDR", "ADDR=x", "NAME=a+0Ab", "COLOR=red"])
def test_malformed_attributes_are_refused(argument: str) -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK) as kit, kit.client() as client:
            await client.hello()
            assert (await client.ask(f"XCLIENT {argument}")).startswith("501 5.5.4")
            assert (await client.ask(f"XFORWARD {argument}")).startswith("501 5.5.4")
            assert not (await envelope_of(kit, client)).client.known

    asyncio.run(run())


V2 = SIGNATURE + b"\x21\x11" + struct.pack("!H4s4sHH", 12, bytes((198, 51, 100, 9)), bytes(4), 4711, 25)


@pytest.mark.parametrize("header", [b"PROXY TCP4 198.51.100.9 127.0.0.1 4711 25\r\n", V2])
def test_a_trusted_proxy_speaks_for_a_stranger(header: bytes) -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK, proxy_protocol=True) as kit, kit.client(greeted=False) as client:
            client.send(header + b"EHLO client.example\r\n")
            assert (await client.reply()).startswith("220 ")
            assert "XCLIENT" not in await client.reply()
            assert (await client.ask("XCLIENT ADDR=192.0.2.1")).startswith("550 5.7.1")
            envelope = await envelope_of(kit, client)
            assert (envelope.peer, envelope.client.address) == ("127.0.0.1", "198.51.100.9")
            assert envelope.client.source is Source.PROXY
            assert kit.hop.delivered[0].handover.port == 4711
            await client.ask("MAIL FROM:<>")
            assert (await client.ask("RCPT TO:<x@elsewhere.example>")).startswith("550 5.7.1")

    asyncio.run(run())


def test_proxied_clients_are_counted_by_their_own_addresses() -> None:
    async def run() -> None:
        header = "PROXY TCP4 198.51.100.{} 127.0.0.1 4711 25\r\n"
        limits = {"connections_per_address": 1}
        async with (
            serving(trusted=LOOPBACK, proxy_protocol=True, limits=limits) as kit,
            kit.client(greeted=False) as first,
            kit.client(greeted=False) as second,
            kit.client(greeted=False) as third,
        ):
            for client, number, code in ((first, 1, "220"), (second, 1, "421"), (third, 2, "220")):
                client.send(header.format(number))
                assert (await client.reply()).startswith(code)

    asyncio.run(run())


@pytest.mark.parametrize(
    "header",
    [b"EHLO client.example\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PROXY TCP4 nonsense\r\n"],
)
def test_a_proxy_that_sends_no_header_gets_no_session(header: bytes) -> None:
    async def run() -> None:
        async with serving(trusted=LOOPBACK, proxy_protocol=True) as kit, kit.client(greeted=False) as client:
            client.send(header)
            with_reset = await _rest(client)
            assert b"220" not in with_reset

    asyncio.run(run())


def test_proxy_from_a_stranger_is_refused() -> None:
    async def run() -> None:
        header = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 25\r\n"
        async with serving(proxy_protocol=True) as kit, kit.client(greeted=False) as client:
            client.send(header)
            assert b"220" not in await _rest(client)
        async with serving() as kit, kit.client() as client:
            client.send(header)
            assert (await client.reply()).startswith("550 5.7.1")
            assert await client.ends()

    asyncio.run(run())


async def _rest(client: Client) -> bytes:
    """Everything until the connection ends, however it ends."""
    try:
        async with asyncio.timeout(10):
            return await client.reader.read()
    except ConnectionError:
        return b""
