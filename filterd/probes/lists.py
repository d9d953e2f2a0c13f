"""Block and allow lists: asking them, and knowing which of them are well.

A list is asked only while it is well. At the start, and every so often, its test points are asked (RFC 5782 section
5): one that must be listed, one that must not be. A list that lists everything, lists nothing, says that we may not
ask, answers with addresses that mean nothing, or does not answer, is switched off until a later test succeeds; so is
one that refuses, or is silent too often, while mail is asked about; and one that lists everything for a while is tested
again at once. A list that is off gives one Listing that says why, and never a code. Nothing is raised.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

import structlog

from filterd.checks.lists import LOOPBACK, Asks, Encoding, Hash, ListSettings
from filterd.facts import DnsStatus, Listing, Questions
from filterd.mail.envelope import Origin
from filterd.net.dns import Answer
from filterd.net.dns import Asks as Dns
from filterd.net.wire import Kind
from filterd.probes.probe import Net
from filterd.settings import Networks, parse_network

log = structlog.get_logger("filterd.lists")

LOCAL = Networks(
    parse_network(one)
    for one in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                "100.64.0.0/10", "::/127", "fc00::/7", "fe80::/10")
)  # fmt: skip
ITEMS = 30  # the most that one list is asked about one mail
SILENCES = 8  # look-ups in a row without an answer, after which a list is left alone
STREAK = 25  # listings in a row, after which a list is tested again: its zone may have got a wildcard
AGAIN = 60.0  # seconds after which a list that did not answer is tried again
FIRST = 3.0  # seconds that mail waits for the first test
_UNTESTED = "not tested yet"
_REFUSALS = {
    "127.255.255.252": "the zone is misspelt",
    "127.255.255.254": "asked through a public or shared resolver; set dns.servers to a resolver of your own",
    "127.255.255.255": "too many questions; it wants a contract, or a copy of the zone",
}


@dataclass(slots=True)
class Standing:
    """How one list is."""

    settings: ListSettings
    why: str = _UNTESTED  # "" is well
    silences: int = 0
    streak: int = 0
    asked: int = 0
    found: int = 0
    due: float = 0.0

    @property
    def well(self) -> bool:
        return self.why == ""


@dataclass(slots=True)
class Lists:
    """All lists of one configuration."""

    settings: Sequence[ListSettings] = ()
    quiet: bool = False  # nothing is logged: a command says it in its own way
    standings: dict[str, Standing] = field(init=False)
    _tested: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _doubted: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.standings = {one.name: Standing(one) for one in self.settings}

    @property
    def off(self) -> dict[str, str]:
        """Why, by name, of the lists that were tested and are off."""
        return {name: one.why for name, one in self.standings.items() if not one.well and one.why != _UNTESTED}

    async def test(self, dns: Dns) -> None:
        """Ask the test points of every list that is due."""
        now = asyncio.get_running_loop().time()
        due = [one for one in self.standings.values() if one.due <= now]
        for standing, why in zip(due, await asyncio.gather(*(ailment(one.settings, dns) for one in due)), strict=True):
            self._settle(standing, why)
        self._tested.set()

    async def watch(self, dns: Dns) -> None:
        """Test for ever."""
        while self.standings:
            await self.test(dns)
            now = asyncio.get_running_loop().time()
            pause = max(0.05, min(one.due for one in self.standings.values()) - now)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._doubted.wait(), pause)
            self._doubted.clear()

    async def ask(self, questions: Questions, dns: Dns) -> tuple[Listing, ...]:
        """What every list says about one mail; nothing for what is not listed."""
        if not self.standings:
            return ()
        answers = await self._ask(self.standings.values(), questions, dns)
        off = (Listing(name, "", unknown=one.why) for name, one in self.standings.items() if not one.well)
        return (*answers, *off)

    async def refusing(self, address: str, dns: Dns) -> ListSettings | None:
        """The first list that names a client and whose listings refuse at RCPT; None when in doubt.

        A list that has begun to list everybody refuses nobody: its test points must still say that it is well.
        """
        able = [one for one in self.standings.values() if one.settings.at_rcpt]
        if not able:
            return None
        questions = Questions(origin=Origin(address), reverse=address)
        for one in await self._ask(able, questions, dns):
            standing = self.standings[one.list]
            if not one.unknown and standing.settings.weight(one.codes) > 0:
                if not (why := await ailment(standing.settings, dns)):
                    return standing.settings
                self._settle(standing, why)
        return None

    async def _ask(self, standings: Collection[Standing], questions: Questions, dns: Dns) -> list[Listing]:
        """What those say that are well."""
        await self._first()
        asked = [
            (standing, item, f"{label}.{standing.settings.zone}")
            for standing in standings if standing.well
            for item, label in items(standing.settings, questions)
        ]  # fmt: skip
        known = [dns.known(name, Kind.A) for _, _, name in asked]
        missing = [dns.lookup(one[2], Kind.A) for one, answer in zip(asked, known, strict=True) if answer is None]
        fetched = iter(await asyncio.gather(*missing) if missing else ())
        answers = [
            self._heard(standing, item, answer or next(fetched))
            for (standing, item, _), answer in zip(asked, known, strict=True)
        ]
        return [one for one in answers if one is not None]

    async def _first(self) -> None:
        if not self._tested.is_set():
            try:
                async with asyncio.timeout(FIRST):
                    await self._tested.wait()
            except TimeoutError:
                return

    def _heard(self, standing: Standing, item: str, answer: Answer) -> Listing | None:
        """What an answer says of an item, and of its list; None: it is not listed."""
        settings = standing.settings
        standing.asked += 1
        if answer.status is DnsStatus.TEMPERROR:
            standing.silences += 1
            if standing.silences >= SILENCES and standing.well:
                self._settle(standing, f"does not answer: {answer.reason}")
            return Listing(settings.name, item, unknown=answer.reason)
        standing.silences = 0
        if answer.status is not DnsStatus.OK:
            standing.streak = 0
            return None
        if wrong := _no_listing(settings, answer):
            self._settle(standing, wrong)
            return Listing(settings.name, item, unknown=wrong)
        standing.found += 1
        standing.streak += 1
        if standing.streak % STREAK == 0:
            standing.due = 0.0
            self._doubted.set()
        return Listing(settings.name, item, answer.texts[:8])

    def _settle(self, standing: Standing, why: str) -> None:
        """Take note of how a list is, and say it when that is news."""
        now = asyncio.get_running_loop().time()
        silent = why.startswith("does not answer")
        standing.due = now + (min(AGAIN, standing.settings.every) if silent else standing.settings.every)
        standing.silences = 0
        before, standing.why = standing.why, why
        if self.quiet:
            return
        if why and why != before:
            log.warning("list-off", list=standing.settings.name, zone=standing.settings.zone, why=why)
        elif not why and before != why:
            log.info("list-on", list=standing.settings.name, zone=standing.settings.zone)


async def listings(questions: Questions, net: Net) -> tuple[Listing, ...]:
    """The probe."""
    return await net.lists.ask(questions, net.dns) if net.lists is not None else ()


async def ailment(settings: ListSettings, dns: Dns) -> str:
    """What is wrong with a list, by its test points; "" when it is well."""
    listed, unlisted = test_points(settings)
    answers = await asyncio.gather(
        *(dns.lookup(f"{label}.{settings.zone}", Kind.A) for label in (listed, unlisted) if label)
    )
    for answer in answers:
        if answer.status is DnsStatus.TEMPERROR:
            return f"does not answer: {answer.reason}"
        if answer.status is DnsStatus.OK and (wrong := _no_listing(settings, answer)):
            return wrong
    if answers[-1].status is DnsStatus.OK:
        return "lists everything: its test point that must not be listed is"
    if listed and answers[0].status is not DnsStatus.OK:
        return "lists nothing: its test point that must be listed is not"
    return ""


def test_points(settings: ListSettings) -> tuple[str, str]:
    """(label that must be listed or "", label that must not be)."""
    if settings.asks[0].hashed:
        width = 32 if settings.encoding is Encoding.BASE32 else 40
        return settings.listed or "", settings.unlisted or secrets.token_hex(width)[:width]
    if settings.asks[0] is Asks.ADDRESS:
        return _label(settings.listed or "127.0.0.2"), _label(settings.unlisted or "127.0.0.1")
    return _label(settings.listed or "test"), _label(settings.unlisted or "invalid")


def items(settings: ListSettings, questions: Questions) -> Iterator[tuple[str, str]]:
    """(item, label in the zone) of everything that a list is asked about a mail, capped."""
    found: dict[str, str] = {}
    for asks in settings.asks:
        if asks is Asks.ADDRESS and questions.reverse and _public(questions.reverse):
            found.setdefault(_label(questions.reverse), questions.reverse)
        elif asks is Asks.SENDER:
            found |= {_label(one): one for one in questions.senders}
        elif asks is Asks.LINK:
            found |= {_label(one): one for one in questions.domains}
        elif asks is Asks.MAILBOX:
            found |= {_hashed(settings, one): one for one in questions.addresses}
        elif asks is Asks.FILE:
            found |= {_encoded(settings, bytes.fromhex(one)): one for one in questions.hashes}
    return ((item, label) for label, item in list(found.items())[:ITEMS])


def _no_listing(settings: ListSettings, answer: Answer) -> str:
    """Why an answer is none of a list; "" when it is one."""
    for code in answer.texts:
        if ip_address(code) not in LOOPBACK:
            return f"answers {code}, which is no list's answer: the zone has ended, or somebody answers in its place"
        if settings.refuses(code):
            return f"refuses us with {code}: {_REFUSALS.get(code, 'we may not ask')}"
    return ""


def _label(item: str) -> str:
    """The name under the zone: addresses reversed (RFC 5782 section 2.1 and 2.4), names as they are."""
    try:
        pointer = ip_address(item).reverse_pointer
    except ValueError:
        return item
    return pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _hashed(settings: ListSettings, text: str) -> str:
    data = text.encode("utf-8", "replace")
    if settings.hash is Hash.MD5:
        return _encoded(settings, hashlib.md5(data, usedforsecurity=False).digest())
    return _encoded(settings, hashlib.new(settings.hash.value, data, usedforsecurity=False).digest())


def _encoded(settings: ListSettings, digest: bytes) -> str:
    if settings.encoding is Encoding.HEX:
        # A label holds 63 octets (RFC 1035 section 2.3.4), SHA-256 in hex is 64 long.
        text = digest.hex()
        return text if len(text) <= 63 else f"{text[:32]}.{text[32:]}"
    return base64.b32encode(digest).decode("ascii").rstrip("=").lower()


def _public(address: str) -> bool:
    return not LOCAL.hold(address)
