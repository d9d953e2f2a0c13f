"""The next hops of a configuration, one for each relay address, kept over a reload that leaves them as
they are.
"""

from __future__ import annotations

import asyncio

from filterd.config.model import Config
from filterd.frontends.settings import RelayingListener, SmtpListener
from filterd.relay import NextHop, RelaySettings, SeveralHops, Standing, next_hop

KNOWN = 5.0  # seconds that the health of a next hop is remembered

Relay = tuple[str, ...]  # the addresses of a `relay:`, the preferred first


class Hops:
    """Gives the next hop for a `relay:`."""

    def __init__(self) -> None:
        self._hops: dict[tuple[Relay, RelaySettings], NextHop] = {}
        self._standings: dict[str, Standing] = {}  # by address
        self._health: dict[str, tuple[float, str | None]] = {}

    def take(self, config: Config) -> None:
        """Make those of `config`. Raises ValueError or OSError, one sentence."""
        for listener in config.listeners:
            if isinstance(listener, RelayingListener):
                self.give(config, listener.relay, xclient=listener.xclient)

    def give(self, config: Config, relay: Relay, *, xclient: bool = False) -> NextHop:
        """The next hop at `relay`, with the site's settings for them."""
        changes: dict[str, object] = {"xclient": True} if xclient else {}
        if config.relay.hostname == "localhost":  # its default: nobody named it
            changes["hostname"] = config.hostname
        return self._give(relay, config.relay.model_copy(update=changes))

    async def health(self, config: Config) -> tuple[tuple[tuple[str, str | None], ...], ...]:
        """For each `relay:` in use its addresses, and None or what is wrong; asked every `KNOWN` seconds."""
        relays = _relays(config)
        urls = dict.fromkeys(url for relay in relays for url in relay)
        found = dict(zip(urls, await asyncio.gather(*(self._healthy(config, url) for url in urls)), strict=True))
        return tuple(tuple((url, found[url]) for url in relay) for relay in relays)

    def standings(self, config: Config) -> dict[str, Standing]:
        """How each next hop of `config` does, by its address."""
        used = dict.fromkeys(url for relay in _relays(config) for url in relay)
        return {url: self._standings[url] for url in used if url in self._standings}

    def gauges(self, config: Config) -> dict[str, float | dict[str, float]]:
        """For metrics."""
        standings = self.standings(config).items()
        counted = ("delivered", "deferred", "refused")
        return {
            "next_hop_up": {url: float(one.up) for url, one in standings},
            "next_hop_since_seconds": {url: one.since.timestamp() for url, one in standings},
            "next_hop_connections": {url: float(one.connections) for url, one in standings},
            "next_hop_failures": {url: float(one.failures) for url, one in standings},
            **{f"next_hop_{what}": {url: float(one.copies[what]) for url, one in standings} for what in counted},
        }

    def renew(self) -> None:
        """Read again what they have on disk, such as `relay.ca`; raises OSError, one sentence."""
        for hop in self._hops.values():
            hop.renew()

    async def aclose(self) -> None:
        await asyncio.gather(*(hop.aclose() for hop in self._hops.values()))

    def _give(self, relay: Relay, settings: RelaySettings) -> NextHop:
        key = (relay, settings)
        if key not in self._hops:
            if len(relay) == 1:
                self._hops[key] = next_hop(relay[0], settings, self._standings.setdefault(relay[0], Standing()))
            else:
                self._hops[key] = SeveralHops([self._give((url,), settings) for url in relay], settings.retry)
        return self._hops[key]

    async def _healthy(self, config: Config, url: str) -> str | None:
        now = asyncio.get_running_loop().time()
        asked, said = self._health.get(url, (-KNOWN, None))
        if now - asked >= KNOWN:
            said = await self.give(config, (url,)).healthy()
            if said is not None:
                said = said.removeprefix(f"The next hop {url} ").rstrip(".")
                standing = self._standings[url]
                said += "" if standing.up else f", since {standing.since:%Y-%m-%d %H:%M:%S} UTC"
            self._health[url] = (now, said)
        return said


def _relays(config: Config) -> list[Relay]:
    """Each `relay:` in use, once."""
    return list(dict.fromkeys(one.relay for one in config.listeners if isinstance(one, RelayingListener)))


def release_url(config: Config) -> Relay | None:
    """Where mail that leaves the quarantine goes; None when nothing says so."""
    relays = (one.relay for one in config.listeners if isinstance(one, SmtpListener))
    return config.release.relay or next(relays, None)
