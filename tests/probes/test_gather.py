"""Gathering: all probes at once, one deadline, failures as facts; and the small probes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from filterd.authentication import AuthResult
from filterd.facts import DnsStatus, Facts, Iprev, Questions, SpfQuestion
from filterd.mail import Origin, Source
from filterd.net import Dns, DnsSettings
from filterd.probes import PROBES, Net, Probe, gather
from tests.nameserver import NameServer, Zone

ORIGIN = Origin("192.0.2.1", helo="mx.example.org", source=Source.PEER)
SPF = (
    SpfQuestion("mailfrom", "example.org", "a@example.org"),
    SpfQuestion("helo", "mx.example.org", "postmaster@mx.example.org"),
)


def facts(server: NameServer, deadline: float = 10, probes: Any = PROBES, timeout: float = 0.5, **asked: Any) -> Facts:
    async def main() -> Facts:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=timeout))
        try:
            return await gather(Questions(origin=ORIGIN, **asked), dns, deadline, probes)
        finally:
            await dns.aclose()

    return asyncio.run(main())


def test_all_that_was_asked_is_answered() -> None:
    zone: Zone = {
        "example.org": [{"TXT": "v=spf1 mx -all"}, {"MX": [10, "mx.example.org"]}],
        "mx.example.org": [{"A": "192.0.2.1"}],
        "1.2.0.192.in-addr.arpa": [{"PTR": "mx.example.org"}],
        "_dmarc.example.org": [{"TXT": "v=DMARC1; p=none"}],
    }
    asked = {"txt": ("_dmarc.example.org", "_dmarc.org"), "exists": ("example.org", "gone.example")}
    with NameServer(zone) as server:
        found = facts(server, spf=SPF, reverse="192.0.2.1", **asked)
    assert [answer.result for answer in found.spf] == [AuthResult.PASS, AuthResult.NONE]
    assert found.txt["_dmarc.example.org"].records == (b"v=DMARC1; p=none",)
    assert found.txt["_dmarc.org"].status is DnsStatus.NXDOMAIN
    assert found.exists == {"example.org": DnsStatus.OK, "gone.example": DnsStatus.NXDOMAIN}
    assert found.iprev == Iprev(AuthResult.PASS, ("mx.example.org",))
    assert found.failed == {}


def test_nothing_asked_is_nothing_done() -> None:
    with NameServer() as server:
        assert facts(server) == Facts()
        assert server.count() == 0


def test_a_silent_resolver_ends_in_time_with_what_is_known() -> None:
    zone: Zone = {"fast.example": [{"TXT": "x"}], "slow.example": ["TIMEOUT"]}
    with NameServer(zone) as server:
        start = time.monotonic()
        found = facts(server, 0.4, timeout=30, spf=SPF, txt=("fast.example", "slow.example"), reverse="192.0.2.9")
        assert time.monotonic() - start < 3
        assert found.txt["fast.example"].records == (b"x",)
        assert found.txt["slow.example"].status is DnsStatus.TEMPERROR
        assert found.failed == {}
        server.silent = True
        found = facts(server, 0.3, timeout=30, spf=SPF, txt=("other.example",), reverse="192.0.2.9")
    assert {answer.result for answer in found.spf} == {AuthResult.TEMPERROR}
    assert found.iprev is not None
    assert found.iprev.result is AuthResult.TEMPERROR


def test_probes_that_fail_or_hang_are_named() -> None:
    async def fails(questions: Questions, net: Net) -> Any:
        raise RuntimeError("boom")

    async def hangs(questions: Questions, net: Net) -> Any:
        await asyncio.sleep(60)

    async def works(questions: Questions, net: Net) -> Any:
        return {"x": DnsStatus.OK}

    with NameServer() as server:
        found = facts(server, 0.2, (Probe("spf", fails), Probe("txt", hangs), Probe("exists", works)))
    assert found == Facts(exists={"x": DnsStatus.OK}, failed={"spf": "RuntimeError: boom", "txt": "timeout"})


def test_who_stops_waiting_leaves_nothing_behind() -> None:
    async def main(address: str) -> None:
        dns = Dns(DnsSettings(servers=(address,), timeout=30))
        asked = asyncio.create_task(gather(Questions(origin=ORIGIN, spf=SPF, txt=("a.example",)), dns, 30))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await dns.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with NameServer() as server:
        server.silent = True
        asyncio.run(main(server.address))


@pytest.mark.parametrize(
    ("zone", "result"),
    [
        ({}, AuthResult.PERMERROR),
        ({"1.2.0.192.in-addr.arpa": ["SERVFAIL"]}, AuthResult.TEMPERROR),
        ({"1.2.0.192.in-addr.arpa": [{"PTR": "a.example"}]}, AuthResult.FAIL),
        ({"1.2.0.192.in-addr.arpa": [{"PTR": "a.example"}], "a.example": ["SERVFAIL"]}, AuthResult.TEMPERROR),
        ({"1.2.0.192.in-addr.arpa": [{"PTR": "a.example"}], "a.example": [{"A": "192.0.2.2"}]}, AuthResult.FAIL),
        (
            {"1.2.0.192.in-addr.arpa": [{"PTR": "b.example"}, {"PTR": "a.example"}], "a.example": [{"A": "192.0.2.1"}]},
            AuthResult.PASS,
        ),
    ],
)
def test_iprev(zone: Zone, result: AuthResult) -> None:
    with NameServer(zone) as server:
        found = facts(server, reverse="192.0.2.1").iprev
    assert found is not None
    assert found.result is result


def test_iprev_asks_few_of_many_names() -> None:
    zone: Zone = {"1.2.0.192.in-addr.arpa": [{"PTR": f"n{n}.example"} for n in range(100)]}
    with NameServer(zone) as server:
        facts(server, reverse="192.0.2.1")
        assert server.count() <= 7


@pytest.mark.parametrize(
    ("records", "status", "queries"),
    [
        ([{"MX": [10, "m.example"]}], DnsStatus.OK, 1),
        ([{"A": "192.0.2.1"}], DnsStatus.OK, 2),
        ([{"AAAA": "2001:db8::1"}], DnsStatus.OK, 3),
        ([{"TXT": "only"}], DnsStatus.NXDOMAIN, 3),
        (["SERVFAIL"], DnsStatus.TEMPERROR, 3),
        (None, DnsStatus.NXDOMAIN, 1),
    ],
)
def test_existence(records: Any, status: DnsStatus, queries: int) -> None:
    with NameServer({} if records is None else {"d.example": records}) as server:
        assert facts(server, exists=("d.example",)).exists == {"d.example": status}
        assert server.count() == queries
