"""SPF by pyspf over our DNS client: the RFC 7208 suite over real packets, its limits as the server counts."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from filterd.authentication import AuthResult
from filterd.facts import SpfAnswer, SpfQuestion
from filterd.mail import Origin, Source
from filterd.net import Dns, DnsSettings
from filterd.probes.spf import check_host
from tests.nameserver import NameServer, Zone

SUITE = Path(__file__).parents[1] / "data" / "spf-rfc7208.jsonl"
CASES = [json.loads(line) for line in SUITE.read_text("utf-8").splitlines()]


def check(zone: Zone, address: str = "192.0.2.1", sender: str = "a@example.org", helo: str = "") -> SpfAnswer:
    with NameServer(zone) as server:
        return check_at(server, address, sender, helo)


def check_at(
    server: NameServer,
    address: str | None,
    sender: str,
    helo: str = "",
    timeout: float = 0.3,
    run: Any = asyncio.run,
) -> SpfAnswer:
    domain = sender.rpartition("@")[2] if sender else helo
    question = SpfQuestion("mailfrom" if sender else "helo", domain, sender or f"postmaster@{helo}")

    async def main() -> SpfAnswer:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=timeout))
        try:
            return await check_host(question, Origin(address, helo=helo, source=Source.PEER), dns)
        finally:
            await dns.aclose()

    answer = run(main())
    assert isinstance(answer, SpfAnswer)
    return answer


def suite_zone(zone: dict[str, list[Any]]) -> Zone:
    """The suite's way to write zones: SPF stands for TXT too, unless a TXT is there; "NONE" is none."""
    result: Zone = {}
    for name, records in zone.items():
        own_txt = any(isinstance(record, dict) and "TXT" in record for record in records)
        entry = result.setdefault(name.lower(), [])
        for record in records:
            if isinstance(record, dict) and "SPF" in record:
                if not own_txt:
                    entry.append({"TXT": record["SPF"]})
            elif not (isinstance(record, dict) and record.get("TXT") == "NONE"):
                entry.append(record)
    return result


@pytest.mark.parametrize("case", CASES, ids=[f"{case['scenario']}/{case['id']}" for case in CASES])
def test_the_rfc_7208_suite(case: dict[str, Any]) -> None:
    allowed = [case["result"]] if isinstance(case["result"], str) else case["result"]
    with NameServer(suite_zone(case["zone"])) as server:
        answer = check_at(server, case["host"], case["mailfrom"], case["helo"])
    assert answer.result.value in allowed, answer.reason


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_under_either_event_loop(run: Any) -> None:
    zone: Zone = {
        "example.org": [{"TXT": "v=spf1 include:other.example -all"}],
        "other.example": [{"TXT": "v=spf1 mx -all"}, {"MX": [10, "mx.other.example"]}],
        "mx.other.example": [{"A": "192.0.2.1"}],
    }
    with NameServer(zone) as server:
        answer = check_at(server, "192.0.2.1", "a@example.org", run=run)
        assert answer == SpfAnswer("mailfrom", "example.org", AuthResult.PASS, "include:other.example", 2)
        assert server.count("example.org") == 1


def test_an_unknown_origin_asks_nothing() -> None:
    with NameServer() as server:
        assert check_at(server, None, "a@example.org").result is AuthResult.NONE
        assert server.count() == 0


def test_servfail_is_temporary_and_no_record_is_none() -> None:
    assert check({"example.org": ["SERVFAIL"]}).result is AuthResult.TEMPERROR
    assert check({"example.org": ["TIMEOUT"]}).result is AuthResult.TEMPERROR
    assert check({"example.org": [{"TXT": "v=spf1 include:b.example -all"}], "b.example": ["SERVFAIL"]}).result is (
        AuthResult.TEMPERROR
    )
    assert check({"example.org": [{"TXT": "v=spf10"}]}).result is AuthResult.NONE
    assert check({}).result is AuthResult.NONE


