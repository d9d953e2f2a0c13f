"""`filterd` with a stage that raises on every message whose sender says `broken`: python -m tests.loss.broken STAGE ...

As a bug of ours would: an exception that nobody foresaw, in the mail process.
"""

from __future__ import annotations

import sys
from typing import Any

import filterd.engine.engine as engine
from filterd.engine.pool import Pool
from filterd.frontends.smtp.delivery import SmtpDelivery
from filterd.store.store import Store

MARK = "broken@"


class Bug(Exception):
    """One that nobody foresaw."""


def _read() -> None:
    inspect = Pool.inspect

    async def broken(pool: Pool, envelope: Any, raw: Any) -> Any:
        _raise(envelope.sender)
        return await inspect(pool, envelope, raw)

    Pool.inspect = broken  # type: ignore[method-assign]


def _ask() -> None:
    inspect = engine._Examination.run

    async def broken(examination: Any) -> None:
        if examination.envelope.sender.startswith(MARK):
            examination.generation = _Deaf(examination.generation)
        await inspect(examination)

    engine._Examination.run = broken  # type: ignore[method-assign]


class _Deaf:
    """A generation whose questions raise."""

    def __init__(self, generation: Any) -> None:
        self._generation = generation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generation, name)

    async def ask(self, questions: Any, seconds: float) -> Any:
        raise Bug("as asked")


def _decide() -> None:
    decide = engine.decide

    def broken(verdict: Any, envelope: Any, *more: Any, **named: Any) -> Any:
        _raise(envelope.sender)
        return decide(verdict, envelope, *more, **named)

    engine.decide = broken


def _deliver() -> None:
    deliver = SmtpDelivery.deliver

    async def broken(delivery: Any, copy: Any, content: Any) -> Any:
        _raise(delivery._envelope.sender)
        return await deliver(delivery, copy, content)

    SmtpDelivery.deliver = broken  # type: ignore[method-assign]


def _hold() -> None:
    hold = Store.hold

    async def broken(store: Any, record: Any, raw: Any, held: Any) -> Any:
        _raise(record.envelope.sender)
        return await hold(store, record, raw, held)

    Store.hold = broken  # type: ignore[method-assign]


def _record() -> None:
    write = Store.write

    def broken(store: Any, record: Any, raw: Any = None) -> None:
        _raise(record.envelope.sender)
        write(store, record, raw)

    Store.write = broken  # type: ignore[method-assign]


def _raise(sender: str) -> None:
    if sender.startswith(MARK):
        raise Bug("as asked")


STAGES = {"read": _read, "ask": _ask, "decide": _decide, "deliver": _deliver, "hold": _hold, "record": _record}


def main(stage: str, *arguments: str) -> None:
    from filterd.cli import main as command

    STAGES[stage]()
    sys.argv = ["filterd", *arguments]
    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
