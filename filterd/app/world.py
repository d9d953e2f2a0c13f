"""World: what a running configuration asks of the world: the DNS, the lists and their health.

A reload makes a new one, which takes over from the old what its settings leave as it was: the cache of the DNS, and
what is known of the lists. `start` watches the lists; `aclose` ends what no successor took over.
"""

from __future__ import annotations

import asyncio
from typing import Any

from filterd.app.memory import Memory
from filterd.config.model import Config
from filterd.early import Block
from filterd.engine.loading import shipped_list
from filterd.facts import Facts, Questions
from filterd.net import Dns
from filterd.plugins import plugin_probes
from filterd.probes import Lists, gather
from filterd.record import Record
from filterd.store import Store


class World:
    def __init__(self, config: Config, before: World | None = None, store: Store | None = None) -> None:
        self._settings = (config.dns, config.lists)
        self._programs = plugin_probes()
        same = before._settings if before is not None else (None, None)
        self.dns: Dns = before.dns if before is not None and same[0] == config.dns else Dns(config.dns)
        self.lists: Lists = (
            before.lists if before is not None and same == self._settings else Lists(config.lists, quiet=store is None)
        )
        self.memory: Memory | None = None
        if store is not None and config.senders.remember:
            self.memory = Memory(
                store, config.senders, frozenset(shipped_list("freemail")), triples=config.greylist.enabled
            )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Test the lists now and then, for a list is not asked before its first test; write what is remembered."""
        if self.lists.standings:
            self._tasks.append(asyncio.create_task(self.lists.watch(self.dns)))
        if self.memory is not None:
            self._tasks.append(asyncio.create_task(self.memory.run()))

    async def ask(self, questions: Questions, seconds: float) -> Facts:
        """All that the world says about one mail."""
        return await gather(questions, self.dns, seconds, lists=self.lists, memory=self.memory, programs=self._programs)

    async def blocks(self, address: str, seconds: float) -> Block | None:
        """The block list that refuses this client at RCPT."""
        until = asyncio.get_running_loop().time() + seconds
        listing = await self.lists.refusing(address, self.dns.budget(until))
        return Block(listing.symbol.name, listing.zone) if listing is not None else None

    def note(self, record: Record) -> None:
        """Remember one mail that was decided on."""
        if self.memory is not None:
            self.memory.note(record)

    async def aclose(self, successor: World | None = None) -> None:
        """Stop watching, and end what `successor` does not use."""
        for task in self._tasks:
            task.cancel()
        if self.memory is not None:
            await self.memory.flush()
        if successor is None or successor.dns is not self.dns:
            await self.dns.aclose()

    def status(self) -> dict[str, Any]:
        """Each list, and why it is off; for status."""
        return {
            name: {"well": one.well, "why": one.why or None, "asked": one.asked, "found": one.found}
            for name, one in self.lists.standings.items()
        }

    @property
    def name_servers(self) -> dict[str, dict[str, Any]]:
        """Each name server, and how it does; for status."""
        return {
            str(server.address): {
                "alive": server.alive,
                "in_use": server is self.dns.in_use,
                "asked": server.counts.asked,
                "silent": server.counts.silent,
                "failed": server.counts.failed,
                "forged": server.counts.forged,
                "milliseconds": round(server.seconds * 1000, 2),
            }
            for server in self.dns.servers
        }

    def gauges(self) -> dict[str, float | dict[str, float]]:
        """For metrics."""
        counts = self.dns.counts
        standings = self.lists.standings.items()
        servers = self.name_servers.items()
        each = ("alive", "in_use", "asked", "silent", "failed", "forged", "milliseconds")
        return {
            **{f"dns_server_{what}": {name: float(one[what]) for name, one in servers} for what in each},
            "dns_questions": counts.asked,
            "dns_answers_cached": counts.cached,
            "dns_failures": counts.failed,
            "dns_servers_alive": sum(server.alive for server in self.dns.servers),
            "memory_notes_lost": self.memory.lost if self.memory is not None else 0,
            "list_well": {name: float(one.well) for name, one in standings},
            "list_asked": {name: one.asked for name, one in standings},
            "list_found": {name: one.found for name, one in standings},
        }
