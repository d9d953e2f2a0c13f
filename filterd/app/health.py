"""Health: is the service well, degraded or down, and what is wrong, in sentences.

Down is what a load balancer should know: the store cannot be written, no worker lives, or no next hop of a
listener is left. Degraded is what a postmaster should know.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from filterd.value import Value


class Level(enum.IntEnum):
    """The exit codes of `filterd status`."""

    WELL = 0
    DEGRADED = 1
    DOWN = 2

    @property
    def word(self) -> str:
        return ("ok", "degraded", "down")[self]


class Health(Value, kw_only=True):
    """What is wrong, worst first."""

    down: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()

    @property
    def level(self) -> Level:
        return Level.DOWN if self.down else Level.DEGRADED if self.degraded else Level.WELL


class Vitals(Value, kw_only=True):
    """What health is concluded from."""

    workers_alive: int
    workers_wanted: int
    store: str | None = None  # None is well, else a sentence
    next_hops: tuple[tuple[tuple[str, str | None], ...], ...] = ()  # of each listener: url, and None or a sentence
    bypass: str | None = None
    enforcing: bool = True
    undelivered: int = 0
    children_down: Sequence[str] = ()
    reload_failed: str | None = None
    lists_off: dict[str, str] = {}  # why, by name
    name_servers: dict[str, bool] = {}  # by address: does it answer?


def conclude(vitals: Vitals) -> Health:
    """The health that these vital signs mean."""
    down = []
    degraded = []
    if vitals.workers_alive == 0:
        down.append("no worker process lives")
    elif vitals.workers_alive < vitals.workers_wanted:
        degraded.append(f"{vitals.workers_alive} of {vitals.workers_wanted} worker processes live")
    if vitals.store is not None:
        down.append(f"the store: {vitals.store}")
    for hops in vitals.next_hops:
        wrong = [f"the next hop {url}: {why}" for url, why in hops if why is not None]
        if len(wrong) == len(hops):
            down += wrong
        else:
            left = ", ".join(url for url, why in hops if why is None)
            degraded += [f"{one}; its mail goes to {left}" for one in wrong]
    if vitals.bypass is not None:
        degraded.append(f"bypass is on, everything passes: {vitals.bypass}")
    if not vitals.enforcing:
        degraded.append("enforce is false: mail is scored and delivered whatever its score")
    if vitals.undelivered:
        degraded.append(f"{vitals.undelivered} messages are in the quarantine because the next hop refused them")
    degraded += [f"the {child} process does not stay up" for child in vitals.children_down]
    if vitals.name_servers and not any(vitals.name_servers.values()):
        degraded.append("no name server answers: nothing is known of who sent a mail")
    else:
        degraded += [
            f"the name server {name} does not answer" for name, well in vitals.name_servers.items() if not well
        ]
    degraded += [f"the list {name} is switched off: {why}" for name, why in vitals.lists_off.items()]
    if vitals.reload_failed is not None:
        degraded.append(f"the last reload failed and the old settings are in force: {vitals.reload_failed}")
    return Health(down=tuple(down), degraded=tuple(degraded))


def report(health: Health, **facts: Any) -> dict[str, Any]:
    """The health as JSON."""
    return {
        "status": health.level.word,
        "down": list(health.down),
        "degraded": list(health.degraded),
        **facts,
    }
