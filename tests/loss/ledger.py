"""Numbered mail under fire: senders that try again as mail servers do, and the account of where each message is.

A message is a number and a kind; the kind decides its recipients, and by the policies of the service what becomes of
each copy. `Ledger.promised` holds the copies that were answered 250: these must be at the next hop or in the
quarantine, each with its content.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from filterd.store import Store
from tests.load import Client, Gone
from tests.nexthop import Delivered

IN, TAGGED, HELD = "in.example.org", "tagged.example.org", "held.example.org"
POLICIES = [
    {"name": "tag", "domains": [TAGGED], "thresholds": {"tag": -1000, "quarantine": 1000}},
    {"name": "hold", "domains": [HELD], "thresholds": {"tag": -1000, "quarantine": -1000}},
    {"name": "pass", "thresholds": {"tag": 1000, "quarantine": 1000}},
]
KINDS = ((IN,), (HELD,), (IN, HELD), (IN, TAGGED), (HELD, TAGGED, IN))  # one outcome, and several in one message
Copy = tuple[int, str]  # number, recipient


@dataclass(slots=True)
class Ledger:
    """What was sent, and what was promised."""

    seed: int
    promised: set[Copy] = field(default_factory=set)
    tries: int = 0
    refused: Counter[int] = field(default_factory=Counter)  # 4xx and 5xx by code
    numbers: int = 0
    accepted: int = 0

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers

    def recipients(self, number: int) -> list[str]:
        return [f"user@{domain}" for domain in KINDS[number % len(KINDS)]]

    def raw(self, number: int) -> bytes:
        """The same at every try, as from a sender's queue."""
        chance = random.Random(self.seed * 1_000_000 + number)
        body = b"\r\n".join(chance.randbytes(20).hex().encode() for _ in range(chance.randrange(1, 60)))
        head = f"From: n{number}@example.net\r\nTo: user@example.org\r\nSubject: message {number}\r\n"
        return head.encode() + f"Message-ID: <{number}@example.net>\r\n\r\n".encode() + body + b"\r\n.dot\r\n"


class Senders:
    """Some clients at once, each with one message after another, until they are told that it is enough."""

    def __init__(self, ledger: Ledger, address: tuple[str, int], clients: int) -> None:
        self._ledger = ledger
        self._address = address
        self._clients = clients
        self._last: int | None = None

    def stop_after(self, number: int) -> None:
        """End when at least so many messages have been sent, and those that were begun are accepted."""
        self._last = number

    @property
    def _enough(self) -> bool:
        return self._last is not None and self._ledger.numbers >= self._last

    async def run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(self._clients)))

    async def _client(self) -> None:
        number: int | None = None
        while number is not None or not self._enough:
            try:
                async with Client(*self._address) as client:
                    while number is not None or not self._enough:
                        number = self._ledger.next_number() if number is None else number
                        if not await self._try(client, number):
                            break
                        number = None
            except Gone:
                await asyncio.sleep(0.05)

    async def _try(self, client: Client, number: int) -> bool:
        """One try of one message; False: it is to be tried again."""
        ledger = self._ledger
        ledger.tries += 1
        recipients = ledger.recipients(number)
        last = (await client.send(f"n{number}@example.net", recipients, ledger.raw(number)))[-1]
        if last.ok:
            ledger.accepted += 1
            ledger.promised |= {(number, recipient) for recipient in recipients}
            return True
        ledger.refused[last.code] += 1
        await asyncio.sleep(0.05)
        return False


@dataclass(slots=True)
class Account:
    """Where every copy is."""

    lost: set[Copy]
    damaged: list[str]
    delivered: int
    held: int
    duplicates: int  # copies beyond the first that somebody got


def account(ledger: Ledger, delivered: Iterable[Delivered], state: Path) -> Account:
    """Compare what was promised with what the next hop and the quarantine have."""
    there: Counter[Copy] = Counter()
    damaged = []
    for one in delivered:
        number = _number(one.mail)
        if not one.content.endswith(b"\r\n" + ledger.raw(number)):
            damaged.append(f"message {number} at the next hop")
        there.update((number, rcpt.partition("<")[2].partition(">")[0]) for rcpt in one.rcpts)
    at_hop = sum(there.values())
    store = Store.open(state)
    try:
        held = Counter((_number(item.sender), item.recipient) for item in store.quarantine.each())
        damaged += [
            f"message {_number(item.sender)} in the quarantine"
            for item in store.quarantine.each()
            if store.quarantine.raw(item.id) != ledger.raw(_number(item.sender))
        ]
    finally:
        store.close()
    there += held
    return Account(
        lost=ledger.promised - there.keys(),
        damaged=damaged,
        delivered=at_hop,
        held=sum(held.values()),
        duplicates=sum(count - 1 for count in there.values()),
    )


def _number(text: str) -> int:
    return int(text.partition("n")[2].partition("@")[0]) if "<" not in text else _number(text.partition("<")[2])
