"""A dead, slow, lying or refusing resolver at fifty messages a second: answers in time, no pile-up, right words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from filterd.auth import authenticate, questions
from filterd.authentication import Authentication, AuthResult
from filterd.checks.asked import asked
from filterd.checks.lists import Asks, ListSettings
from filterd.facts import Facts
from filterd.mail import Mail
from filterd.net import Dns, DnsSettings
from filterd.probes import Lists, gather
from filterd.value import replace
from tests.auth.mails import mail
from tests.nameserver import NameServer

RATE, SECONDS = 50, 2.0
DEADLINE = 1.0
LISTS = (
    ListSettings(name="bl", zone="bl.test"),
    ListSettings(name="names", zone="dbl.test", asks=(Asks.SENDER, Asks.LINK)),
)


class Everything(dict[str, Any]):
    """A zone that has the same answer for every name."""

    def __init__(self, answer: list[Any]) -> None:
        super().__init__(x=answer)
        self._answer = answer

    def get(self, name: str, default: Any = None) -> Any:
        return self._answer


def one_mail(number: int) -> Mail:
    raw = f"From: a@d{number}.example\r\n\r\nSee http://www.l{number}.example/\r\n".encode()
    return mail(raw, sender=f"a@d{number}.example", helo=f"m{number}.example", address=f"203.0.113.{number % 250}")


def under_load(server: NameServer) -> tuple[list[tuple[float, Facts, Authentication]], Lists, int]:
    """(seconds, facts, authentication) of each mail; the lists; the most tasks that there were at a time."""

    async def main() -> tuple[list[tuple[float, Facts, Authentication]], Lists, int]:
        dns = Dns(DnsSettings(servers=(server.address,), timeout=0.6))
        lists = Lists(LISTS)
        await lists.test(dns)
        most = 0

        async def one(number: int) -> tuple[float, Facts, Authentication]:
            nonlocal most
            written = one_mail(number)
            started = time.monotonic()
            fields: dict[str, Any] = asked(written, frozenset(Asks))
            facts = await gather(replace(questions(written), **fields), dns, DEADLINE, lists=lists)
            most = max(most, len(asyncio.all_tasks()))
            return time.monotonic() - started, facts, authenticate(written, facts)

        tasks = []
        for number in range(int(RATE * SECONDS)):
            tasks.append(asyncio.create_task(one(number)))
            await asyncio.sleep(1 / RATE)
        done = await asyncio.gather(*tasks)
        await dns.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return done, lists, most

    return asyncio.run(main())


def silent(server: NameServer) -> None:
    server.silent = True


@pytest.mark.parametrize(
    ("zone", "prepare", "spf", "dmarc", "off"),
    [
        pytest.param({}, silent, AuthResult.TEMPERROR, AuthResult.TEMPERROR, "does not answer", id="dead"),
        pytest.param(
            Everything(["REFUSED"]), None, AuthResult.TEMPERROR, AuthResult.TEMPERROR, "does not answer", id="refusing"
        ),
        pytest.param(
            Everything([{"A": "198.51.100.1"}]), None, AuthResult.NONE, AuthResult.NONE, "no list's answer", id="lying"
        ),
        pytest.param(
            Everything([{"A": "127.0.0.2"}, {"DELAY": 0.05}]), None, AuthResult.NONE, AuthResult.NONE,
            "lists everything", id="slow",
        ),
    ],
)  # fmt: skip
def test_under_load(
    zone: Any, prepare: Callable[[NameServer], None] | None, spf: AuthResult, dmarc: AuthResult, off: str
) -> None:
    with NameServer(zone) as server:
        if prepare:
            prepare(server)
        done, lists, most = under_load(server)
    assert max(seconds for seconds, _, _ in done) < DEADLINE + 2.0
    assert {auth.spf.result for _, _, auth in done} <= {spf, AuthResult.TEMPERROR}  # the truth, or not known in time
    assert {auth.dmarc.result for _, _, auth in done} <= {dmarc, AuthResult.TEMPERROR}
    assert not any(one.codes for _, facts, _ in done for one in facts.listings)
    assert all(off in why for why in lists.off.values())
    assert set(lists.off) == {"bl", "names"}
    assert most < 60 * RATE * (DEADLINE + 0.5)
