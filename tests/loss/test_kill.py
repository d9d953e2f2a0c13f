"""kill -9 under a load of numbered messages: whatever was answered 250 is at the next hop or in the quarantine.

Thirty kills by default, two hundred with FILTERD_STRESS=1 (`make stress`): half of them at random moments, half
within the windows of `tests.loss.driver`, in which a crash could lose or double a message.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.loss.driver import WINDOWS
from tests.loss.ledger import POLICIES, Ledger, Senders, account
from tests.nexthop import FakeHop
from tests.serving import Serving

KILLS = 200 if os.environ.get("FILTERD_STRESS") == "1" else 30
MESSAGES = 1000
CLIENTS = 8


def test_nothing_that_was_answered_250_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(1000)
    ledger, died = Ledger(seed), Counter[str]()
    delivered = asyncio.run(_under_fire(tmp_path, ledger, died))
    found = account(ledger, delivered, tmp_path / "state")
    with capsys.disabled():
        print(
            f"\n{KILLS} kills ({dict(died)}), {ledger.tries} tries, {len(ledger.promised)} copies promised: "
            f"{found.delivered} at the next hop, {found.held} in the quarantine, {len(found.lost)} lost, "
            f"{found.duplicates} duplicates; refused for the moment: {dict(ledger.refused)}; seed {seed}"
        )
    assert not found.lost
    assert not found.damaged
    for window, points in WINDOWS.items():
        assert sum(died[point] for point in points) >= KILLS // 6, (window, died)
    assert ledger.accepted >= MESSAGES
    assert not any(code >= 500 for code in ledger.refused), ledger.refused


async def _under_fire(folder: Path, ledger: Ledger, died: Counter[str]) -> list[Any]:
    chance = random.Random(ledger.seed)
    points = _points()
    async with FakeHop() as hop:
        service = Serving(folder, relay=hop.url, policies=POLICIES)
        senders = Senders(ledger, service.smtp, CLIENTS)
        load = asyncio.create_task(senders.run())
        for kill in range(KILLS):
            point = next(points) if kill % 2 else "random"
            await _one_life(service, point, chance)
            died[point] += 1
        service.program = ("-m", "filterd")
        await asyncio.to_thread(service.start)
        senders.stop_after(MESSAGES)
        async with asyncio.timeout(120):
            await load
        assert await asyncio.to_thread(service.stop) == 0
        return list(hop.messages)


def _points() -> Iterator[str]:
    """One window after the other, and within each one point after the other."""
    windows = [itertools.cycle(points) for points in WINDOWS.values()]
    for window in itertools.cycle(windows):
        yield next(window)


async def _one_life(service: Serving, point: str, chance: random.Random) -> None:
    """Start the service, and see it killed."""
    if point == "random":
        service.program = ("-m", "filterd")
        await asyncio.to_thread(service.start)
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        service.signal(signal.SIGKILL)
    else:
        service.program = ("-m", "tests.loss.driver", point, str(chance.randrange(1, 20)))
        await asyncio.to_thread(service.start, wait=False)
    assert service.process is not None
    try:
        assert await asyncio.to_thread(service.process.wait, 60) == -signal.SIGKILL
    except subprocess.TimeoutExpired:
        pytest.fail(f"it never came to {point}:\n" + "\n".join(service.log[-20:]))
