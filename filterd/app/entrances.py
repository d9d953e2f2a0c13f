"""Entrances: the doors of each protocol as `Doors` opens, adapts and drains them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from filterd.app.children import Child
from filterd.app.hops import Hops
from filterd.config.model import Config
from filterd.frontends import Filter
from filterd.frontends.milter.server import MilterServer
from filterd.frontends.settings import AnyListener, MilterListener, SmtpListener, SubmissionListener
from filterd.frontends.smtp.server import SmtpServer
from filterd.frontends.smtp.settings import Site
from filterd.frontends.smtp.tls import server_context
from filterd.recipients import RecipientList

Relaying = SmtpListener | SubmissionListener


class SmtpEntrance:
    """An smtp or submission listener. `config` gives the configuration that is in force."""

    def __init__(self, name: str, listener: Relaying, config: Callable[[], Config], filter: Filter, hops: Hops) -> None:
        self._listener = listener
        self._config = config
        self._hops = hops
        now = config()
        self._server = SmtpServer(
            listener,
            limits=now.limits,
            site=site_of(now),
            hop=hops.give(now, listener.relay, xclient=listener.xclient),
            filter=filter,
            tls=_tls(now),
            name=name,
        )

    async def start(self, sockets: list[socket.socket]) -> None:
        await self._server.start(sockets)

    def adapt(self, listener: AnyListener) -> bool:
        if not isinstance(listener, Relaying) or _before_smtp(listener) != _before_smtp(self._listener):
            return False
        now = self._config()
        self._server.adopt(
            settings=listener,
            limits=now.limits,
            site=site_of(now),
            hop=self._hops.give(now, listener.relay, xclient=listener.xclient),
            tls=_tls(now),
        )
        self._listener = listener
        return True

    def close(self) -> None:
        self._server.close()

    async def drain(self) -> None:
        await self._server.drain()


class MilterEntrance:
    """A milter listener. `config` gives the configuration that is in force."""

    def __init__(self, name: str, listener: MilterListener, config: Callable[[], Config], filter: Filter) -> None:
        self._config = config
        now = config()
        self._server = MilterServer(listener, limits=now.limits, site=site_of(now), filter=filter, name=name)

    async def start(self, sockets: list[socket.socket]) -> None:
        await self._server.start(sockets)

    def adapt(self, listener: AnyListener) -> bool:
        now = self._config()
        self._server.adopt(settings=listener, limits=now.limits, site=site_of(now))
        return True

    def close(self) -> None:
        self._server.close()

    async def drain(self) -> None:
        await self._server.drain()


class WebEntrance:
    """A web listener: a process of its own, which is given the sockets. Another configuration is another process."""

    def __init__(self, name: str, config: str | None, children: set[Child]) -> None:
        self._name = name
        self._config = [config] if config else []
        self._children = children  # all of them, for the health of the service
        self._sockets: list[socket.socket] = []
        self._child: Child | None = None

    async def start(self, sockets: list[socket.socket]) -> None:
        self._sockets = sockets
        descriptors = [one.fileno() for one in sockets]
        numbers = ",".join(str(one) for one in descriptors)
        self._child = Child(self._name, "filterd.app.web", [numbers, *self._config], descriptors)
        self._children.add(self._child)
        self._child.start()

    def adapt(self, listener: AnyListener) -> bool:
        return False

    def close(self) -> None:
        """Its sockets stay with the process until that has ended."""

    async def drain(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._children.discard(self._child)
        for one in self._sockets:
            one.close()


def site_of(config: Config) -> Site:
    """What every smtp and milter listener knows of the site."""
    return Site(
        hostname=config.hostname,
        domains=frozenset(config.domains),
        internal=config.networks.ours,
        recipients=RecipientList(config.recipients),
        reports=frozenset(config.learn.addresses),
        bare_newline=config.bare_newline,
        deadline=config.deadline,
    )


def _tls(config: Config) -> ssl.SSLContext | None:
    certificate = config.tls.certificate
    return server_context(certificate, config.tls.key) if certificate is not None else None


def _before_smtp(listener: Relaying) -> tuple[object, ...]:
    """What a running listener cannot change: it comes before the first word of SMTP."""
    return listener.proxy_protocol, listener.tls
