"""`filterd` whose stages raise on a message whose sender names them, `broken-ask@...`: python -m tests.loss.broken ...

As a bug of ours would: an exception that nobody foresaw, in the mail process.
"""

from __future__ import annotations

import sys
from typing import Any

import filterd.engine.engine as engine
from filterd.engine.pool import Pool
from filterd.frontends.smtp.delivery import SmtpDelivery
from filterd.store.store import Store


class Bug(Exception):
    """One that nobody foresaw."""


def _read() -> None:
    inspect = Pool.inspect

    async def broken(pool: Pool, envelope: Any, raw: Any) -> Any:
        _raise(envelope.sender, "read")
        return await inspect(pool, envelope, raw)

    Pool.inspect = broken  # type: ignore[method-assign]


def _ask() -> None:
    inspect = engine._Examination.run

    async def broken(examination: Any) -> None:
        if examination.envelope.sender.startswith("broken-ask@"):
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
        _raise(envelope.sender, "decide")
        return decide(verdict, envelope, *more, **named)

    engine.decide = broken


def _deliver() -> None:
    deliver = SmtpDelivery.deliver

    async def broken(delivery: Any, copy: Any, content: Any) -> Any:
        _raise(delivery._envelope.sender, "deliver")
        return await deliver(delivery, copy, content)

    SmtpDelivery.deliver = broken  # type: ignore[method-assign]


def _hold() -> None:
    hold = Store.hold

    async def broken(store: Any, record: Any, raw: Any, held: Any) -> Any:
        _raise(record.envelope.sender, "hold")
        return await hold(store, record, raw, held)

    Store.hold = broken  # type: ignore[method-assign]


def _record() -> None:
    write = Store.write

    def broken(store: Any, record: Any, raw: Any = None) -> None:
        _raise(record.envelope.sender, "record")
        write(store, record, raw)

    Store.write = broken  # type: ignore[method-assign]


def _raise(sender: str, stage: str) -> None:
    if sender.startswith(f"broken-{stage}@"):
        raise Bug("as asked")


STAGES = {"read": _read, "ask": _ask, "decide": _decide, "deliver": _deliver, "hold": _hold, "record": _record}


def main(*arguments: str) -> None:
    from filterd.cli import main as command

    for break_it in STAGES.values():
        break_it()
    sys.argv = ["filterd", *arguments]
    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