def test_more_than_ten_look_ups_are_a_permerror_and_are_not_made() -> None:
    zone: Zone = {
        "example.org": [{"TXT": "v=spf1 " + " ".join(f"a:h{n}.example" for n in range(40)) + " -all"}],
        **{f"h{n}.example": [{"A": "192.0.2.77"}] for n in range(40)},
    }
    with NameServer(zone) as server:
        answer = check_at(server, "192.0.2.1", "a@example.org")
        assert answer.result is AuthResult.PERMERROR
        assert server.count() == 11


def test_more_than_two_void_look_ups_are_a_permerror() -> None:
    with NameServer({"example.org": [{"TXT": "v=spf1 a:v1.example a:v2.example a:v3.example a:v4.example ?all"}]}) as s:
        assert check_at(s, "192.0.2.1", "a@example.org").result is AuthResult.PERMERROR
        assert s.count() == 4


@pytest.mark.parametrize(
    "zone",
    [
        {"example.org": [{"TXT": "v=spf1 include:example.org -all"}]},
        {
            "example.org": [{"TXT": "v=spf1 redirect=b.example"}],
            "b.example": [{"TXT": "v=spf1 redirect=example.org"}],
        },
        {
            "example.org": [{"TXT": "v=spf1 include:b.example"}],
            "b.example": [{"TXT": "v=spf1 include:example.org"}],
        },
        {"example.org": [{"TXT": "v=spf1 mx -all"}, *({"MX": [n, f"m{n}.example"]} for n in range(80))]},
    ],
    ids=["itself", "redirect", "include", "giant-mx"],
)
def test_loops_and_giants_end_as_permerror_with_few_queries(zone: Zone) -> None:
    with NameServer(zone) as server:
        assert check_at(server, "192.0.2.1", "a@example.org", timeout=2).result is AuthResult.PERMERROR
        assert server.count() <= 12


def test_a_null_sender_is_checked_as_postmaster_at_helo() -> None:
    zone: Zone = {"mx.example.org": [{"TXT": "v=spf1 exists:%{l}.ok.example -all"}]}
    zone["postmaster.ok.example"] = [{"A": "127.0.0.2"}]
    answer = check(zone, sender="", helo="mx.example.org")
    assert (answer.identity, answer.domain, answer.result) == ("helo", "mx.example.org", AuthResult.PASS)


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "ip4:192.0.2.7 " * 4_000 + "-all",
        "v=spf1 a:" + "." + "a" * 8_000 + "! -all",
        "v=spf1 exists:" + "%{d}" * 1_000 + ".example -all",
        "v=spf1 " + "a" * 8_000,
        "v=spf1 " + "%{" * 2_000,
    ],
)
def test_a_hostile_record_is_a_quick_permerror(record: str) -> None:
    start = time.monotonic()
    assert check({"example.org": [{"TXT": record}]}).result is AuthResult.PERMERROR
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("address", ["not-an-address", "192.0.2.300", "fe80::1%eth0"])
@pytest.mark.parametrize("sender", ["@example.org", "a@b@example.org", "\0@example.org", "é%{l}@example.org"])
def test_odd_input_never_raises(address: str, sender: str) -> None:
    zone: Zone = {"example.org": [{"TXT": "v=spf1 exists:%{l}.%{p}.x.example -all"}]}
    assert check(zone, address, sender).result in (AuthResult.PERMERROR, AuthResult.FAIL)


def test_stopping_in_the_middle_unwinds_the_evaluation() -> None:
    zone: Zone = {
        "example.org": [{"TXT": "v=spf1 exp=slow.example include:slow.example -all"}],
        "slow.example": ["TIMEOUT"],
    }

    async def main(address: str) -> None:
        dns = Dns(DnsSettings(servers=(address,)))
        question = SpfQuestion("mailfrom", "example.org", "a@example.org")
        task = asyncio.create_task(check_host(question, Origin("192.0.2.1"), dns))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await dns.aclose()

    with NameServer(zone) as server:
        asyncio.run(main(server.address))
