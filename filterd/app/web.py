"""The web process: the quarantine pages, apart from the mail process so that no search and no password hash ever
delays a mail.

`python -m filterd.app.web DESCRIPTORS [CONFIG]`, started by the service with its listening sockets, ended
when the service closes its stdin. It meets the other processes in the store only; what it was asked to release it
carries out itself, when the time for undoing it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import signal
import socket
import sys
from collections.abc import Generator
from pathlib import Path

import structlog
import uvicorn

from filterd.app import control
from filterd.app.children import on_orphaned
from filterd.app.digests import send, sender_of
from filterd.app.hops import Hops, release_url
from filterd.app.logs import set_up
from filterd.app.remembered import remembered
from filterd.app.state import prepare
from filterd.config.load import load
from filterd.config.model import Config
from filterd.engine.loading import shipped_list
from filterd.frontends.web import Site, create_app
from filterd.frontends.web.site import Learn, Letter, Send
from filterd.learning import Request, Result
from filterd.learning.link import ask
from filterd.release import retry
from filterd.store import Store, StoreError

log = structlog.get_logger("filterd.web")

EVERY = 1.0  # seconds between two looks at what is to be released


class _Server(uvicorn.Server):
    """Ends when our stdin is closed and not by signals: the terminal's go to the whole group."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def work(config: Config, sockets: list[socket.socket]) -> None:
    """Serve the pages until our stdin is closed."""
    secret = prepare(config.state)
    store = Store.open(config.store, config.retention)
    hops = Hops()
    url = config.web.url or ""
    secure = config.tls.certificate is not None or url.startswith("https:")
    loop = asyncio.get_running_loop()
    site = Site(
        store=store,
        secret=secret,
        settings=config.web,
        hostname=config.hostname,
        secure=secure,
        learn=learner(config.state),
        remembered=lambda record: [str(one) for one in remembered(store, record, config, now())],
        status=lambda: control.ask(config.state),
        sender=sender_of(config),
        send=poster(config, hops, loop),
        shared=frozenset((*shipped_list("freemail"), *shipped_list("freehosts"))),
    )
    server = _Server(
        uvicorn.Config(
            create_app(site),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ssl_certfile=config.tls.certificate,
            ssl_keyfile=config.tls.key,
            timeout_graceful_shutdown=5,
            limit_concurrency=500,
        )
    )

    def end() -> None:
        server.should_exit = True

    on_orphaned(end)
    releasing = asyncio.create_task(_release(config, store, hops, secret))
    try:
        await server.serve(sockets=sockets)
    finally:
        releasing.cancel()
        await asyncio.gather(releasing, return_exceptions=True)
        await hops.aclose()
        store.close()


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def learner(state: Path) -> Learn:
    """What the pages teach goes to the learning process."""

    def learn(request: Request) -> Result:
        result = ask(state, request)
        return Result(refused=True, why="learning is not available now") if result is None else result

    return learn


def poster(config: Config, hops: Hops, loop: asyncio.AbstractEventLoop) -> Send | None:
    """Sends our own mail where released mail goes, in its own time; None when nothing says where that is."""
    url = release_url(config)
    if url is None:
        return None

    async def post(letter: Letter) -> None:
        reply = await send(hops.give(config, url), letter)
        log.info("letter", to=letter.recipient, said=reply)

    def later(letter: Letter) -> None:
        asyncio.run_coroutine_threadsafe(post(letter), loop)

    return later


async def _release(config: Config, store: Store, hops: Hops, secret: bytes) -> None:
    """Release what is due, again and again."""
    url = release_url(config)
    if url is None:
        log.warning("nowhere-to-release", text="set release.relay, or nothing can leave the quarantine")
        return
    while True:
        try:
            for done in await retry(store, hops.give(config, url), secret):
                log.info("release", item=done.item, fate=done.fate.value, said=done.text)
        except (StoreError, OSError, ValueError) as error:
            log.error("release-failed", why=str(error))
        await asyncio.sleep(EVERY)


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    loaded = load(Path(arguments[1]) if arguments[1:] else None)
    set_up(loaded.config.log)
    sockets = [socket.socket(fileno=int(one)) for one in arguments[0].split(",")]
    asyncio.run(work(loaded.config, sockets))


if __name__ == "__main__":
    main(sys.argv[1:])
