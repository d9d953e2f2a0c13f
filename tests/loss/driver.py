"""`filterd` with a place at which it is killed: python -m tests.loss.driver POINT COUNT ARGUMENTS...

The process kills itself (SIGKILL: nothing is flushed, nothing is closed) when it comes to POINT for the COUNTth time.
The product knows nothing of this: its methods are wrapped from outside, before it starts.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from filterd.engine.engine import Engine
from filterd.frontends.smtp.delivery import SmtpDelivery
from filterd.frontends.smtp.protocol import SmtpProtocol
from filterd.relay.connection import Connection
from filterd.store.puts import Puts
from filterd.store.store import Store

Wrapped = Callable[..., Any]


class Killer:
    """Counts, then kills."""

    def __init__(self, count: int) -> None:
        self.left = count

    def pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def before(method: Wrapped, killer: Killer) -> Wrapped:
    """Die when it is called."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        killer.pass_by()
        return method(*arguments, **named)

    return wrapped


def after(method: Wrapped, killer: Killer) -> Wrapped:
    """Die when it has returned."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        result = method(*arguments, **named)
        killer.pass_by()
        return result

    return wrapped


def after_await(method: Wrapped, killer: Killer) -> Wrapped:
    """Die when what it returned has been awaited."""

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        result = await method(*arguments, **named)
        killer.pass_by()
        return result

    return wrapped


def between_groups(method: Wrapped, killer: Killer) -> Wrapped:
    """Die when the second group of a message is about to be delivered, and the first is at the next hop."""
    begun: set[int] = set()

    async def wrapped(delivery: Any, *arguments: Any) -> Any:
        if id(delivery) in begun:
            killer.pass_by()
        begun.add(id(delivery))
        try:
            return await method(delivery, *arguments)
        finally:
            if len(begun) > 1000:
                begun.clear()

    return wrapped


def on_acceptance(method: Wrapped, killer: Killer) -> Wrapped:
    """Die when a message's 250 is about to be written to its client."""

    def wrapped(protocol: Any, reply: Any) -> Any:
        if reply.code == 250 and "Accepted as" in reply.text:
            killer.pass_by()
        return method(protocol, reply)

    return wrapped


# On a message's way, in its order.
POINTS: dict[str, tuple[type[Any], str, Callable[[Wrapped, Killer], Wrapped]]] = {
    "within-quarantine-transaction": (Puts, "items", after),
    "quarantine-committed": (Store, "hold", after_await),
    "before-dot": (Connection, "send_body", before),
    "dot-sent": (Connection, "send_body", after_await),
    "hop-said-250": (SmtpDelivery, "deliver", after_await),
    "between-groups": (SmtpDelivery, "deliver", between_groups),
    "fulfilled": (Engine, "fulfil", after_await),
    "before-our-reply": (SmtpProtocol, "_say", on_acceptance),
}

WINDOWS: dict[str, tuple[str, ...]] = {
    "from quarantine to the dot": ("within-quarantine-transaction", "quarantine-committed", "before-dot"),
    "from the dot to the next hop's 250": ("dot-sent",),
    "from its 250 to ours": ("hop-said-250", "between-groups", "fulfilled", "before-our-reply"),
}


def main(point: str, count: str, *arguments: str) -> None:
    from filterd.cli import main as command

    if point != "none":
        owner, name, wrap = POINTS[point]
        setattr(owner, name, wrap(getattr(owner, name), Killer(int(count))))
    sys.argv = ["filterd", *arguments]
    command()


if __name__ == "__main__":
    main(*sys.argv[1:])
