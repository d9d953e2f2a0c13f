"""How a next hop does, as those tell who speak with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from filterd.mail.envelope import Origin, Recipient
from filterd.relay import Handover, RelaySettings, Standing, deliver, next_hop
from tests.nexthop import DIE, FakeHop
from tests.relay.test_relay_tls import certificate

TO = [Recipient("ann@example.org"), Recipient("ben@example.org"), Recipient("carl@example.org")]


async def send(url: str, standing: Standing, **settings: Any) -> list[int]:
    hop = next_hop(url, RelaySettings(connect_timeout=3, **settings), standing)
    transaction = hop.transaction(Handover(client=Origin()))
    try:
        return [reply.code for reply in await deliver(transaction, "a@example.net", (), TO, (b"hi\r\n",))]
    finally:
        await transaction.close()
        await hop.aclose()


def test_it_counts_what_was_said_to_each_copy() -> None:
    async def test() -> dict[str, Any]:
        standing = Standing()
        async with FakeHop(script={"RCPT": ["250 ok", "452 full", "550 gone"]}) as hop:
            assert await send(hop.url, standing) == [250, 452, 550]
        return standing.report()

    said = asyncio.run(test())
    assert (said["up"], said["delivered"], said["deferred"], said["refused"]) == (True, 1, 1, 1)
    assert (said["connections"], said["failures"], said["last_error"]) == (1, 0, None)


def test_it_is_down_while_it_cannot_be_reached_and_remembers_why() -> None:
    async def test() -> tuple[dict[str, Any], dict[str, Any]]:
        standing, hop = Standing(), FakeHop()
        async with hop:
            pass
        assert await send(hop.url, standing) == [451] * 3
        down = standing.report()
        async with hop:
            await send(hop.url, standing)
        return down, standing.report()

    down, up = asyncio.run(test())
    assert (down["up"], down["deferred"], down["failures"]) == (False, 3, 1)
    assert "cannot be reached" in down["last_error"]
    assert (up["up"], up["delivered"], up["last_error"]) == (True, 3, down["last_error"])
    assert up["since"] >= down["since"]


def test_a_connection_that_breaks_is_a_failure_of_one_that_is_up() -> None:
    async def test() -> dict[str, Any]:
        standing = Standing()
        async with FakeHop(script={"DATA": DIE}) as hop:
            assert await send(hop.url, standing) == [451] * 3
        return standing.report()

    said = asyncio.run(test())
    assert (said["up"], said["deferred"]) == (True, 3)
    assert said["failures"] >= 1
    assert said["last_error"]


def test_a_maildir_has_a_standing_too(tmp_path: Path) -> None:
    async def test() -> dict[str, Any]:
        standing = Standing()
        assert await send(f"maildir:{tmp_path}/box", standing) == [250] * 3
        (tmp_path / "file").write_text("")
        assert await next_hop(f"maildir:{tmp_path}/file", RelaySettings(), standing).healthy()
        return standing.report()

    said = asyncio.run(test())
    assert (said["up"], said["delivered"]) == (False, 3)
    assert "cannot be used" in said["last_error"]


def test_another_ca_on_disk_is_believed_from_then_on(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "old").mkdir()
        old, _ = certificate(tmp_path / "old", "127.0.0.1")
        ca, context = certificate(tmp_path, "127.0.0.1")
        new = ca.read_bytes()
        ca.write_bytes(old.read_bytes())
        async with FakeHop(tls=context) as fake:
            hop = next_hop(fake.url, RelaySettings(connect_timeout=3, tls="verify", ca=ca))
            assert "certificate" in str(await hop.healthy())
            ca.write_bytes(new)
            hop.renew()
            assert await hop.healthy() is None
            ca.write_text("no certificate")
            with pytest.raises(OSError, match=r"relay\.ca .*ca\.pem cannot be read"):
                hop.renew()
            assert await hop.healthy() is None  # what was believed is believed
            await hop.aclose()

    asyncio.run(asyncio.wait_for(test(), 20))
