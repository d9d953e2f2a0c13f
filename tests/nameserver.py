"""A real name server on loopback, over UDP and TCP, that says what a test wants it to say.

    with NameServer({"example.org": [{"TXT": "v=spf1 -all"}, {"MX": [10, "mx.example.org"]}]}) as server:
        dns = Dns(DnsSettings(servers=(server.address,)))
        ...
        assert server.count("example.org", "TXT") == 1

A zone is a dict of names, each with a list of records: `{"A": "192.0.2.1"}`, `{"AAAA": "2001:db8::1"}`,
`{"TXT": "text"}` or `{"TXT": ["two", "strings"]}`, `{"MX": [10, "host"]}`, `{"PTR": "name"}`, `{"CNAME":
"name"}`,
`{"NS": "name"}`. It is plain data, so it can be a JSON case file (`NameServer.from_file`). Instead of a
record there may be a word; it holds for the kinds of record that the name does not have:

    "TIMEOUT"   says nothing                       "SERVFAIL", "REFUSED"   fails in that way
    "TRUNCATE"  a truncated reply over UDP, so that TCP is needed (this one holds for every kind)
    "FORGE"     first packets with a wrong id, with a wrong question, cut off and empty; then the truth
    "FOLD"      spells the question in lower case  "GARBAGE"   a reply that ends in the middle of a record

and `{"TTL": 5}`, `{"DELAY": 0.3}` (seconds). A name that the zone does not have is NXDOMAIN, one that has
no record of the kind is NODATA; both come with a SOA whose minimum is `negative_ttl`, or without one when
that is None. While
`silent` is true nothing is answered. `queries` lists all that was asked, in order, and may be cleared.
"""

from __future__ import annotations

import json
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from dnslib import QTYPE, RCODE, RD, RR, SOA, DNSError, DNSHeader, DNSLabel, DNSRecord
from dnslib.dns import AAAA, CNAME, MX, NS, PTR, TXT, A

Zone = dict[str, list[Any]]
_WORDS = frozenset(("TIMEOUT", "SERVFAIL", "REFUSED", "TRUNCATE", "FORGE", "FOLD", "GARBAGE"))
_KINDS: dict[str, Any] = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "NS": NS, "PTR": PTR}


class Query(NamedTuple):
    name: str  # lower case, no final dot
    kind: str
    transport: str  # "udp" or "tcp"


