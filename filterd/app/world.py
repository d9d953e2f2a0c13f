"""World: what a running configuration asks of the world: the DNS, the lists and their health.

A reload makes a new one, which takes over from the old what its settings leave as it was: the cache of the DNS, and
what is known of the lists. `start` watches the lists; `aclose` ends what no successor took over.
"""

from __future__ import annotations

import asyncio
from typing import Any

from filterd.config.model import Config
from filterd.facts import Facts, Questions
from filterd.net import Dns
from filterd.probes import Lists, gather


class World:
    def __init__(self, config: Config, before: World | None = None) -> None:
        self._settings = (config.dns, config.lists)
        same = before._settings if before is not None else (None, None)
        self.dns: Dns = before.dns if before is not None and same[0] == config.dns else Dns(config.dns)
        self.lists: Lists = before.lists if before is not None and same == self._settings else Lists(config.lists)
        self._watcher: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Test the lists now and then; a list is not asked before its first test."""
        if self.lists.standings:
            self._watcher = asyncio.create_task(self.lists.watch(self.dns))

    async def ask(self, questions: Questions, seconds: float) -> Facts:
        """All that the world says about one mail."""
        return await gather(questions, self.dns, seconds, lists=self.lists)

    async def aclose(self, successor: World | None = None) -> None:
        """Stop watching, and end what `successor` does not use."""
        if self._watcher is not None:
            self._watcher.cancel()
        if successor is None or successor.dns is not self.dns:
            await self.dns.aclose()

    def status(self) -> dict[str, Any]:
        """Each list, and why it is off; for status."""
        return {
            name: {"well": one.well, "why": one.why or None, "asked": one.asked, "found": one.found}
            for name, one in self.lists.standings.items()
        }

    def gauges(self) -> dict[str, float | dict[str, float]]:
        """For metrics."""
        counts = self.dns.counts
        standings = self.lists.standings.items()
        return {
            "dns_questions": counts.asked,
            "dns_answers_cached": counts.cached,
            "dns_failures": counts.failed,
            "dns_servers_alive": sum(server.alive for server in self.dns.servers),
            "list_well": {name: float(one.well) for name, one in standings},
            "list_asked": {name: one.asked for name, one in standings},
            "list_found": {name: one.found for name, one in standings},
        }
