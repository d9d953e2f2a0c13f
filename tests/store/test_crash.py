"""kill -9 at any moment: what was acknowledged is there, and nothing is half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from filterd.store import Store
from tests.store.test_failures import orphans

KILLS = 20
NURSERY = """
import asyncio, os, random, signal, sys, time
from filterd.store import RetentionSettings, Store
from tests.store.stored import held, make_record

async def work(store, worker):
    number = 0
    while True:
        name = f"{os.getpid()}.{worker}.{number}"
        recipients = [f"user{n}@example.org" for n in range(1 + number % 3)]
        record = make_record(recipients=tuple(recipients), subject=name)
        raw = name.encode() * (1 + number % 5 * 400)
        if number % 4 == 3:
            store.write(make_record(subject="passed"), raw)
        ids = await store.hold(record, raw, held(*recipients))
        os.write(1, f"{name} {' '.join(ids)}\\n".encode())
        number += 1

async def life(folder):
    store = Store.open(folder, RetentionSettings(min_free=0, keep="message"))
    await asyncio.gather(*(work(store, worker) for worker in range(6)))

random.seed(4)
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        asyncio.run(life(sys.argv[1]))
    time.sleep(random.uniform(0.05, 0.5))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_killed_at_many_moments(tmp_path: Path) -> None:
    state, acknowledged = tmp_path / "state", {}
    run = subprocess.run(
        [sys.executable, "-c", NURSERY, str(state), str(KILLS)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert run.returncode == 0, run.stderr
    for line in run.stdout.splitlines():
        name, *ids = line.split()
        acknowledged[name] = ids
    assert len(acknowledged) >= KILLS * 2
    store = Store.open(state, min_free=0)
    try:
        for name, ids in acknowledged.items():
            number = int(name.rpartition(".")[2])
            assert len(ids) == 1 + number % 3
            for position, id_ in enumerate(ids):
                item = store.quarantine.get(id_)
                assert item, f"{name} was acknowledged and is lost"
                assert item.recipient == f"user{position}@example.org"
                assert store.quarantine.raw(id_) == name.encode() * (1 + number % 5 * 400)
                record = store.history.show(item.record)
                assert record
                assert record.outline.subject == name
    finally:
        store.close()
    assert not orphans(state)
