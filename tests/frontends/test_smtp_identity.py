"""What a trusted peer may say of its client: XCLIENT, XFORWARD and PROXY, by their own documents."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.frontends.proxy import SIGNATURE, Proxied, ProxyError, parse_v1, read_proxy
from filterd.frontends.smtp.identity import (
    XCLIENT_ATTRIBUTES,
    XFORWARD_ATTRIBUTES,
    Said,
    parse_attributes,
)
from filterd.reply import Reply


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (
            "NAME=spike.example ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP HELO=spike",
            Said("192.0.2.7", "spike.example", "spike", 4711, "ESMTP"),
        ),
        ("ADDR=IPV6:2001:db8::1", Said("2001:db8::1")),
        ("addr=ipv6:2001:DB8::1", Said("2001:db8::1")),
        ("NAME=[UNAVAILABLE] ADDR=192.0.2.7", Said("192.0.2.7")),
        ("NAME=[TEMPUNAVAIL] ADDR=[UNAVAILABLE]", Said()),
        ("HELO=a+2Bb", Said(helo="a+b")),
        ("IDENT=3F2A SOURCE=LOCAL", Said(queue_id="3F2A", local=True)),
        ("IDENT=3F2A SOURCE=REMOTE", Said(queue_id="3F2A")),
    ],
)
def test_xforward(argument: str, said: Said) -> None:
    assert parse_attributes(argument, XFORWARD_ATTRIBUTES, Said()) == said


def test_attributes_add_up() -> None:
    first = parse_attributes("NAME=a.example ADDR=192.0.2.7", XCLIENT_ATTRIBUTES, Said())
    assert isinstance(first, Said)
    second = parse_attributes("ADDR=192.0.2.8 LOGIN=joe DESTADDR=192.0.2.1", XCLIENT_ATTRIBUTES, first)
    assert second == Said("192.0.2.8", "a.example", user="joe")


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "NAME",
        "COLOR=red",
        "LOGIN=joe",
        "ADDR=192.0.2.300",
        "ADDR=nonsense",
        "PORT=70000",
        "PORT=x",
        "HELO=a+0D+0ARSET",
        "HELO=a+20b",
        "NAME=+00",
        "NAME=" + "x" * 256,
    ],
)
def test_refused_attributes(argument: str) -> None:
    reply = parse_attributes(argument, XFORWARD_ATTRIBUTES, Said())
    assert isinstance(reply, Reply)
    assert reply.code == 501


def read(data: bytes) -> tuple[Proxied, bytes]:
    """What a header says, and what it left unread."""
    left = bytearray(data)

    async def receive(size: int) -> bytes:
        taken = bytes(left[:size])
        del left[:size]
        return taken

    return asyncio.run(read_proxy(receive)), bytes(left)


def v2(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes((0x20 | command, family)) + len(rest).to_bytes(2, "big") + rest


V4 = ipaddress.ip_address("192.0.2.7").packed + bytes(4) + (4711).to_bytes(2, "big") + bytes(2)
V6 = ipaddress.ip_address("2001:db8::1").packed + bytes(16) + (4711).to_bytes(2, "big") + bytes(2)


@pytest.mark.parametrize(
    ("header", "proxied"),
    [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\n", Proxied("192.0.2.7", 4711)),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\n", Proxied("2001:db8::1", 4711)),
        (b"PROXY UNKNOWN\r\n", Proxied()),
        (b"PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n", Proxied()),
        (v2(1, 0x11, V4), Proxied("192.0.2.7", 4711)),
        (v2(1, 0x11, V4 + b"\x04\x00\x03abc"), Proxied("192.0.2.7", 4711)),
        (v2(1, 0x21, V6), Proxied("2001:db8::1", 4711)),
        (v2(0, 0x00, b""), Proxied(itself=True)),
        (v2(1, 0x00, b""), Proxied()),
        (v2(1, 0x31, bytes(216)), Proxied()),
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 25\r\n", Proxied("192.0.2.7", 4711)),
        (v2(1, 0x21, ipaddress.ip_address("::ffff:192.0.2.7").packed + V6[16:]), Proxied("192.0.2.7", 4711)),
        (v2(0, 0x11, V4), Proxied(itself=True)),
        (v2(0, 0x00, b"\xee\xff\xff" * 100), Proxied(itself=True)),
        (v2(1, 0x12, V4), Proxied()),
        (v2(1, 0x22, V6), Proxied()),
        (v2(1, 0x32, bytes(216)), Proxied()),
        (v2(1, 0x00, b"\x03\x00\x04\0\0\0\0"), Proxied()),
        (v2(1, 0x11, V4 + b"\x04\xff\xffno such length"), Proxied("192.0.2.7", 4711)),
        (v2(1, 0x11, V4 + bytes(4084)), Proxied("192.0.2.7", 4711)),
    ],
)
def test_proxy_headers(header: bytes, proxied: Proxied) -> None:
    assert read(header + b"EHLO x\r\n") == (proxied, b"EHLO x\r\n")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"EHLO client.example\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 25\r\n",
        b"PROXY TCP4 nonsense 198.51.100.1 4711 25\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY  TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 " + b"1" * 200 + b"\r\n",
        SIGNATURE,
        SIGNATURE + b"\x21\x11\xff\xff" + bytes(100),
        v2(1, 0x11, V4[:11]),
        v2(2, 0x11, V4),
        SIGNATURE + b"\x11\x11\x00\x0c" + V4,
        b"PROXY TCP6 fe80::1%eth0 ::1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 26\r\n",
        b"proxy TCP4 192.0.2.7 198.51.100.1 4711 25\r\n",
        v2(1, 0x21, V6[:35]),
        v2(1, 0x31, bytes(215)),
        v2(1, 0x12, V4[:11]),
        v2(1, 0x41, bytes(216)),
        v2(1, 0x13, V4),
        v2(1, 0x11, V4 + bytes(4085)),
        SIGNATURE + b"\x21\x11\x00",
    ],
)
def test_refused_proxy_headers(header: bytes) -> None:
    with pytest.raises(ProxyError):
        read(header)


@given(st.binary(max_size=120))
def test_a_proxy_line_raises_nothing_else(data: bytes) -> None:
    for read_it in (lambda: parse_v1(data), lambda: read(data), lambda: read(SIGNATURE + data)):
        try:
            read_it()
        except ProxyError:
            continue
