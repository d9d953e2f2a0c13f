"""The whole service under load: messages a second, and the CPU time of its processes."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.bench.sender import send
from tests.nameserver import NameServer
from tests.nexthop import FakeHop
from tests.serving import Serving

AT_ONCE = 32
WARM = 50


@dataclass(frozen=True, slots=True)
class Found:
    rate: float  # messages a second
    mail: float  # CPU ms a message
    workers: float


def measure(raws: Sequence[bytes], scratch: Path, cores: int) -> Found:
    """The service on `cores` cores, which it may have to share with whom it talks to."""
    with name_server() as address, behind(scratch) as url:
        service = Serving(scratch, relay=url, workers=cores, dns={"servers": [address]})
        all_cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(all_cores)[:cores])  # its children inherit it
        try:
            service.start()
        finally:
            os.sched_setaffinity(0, all_cores)
        try:
            asyncio.run(send(service.smtp, AT_ONCE, list(raws[:WARM])))
            assert service.process is not None
            mail, workers = service.process.pid, _workers(service.process.pid)
            before, started = (_cpu(mail), sum(map(_cpu, workers))), time.monotonic()
            asyncio.run(send(service.smtp, AT_ONCE, list(raws)))
            seconds = time.monotonic() - started
            time.sleep(1.0)  # the last records are written
            after = _cpu(mail), sum(map(_cpu, workers))
        finally:
            service.stop()
    spent = [(late - early) * 1000 / len(raws) for early, late in zip(before, after, strict=True)]
    return Found(len(raws) / seconds, *spent)


@contextlib.contextmanager
def name_server() -> Iterator[str]:
    """A name server in a process of its own: no name has any record."""
    with _process(_serve_names) as address:
        yield address


@contextlib.contextmanager
def behind(scratch: Path) -> Iterator[str]:
    """A next hop in a process of its own."""
    with _process(_serve_mail) as url:
        yield url


@contextlib.contextmanager
def _process(work) -> Iterator[str]:  # type: ignore[no-untyped-def]
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve_names(link: Connection) -> None:
    with NameServer() as server:
        link.send(server.address)
        time.sleep(1e6)


def _serve_mail(link: Connection) -> None:
    async def run() -> None:
        async with FakeHop() as hop:
            link.send(hop.url)
            while True:
                await asyncio.sleep(1.0)
                hop.messages.clear()
                for session in hop.sessions:
                    session.received.clear()

    asyncio.run(run())


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _workers(pid: int) -> list[int]:
    children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [one for one in children if b"filterd.engine.worker" in Path(f"/proc/{one}/cmdline").read_bytes()]
