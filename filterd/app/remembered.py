"""Who sent a mail, as the memory knows him now: for `history explain` and the pages. Blocks on the store."""

from __future__ import annotations

import datetime
from collections.abc import Collection

from filterd.checks.remembering import known_as
from filterd.config import Config
from filterd.engine.loading import shipped_list
from filterd.mail.address import parse_addresses
from filterd.record import Record
from filterd.store import Store
from filterd.value import Value

_KINDS = {"a": "author", "d": "domain", "n": "network", "w": "written to"}


class Remembered(Value):
    """What one name of the sender brings along. Good and bad are as they weigh now."""

    kind: str  # author, domain, network; "written to": our own users wrote there
    name: str
    seen: int
    good: float
    bad: float
    told: int  # messages of which people said what they are
    first: datetime.datetime
    last: datetime.datetime

    def __str__(self) -> str:
        if self.kind == "written to":
            return f"our users wrote to {self.name} {self.seen} times"
        told = f", people said so of {self.told}" if self.told else ""
        days = f"known for {(self.last - self.first).days} days"
        return f"{self.kind} {self.name}: {self.good:.1f} wanted and {self.bad:.1f} spam of late{told}; {days}"


def remembered(store: Store, record: Record, config: Config, now: datetime.datetime) -> list[Remembered]:
    """Everything that is known of the sender of a mail; an author only where his domain vouched for it."""
    if not config.senders.remember:
        return []
    return _remembered(store, record, frozenset(shipped_list("freemail")), config.senders.half_life, now)


def _remembered(
    store: Store, record: Record, hosts: Collection[str], half_life: float, now: datetime.datetime
) -> list[Remembered]:
    keys = known_as(record, hosts)
    if any(key.startswith("a:") for key in keys):
        keys += [f"w:{box.address.lower()}" for box in parse_addresses(record.outline.from_).mailboxes[:1]]
    found = []
    for key, seen in store.memory.look(keys, half_life).items():
        good, bad = seen.faded(now.timestamp(), half_life)
        first, last = (datetime.datetime.fromtimestamp(one, datetime.UTC) for one in (seen.first, seen.last))
        kind, _, name = key.partition(":")
        found.append(Remembered(_KINDS[kind], name, seen.seen, round(good, 2), round(bad, 2), seen.told, first, last))
    return found
