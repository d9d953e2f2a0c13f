"""The HTTP door as a server: routes, keep-alive, bounds, and what is not HTTP."""

from __future__ import annotations

import asyncio
import os

import pytest

from filterd.frontends.http import Answer
from tests.frontends.advising import MAIL, Verdicts, ask, http, opened


async def _good() -> Answer:
    return Answer(200, "text/plain", b"well")


async def _broken() -> Answer:
    raise RuntimeError("secret detail")


ROUTES = {"/good": _good, "/broken": _broken}
HOST = b"Host: x\r\n"
CLOSE = b"Connection: close\r\n"


def answer(request: bytes, *, shut: bool = True, **how: object) -> bytes:
    async def run() -> bytes:
        async with opened(http(ROUTES, **how)) as port:  # type: ignore[arg-type]
            return await ask(port, request, shut=shut)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /good?x=1 HTTP/1.1\r\n" + HOST + b"\r\n", b"200"),
        (b"GET /good HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /ping HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n", b"404"),
        (b"GET /good HTTP/1.1\r\n\r\n", b"400"),  # RFC 9112 section 3.2: Host is required
        (b"POST /good HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello", b"405"),
        (b"GET /checkv2 HTTP/1.0\r\n\r\n", b"405"),
        (b"GET /learnspam HTTP/1.0\r\n\r\n", b"405"),
        (b"EHLO mx.example.org\r\n\r\n", b"400"),
        (b"GET /broken HTTP/1.0\r\n\r\n", b"500"),
        (b"\x00\xff\xfe\r\n\r\n", b"400"),
        (b"GET /good HTT", b"400"),
        (b"POST /checkv2 HTTP/1.0\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"POST /checkv2 HTTP/1.0\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"400"),
        (b"POST /checkv2 HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST /checkv2 HTTP/1.0\r\nContent-Length: 50\r\n\r\nshort", b"400"),
        (b"POST /checkv2 HTTP/1.0\r\nContent-Length: 0\r\n\r\n", b"400"),
        (b"GET http://localhost:11334/good?x=1 HTTP/1.1\r\n" + HOST + b"\r\n", b"200"),  # RFC 9112 section 3.2.2
        # RFC 9112 section 6.3: two lengths may be an attempt at smuggling
        (
            b"POST /checkv2 HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n",
            b"400",
        ),
    ],
)
def test_answers(request_: bytes, status: bytes) -> None:
    found = answer(request_)
    assert found.split(b" ")[1] == status
    assert b"secret" not in found


def test_head_has_no_body() -> None:
    found = answer(b"HEAD /good HTTP/1.0\r\n\r\n")
    assert b"Content-Length: 4" in found
    assert found.endswith(b"\r\n\r\n")


def test_a_connection_serves_many_requests_also_pipelined() -> None:
    one = b"GET /good HTTP/1.1\r\n" + HOST + b"\r\n"
    post = b"POST /checkv2 HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(MAIL) + MAIL
    found = answer(one * 20 + post * 3 + one)
    assert found.count(b"HTTP/1.1 200 OK") == 24


def test_keep_alive() -> None:
    async def run() -> None:
        async with opened(http(ROUTES)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(3):
                writer.write(b"GET /good HTTP/1.1\r\n" + HOST + b"\r\n")
                assert (await reader.readuntil(b"well")).startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()

    asyncio.run(run())


def test_chunks_and_a_client_that_waits_for_100_continue() -> None:
    async def run() -> None:
        filter = Verdicts()
        async with opened(http(filter=filter)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" + CLOSE)
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            for piece in (MAIL[:7], MAIL[7:]):
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            writer.write(b"0\r\n\r\n")
            assert b" 200 OK" in await reader.read()
            assert filter.seen[0][1] == MAIL
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "asked",
    [
        b"POST /checkv2 HTTP/1.0\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000),
        b"POST /checkv2 HTTP/1.0\r\nContent-Length: 99999999999999\r\n\r\n",
        b"POST /checkv2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"2000\r\n"
        + bytes(0x2000)
        + b"\r\n",
    ],
)
def test_a_body_over_the_limit_is_refused_unread(asked: bytes) -> None:
    filter = Verdicts()
    assert b" 413 " in answer(asked, filter=filter, settings={"body_size": 5000})
    assert not filter.seen


def test_an_endless_head_is_cut() -> None:
    assert answer(b"GET /good HTTP/1.1\r\n" + b"X: " + b"x" * 1_000_000)[:13] in (b"", b"HTTP/1.1 431 ")
    assert answer(b"GET /" + b"x" * 1_000_000, shut=False) == b""


def test_a_thousand_recipients_fit() -> None:
    filter = Verdicts()
    names = [f"{'r' * 40}{number}@example.org" for number in range(1000)]
    head = "".join(f"Rcpt: <{name}>\r\n" for name in names).encode()
    asked = b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n" % len(MAIL) + head + b"\r\n" + MAIL
    assert b" 200 OK" in answer(asked, filter=filter)
    assert [one.address for one in filter.seen[0][0].recipients] == names


def test_one_recipient_too_many_is_refused() -> None:
    asked = (
        b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n" % len(MAIL) + b"Rcpt: a@b.example\r\n" * 3 + b"\r\n" + MAIL
    )
    assert b" 503 " in answer(asked, limits={"recipients": 2})


def test_random_bytes_harm_nobody_else_and_no_descriptor_stays() -> None:
    async def run() -> tuple[int, int]:
        async with opened(http(ROUTES)) as port:
            good = b"GET /good HTTP/1.1\r\n" + HOST + b"\r\n"
            scan = b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(MAIL) + MAIL
            await ask(port, good, shut=True)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(50):
                asked = (os.urandom(300), good, scan, scan[:-5])
                await asyncio.gather(*(ask(port, one, shut=True) for one in asked * 5))
            assert b"well" in await ask(port, good, shut=True)
            await asyncio.sleep(0.1)
            return before, len(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(run())
    assert after <= before + 2


def test_idle_connections_make_room() -> None:
    async def run() -> None:
        async with opened(http(ROUTES, limits={"connections": 20})) as port:
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            await asyncio.sleep(0.3)  # then they are idle, and not just about to speak
            async with asyncio.timeout(5):
                assert b"well" in await ask(port, b"GET /good HTTP/1.0\r\n\r\n")
            for _, writer in idle:
                writer.close()

    asyncio.run(run())


def test_a_body_that_drips_is_cut() -> None:
    async def run() -> None:
        async with opened(http(limits={"data_window": 0.2, "data_rate": 5000})) as port, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /checkv2 HTTP/1.0\r\nContent-Length: 5000\r\n\r\n")
            try:
                for _ in range(20):
                    writer.write(b"x")
                    await asyncio.sleep(0.05)
                found = await reader.read()
            except ConnectionError:
                found = b""
            assert found == b""
            writer.close()

    asyncio.run(run())
