"""Workers: what they cannot reach, and who is blamed when one dies."""

from __future__ import annotations

import asyncio
import datetime
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import filterd.engine.pool as pool_module
from filterd.engine.pool import Blamed, NoWorker, Pool, Refused
from filterd.engine.wire import Setup
from filterd.facts import NOTHING
from filterd.mail.envelope import Envelope, Origin

HERE = str(Path(__file__).parent)
ENVELOPE = Envelope(
    id="1",
    received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    listener="test",
    peer=None,
    client=Origin("192.0.2.1"),
    sender="",
    recipients=(),
)


def with_pool(act: Callable[[Pool], Awaitable[Any]], size: int = 2, **setup: Any) -> Any:
    """Run `act` with a pool of strange judges."""

    async def main() -> Any:
        pool = Pool(Setup(hostname="mx.example.org", **setup), size, patience=20)
        await pool.start()
        try:
            return await act(pool)
        finally:
            await pool.close()

    return asyncio.run(main())


@pytest.fixture(autouse=True)
def strange(monkeypatch: pytest.MonkeyPatch) -> None:
    program = pool_module._PROGRAM.replace(
        "; from filterd", f"; sys.path.insert(0, {HERE!r}); import strange_judge; from filterd"
    )
    monkeypatch.setattr(pool_module, "_PROGRAM", program)


def test_a_worker_can_reach_nothing() -> None:
    async def act(pool: Pool) -> str:
        _, inspected = await pool.inspect(ENVELOPE, b"try")
        return inspected.inspection.outline.subject

    assert with_pool(act, 1) == "nothing"
    assert not Path("/tmp/filterd-was-here").exists()


def test_inspect_then_judge_and_many_at_once() -> None:
    async def act(pool: Pool) -> None:
        async def one(n: int) -> None:
            ticket, inspected = await pool.inspect(ENVELOPE, b"mail %d" % n)
            assert inspected.inspection.outline.subject == f"mail {n}"
            await pool.judge(ticket, NOTHING)

        await asyncio.gather(*(one(n) for n in range(200)))
        assert pool.queued == 0

    with_pool(act)


def test_the_queue_says_how_long_its_oldest_step_has_waited() -> None:
    async def act(pool: Pool) -> None:
        assert pool.delay == 0.0
        slow = asyncio.create_task(pool.inspect(ENVELOPE, b"slow"))
        await asyncio.sleep(0.15)
        assert pool.delay >= 0.1
        await slow
        assert pool.delay == 0.0

    with_pool(act, 1)


def test_an_error_in_one_message_touches_no_other() -> None:
    async def act(pool: Pool) -> None:
        with pytest.raises(Refused, match="ValueError: as asked"):
            await pool.inspect(ENVELOPE, b"raise")
        await pool.inspect(ENVELOPE, b"fine")
        assert pool.deaths == 0

    with_pool(act, 1)


@pytest.mark.parametrize("word", [b"die", b"die-late"])
def test_a_message_that_kills_its_worker_alone_is_blamed(word: bytes) -> None:
    async def act(pool: Pool) -> None:
        with pytest.raises(Blamed):
            ticket, _ = await pool.inspect(ENVELOPE, word)
            await pool.judge(ticket, NOTHING)
        ticket, _ = await pool.inspect(ENVELOPE, b"next")
        await pool.judge(ticket, NOTHING)
        assert pool.deaths == 1

    with_pool(act, 1)


def test_the_innocent_in_a_dying_worker_are_given_to_another() -> None:
    async def act(pool: Pool) -> list[Any]:
        mails = [b"slow", b"die", b"innocent 1", b"innocent 2"]
        return await asyncio.gather(*(pool.inspect(ENVELOPE, raw) for raw in mails), return_exceptions=True)

    slow, guilty, *innocent = with_pool(act, 1)
    assert isinstance(guilty, Blamed)
    assert all(isinstance(one, tuple) for one in [slow, *innocent]), innocent


def test_a_killed_worker_is_replaced_and_the_mail_it_held_is_read_again() -> None:
    async def act(pool: Pool) -> None:
        ticket, _ = await pool.inspect(ENVELOPE, b"held")
        os.kill(pool.pids[0], signal.SIGKILL)
        await asyncio.sleep(0.05)
        await pool.judge(ticket, NOTHING)
        assert (pool.alive, pool.deaths) == (1, 1)

    with_pool(act, 1)


def test_a_worker_that_spins_is_ended_by_its_cpu_limit() -> None:
    async def act(pool: Pool) -> None:
        with pytest.raises(Blamed):
            await pool.inspect(ENVELOPE, b"spin")
        await pool.inspect(ENVELOPE, b"next")

    with_pool(act, 1, seconds=0.3)


def test_a_worker_takes_no_more_memory_than_it_may() -> None:
    async def act(pool: Pool) -> None:
        with pytest.raises(Refused, match="memory"):
            await pool.inspect(ENVELOPE, b"eat")
        await pool.inspect(ENVELOPE, b"next")
        assert pool.deaths == 0

    with_pool(act, 1)


def test_a_given_up_mail_leaves_nothing_behind() -> None:
    async def act(pool: Pool) -> None:
        task = asyncio.create_task(pool.inspect(ENVELOPE, b"slow"))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        ticket, _ = await pool.inspect(ENVELOPE, b"next")
        await pool.judge(ticket, NOTHING)
        assert pool.queued == 0

    with_pool(act, 1)


def test_no_worker_is_said() -> None:
    async def act(pool: Pool) -> None:
        await pool.close()
        with pytest.raises(NoWorker):
            await pool.inspect(ENVELOPE, b"x")

    with_pool(act, 1)


def test_a_large_message_passes_whole() -> None:
    async def act(pool: Pool) -> int:
        raw = b"big\n" + bytes(30_000_000)
        ticket, inspected = await pool.inspect(ENVELOPE, memoryview(raw))
        await pool.judge(ticket, NOTHING)
        return len(inspected.inspection.outline.subject)

    assert with_pool(act, 1) == 3
