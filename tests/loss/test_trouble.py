"""Trouble at every place where mail could be lost, on the running service: 4xx, nothing half-done, and it recovers."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.store import Store
from tests.load import Client, Said
from tests.loss.broken import STAGES
from tests.loss.ledger import HELD, IN, POLICIES, Ledger, Senders, account
from tests.nexthop import ABORT, DIE, FakeHop
from tests.serving import Serving

RAW = b"From: a@example.net\r\nSubject: hello\r\n\r\nHello.\r\n"
Scene = Callable[[Serving, FakeHop], Awaitable[None]]


def play(folder: Path, scene: Scene, *, hop: FakeHop | None = None, **settings: Any) -> Serving:
    """A scene with a running service before a next hop that does what its script says."""

    async def run() -> Serving:
        async with hop or FakeHop() as behind:
            service = Serving(folder, relay=behind.url, **{"policies": POLICIES, **settings})
            await asyncio.to_thread(service.start)
            try:
                await scene(service, behind)
            finally:
                if service.process is not None and service.process.poll() is None:
                    await asyncio.to_thread(service.stop)
            return service

    return asyncio.run(run())


async def send(service: Serving, *domains: str, sender: str = "a@example.net", raw: bytes = RAW) -> Said:
    async with Client(*service.smtp) as client:
        return (await client.send(sender, [f"user@{domain}" for domain in domains], raw))[-1]


@pytest.mark.parametrize("end", [DIE, ABORT], ids=["closed", "reset"])
def test_a_next_hop_that_dies_before_its_final_reply_is_a_4xx(end: Any, tmp_path: Path) -> None:
    async def scene(service: Serving, hop: FakeHop) -> None:
        assert 400 <= (await send(service, IN)).code < 500
        assert (await send(service, IN)).code == 250
        assert len(hop.messages) == 2  # only it knows what became of the first

    play(tmp_path, scene, hop=FakeHop(script={".": [end]}))


def test_a_locked_database_defers_what_must_be_held_and_nothing_else(tmp_path: Path) -> None:
    async def scene(service: Serving, hop: FakeHop) -> None:
        lock = sqlite3.connect(service.state / "filterd.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        split, plain = await asyncio.gather(send(service, HELD, IN), send(service, IN, sender="b@example.net"))
        assert (split.code, plain.code) == (451, 250)
        assert [one.mail for one in hop.messages] == ["MAIL FROM:<b@example.net>"]
        lock.execute("ROLLBACK")
        lock.close()
        assert (await send(service, HELD, IN)).code == 250
        assert len(hop.messages) == 2

    service = play(tmp_path, scene)
    assert [item.recipient for item in _held(service)] == [f"user@{HELD}"]


def test_a_full_disk_defers_what_must_be_held_and_recovers(tmp_path: Path) -> None:
    """No file may grow, not even the log: mail that is relayed needs none of them."""

    async def scene(service: Serving, hop: FakeHop) -> None:
        assert service.process is not None
        pid = service.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, most))
        try:
            assert (await send(service, HELD)).code == 451
            assert (await send(service, IN)).code == 250
            assert len(hop.messages) == 1
            assert (await send(service, IN, raw=RAW + b"x" * 70 + b"\r\n" * 1_500_000)).code == 452  # it is spooled
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        ends = time.monotonic() + 30
        while (await send(service, HELD)).code != 250:
            assert time.monotonic() < ends
        assert (await send(service, IN)).code == 250

    service = play(tmp_path, scene)
    assert len(_held(service)) == 1


def test_sigterm_under_load_loses_nothing_and_ends_in_time(tmp_path: Path) -> None:
    ledger = Ledger(1)

    async def scene(service: Serving, hop: FakeHop) -> None:
        senders = Senders(ledger, service.smtp, 8)
        load = asyncio.create_task(senders.run())
        await asyncio.sleep(1.0)
        started = time.monotonic()
        assert await asyncio.to_thread(service.stop) == 0
        assert time.monotonic() - started < 30
        promised = set(ledger.promised)
        assert promised
        found = account(ledger, hop.messages, service.state)
        assert promised - found.lost == promised
        await asyncio.to_thread(service.start)
        senders.stop_after(0)
        await load
        await asyncio.to_thread(service.stop)
        found = account(ledger, hop.messages, service.state)
        assert (found.lost, found.damaged, found.duplicates) == (set(), [], 0)

    play(tmp_path, scene)


def test_reloads_under_load_fail_no_transaction(tmp_path: Path) -> None:
    ledger = Ledger(2)

    async def scene(service: Serving, hop: FakeHop) -> None:
        senders = Senders(ledger, service.smtp, 4)
        load = asyncio.create_task(senders.run())
        good = dict(service.config)
        for number in range(3):
            service.config = {**good, "thresholds": {"tag": 100 + number, "quarantine": 200}}
            service.write_config()
            await _reloaded(service, "reloaded", number + 1)
            service.config_file.write_text("thresholds: {tag: 9, quarantine: 5}\n")
            await _reloaded(service, "reload-failed", number + 1)
        senders.stop_after(0)
        await load
        await asyncio.to_thread(service.stop)
        found = account(ledger, hop.messages, service.state)
        assert (found.lost, found.damaged, found.duplicates) == (set(), [], 0)
        assert not ledger.refused
        assert ledger.tries == ledger.accepted
        assert ledger.accepted > 50
        generations = {line.partition(" config=")[2].split()[0] for line in service.log if " info message " in line}
        assert len(generations) == 4

    play(tmp_path, scene)


def test_workers_and_helpers_that_are_killed_under_load_lose_nothing(tmp_path: Path) -> None:
    ledger = Ledger(3)

    async def scene(service: Serving, hop: FakeHop) -> None:
        senders = Senders(ledger, service.smtp, 8)
        load = asyncio.create_task(senders.run())
        for _ in range(2):
            await asyncio.sleep(0.7)
            for child in _children(service):
                os.kill(child, signal.SIGKILL)
        await asyncio.to_thread(service.until, lambda: service.status()["workers"]["alive"] == 2, "new workers")
        before = ledger.accepted
        await asyncio.to_thread(service.until, lambda: ledger.accepted >= before + 20, "mail to pass again")
        senders.stop_after(0)
        await load
        await asyncio.to_thread(service.stop)
        found = account(ledger, hop.messages, service.state)
        assert (found.lost, found.damaged, found.duplicates) == (set(), [], 0)
        assert set(ledger.refused) <= {451}

    play(tmp_path, scene, workers=2)


def _children(service: Serving) -> list[int]:
    assert service.process is not None
    pid = service.process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_an_exception_in_any_stage(tmp_path: Path) -> None:
    """The client is asked to come again, the stage is named in log and record, and other mail goes on."""

    async def scene(service: Serving, hop: FakeHop) -> None:
        for stage in STAGES:
            hop.messages.clear()
            answer = await send(service, HELD, IN, sender=f"broken-{stage}@example.net")
            assert answer.code == (250 if stage == "record" else 451), stage  # a failed record never stops mail
            assert len(hop.messages) == (stage == "record"), stage
            assert (await send(service, HELD, IN)).code == 250

    service = play(tmp_path, scene, program=("-m", "tests.loss.broken"))
    errors = [line for line in service.log if " error " in line]
    assert not any("Traceback" in line for line in service.log)
    messages = [line for line in service.log if " info message " in line]
    for stage in STAGES:
        assert any(f"stage={stage} " in line and "as asked" in line for line in errors), (stage, errors)
        said = [line for line in messages if f"from=<broken-{stage}@" in line]
        assert stage == "record" or f'error="{stage}: Bug: as asked"' in said[0], said


def test_large_messages_are_kept_whole_beside_their_records(tmp_path: Path) -> None:
    """With `keep: message` the message is stored after the reply, when the door has let go of it."""
    raw = RAW + b"\r\n".join(b"%070d" % number for number in range(30_000)) + b"\r\n"

    async def scene(service: Serving, hop: FakeHop) -> None:
        for number in range(3):
            assert (await send(service, IN, sender=f"n{number}@example.net", raw=raw)).code == 250

    service = play(tmp_path, scene, retention={"min_free": 0, "keep": "message"})
    store = Store.open(service.state)
    found = [store.history.raw(row.id) for row in store.history.each()]
    store.close()
    assert found == [raw] * 3


async def _reloaded(service: Serving, word: str, count: int) -> None:
    service.signal(signal.SIGHUP)
    seen = lambda: sum(f" {word} " in line for line in service.log) >= count  # noqa: E731
    await asyncio.to_thread(service.until, seen, word)


def _held(service: Serving) -> list[Any]:
    store = Store.open(service.state)
    try:
        return list(store.quarantine.each())
    finally:
        store.close()
