"""Exchange: HTTP/1.0 and 1.1 on one connection, parsed by h11. The only file that knows it.

In: a `Stream`, and `admit`, which says from a request's head who answers it, or raises Refused before the body is
read. Out: answers; what is not HTTP is answered 400, a body over the limit 413, and the connection ends. May raise
Gone. A failing answerer is a 500 that says nothing about why.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import h11
import structlog

from filterd.engine.budget import Budget, OverBudget
from filterd.frontends.connection import Gone
from filterd.frontends.http.answer import Answer, Head, Refused
from filterd.frontends.smtp.settings import SmtpLimits
from filterd.frontends.streams import BUFFER, HEAD_SECONDS, Pace, Stream, TooLarge

log = structlog.get_logger("filterd.http")

KEEP_ALIVE = 60.0
_AGREED = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]

_ABSOLUTE = re.compile(r"\Ahttps?://[^/?]*", re.IGNORECASE)  # RFC 9112 section 3.2.2

Answerer = Callable[[bytes], Awaitable[Answer]]
Admit = Callable[[Head], Answerer]


class Exchange:
    """One connection. `most` is the largest body, `room` what all bodies share."""

    def __init__(
        self, stream: Stream, admit: Admit, *, limits: SmtpLimits, most: int, room: Budget, wait: float
    ) -> None:
        self._stream = stream
        self._admit = admit
        self._limits = limits
        self._most = most
        self._room = room
        self._wait = wait
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=BUFFER)

    async def run(self, first: bytes) -> None:
        """Answer the request that `first` begins and those after it, until either side ends it."""
        self._http.receive_data(first)
        while await self._answer_one():
            self._http.start_next_cycle()
            if not self._http.trailing_data[0]:
                first = await self._stream.first(KEEP_ALIVE)
                if not first:
                    break
                self._http.receive_data(first)
        await self._stream.finish()

    async def _answer_one(self) -> bool:
        """Answer one request; True when another may follow."""
        method = b""
        try:
            head = await self._event(HEAD_SECONDS)
            if not isinstance(head, h11.Request):
                return False
            method = head.method
            answer = await self._answered(head)
        except h11.RemoteProtocolError as error:
            answer = Refused(HTTPStatus(error.error_status_hint)).answer
        except TooLarge:
            answer = Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE).answer
        except OverBudget as error:
            answer = Refused(HTTPStatus.SERVICE_UNAVAILABLE, str(error)).answer
        read = self._http.their_state is h11.DONE
        await self._send(answer, with_body=method != b"HEAD", last=not read or self._stream.retiring)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _answered(self, request: h11.Request) -> Answer:
        try:
            head = _head(request)
            answerer = self._admit(head)
            length, chunked = head.first("content-length"), head.first("transfer-encoding")
            if length and chunked:  # RFC 9112 section 6.3
                raise Refused(HTTPStatus.BAD_REQUEST, "Content-Length and Transfer-Encoding in one request")
            size = self._most if chunked else int(length or 0)
            if size > self._most:
                raise TooLarge
            async with self._room.hold(size, self._wait):
                return await answerer(await self._body())
        except Refused as refused:
            return refused.answer
        except (h11.RemoteProtocolError, TooLarge, OverBudget, Gone):
            raise
        except Exception as error:  # noqa: BLE001  the next request may fare better
            log.error("http-failed", path=repr(request.target[:100]), why=f"{type(error).__name__}: {error}")
            return Refused(HTTPStatus.INTERNAL_SERVER_ERROR).answer

    async def _body(self) -> bytes:
        pieces: list[bytes] = []
        clock = self._stream.loop.time
        pace = Pace(self._limits, clock())
        while isinstance(event := await self._event(pace.deadline - clock()), h11.Data):
            pieces.append(bytes(event.data))
            pace.got += len(event.data)
            if pace.got > self._most:
                raise TooLarge
        return b"".join(pieces)

    async def _event(self, seconds: float) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                go_on = h11.InformationalResponse(status_code=100, headers=[])
                await self._stream.write(self._http.send(go_on) or b"")
            self._http.receive_data(await self._stream.some(seconds))
        return event

    async def _send(self, answer: Answer, *, with_body: bool, last: bool) -> None:
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *_AGREED]
        response = h11.Response(
            status_code=answer.status,
            headers=[*headers, ("Connection", "close")] if last else headers,
            reason=HTTPStatus(answer.status).phrase,
        )
        data = self._http.send(response) or b""
        data += (self._http.send(h11.Data(data=answer.body)) or b"") if with_body else b""
        await self._stream.write(data + (self._http.send(h11.EndOfMessage()) or b""))


def _head(request: h11.Request) -> Head:
    path = _ABSOLUTE.sub("", request.target.decode("latin-1")).partition("?")[0]
    return Head(
        request.method.decode("latin-1"),
        path,
        tuple((name.decode("latin-1"), value) for name, value in request.headers),
    )