class NameServer:
    """Answers from `zone`, which may be changed while it runs."""

    def __init__(self, zone: Zone | None = None, *, negative_ttl: int | None = 60) -> None:
        self.zone: Zone = {} if zone is None else zone
        self.negative_ttl = negative_ttl
        self.silent = False
        self.queries: list[Query] = []
        self._udp, self._tcp = _sockets()
        self._host, self._port = self._udp.getsockname()
        self._delayed: list[tuple[float, bytes, Any]] = []  # (when, packet, client)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @classmethod
    def from_file(cls, path: Path) -> NameServer:
        """From a JSON file that holds a zone."""
        return cls(json.loads(path.read_text("utf-8")))

    @property
    def address(self) -> str:
        """As `dns.servers` in the config wants it."""
        return f"{self._host}:{self._port}"

    def count(self, name: str | None = None, kind: str | None = None, transport: str | None = None) -> int:
        """How many queries there were, of that name, kind and transport where they are given."""
        wanted = (name, kind, transport)
        return sum(all(want in (None, got) for want, got in zip(wanted, query, strict=True)) for query in self.queries)

    def start(self) -> NameServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.send(b".")
        self._thread.join()
        for sock in (self._udp, self._tcp, self._stop, self._stopped):
            sock.close()

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            for sock in (self._udp, self._tcp, self._stopped):
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(self._send_due()):
                    if key.fileobj is self._stopped:
                        return
                    self._datagram() if key.fileobj is self._udp else self._stream()

    def _datagram(self) -> None:
        packet, client = self._udp.recvfrom(4096)
        for delay, reply in self._replies(packet, "udp"):
            self._delayed.append((time.monotonic() + delay, reply, client))

    def _send_due(self) -> float | None:
        """Send what is due; seconds until the next is."""
        now = time.monotonic()
        for due in [one for one in self._delayed if one[0] <= now]:
            self._udp.sendto(*due[1:])
            self._delayed.remove(due)
        return min((one[0] for one in self._delayed), default=now) - now if self._delayed else None

    def _stream(self) -> None:
        connection, _ = self._tcp.accept()
        with connection:
            connection.settimeout(5)
            try:
                size = int.from_bytes(_exactly(connection, 2))
                for delay, reply in self._replies(_exactly(connection, size), "tcp"):
                    time.sleep(delay)
                    connection.sendall(len(reply).to_bytes(2) + reply)
            except OSError:
                return

    def _replies(self, packet: bytes, transport: str) -> list[tuple[float, bytes]]:
        """What is sent for a query: (delay in seconds, packet) each."""
        try:
            request = DNSRecord.parse(packet)
        except DNSError:
            return []
        name = b".".join(request.q.qname.label).decode("latin-1").lower()
        kind = QTYPE.get(request.q.qtype)
        self.queries.append(Query(name, kind, transport))
        if self.silent:
            return []
        records, words = self._entry(name)
        has = any(kind in record or "CNAME" in record for record in records)
        delay = next((float(record["DELAY"]) for record in records if "DELAY" in record), 0.0)
        if not has and "TIMEOUT" in words:
            return []
        if not has and (failure := words & {"SERVFAIL", "REFUSED"}):
            reply = _reply_to(request)
            reply.header.rcode = getattr(RCODE, failure.pop())
            return [(delay, reply.pack())]
        truth = self._answer(request, name, kind)
        size = 65535 if transport == "tcp" else 1232
        wire = truth.pack()
        if transport == "udp" and ("TRUNCATE" in words or len(wire) > size):
            truncated = _reply_to(request)
            truncated.header.tc = 1
            wire = truncated.pack()
        return [(delay, one) for one in _tampered(wire, words, transport)]

    def _entry(self, name: str) -> tuple[list[dict[str, Any]], set[str]]:
        """The records and the words of a name."""
        entry = self.zone.get(name, [])
        words = {one for one in entry if isinstance(one, str)}
        if unknown := words - _WORDS:
            raise ValueError(f"words that no zone has: {unknown}")
        return [one for one in entry if not isinstance(one, str)], words

    def _answer(self, request: DNSRecord, name: str, kind: str) -> DNSRecord:
        reply = _reply_to(request)
        for _ in range(10):
            records, _ = self._entry(name)
            ttl = next((record["TTL"] for record in records if "TTL" in record), 300)
            own = [record[kind] for record in records if kind in record]
            alias = next((record["CNAME"] for record in records if "CNAME" in record), None)
            for value in own:
                reply.add_answer(RR(DNSLabel(name), getattr(QTYPE, kind), ttl=ttl, rdata=_data(kind, value)))
            if own or alias is None:
                break
            reply.add_answer(RR(DNSLabel(name), QTYPE.CNAME, ttl=ttl, rdata=CNAME(alias)))
            name = alias.rstrip(".").lower()
        if not reply.rr or reply.rr[-1].rtype != getattr(QTYPE, kind, 0):
            if not any(known == name or known.endswith("." + name) for known in map(str.lower, self.zone)):
                reply.header.rcode = RCODE.NXDOMAIN
            if self.negative_ttl is not None:
                times = (1, 1, 1, 1, self.negative_ttl)
                soa = SOA("ns.test.", "hostmaster.test.", times)
                reply.add_auth(RR("test.", QTYPE.SOA, ttl=3600, rdata=soa))
        return reply


def _sockets() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one free port of loopback."""
    for _ in range(50):
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            tcp.close()
            udp.close()
            continue
        return udp, tcp
    raise OSError("no port of loopback is free for both UDP and TCP")


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise OSError("the connection ended")
        data += piece
    return data


def _reply_to(request: DNSRecord) -> DNSRecord:
    header = DNSHeader(id=request.header.id, bitmap=request.header.bitmap, qr=1, ra=1)
    return DNSRecord(header, q=request.q)


def _data(kind: str, value: Any) -> RD:
    if kind == "TXT":
        strings = [value] if isinstance(value, str) else value
        pieces = [
            text[at : at + 255]
            for text in (string.encode("utf-8", "surrogateescape") for string in strings)
            for at in range(0, max(len(text), 1), 255)
        ]
        return TXT(pieces or [b""])
    if kind == "MX":
        return MX(value[1] or ".", int(value[0]))
    return _KINDS[kind](value)


def _tampered(wire: bytes, words: set[str], transport: str) -> list[bytes]:
    """The packets that are sent where the truth is `wire`."""
    if transport == "tcp":
        return [wire]
    if "GARBAGE" in words:
        return [wire[:-3]]
    if "FOLD" in words:
        end = wire.index(b"\0", 12)
        return [wire[:12] + wire[12:end].lower() + wire[end:]]
    if "FORGE" in words:
        wrong_id = bytes((wire[0] ^ 0xFF,)) + wire[1:]
        wrong_question = wire[:13] + bytes((wire[13] ^ 0x01,)) + wire[14:]
        return [wrong_id, wrong_question, wrong_question[:20], b"", wire]
    return [wire]
