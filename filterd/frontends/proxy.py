"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): who connected to the proxy that
connected to us.

In: bytes from a peer that is trusted, asked for one piece at a time and never more than the header has, so
that what follows (a TLS handshake, perhaps) stays in the socket. Out: `Proxied`; raises ProxyError on
anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from filterd.value import Value

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_LONGEST = 107  # section 2.1
_V2_LONGEST = 4096  # addresses and any sensible TLVs; the field allows 65,535

_V2_ADDRESSES = {0: 0, 1: 12, 2: 36, 3: 216}  # octets of the addresses by family, of AF_UNIX too

Receive = Callable[[int], Awaitable[bytes]]  # at most so many bytes; b"" at the end


class ProxyError(ValueError):
    """That was no PROXY header."""


class Proxied(Value):
    """Whom the proxy speaks for."""

    address: str | None = None  # None: it does not say
    port: int | None = None
    itself: bool = False  # a health check of the proxy's own


async def read_proxy(receive: Receive) -> Proxied:
    """Read one header, of either version; raises ProxyError."""
    start = await _exactly(receive, len(SIGNATURE))  # the shortest header is longer
    if start == SIGNATURE:
        fixed = await _exactly(receive, 4)
        length = int.from_bytes(fixed[2:], "big")
        if length > _V2_LONGEST:
            raise ProxyError("its header is too long")
        return parse_v2(fixed[0], fixed[1], await _exactly(receive, length))
    if not start.startswith(b"PROXY "):
        raise ProxyError("it did not begin with a PROXY header")
    while not start.endswith(b"\r\n"):
        if len(start) >= _V1_LONGEST:
            raise ProxyError("its PROXY line is too long")
        start += await _exactly(receive, 1)
    return parse_v1(start[:-2])


def parse_v1(line: bytes) -> Proxied:
    """Section 2.1: `PROXY TCP4 source destination sport dport`, or `PROXY UNKNOWN ...`."""
    words = line.decode("latin-1").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return Proxied()
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("its PROXY line is malformed")
    try:
        source, target = ip_address(words[2]), ip_address(words[3])
    except ValueError as error:
        raise ProxyError("its PROXY line has a bad address") from error
    if {source.version, target.version} != {int(words[1][3])} or "%" in words[2]:
        raise ProxyError("its PROXY line mixes address families")
    ports = [int(word) for word in words[4:] if word.isascii() and word.isdigit() and int(word) <= 65535]
    if len(ports) != 2:
        raise ProxyError("its PROXY line has a bad port")
    return Proxied(plain_address(source), ports[0])


def parse_v2(version_and_command: int, family: int, rest: bytes) -> Proxied:
    """Section 2.2: the addresses stand at the start of `rest`, TLVs after them are skipped."""
    if version_and_command == 0x20:
        return Proxied(itself=True)
    if version_and_command != 0x21:
        raise ProxyError("its PROXY header has an unknown version or command")
    if family >> 4 not in _V2_ADDRESSES or family & 0x0F > 2:
        raise ProxyError("its PROXY header has an unknown address family or protocol")
    if len(rest) < _V2_ADDRESSES.get(family >> 4, 0):
        raise ProxyError("its PROXY header is cut short")
    if family == 0x11:
        return Proxied(str(IPv4Address(rest[:4])), int.from_bytes(rest[8:10], "big"))
    if family == 0x21:
        return Proxied(plain_address(IPv6Address(rest[:16])), int.from_bytes(rest[32:34], "big"))
    return Proxied()


def plain_address(ip: IPv4Address | IPv6Address) -> str:
    """As it is written everywhere; an IPv4 address within IPv6 (RFC 4291 section 2.5.5.2) is the IPv4 address."""
    return str(getattr(ip, "ipv4_mapped", None) or ip)


async def _exactly(receive: Receive, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await receive(size - len(data))
        if not more:
            raise ProxyError("it left within its PROXY header")
        data += more
    return data
