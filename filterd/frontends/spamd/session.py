"""One request of the spamd protocol: read, answered, and the connection ended, as both sides of it expect."""

from __future__ import annotations

import asyncio

import structlog

from filterd.engine.budget import OverBudget
from filterd.frontends.advice import Desk, Original, Unavailable
from filterd.frontends.learner import Klass, LearnError
from filterd.frontends.spamd import replies
from filterd.frontends.spamd.replies import Exit
from filterd.frontends.spamd.request import BadRequest, First, Request, inflated, parse_request
from filterd.frontends.streams import BUFFER, Stream, TooLarge

log = structlog.get_logger("filterd.spamd")


async def converse(stream: Stream, first: First, desk: Desk, *, tell: bool) -> None:
    """Answer the request that this first line begins. May raise Gone."""
    if first.verb == "PING":
        await stream.write(replies.RSPAMC_PONG if first.rspamc else replies.PONG)
    elif first.verb != "SKIP":
        await stream.write(await _answer(stream, first, desk, tell))
    await stream.finish()


async def _answer(stream: Stream, first: First, desk: Desk, tell: bool) -> bytes:
    """The reply; whatever goes wrong is one too."""
    try:
        request = parse_request(first, await _headers(stream) if first.version > (1, 0) else ())
        size = desk.limits.message_size if request.length is None else request.length
        async with desk.room.hold(min(size, desk.limits.message_size), desk.wait):
            original = Original.of(await _message(stream, request, desk))
            if request.verb == "TELL":
                return await _tell(request, original, desk, tell)
            advice = await desk.advise(request.asked, original, stream.peer)
            return replies.rendered(request, advice, original, desk)
    except BadRequest as error:
        log.warning("bad-request", peer=stream.peer, why=str(error))
        return replies.error(Exit.EX_PROTOCOL, str(error), rspamc=first.rspamc)
    except TooLarge:
        return replies.error(Exit.EX_DATAERR, "The message is too large", rspamc=first.rspamc)
    except (Unavailable, OverBudget) as error:
        return replies.error(Exit.EX_TEMPFAIL, str(error), rspamc=first.rspamc)


async def _headers(stream: Stream) -> list[bytes]:
    lines: list[bytes] = []
    left = BUFFER
    while line := await stream.line():
        if not line.endswith(b"\n"):
            break
        left -= len(line)
        if left < 0:
            raise BadRequest("(too many headers)")
        if line in (b"\r\n", b"\n"):
            return lines
        lines.append(line)
    raise BadRequest("(EOF during headers)")


async def _message(stream: Stream, request: Request, desk: Desk) -> bytes:
    data = await stream.body(request.length, desk.limits)
    if request.length is not None and len(data) != request.length:
        raise BadRequest(f"(Content-Length mismatch: Expected {request.length} bytes, got {len(data)} bytes)")
    return await asyncio.to_thread(inflated, data, desk.limits.message_size) if request.zlib else data


async def _tell(request: Request, original: Original, desk: Desk, allowed: bool) -> bytes:
    if not allowed:
        return replies.error(Exit.EX_UNAVAILABLE, "Service Unavailable: TELL commands have not been enabled.")
    if request.klass is None:
        return replies.told(None)
    try:
        learnt = await desk.learn(original, request.klass, request.user)
    except LearnError as error:
        return replies.error(Exit.EX_UNAVAILABLE, f"Service Unavailable: {error}")
    return replies.told(("DidRemove" if request.klass is Klass.FORGET else "DidSet") if learnt else None)
