"""The demo's name server: one small zone on loopback over UDP, so that the demo asks nobody outside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

TTL = 300

Zone = Mapping[str, Sequence[str]]  # name -> records, each "TYPE data" as in a zone file


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone; what is not in it does not exist."""

    def __init__(self, zone: Zone) -> None:
        self._records: dict[dns.name.Name, dict[str, list[str]]] = {}
        for name, records in zone.items():
            kinds = self._records.setdefault(dns.name.from_text(name), {})
            for record in records:
                kind, _, data = record.partition(" ")
                kinds.setdefault(kind, []).append(data)
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def start(cls, zone: Zone) -> tuple[NameServer, str]:
        """A running server, and its address."""
        loop = asyncio.get_running_loop()
        transport, server = await loop.create_datagram_endpoint(lambda: cls(zone), ("127.0.0.1", 0))
        host, port = transport.get_extra_info("sockname")
        return server, f"{host}:{port}"

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            query = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return
        if self._transport is not None and query.question:
            self._transport.sendto(self._answer(query).to_wire(), addr)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        question = query.question[0]
        name = question.name.canonicalize()
        kinds = self._records.get(name)
        data = (kinds or {}).get(dns.rdatatype.to_text(question.rdtype))
        if data:
            response.answer.append(dns.rrset.from_text_list(question.name, TTL, "IN", question.rdtype, data))
            return response
        if kinds is None and not any(known.is_subdomain(name) for known in self._records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        soa = f"ns.{name} hostmaster.{name} 1 3600 600 86400 {TTL}"
        response.authority.append(dns.rrset.from_text(name, TTL, "IN", "SOA", soa))
        return response
