"""IPv6 all the way: the listener, who the client is, the trace, and the next hop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from filterd.frontends.smtp.admission import group
from filterd.relay import RelaySettings, next_hop
from tests.frontends.smtp_kit import serving
from tests.nexthop import FakeHop
from tests.serving import Serving

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 on loopback")


def test_client_and_next_hop_over_ipv6() -> None:
    async def run() -> None:
        keywords = ("SIZE", "XFORWARD NAME ADDR PROTO HELO PORT")
        async with FakeHop(host="::1", keywords=keywords) as far:
            hop = next_hop(far.url, RelaySettings())
            async with serving(hop=hop, address="::1") as kit, kit.client() as client:
                await client.hello()
                assert (await client.mail(MESSAGE)).startswith("250 ")
                assert (await client.ask("MAIL FROM:<a@[IPv6:2001:db8::1]>")).startswith("250 ")
                assert (await client.ask("RCPT TO:<x@elsewhere.example>")).startswith("550 5.7.1")
            envelope = kit.filter.seen[0][0]
            assert (envelope.peer, envelope.client.address) == ("::1", "::1")
            assert b" (unknown [IPv6:::1])\r\n" in far.messages[0].content
            assert any(" ADDR=IPV6:::1 " in command for command in far.commands)
            await hop.aclose()

    asyncio.run(run())


def test_a_dual_stack_listener_calls_ipv4_clients_by_their_ipv4_address() -> None:
    async def run() -> None:
        async with serving(address="::") as kit:
            reader, writer = await asyncio.open_connection("127.0.0.1", kit.port)
            assert (await reader.readline()).startswith(b"220 ")
            writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
            while not (await reader.readline()).startswith(b"354"):
                pass
            writer.write(MESSAGE + b".\r\n")
            assert (await reader.readline()).startswith(b"250 ")
            writer.close()
            assert kit.filter.seen[0][0].client.address == "127.0.0.1"

    asyncio.run(run())


def test_a_neighbourhood_counts_as_one_address() -> None:
    assert group("2001:db8::1") == group("2001:db8::2:3:4:5") != group("2001:db8:0:1::1")
    assert group("::ffff:192.0.2.1") == group("192.0.2.1") == "192.0.2.1"


def test_a_service_on_ipv6_with_hops_of_both_kinds(tmp_path: Path) -> None:
    async def run() -> None:
        async with FakeHop(host="::1") as first, FakeHop() as second:
            service = Serving(tmp_path, listener={"relay": [first.url, second.url]})
            port = service.smtp[1]
            service.config["listeners"][0]["listen"] = f"[::1]:{port}"
            await asyncio.to_thread(service.start)
            try:
                for hop in (first, second):
                    reader, writer = await asyncio.open_connection("::1", port)
                    writer.write(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n")
                    while not (line := await reader.readline()).startswith(b"354"):
                        assert line[:1] == b"2", line
                    writer.write(MESSAGE + b".\r\n")
                    assert (await reader.readline()).startswith(b"250 ")
                    writer.close()
                    assert len(hop.messages) == 1
                    await first.stop()
            finally:
                await asyncio.to_thread(service.stop)

    asyncio.run(run())
