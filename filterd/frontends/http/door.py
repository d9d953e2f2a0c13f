"""HttpDoor: one http listener. rspamd's protocol, and the routes that the service brings (/healthy, /metrics, ...).

In: connections. Out: answers; errors are JSON objects with `error`. A client that speaks rspamd's old line protocol
instead of HTTP, as Exim does with `variant=rspamd`, is answered in that. What changes something (learning) is refused
on an address that is not a `controller`, without the listener's password, and, where none is set, to anything that is
not a program on this machine.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address

from filterd.frontends.advice import Desk, Original, Unavailable, said
from filterd.frontends.http import rspamd
from filterd.frontends.http.answer import Answer, Head, Refused, Route, json_answer, text_answer
from filterd.frontends.http.exchange import Answerer, Exchange
from filterd.frontends.learner import Klass, LearnError
from filterd.frontends.listening import Listening
from filterd.frontends.settings import HttpListener
from filterd.frontends.spamd.request import first_line
from filterd.frontends.spamd.session import converse
from filterd.frontends.streams import HEAD_SECONDS, Stream, TooLarge

Answering = Callable[["HttpDoor", Head, "str | None", bytes], Awaitable[Answer]]


class HttpDoor:
    """`desk`, `settings` and `controller` may be replaced at any time and hold from the next request on."""

    def __init__(self, desk: Desk, settings: HttpListener, routes: Mapping[str, Route], *, controller: bool) -> None:
        self.desk = desk
        self.settings = settings
        self.controller = controller
        self._routes = routes
        self._listening = Listening[Stream](desk.name, lambda: self.desk.limits)

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        await self._listening.start(sockets, lambda: Stream(self._listening, self._converse))

    def close(self) -> None:
        """Take no new connections; those under way get their answer."""
        self._listening.close()

    async def drain(self) -> None:
        await self._listening.drain()

    async def _converse(self, stream: Stream) -> None:
        try:
            line = await stream.first(HEAD_SECONDS)
        except TooLarge:
            line = b""
        if not line:
            return
        first = first_line(line)
        if first is not None:
            await converse(stream, first, self.desk, tell=False)
            return
        exchange = Exchange(
            stream,
            partial(self._admit, stream.peer),
            limits=self.desk.limits,
            most=self.settings.body_size,
            room=self.desk.room,
            wait=self.desk.wait,
        )
        await exchange.run(line)

    def _admit(self, peer: str | None, head: Head) -> Answerer:
        """Who answers this request; raises Refused."""
        posted, asked = _POST.get(head.path), self._routes.get(head.path)
        if head.method == "POST" and posted is not None:
            if head.path in _WRITES:
                self._check_writer(peer, head)
            return partial(posted, self, head, peer)
        if head.method in ("GET", "HEAD") and (asked is not None or head.path == "/ping"):
            return partial(self._routed, asked)
        if posted is None and asked is None:
            raise Refused(HTTPStatus.NOT_FOUND)
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED)

    def _check_writer(self, peer: str | None, head: Head) -> None:
        if not self.controller:
            raise Refused(HTTPStatus.FORBIDDEN, "learning is on the other address of this listener")
        password = self.settings.password
        if password is not None:
            if not hmac.compare_digest(head.first("password") or b"", password.encode()):
                raise Refused(HTTPStatus.FORBIDDEN, "the password is wrong or missing")
        elif not _here(peer) or head.first("origin") or head.first("sec-fetch-site"):
            raise Refused(HTTPStatus.FORBIDDEN, "without a password only programs on this machine may do that")

    async def _routed(self, route: Route | None, body: bytes) -> Answer:
        return await route() if route is not None else text_answer("pong\r\n")

    async def _original(self, head: Head, body: bytes) -> Original:
        if not rspamd.packed(head):
            return Original.of(rspamd.message(head, body, self.settings.body_size))
        return Original.of(await asyncio.to_thread(rspamd.message, head, body, self.settings.body_size))

    async def scan(self, head: Head, peer: str | None, body: bytes) -> Answer:
        """/checkv2, and in their old form /check and /symbols."""
        original = await self._original(head, body)
        try:
            advice = await self.desk.advise(rspamd.asked(head), original, peer)
        except Unavailable as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        reply = rspamd.verdict(advice, head, self.desk.quarantine)
        return json_answer(reply if head.path == "/checkv2" else rspamd.old_verdict(reply, spam=advice.spam))

    async def learn(self, klass: Klass, head: Head, peer: str | None, body: bytes) -> Answer:
        """/learnspam and /learnham; 208 when the message was known so already."""
        original = await self._original(head, body)
        user = said(head.first("user")) or said(head.first("deliver-to"))
        try:
            learnt = await self.desk.learn(original, klass, user)
        except LearnError as error:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        if learnt:
            return json_answer({"success": True})
        why = f"the message has been learned as {klass.value} already, ignore it"
        return json_answer({"success": True, "error": why}, HTTPStatus.ALREADY_REPORTED)


def _learning(klass: Klass) -> Answering:
    async def answer(door: HttpDoor, head: Head, peer: str | None, body: bytes) -> Answer:
        return await door.learn(klass, head, peer, body)

    return answer


_WRITES: dict[str, Answering] = {"/learnspam": _learning(Klass.SPAM), "/learnham": _learning(Klass.HAM)}
_POST: dict[str, Answering] = {
    **dict.fromkeys(("/checkv2", "/check", "/symbols"), HttpDoor.scan),
    **_WRITES,
}


def _here(peer: str | None) -> bool:
    """Is the client on this machine?"""
    return peer is None or ip_address(peer).is_loopback
