"""The next hops of a configuration, one for each relay address, kept over a reload that leaves them as
they are.
"""

from __future__ import annotations

import asyncio

from filterd.config.model import Config
from filterd.frontends.settings import SmtpListener
from filterd.relay import NextHop, RelaySettings, next_hop

KNOWN = 5.0  # seconds that the health of a next hop is remembered


class Hops:
    """Gives the next hop for a relay address."""

    def __init__(self) -> None:
        self._hops: dict[tuple[str, RelaySettings], NextHop] = {}
        self._health: dict[str, tuple[float, str | None]] = {}

    def take(self, config: Config) -> None:
        """Make those of `config`. Raises ValueError or OSError, one sentence."""
        for listener in config.listeners:
            if isinstance(listener, SmtpListener):
                self.give(config, listener.relay, xclient=listener.xclient)

    def give(self, config: Config, url: str, *, xclient: bool = False) -> NextHop:
        """The next hop at `url`, with the site's relay settings."""
        changes: dict[str, object] = {"xclient": True} if xclient else {}
        if config.relay.hostname == "localhost":  # its default: nobody named it
            changes["hostname"] = config.hostname
        settings = config.relay.model_copy(update=changes)
        key = (url, settings)
        if key not in self._hops:
            self._hops[key] = next_hop(url, settings)
        return self._hops[key]

    async def health(self, config: Config) -> tuple[tuple[str, str | None], ...]:
        """Each relay address in use, and None or what is wrong with it; asked every `KNOWN` seconds."""
        urls = dict.fromkeys(one.relay for one in config.listeners if isinstance(one, SmtpListener))
        found = await asyncio.gather(*(self._healthy(config, url) for url in urls))
        return tuple(zip(urls, found, strict=True))

    async def aclose(self) -> None:
        await asyncio.gather(*(hop.aclose() for hop in self._hops.values()))

    async def _healthy(self, config: Config, url: str) -> str | None:
        now = asyncio.get_running_loop().time()
        asked, said = self._health.get(url, (-KNOWN, None))
        if now - asked >= KNOWN:
            said = await self.give(config, url).healthy()
            self._health[url] = (now, said)
        return said


def release_url(config: Config) -> str | None:
    """Where mail that leaves the quarantine goes; None when nothing says so."""
    relays = (one.relay for one in config.listeners if isinstance(one, SmtpListener))
    return config.release.relay or next(relays, None)
