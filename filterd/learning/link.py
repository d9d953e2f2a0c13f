"""The way to the process that learns: a socket in the state folder, for the service's own user.

A request is one packed `Request` after its length, the answer one packed `Answer`. `ask` blocks and gives None where
nobody answers; `ask_async` raises LearningError there.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

from filterd.learning.words import LearningError, Request, Result
from filterd.value import CodecError, Value, pack, unpack

HEAD = struct.Struct(">I")
LARGEST = 200_000_000
PATIENCE = 60.0


class Answer(Value, kw_only=True):
    result: Result | None = None
    error: str = ""


def path_of(state: Path) -> Path:
    return state / "learn.sock"


def answers(state: Path) -> bool:
    """Is there a learning process on this state folder?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        return link.connect_ex(str(path_of(state))) == 0


def ask(state: Path, request: Request) -> Result | None:
    """What the learning process says; None where there is none. Raises LearningError with what it refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(PATIENCE)
        try:
            link.connect(str(path_of(state)))
        except OSError:
            return None
        try:
            link.sendall(framed(pack(request)))
            with link.makefile("rb") as file:
                (length,) = HEAD.unpack(file.read(HEAD.size))
                return _result(file.read(length))
        except (OSError, struct.error) as error:
            raise LearningError("the learning process broke off") from error


async def ask_async(state: Path, request: Request) -> Result:
    """As `ask`, on an event loop."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(path_of(state)))
            try:
                writer.write(framed(pack(request)))
                await writer.drain()
                return _result(await read(reader) or b"")
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise LearningError("Learning is not available now") from error


def framed(payload: bytes) -> bytes:
    return HEAD.pack(len(payload)) + payload


async def read(reader: asyncio.StreamReader) -> bytes | None:
    """One frame's payload, None when nothing came; raises IncompleteReadError, or OSError when it is too long."""
    try:
        head = await reader.readexactly(HEAD.size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    (length,) = HEAD.unpack(head)
    if length > LARGEST:
        raise OSError("the frame is too long")
    return await reader.readexactly(length)


def _result(payload: bytes) -> Result:
    try:
        answer = unpack(payload, Answer)
    except CodecError as error:
        raise LearningError("the learning process was not understood") from error
    if answer.result is None:
        raise LearningError(answer.error)
    return answer.result
