"""One name server: ask it once, over UDP and then TCP where that is needed, and know whether it is alive.

In: a query packet. Out: the packet that answers it, or None when none came in time; nothing is raised.
Every UDP query has a socket of its own, so that its port is random and the kernel drops what other hosts
send. What arrives on it with another id or question is not an answer, and the waiting goes on; an answer
that spells the question otherwise (some forwarders do) is asked for again over TCP, which cannot be forged
blindly.

A server that has not answered several queries in a row is asked for the root. Only if that fails too is it
down; it is then asked for the root now and again until it answers, and gets no other queries meanwhile. So
a domain whose own servers are silent cannot make ours look dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from dataclasses import dataclass

from filterd.net import wire

PORT = 53
ASK_STREAM = b""
_PATIENCE = 3  # unanswered queries in a row that raise doubt
_PROBE_SECONDS = 1.0
_NEWEST = 0.05  # how much the newest answer counts in the time that answers take
_PROBE_PAUSES = (0.5, 1.0, 2.0, 4.0)  # between probes of a server that is down; the last one repeats


@dataclass(frozen=True, slots=True)
class Address:
    host: str  # an IP address, maybe with a zone ("fe80::1%eth0")
    port: int = PORT

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `127.0.0.1`, `127.0.0.1:5353`, `::1`, `[::1]:5353`; raises ValueError."""
        host, port = text.strip(), str(PORT)
        if host.startswith("["):
            host, bracket, rest = host[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise ValueError(f"not an address of a name server: {text!r}")
            port = rest[1:] or port
        elif host.count(":") == 1:
            host, _, port = host.partition(":")
        ipaddress.ip_address(host)  # a name would have to be looked up, which is what we are for
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"not a port: {port!r}")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(slots=True)
class ServerCounts:
    """What became of the queries that one server was sent."""

    asked: int = 0
    silent: int = 0  # no answer came in time
    failed: int = 0  # SERVFAIL, REFUSED and their kin
    forged: int = 0  # packets that came in place of an answer


class Server:
    """A name server and what we know of its health."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.alive = True
        self.counts = ServerCounts()
        self.seconds = 0.0  # that an answer takes of late; 0 before the first
        self._family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        host, _, zone = address.host.partition("%")
        scope = socket.if_nametoindex(zone) if zone else 0
        self._sockaddr: tuple[str, int] | tuple[str, int, int, int]
        self._sockaddr = (host, address.port, 0, scope) if scope else (host, address.port)
        self._unanswered = 0
        self._watch: asyncio.Task[None] | None = None

    async def ask(self, query: bytes, question: bytes, seconds: float) -> bytes | None:
        """The reply to `query` over UDP, waiting at most `seconds`; ASK_STREAM: it must be asked over TCP."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.counts.asked += 1
        packet = await self._datagram(query, question, seconds)
        if packet is not None:
            self._unanswered = 0
            taken = loop.time() - started
            self.seconds += (taken - self.seconds) * _NEWEST if self.seconds else taken
        else:
            self.counts.silent += 1
            self._unanswered += 1
            if self._unanswered >= _PATIENCE and self._watch is None:
                self._watch = loop.create_task(self._probe())
        return packet

    async def ask_stream(self, query: bytes, question: bytes, seconds: float) -> bytes | None:
        """The reply to `query` over TCP, waiting at most `seconds` (RFC 7766)."""
        writer = None
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(*self._sockaddr[:2], family=self._family)
                writer.write(len(query).to_bytes(2) + query)
                packet = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return None
        finally:
            if writer is not None:
                writer.close()
        return packet if wire.replies_to(packet, query, question, spelling=False) else None

    async def aclose(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch

    async def _datagram(self, query: bytes, question: bytes, seconds: float) -> bytes | None:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes | None] = loop.create_future()
        try:
            sock = socket.socket(self._family, socket.SOCK_DGRAM)
            sock.setblocking(False)
        except OSError:  # out of descriptors
            return None

        def receive() -> None:
            try:
                packet = sock.recv(65535)
            except BlockingIOError:
                return
            except OSError:  # such as "connection refused": nobody listens there
                settle(None)
                return
            if wire.replies_to(packet, query, question):
                settle(packet)
            elif wire.replies_to(packet, query, question, spelling=False):
                settle(ASK_STREAM)
            else:
                self.counts.forged += 1

        def settle(packet: bytes | None) -> None:
            if not answered.done():
                answered.set_result(packet)

        try:
            sock.connect(self._sockaddr)
            sock.send(query)
        except OSError:
            sock.close()
            return None
        descriptor = sock.fileno()
        loop.add_reader(descriptor, receive)
        timer = loop.call_later(seconds, settle, None)
        try:
            return await answered
        finally:
            timer.cancel()
            loop.remove_reader(descriptor)
            sock.close()

    async def _probe(self) -> None:
        """Find out whether the server is alive, and if it is not, wait until it is."""
        pauses = iter(_PROBE_PAUSES)
        pause = 0.0
        while True:
            query, question = wire.encode_query(b"\x00", wire.Kind.SOA)
            self.alive = await self._datagram(query, question, _PROBE_SECONDS) is not None
            if self.alive:
                break
            pause = next(pauses, pause)
            await asyncio.sleep(pause)
        self._unanswered = 0
        self._watch = None
