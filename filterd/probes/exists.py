"""Whether domains exist: RFC 9989 section 3.2.13 wants a "no" to A, AAAA and MX to say that one does not."""

from __future__ import annotations

import asyncio

from filterd.facts import DnsStatus, Questions
from filterd.net.dns import Asks
from filterd.net.wire import Kind
from filterd.probes.probe import Net


async def exists(questions: Questions, net: Net) -> dict[str, DnsStatus]:
    """OK, NXDOMAIN or TEMPERROR for every domain."""
    found = await asyncio.gather(*(_exists(domain, net.dns) for domain in questions.exists))
    return dict(zip(questions.exists, found, strict=True))


async def _exists(domain: str, dns: Asks) -> DnsStatus:
    status = DnsStatus.NXDOMAIN
    for kind in (
        Kind.MX,
        Kind.A,
        Kind.AAAA,
    ):  # one after the other: nearly always the first one is the answer
        answer = await dns.lookup(domain, kind)
        if answer.status in (DnsStatus.OK, DnsStatus.NXDOMAIN):
            return answer.status  # NXDOMAIN holds for every kind (RFC 8020)
        if answer.status is DnsStatus.TEMPERROR:
            status = DnsStatus.TEMPERROR
    return status
