"""The DNS client against a real name server: answers, failures, ageing, and behaviour under load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from pydantic import ValidationError

from filterd.facts import DnsStatus
from filterd.net import Dns, DnsSettings, Kind
from filterd.net.dns import Answer, system_servers
from filterd.net.server import Address
from tests.nameserver import NameServer, Zone

RUNNERS: dict[str, Callable[[Any], Any]] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


def ask(
    server: NameServer | str,
    questions: Callable[[Dns], Awaitable[Any]],
    run: str = "asyncio",
    **settings: Any,
) -> Any:
    """What `questions` returns, given a fresh client of that server."""

    async def main() -> Any:
        address = server if isinstance(server, str) else server.address
        dns = Dns(DnsSettings(**{"servers": (address,), **settings}))
        try:
            return await questions(dns)
        finally:
            await dns.aclose()

    return RUNNERS[run](main())


def lookup(zone: Zone, name: str, kind: Kind = Kind.TXT, **settings: Any) -> Answer:
    with NameServer(zone) as server:
        answer = ask(server, lambda dns: dns.lookup(name, kind), **settings)
        assert isinstance(answer, Answer)
        return answer


@pytest.mark.parametrize("run", RUNNERS)
def test_every_kind_of_record(run: str) -> None:
    zone: Zone = {
        "example.org": [
            {"A": "192.0.2.1"},
            {"AAAA": "2001:db8::1"},
            {"MX": [10, "Mail.example.org"]},
            {"TXT": ["two ", "strings"]},
            {"TXT": "x" * 700},
        ],
        "1.2.0.192.in-addr.arpa": [{"PTR": "mail.example.org"}],
    }

    async def questions(dns: Dns) -> None:
        assert (await dns.txt("example.org")).records == (b"two strings", b"x" * 700)
        assert (await dns.addresses("Example.ORG.")).texts == ("192.0.2.1", "2001:db8::1")
        assert (await dns.mx("example.org")).records == ((10, "mail.example.org"),)
        assert (await dns.ptr("192.0.2.1")).texts == ("mail.example.org",)
        assert (await dns.ptr("nonsense")).status is DnsStatus.NXDOMAIN

    with NameServer(zone) as server:
        ask(server, questions, run)


def test_no_name_and_no_data_are_distinct() -> None:
    zone: Zone = {"here.example.org": [{"A": "192.0.2.1"}]}
    assert lookup(zone, "here.example.org").status is DnsStatus.NODATA
    assert lookup(zone, "example.org").status is DnsStatus.NODATA  # an empty name between
    assert lookup(zone, "gone.example.org").status is DnsStatus.NXDOMAIN


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".org", ".".join(["abcdefg"] * 40), "é.org", "a\0b.org"])
def test_names_that_cannot_exist_never_raise(name: str) -> None:
    assert lookup({}, name).status is DnsStatus.NXDOMAIN


@pytest.mark.parametrize(("word", "reason"), [("SERVFAIL", "servfail"), ("REFUSED", "refused")])
def test_a_failing_server_is_a_temporary_error(word: str, reason: str) -> None:
    assert lookup({"example.org": [word]}, "example.org") == Answer(DnsStatus.TEMPERROR, (), reason)


@pytest.mark.parametrize("run", RUNNERS)
def test_a_silent_server_is_a_temporary_error_within_the_timeout(run: str) -> None:
    with NameServer({"example.org": ["TIMEOUT"]}) as server:
        start = time.monotonic()
        answer = ask(server, lambda dns: dns.txt("example.org"), run, timeout=0.3)
        assert answer.status is DnsStatus.TEMPERROR
        assert answer.reason == "timeout"
        assert time.monotonic() - start < 2


def test_nobody_listens() -> None:
    server = NameServer()
    address = server.address
    server.start().stop()
    assert ask(address, lambda dns: dns.txt("example.org"), timeout=0.5).status is DnsStatus.TEMPERROR


@pytest.mark.parametrize("run", RUNNERS)
@pytest.mark.parametrize("size", [1, 2_000, 60_000])
def test_truncation_falls_back_to_tcp(run: str, size: int) -> None:
    with NameServer({"example.org": [{"TXT": "x" * size}, "TRUNCATE"]}) as server:
        answer = ask(server, lambda dns: dns.txt("example.org"), run)
        assert answer.records == (b"x" * size,)
        assert [query.transport for query in server.queries] == ["udp", "tcp"]


@pytest.mark.parametrize("word", ["FOLD", "GARBAGE"])
def test_an_answer_that_is_not_quite_one_is_fetched_over_tcp(word: str) -> None:
    with NameServer({"a-long-name.example.org": [{"TXT": "truth"}, word]}) as server:
        assert ask(server, lambda dns: dns.txt("a-long-name.example.org")).records == (b"truth",)
        assert server.count(transport="tcp") == 1


def test_forged_packets_are_passed_over() -> None:
    with NameServer({"example.org": [{"TXT": "truth"}, "FORGE"]}) as server:

        async def questions(dns: Dns) -> None:
            assert (await dns.txt("example.org")).records == (b"truth",)
            assert dns.servers[0].counts.forged == 4

        ask(server, questions)
        assert server.count() == 1


def test_ids_spelling_and_ports_differ() -> None:
    with NameServer({}) as server:
        seen = []
        receive = server._datagram

        def spy() -> None:
            packet, client = server._udp.recvfrom(4096, 2)  # MSG_PEEK
            seen.append((packet[:2], client[1], packet[12:30]))
            receive()

        server._datagram = spy  # type: ignore[method-assign]
        ask(server, lambda dns: asyncio.gather(*(dns.txt(f"n{n}.example.org") for n in range(30))))
        assert all(len({one[field] for one in seen}) > 20 for field in (0, 1))
        assert len({one[2][3:] for one in seen}) > 20


def test_aliases_are_followed_in_the_reply_and_past_it() -> None:
    zone: Zone = {"a.example": [{"CNAME": "b.example"}], "b.example": [{"TXT": "here"}]}
    assert lookup(zone, "a.example").records == (b"here",)
    with NameServer({"a.example": [{"CNAME": "b.example"}]}, negative_ttl=None) as server:
        server.zone["b.example"] = ["SERVFAIL"]
        assert ask(server, lambda dns: dns.txt("a.example")).status is DnsStatus.TEMPERROR
        assert server.count("b.example") == 1


def test_alias_loops_end() -> None:
    zone: Zone = {"a.example": [{"CNAME": "b.example"}], "b.example": [{"CNAME": "a.example"}]}
    with NameServer(zone, negative_ttl=None) as server:
        assert not ask(server, lambda dns: dns.txt("a.example")).records
        assert server.count() <= 10


@pytest.mark.parametrize(
    ("zone", "negative_ttl", "queries"),
    [
        ({"example.org": [{"TXT": "x"}, {"TTL": 1}]}, 60, 2),
        ({"example.org": [{"TXT": "x"}, {"TTL": 60}]}, 60, 1),
        ({"example.org": [{"TXT": "x"}, {"TTL": 0}]}, 60, 3),
        ({}, 1, 2),
        ({}, 60, 1),
        ({}, None, 3),
        ({"example.org": [{"A": "192.0.2.1"}]}, 1, 2),
        ({"example.org": ["SERVFAIL"]}, 60, 1),
    ],
)
def test_answers_live_as_long_as_they_say(zone: Zone, negative_ttl: int | None, queries: int) -> None:
    async def questions(dns: Dns) -> None:
        await dns.txt("example.org")
        await dns.txt("EXAMPLE.org")
        await asyncio.sleep(1.1)
        await dns.txt("example.org")

    with NameServer(zone, negative_ttl=negative_ttl) as server:
        ask(server, questions)
        assert server.count() == queries


def test_the_same_question_at_once_goes_out_once() -> None:
    async def questions(dns: Dns) -> None:
        first = asyncio.create_task(dns.txt("example.org"))
        others = [asyncio.create_task(dns.txt("example.org")) for _ in range(50)]
        await asyncio.sleep(0.05)
        first.cancel()
        assert all(one.records == (b"x",) for one in await asyncio.gather(*others))
        assert dns.counts.shared == 50

    with NameServer({"example.org": [{"TXT": "x"}, {"DELAY": 0.2}]}) as server:
        ask(server, questions)
        assert server.count() == 1


def test_the_cache_is_bounded() -> None:
    async def questions(dns: Dns) -> None:
        for n in range(40):
            await dns.txt(f"n{n}.example.org")
        assert dns._cache.size <= 100_000
        assert 0 < len(dns._cache) < 40

    zone: Zone = {f"n{n}.example.org": [{"TXT": "x" * 20_000}] for n in range(40)}
    with NameServer(zone) as server:
        ask(server, questions, cache="100kB")


def test_the_next_server_is_asked_when_the_first_fails() -> None:
    zone: Zone = {"example.org": [{"TXT": "x"}]}
    with NameServer({"example.org": ["SERVFAIL"]}) as bad, NameServer(zone) as good, NameServer() as silent:
        silent.silent = True
        for first in (bad, silent):
            servers = (first.address, good.address)
            answer = ask(first, lambda dns: dns.txt("example.org"), servers=servers, timeout=1.0)
            assert answer.records == (b"x",)


def test_a_dead_server_costs_nothing_and_is_noticed_when_it_is_back() -> None:
    async def questions(dns: Dns) -> None:
        await asyncio.gather(*(dns.txt(f"a{n}.example") for n in range(20)))
        await asyncio.sleep(1.2)  # it does not answer for the root either
        assert not dns.servers[0].alive
        start, packets = time.monotonic(), dns.counts.packets
        answers = await asyncio.gather(*(dns.txt(f"b{n}.example") for n in range(2000)))
        assert {answer.reason for answer in answers} == {"no name server answers"}
        assert dns.counts.packets == packets
        assert time.monotonic() - start < 2
        server.silent = False
        for _ in range(100):
            if dns.servers[0].alive:
                break
            await asyncio.sleep(0.1)
        assert (await dns.txt("example.org")).records == (b"x",)

    with NameServer({"example.org": [{"TXT": "x"}]}) as server:
        server.silent = True
        ask(server, questions, timeout=0.3)


def test_domains_with_silent_servers_do_not_make_ours_dead() -> None:
    async def questions(dns: Dns) -> None:
        for n in range(3):
            await asyncio.gather(*(dns.txt(f"s{n}{m}.example") for m in range(10)))
        assert dns.servers[0].alive
        assert (await dns.txt("example.org")).records == (b"x",)

    zone: Zone = {f"s{n}{m}.example": ["TIMEOUT"] for n in range(3) for m in range(10)}
    with NameServer({"example.org": [{"TXT": "x"}], **zone}) as server:
        ask(server, questions, timeout=0.3)


def test_only_so_many_at_a_time() -> None:
    async def questions(dns: Dns) -> None:
        tasks = [asyncio.create_task(dns.txt(f"n{n}.example")) for n in range(50)]
        await asyncio.sleep(0.1)
        assert dns.counts.packets == 5
        await asyncio.gather(*tasks)

    with NameServer({f"n{n}.example": [{"TXT": "x"}, {"DELAY": 0.25}] for n in range(50)}) as server:
        ask(server, questions, concurrency=5, timeout=0.9)


def test_a_mail_has_a_budget_of_questions_and_of_time() -> None:
    async def questions(dns: Dns) -> None:
        now = asyncio.get_running_loop().time
        budget = dns.budget(now() + 60)
        answers = [await budget.txt(f"n{n}.example") for n in range(5)]
        assert [answer.reason for answer in answers[3:]] == ["over-budget"] * 2
        late = dns.budget(now() + 0.1)
        start = time.monotonic()
        assert (await late.txt("slow.example")).reason == "timeout"
        assert time.monotonic() - start < 1

    with NameServer({"slow.example": ["TIMEOUT"]}) as server:
        ask(server, questions, per_mail=3)
        assert server.count() == 4


def test_closing_ends_what_is_under_way() -> None:
    async def questions(dns: Dns) -> None:
        waiting = asyncio.create_task(dns.txt("example.org"))
        await asyncio.sleep(0.05)
        await dns.aclose()
        assert (await waiting).reason == "shutting down"

    with NameServer({"example.org": ["TIMEOUT"]}) as server:
        ask(server, questions)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", Address("127.0.0.1", 53)),
        ("127.0.0.1:5353", Address("127.0.0.1", 5353)),
        ("::1", Address("::1", 53)),
        ("[::1]:5353", Address("::1", 5353)),
        ("[::1]", Address("::1", 53)),
    ],
)
def test_addresses_of_servers(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "ns.example.org", "1.2.3.4:0", "1.2.3.4:x", "[::1", "[::1]x", "1.2.3.4:99999"])
def test_what_is_no_address_is_refused_in_the_config(text: str) -> None:
    with pytest.raises(ValidationError):
        DnsSettings(servers=(text,))


def test_the_servers_of_the_system(tmp_path: Any) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("# x\nsearch a\nnameserver 192.0.2.53\nnameserver bad\nnameserver 2001:db8::53\nnameserver\n")
    assert system_servers(conf) == (Address("192.0.2.53"), Address("2001:db8::53"))
    assert system_servers(tmp_path / "none") == (Address("127.0.0.1"),)
