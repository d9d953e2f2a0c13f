"""Block and allow lists over a real name server: asked rightly, weighed by code, and off when they are not well."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import pytest
from pydantic import ValidationError

from filterd.checks.asked import asked
from filterd.checks.lists import Asks, ListSettings, list_check
from filterd.facts import Facts, Listing, Questions
from filterd.mail import Origin, Source
from filterd.net import Dns, DnsSettings
from filterd.probes import Lists, gather
from filterd.probes.lists import STREAK
from tests.auth.mails import mail
from tests.nameserver import NameServer, Zone

BLOCK = ListSettings(name="bad", zone="bl.test", codes={"127.0.0.2": 4.0, "127.0.0.10/31": 1.5, "&64": 2.5})
DOMAINS = ListSettings(name="names", zone="dbl.test", asks=(Asks.SENDER, Asks.LINK))
MAILBOXES = ListSettings(name="boxes", zone="ebl.test", asks=(Asks.MAILBOX,))
WELL: Zone = {
    "2.0.0.127.bl.test": [{"A": "127.0.0.2"}],
    "test.dbl.test": [{"A": "127.0.1.2"}],
}


def asking(
    zone: Zone, lists: tuple[ListSettings, ...], *, timeout: float = 0.3, times: int = 1, **questions: Any
) -> tuple[tuple[Listing, ...], Lists, NameServer]:
    """What the lists say, after their first test; the last of `times` answers."""

    async def main() -> tuple[tuple[Listing, ...], Lists]:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=timeout))
        some = Lists(lists)
        try:
            await some.test(dns)
            server.queries.clear()
            for _ in range(times):
                one = Questions(origin=Origin("203.0.113.9", source=Source.PEER), **questions)
                facts = await gather(one, dns, 5, lists=some)
            return facts.listings, some
        finally:
            await dns.aclose()

    with NameServer(zone) as server:
        return *asyncio.run(main()), server


def test_addresses_are_asked_in_reverse_and_weighed_by_code() -> None:
    zone = WELL | {"9.113.0.203.bl.test": [{"A": "127.0.0.2"}, {"A": "127.0.0.11"}]}
    found, lists, _ = asking(zone, (BLOCK,), reverse="203.0.113.9")
    assert found == (Listing("bad", "203.0.113.9", ("127.0.0.2", "127.0.0.11")),)
    assert lists.off == {}
    [finding] = list_check((BLOCK,))(mail(b"\r\n"), Facts(listings=found), None)  # type: ignore[arg-type]
    assert (finding.name, finding.points) == ("LIST_BAD", 400)


@pytest.mark.parametrize(
    ("codes", "weight"),
    [
        (["127.0.0.10"], 1.5),
        (["127.0.0.11", "127.0.0.2"], 4.0),
        (["127.0.0.72"], 2.5),
        (["127.0.0.9"], 0.0),
        (["127.0.0.130"], 0.0),
    ],
)
def test_weights(codes: list[str], weight: float) -> None:
    assert BLOCK.weight(codes) == weight


def test_an_allow_list_takes_points_off() -> None:
    allow = ListSettings(name="good", zone="wl.test", codes={"127.0.*.1": -1.5, "127.0.*.3": -3.0})
    [finding] = list_check((allow,))(mail(b"\r\n"), Facts(listings=(Listing("good", "x", ("127.0.9.1",)),)), None)  # type: ignore[arg-type]
    assert finding.points == -150


def test_ipv6_is_asked_by_nibbles() -> None:
    name = ".".join(reversed("20010db8000000000000000000000001")) + ".bl.test"
    found, _, _ = asking(WELL | {name: [{"A": "127.0.0.2"}]}, (BLOCK,), reverse="2001:db8::1")
    assert [one.item for one in found] == ["2001:db8::1"]


def test_domains_links_and_hashes_of_a_mail() -> None:
    raw = (
        b"From: Eve <E.ve+x@googlemail.com>\r\nReply-To: eve@sub.shady.example\r\n\r\n"
        b"See https://www.evil.example/x and http://192.0.2.7/ and write to Pay@crook.example. https://ours.example/\r\n"
    )
    one = mail(raw, sender="bounce@mail.sender.example")
    fields = asked(one, frozenset(Asks), {"ours.example"})
    assert fields["senders"] == ("sender.example", "googlemail.com", "shady.example")
    assert fields["domains"] == ("evil.example", "192.0.2.7")
    assert set(fields["addresses"]) == {
        "eve@gmail.com", "eve@sub.shady.example", "pay@crook.example", "bounce@mail.sender.example",
    }  # fmt: skip
    label = hashlib.sha1(b"pay@crook.example").hexdigest()
    zone = WELL | {
        "evil.example.dbl.test": [{"A": "127.0.1.2"}],
        "7.2.0.192.dbl.test": [{"A": "127.0.1.4"}],
        f"{label}.ebl.test": [{"A": "127.0.0.2"}],
    }
    found, lists, _ = asking(zone, (DOMAINS, MAILBOXES), **fields)
    assert {(item.list, item.item) for item in found} == {
        ("names", "evil.example"), ("names", "192.0.2.7"), ("boxes", "pay@crook.example"),
    }  # fmt: skip
    assert lists.off == {}


def test_hostile_mail_costs_a_bounded_number_of_questions() -> None:
    links = b"".join(b"http://h%d.d%d.example/\r\n" % (n, n) for n in range(5_000))
    fields = asked(mail(b"From: a@b.example\r\n\r\n" + links), frozenset(Asks))
    _, _, server = asking(WELL, (DOMAINS,), **fields)
    assert server.count() <= 31


@pytest.mark.parametrize(
    ("zone", "why"),
    [
        ({"2.0.0.127.bl.test": [{"A": "127.0.0.2"}], "1.0.0.127.bl.test": [{"A": "127.0.0.2"}]}, "lists everything"),
        ({}, "lists nothing"),
        ({"2.0.0.127.bl.test": [{"A": "127.255.255.254"}]}, "refuses us with 127.255.255.254"),
        ({"2.0.0.127.bl.test": [{"A": "127.255.255.255"}]}, "too many questions"),
        ({"2.0.0.127.bl.test": [{"A": "198.51.100.7"}]}, "is no list's answer"),
        ({"2.0.0.127.bl.test": ["SERVFAIL"]}, "does not answer: servfail"),
        ({"2.0.0.127.bl.test": ["REFUSED"]}, "does not answer: refused"),
        ({"2.0.0.127.bl.test": ["TIMEOUT"]}, "does not answer"),
    ],
)
def test_a_list_that_is_not_well_is_off_and_never_scores(zone: Zone, why: str) -> None:
    listed = {"9.113.0.203.bl.test": [{"A": "127.0.0.2"}]}
    found, lists, server = asking(zone | listed, (BLOCK,), reverse="203.0.113.9")
    assert why in lists.off["bad"]
    assert server.count("9.113.0.203.bl.test") == 0
    assert [one.codes for one in found] == [()]
    assert why in found[0].unknown
    assert list_check((BLOCK,))(mail(b"\r\n"), Facts(listings=found), None) == []  # type: ignore[arg-type]


def test_a_refusal_in_the_midst_switches_a_list_off() -> None:
    zone = WELL | {"9.113.0.203.bl.test": [{"A": "127.255.255.254"}]}
    found, lists, _ = asking(zone, (BLOCK,), reverse="203.0.113.9", times=2)
    assert "public or shared resolver" in lists.off["bad"]
    assert found == (Listing("bad", "", unknown=lists.off["bad"]),)


def test_a_list_that_falls_silent_is_left_alone() -> None:
    zone: Zone = WELL | {f"{n}.113.0.203.bl.test": ["SERVFAIL"] for n in range(40)}

    async def main() -> None:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=0.3))
        lists = Lists((BLOCK,))
        await lists.test(dns)
        for n in range(40):
            question = Questions(origin=Origin(), reverse=f"203.0.113.{n}")
            assert all(one.unknown for one in (await gather(question, dns, 5, lists=lists)).listings)
        assert "does not answer" in lists.off["bad"]
        assert sum(query.name.endswith(".113.0.203.bl.test") for query in server.queries) <= 10
        await dns.aclose()

    with NameServer(zone) as server:
        asyncio.run(main())


def test_a_list_comes_back_when_it_is_well_again() -> None:
    async def main() -> None:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=0.3, cache=0))
        lists = Lists((BLOCK.model_copy(update={"every": 0.05}),))
        watching = asyncio.create_task(lists.watch(dns))
        await asyncio.sleep(0.2)
        assert "lists nothing" in lists.off["bad"]
        server.zone.update(WELL)
        for _ in range(100):
            await asyncio.sleep(0.05)
            if not lists.off:
                break
        assert lists.off == {}
        watching.cancel()
        await dns.aclose()

    with NameServer({}) as server:
        asyncio.run(main())


def test_a_zone_that_gets_a_wildcard_is_found_out_before_its_hour() -> None:
    async def main() -> None:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=0.3, cache=0))
        lists = Lists((BLOCK,))
        watching = asyncio.create_task(lists.watch(dns))
        await asyncio.sleep(0.1)
        assert lists.standings["bad"].well
        server.zone["1.0.0.127.bl.test"] = [{"A": "127.0.0.2"}]
        for n in range(STREAK):
            server.zone[f"{n}.113.0.203.bl.test"] = [{"A": "127.0.0.2"}]
            await gather(Questions(origin=Origin(), reverse=f"203.0.113.{n}"), dns, 5, lists=lists)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if lists.off:
                break
        assert "lists everything" in lists.off["bad"]
        watching.cancel()
        await dns.aclose()

    with NameServer(dict(WELL)) as server:
        asyncio.run(main())


def test_a_thousand_questions_at_once_are_all_answered_and_cost_little() -> None:
    async def main() -> float:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=30, concurrency=100))
        lists = Lists((BLOCK, DOMAINS))
        await lists.test(dns)
        mails = [
            gather(
                Questions(origin=Origin(), reverse=f"203.0.{n // 250}.{n % 250}", senders=(f"s{n}.example",)),
                dns, 60, lists=lists,
            )
            for n in range(500)
        ]  # fmt: skip
        started = time.thread_time()
        facts = await asyncio.gather(*mails)
        spent = time.thread_time() - started
        await dns.aclose()
        assert [one.listings for one in facts] == [()] * 500
        assert dns.counts.failed == 0
        return spent

    with NameServer(WELL) as server:
        assert asyncio.run(main()) < 5  # two hundred a second, of CPU and with room to spare


def test_nobody_asks_about_private_addresses() -> None:
    found, _, server = asking(WELL, (BLOCK,), reverse="10.1.2.3")
    assert found == ()
    assert not [query for query in server.queries if query.name.endswith("bl.test")]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"codes": {"10.0.0.1": 1.0}}, "127.0.0.0/8"),
        ({"codes": {"&0": 1.0}}, "no bit"),
        ({"codes": {"many": 1.0}}, "no address"),
        ({"codes": {"127.0.0.2": float("nan")}}, "finite"),
        ({"zone": "not a zone"}, "not a domain"),
        ({"asks": ("link", "file")}, "make two of it"),
        ({"asks": ()}, "at least 1"),
        ({"name": "Bad Name"}, "match pattern"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ListSettings(**({"name": "x", "zone": "bl.test"} | settings))
