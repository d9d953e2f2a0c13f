"""The HTTP door against what Prometheus and load balancers ask, and against what they do not."""

from __future__ import annotations

import asyncio
import socket

import pytest

from filterd.frontends.http import Answer, HttpDoor


async def _good() -> Answer:
    return Answer(200, "text/plain", b"well")


async def _broken() -> Answer:
    raise RuntimeError("secret detail")


async def _ask(request: bytes) -> bytes:
    door = HttpDoor({"/good": _good, "/broken": _broken})
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    await door.start([listening])
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()
        door.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /good?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
        (b"GET /nothing HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /good HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"405"),
        (b"EHLO mx.example.org\r\n\r\n", b"400"),
        (b"GET /broken HTTP/1.0\r\n\r\n", b"500"),
        (b"\x00\xff\xfe\r\n\r\n", b"400"),
    ],
)
def test_answers(request_: bytes, status: bytes) -> None:
    answer = asyncio.run(_ask(request_))
    assert answer.split(b" ")[1] == status
    assert b"secret" not in answer


def test_head_has_no_body() -> None:
    answer = asyncio.run(_ask(b"HEAD /good HTTP/1.1\r\n\r\n"))
    assert b"Content-Length: 4" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_an_endless_head_is_cut() -> None:
    assert asyncio.run(_ask(b"GET /good HTTP/1.1\r\n" + b"X: " + b"x" * 100_000)) == b""
