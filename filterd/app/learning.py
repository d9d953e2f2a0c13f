"""The learning process, and the way of the doors to it.

`python -m filterd.app.learning [CONFIG]`, started by the service, ended when the service closes its stdin. It holds
the lock on the site's model and takes requests on a socket in the state folder, one after another; commands use that
socket too. A request that fails is answered with a sentence and touches no other.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import structlog

from filterd.app.children import on_orphaned
from filterd.app.logs import set_up
from filterd.app.sockets import open_sockets
from filterd.classifier import Model, load_shipped_or
from filterd.config.load import load
from filterd.config.model import Config
from filterd.engine.loading import shipped_list
from filterd.frontends.learner import Klass, LearnError
from filterd.frontends.settings import Address
from filterd.learning import Klass as Learnt
from filterd.learning import LearningError, Request, Result
from filterd.learning.learner import SiteLearner, open_learner
from filterd.learning.link import Answer, answers, ask_async, framed, path_of, read
from filterd.learning.senders import SenderWords
from filterd.learning.words import LEFT_OUT, SAY_AGAIN
from filterd.store import Store, StoreError, Way
from filterd.value import CodecError, pack, unpack

log = structlog.get_logger("filterd.learning")

SHOWN = 20  # suggestions that a log line names


class LearningLink:
    """The learner that the doors are given: it asks the learning process."""

    def __init__(self, state: Path) -> None:
        self._state = state

    async def learn(self, raw: bytes, klass: Klass, *, user: str | None, by: str) -> bool:
        request = Request(klass=Learnt(klass.value), raw=raw, reporter=user or "", by=by, way=Way.DOOR)
        try:
            result = await ask_async(self._state, request)
        except LearningError as error:
            raise LearnError(str(error)) from error
        if result.refused:
            raise LearnError(result.why)
        return result.counted or result.queued

    async def ask(self, request: Request) -> Result:
        """What the learning process says; raises LearningError."""
        return await ask_async(self._state, request)

    async def ready(self) -> bool:
        return await asyncio.to_thread(answers, self._state)

    async def report(self, raw: bytes, klass: Klass, *, reporter: str, sender: str, by: str) -> str:
        request = Request(
            klass=Learnt(klass.value), raw=raw, reporter=reporter, by=by, way=Way.REPORT, report=True, sender=sender
        )
        try:
            return (await ask_async(self._state, request)).told
        except LearningError as error:
            raise LearnError(str(error)) from error


class Serving:
    """Answers requests with a learner."""

    def __init__(self, learner: SiteLearner) -> None:
        self._learner = learner
        self._busy = asyncio.Lock()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if (payload := await read(reader)) is None:
                return
            request = unpack(payload, Request)
            async with self._busy:
                answer = await asyncio.to_thread(self._handle, request)
            writer.write(framed(pack(answer)))
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, CodecError) as error:
            log.warning("request-not-read", why=str(error))
        finally:
            writer.close()

    def _handle(self, request: Request) -> Answer:
        try:
            result = self._learner.handle(request)
        except (LearningError, StoreError) as error:
            return Answer(error=str(error))
        except Exception as error:  # noqa: BLE001  the border: one message's trouble stays with it
            return Answer(error=f"{type(error).__name__}: {error}"[:300])
        _say(request, result)
        return Answer(result=result)


def _say(request: Request, result: Result) -> None:
    became = "learnt" if result.counted else "suggested" if result.queued else "not-learnt"
    log.info(
        "reviewed" if request.review else became,
        what=request.use or request.review or request.klass,
        way=request.way,
        by=request.by,
        reporter=request.reporter,
        suggestion=result.suggestion or " ".join(result.done[:SHOWN]),
        told=result.told,
        why=result.why or "; ".join(f"{id_}: {why}" for id_, why in result.failed[:SHOWN]),
        moved=result.moved,
        doubtful=result.doubtful,
        ms=result.milliseconds,
    )


def _say_renewed(learner: SiteLearner) -> None:
    """What an upgrade that extracts other features did to the labels."""
    if learner.renewed:
        log.info("labels-extracted-anew", count=learner.renewed)
    if learner.left_out:
        count = len(learner.left_out)
        log.warning("labels-left-out", count=count, why=f"{LEFT_OUT.format(count)}. {SAY_AGAIN}")


def sender_words(config: Config, store: Store) -> SenderWords | None:
    """Where what people say is remembered of senders; None where senders are not."""
    return SenderWords(store, frozenset(shipped_list("freemail"))) if config.senders.remember else None


async def work(config: Config, base: Model | None) -> None:
    """Learn until our stdin is closed. Raises LearningError, StoreError, OSError."""
    ended = asyncio.Event()
    on_orphaned(ended.set)
    store = Store.open(config.store, config.retention)
    try:
        with open_learner(config.state, store, base, config.learn, sender_words(config, store)) as learner:
            _say_renewed(learner)
            path = path_of(config.state)
            (opened,) = open_sockets(Address(path=str(path)), {})
            os.chmod(path, 0o600)
            server = await asyncio.start_unix_server(Serving(learner).answer, sock=opened)
            await ended.wait()
            server.close()
            path.unlink(missing_ok=True)
    finally:
        store.close()


def main(arguments: list[str]) -> int:
    loaded = load(Path(arguments[0]) if arguments else None)
    set_up(loaded.config.log)
    try:
        asyncio.run(work(loaded.config, load_shipped_or(loaded.config.model)))
    except (LearningError, StoreError, OSError, ValueError) as error:
        log.error("learning-ended", why=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
