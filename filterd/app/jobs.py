"""The jobs process: what must be done now and then, apart from the mail process so that it never delays a
mail.

`python -m filterd.app.jobs [CONFIG]`, started by the service, ended when the service closes its stdin. A
job that fails is logged and tried again at its next turn.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from filterd.app.children import on_orphaned
from filterd.app.digests import send_due
from filterd.app.hops import Hops, release_url
from filterd.app.imap import Watching
from filterd.app.logs import set_up
from filterd.app.state import StateError, prepare
from filterd.config.load import load
from filterd.config.model import Config
from filterd.frontends.web.digest import AT_ONCE
from filterd.release import retry
from filterd.store import Store, StoreError

log = structlog.get_logger("filterd.jobs")

PAUSE = 0.2  # seconds between two slices of a long job, in which mail has the database to itself


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every so many seconds."""

    name: str
    every: float
    run: Callable[[Store, Config], Awaitable[None]]


async def expire(store: Store, config: Config) -> None:
    """Retention: slice by slice, until nothing is left to do."""
    gone = await asyncio.to_thread(store.expire)
    while gone.more:
        await asyncio.sleep(PAUSE)
        gone = await asyncio.to_thread(store.expire)


async def release(store: Store, config: Config) -> None:
    """What waits for its release: asked for on the pages, or not taken by the next hop at first."""
    url = release_url(config)
    if url is None or not await asyncio.to_thread(store.quarantine.due, None, 1):
        return
    hops = Hops()
    try:
        for done in await retry(store, hops.give(config, url), prepare(config.state)):
            log.info("release", item=done.item, fate=done.fate.value, said=done.text)
    finally:
        await hops.aclose()


async def digest(store: Store, config: Config, only: str | None = None) -> None:
    """Tell people what is held for them, those who asked to be told."""
    if config.web.url is not None:
        async for sent in send_due(store, config, only=only):
            log.info("digest", person=sent.person, to=sent.recipient, items=sent.items, said=sent.reply)


async def digest_at_once(store: Store, config: Config) -> None:
    """The same, for those who want to know as soon as there is something."""
    await digest(store, config, AT_ONCE)


JOBS = (
    Job("expire", 600.0, expire),
    Job("release", 15.0, release),
    Job("digest", 300.0, digest),
    Job("digest-at-once", 20.0, digest_at_once),
)


async def work(config: Config, jobs: tuple[Job, ...] = JOBS) -> None:
    """All jobs, each in its own time, until our stdin is closed."""
    store = Store.open(config.store, config.retention)
    ended = asyncio.Event()
    on_orphaned(ended.set)
    tasks = [asyncio.create_task(_again_and_again(job, store, config)) for job in jobs]
    watching = Watching(config.learn.imap, config.state, store)
    await ended.wait()
    await asyncio.to_thread(watching.close)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    store.close()


async def _again_and_again(job: Job, store: Store, config: Config) -> None:
    while True:
        try:
            await job.run(store, config)
        except (StoreError, StateError, ValueError, OSError) as error:
            log.error("job-failed", job=job.name, why=str(error))
        await asyncio.sleep(job.every)


def main(arguments: list[str]) -> None:
    loaded = load(Path(arguments[0]) if arguments else None)
    set_up(loaded.config.log)
    asyncio.run(work(loaded.config))


if __name__ == "__main__":
    main(sys.argv[1:])
