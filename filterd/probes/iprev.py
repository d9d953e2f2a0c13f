"""Reverse DNS of the origin, confirmed by forward DNS (RFC 8601 section 3)."""

from __future__ import annotations

import asyncio
import ipaddress

from filterd.authentication import AuthResult
from filterd.facts import DnsStatus, Iprev, Questions
from filterd.net.dns import Asks
from filterd.net.wire import Kind
from filterd.probes.probe import Net

_MAX_NAMES = 4  # more than one is rare; RFC 8601 section 3 lets us choose a limit


async def iprev(questions: Questions, net: Net) -> Iprev | None:
    """None when it was not asked. The names are the confirmed ones first, then the claimed ones."""
    if not questions.reverse:
        return None
    reverse = await net.dns.ptr(questions.reverse)
    if reverse.status is DnsStatus.TEMPERROR:
        return Iprev(AuthResult.TEMPERROR, (), reverse.reason)
    if reverse.status is not DnsStatus.OK:
        return Iprev(AuthResult.PERMERROR, (), "no reverse name")
    names = reverse.texts[:_MAX_NAMES]
    checked = await asyncio.gather(*(_leads_to(name, questions.reverse, net.dns) for name in names))
    confirmed = [name for name, result in zip(names, checked, strict=True) if result is AuthResult.PASS]
    if confirmed:
        return Iprev(AuthResult.PASS, tuple(dict.fromkeys((*confirmed, *names))))
    if AuthResult.TEMPERROR in checked:
        return Iprev(AuthResult.TEMPERROR, names, "forward look-up failed")
    return Iprev(AuthResult.FAIL, names, "no reverse name leads back to the address")


async def _leads_to(name: str, address: str, dns: Asks) -> AuthResult:
    ip = ipaddress.ip_address(address)
    answer = await dns.lookup(name, Kind.A if ip.version == 4 else Kind.AAAA)
    if answer.status is DnsStatus.TEMPERROR:
        return AuthResult.TEMPERROR
    return AuthResult.PASS if str(ip) in answer.texts else AuthResult.FAIL
