"""Several next hops behind a running service: one dies, all die, one comes back."""

from __future__ import annotations

import asyncio
import json
import smtplib
import subprocess
import sys
from pathlib import Path

from tests.nexthop import FakeHop
from tests.serving import Serving

MAIL = b"From: a@example.net\r\nTo: b@example.org\r\nSubject: hello\r\n\r\nHello.\r\n"


def send(service: Serving) -> int:
    with smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30) as client:
        client.ehlo()
        code = client.mail("a@example.net")[0]
        if code == 250:
            client.rcpt("b@example.org")
            code = client.data(MAIL)[0]
        return code


def health(service: Serving) -> tuple[int, str]:
    code, body = service.get("/healthy")
    return code, json.loads(body)["status"]


def wrong_with_hops(service: Serving) -> list[str]:
    return [one for one in service.status()["degraded"] if "next hop" in one]


async def until_it_is(service: Serving, level: tuple[int, str]) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(health, service) != level:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


def test_a_hop_dies_and_comes_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with FakeHop() as first, FakeHop() as second:
            service = Serving(tmp_path, listener={"relay": [first.url, second.url]})
            service.config["relay"] = {"retry": "100ms"}
            await asyncio.to_thread(service.start)
            try:
                assert await asyncio.to_thread(send, service) == 250
                await first.stop()
                assert await asyncio.to_thread(send, service) == 250
                assert (len(first.messages), len(second.messages)) == (1, 1)
                await asyncio.to_thread(service.until, lambda: bool(wrong_with_hops(service)), "the first to be down")
                status = await asyncio.to_thread(service.status)
                assert {url: (one["up"], one["delivered"]) for url, one in status["next_hops"].items()} == {
                    first.url: (False, 1),
                    second.url: (True, 1),
                }
                assert "cannot be reached" in status["next_hops"][first.url]["last_error"]
                (wrong,) = await asyncio.to_thread(wrong_with_hops, service)
                assert wrong.startswith(f"the next hop {first.url}: cannot be reached")
                assert wrong.endswith(f" UTC; its mail goes to {second.url}")
                metrics = (await asyncio.to_thread(service.get, "/metrics"))[1]
                assert f'filterd_next_hop_up{{name="{first.url}"}} 0.0' in metrics
                assert f'filterd_next_hop_delivered{{name="{second.url}"}} 1.0' in metrics
                command = [sys.executable, "-m", "filterd", "status", "-c", str(service.config_file)]
                said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
                assert f"next hop {first.url} DOWN: cannot be reached" in said.stdout
                assert f"next hop {second.url} answers, since " in said.stdout
                await second.stop()
                assert await asyncio.to_thread(send, service) == 451
                await until_it_is(service, (503, "down"))
                await first.start()
                await until_it_is(service, (200, "degraded"))
                assert await asyncio.to_thread(send, service) == 250
                assert len(first.messages) == 2
                assert any("answers again" in line for line in service.log)
            finally:
                await asyncio.to_thread(service.stop)

    asyncio.run(test())
