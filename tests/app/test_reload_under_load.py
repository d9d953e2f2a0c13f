"""SIGHUP under load: no transaction fails, every message names one generation, and the new one takes over."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

from tests.load import Client
from tests.serving import Serving

SENDERS = 4


def test_no_transaction_fails(tmp_path: Path) -> None:
    with Serving(tmp_path) as service:
        codes = asyncio.run(_reload_twice(service))
        generations = [
            re.search(r" config=(\w+)", line)[1]  # type: ignore[index]
            for line in service.log
            if " info message " in line
        ]
    assert set(codes) == {250}
    assert len(generations) == len(codes)
    assert len(set(generations)) == 3
    assert len(list((service.maildir / "new").iterdir())) == len(codes)


async def _reload_twice(service: Serving) -> list[int]:
    ended = asyncio.Event()
    sending = [asyncio.create_task(_send_until(service, ended, number)) for number in range(SENDERS)]
    for tag in (4.5, 4.0):
        before = service.status()["generation"]["config"]
        service.config["thresholds"] = {"tag": tag}
        service.write_config()
        service.signal(signal.SIGHUP)
        await asyncio.to_thread(
            service.until, lambda before=before: service.status()["generation"]["config"] != before, "the reload"
        )
        await asyncio.sleep(0.3)
    ended.set()
    return [code for codes in await asyncio.gather(*sending) for code in codes]


async def _send_until(service: Serving, ended: asyncio.Event, number: int) -> list[int]:
    """One connection that sends one message after the other, slowly enough to leave room for the reload."""
    codes = []
    async with Client(*service.smtp) as client:
        while not ended.is_set():
            raw = f"Subject: {number}-{len(codes)}\r\n\r\nHello {number}-{len(codes)}.\r\n".encode()
            answers = await client.send("a@example.net", ["b@example.org"], raw)
            codes.append(answers[-1].code)
            await asyncio.sleep(0.05)
    return codes
