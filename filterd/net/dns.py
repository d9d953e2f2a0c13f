"""The one way to ask the DNS: async, cached, and never an exception.

In: a name and a kind of record. Out: an Answer that is data, "no such data", "no such name", or a temporary
error with its reason; the four are never confused. Answers live as long as their TTL says, negative ones as
long as the zone's SOA says (RFC 2308), in a cache bounded in bytes. The same question asked twice at once
goes out once. A reply that does not fit UDP is fetched over TCP. The servers are tried in the order of the
config; one that is dead is not asked, and when all are dead the answer is a temporary error at once:
nothing piles up. Every query ends within
`timeout`, and not more than `concurrency` are under way at a time.

Why not aiodns/pycares 5: a negative answer reaches its callback as an error code alone, without the SOA, so
there is no negative TTL; it cannot tell a truncated or forged reply from a time-out; and it answers from
another thread. This client takes 0.13 ms of CPU for a query over the wire and 0.002 ms from the cache.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator

from filterd.facts import DnsStatus, TxtAnswer
from filterd.net import wire
from filterd.net.cache import TtlCache
from filterd.net.server import ASK_STREAM, Address, Server
from filterd.net.wire import Code, Kind
from filterd.settings import Duration, Settings, Size

_MAX_TTL = 86400  # RFC 8767 section 4 advises a cap
_MAX_NEGATIVE_TTL = 10800  # RFC 2308 section 5
_FAILURE_TTL = 2.0  # RFC 9520 section 3.2: at least a second, so that a failing name is not hammered
_MAX_ALIASES = 8
_ENTRY_BYTES = 400  # what a cached answer takes in memory besides its data
_FAILURES = {Code.SERVFAIL: "servfail", Code.REFUSED: "refused"}
_ATTEMPT = 1.5  # seconds for one try of one server


class DnsSettings(Settings):
    """Where and how the DNS is asked."""

    servers: tuple[str, ...] = Field(
        default=(),
        description="Name servers to ask, in order, as 127.0.0.1, 127.0.0.1:5353 or [::1]:53. "
        "Empty: those in /etc/resolv.conf.",
    )
    timeout: Duration = Field(default=5.0, gt=0, description="How long one question may take, with all tries.")
    concurrency: int = Field(default=400, ge=1, description="How many questions may be under way at a time.")
    cache: Size = Field(default=64_000_000, description="Memory for answers that are kept, in bytes.")
    per_mail: int = Field(
        default=300,
        ge=1,
        description="How many questions one mail may cost; those past it count as not answered.",
    )

    @field_validator("servers")
    @classmethod
    def _readable(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            Address.parse(server)
        return servers


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS said. `records` are empty unless `status` is OK."""

    status: DnsStatus
    records: tuple[wire.Data, ...] = ()
    reason: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The records of a kind that is text: A, AAAA, PTR."""
        return tuple(record for record in self.records if isinstance(record, str))


@dataclass(slots=True)
class DnsCounts:
    """Since the start, for metrics."""

    asked: int = 0  # questions that the cache could not answer
    cached: int = 0
    shared: int = 0  # questions that joined one under way
    packets: int = 0  # queries sent over UDP
    streams: int = 0  # queries sent over TCP
    failed: int = 0  # questions that ended as a temporary error


NO_NAME = Answer(DnsStatus.NXDOMAIN, (), "not a name that can exist")
NO_SERVER = Answer(DnsStatus.TEMPERROR, (), "no name server answers")
TIMEOUT = Answer(DnsStatus.TEMPERROR, (), "timeout")
CLOSED = Answer(DnsStatus.TEMPERROR, (), "shutting down")
BUSY = Answer(DnsStatus.TEMPERROR, (), "too many questions under way")


class Asks:
    """The questions, in terms of `lookup`."""

    async def lookup(self, name: str, kind: Kind) -> Answer:
        raise NotImplementedError

    def known(self, name: str, kind: Kind) -> Answer | None:
        """The answer, if it can be had without asking."""
        raise NotImplementedError

    async def txt(self, name: str) -> TxtAnswer:
        """The TXT records of `name`, each with its strings joined."""
        return to_txt(await self.lookup(name, Kind.TXT))

    async def addresses(self, name: str) -> Answer:
        """The IPv4 and IPv6 addresses of `name`, as text."""
        four, six = await asyncio.gather(self.lookup(name, Kind.A), self.lookup(name, Kind.AAAA))
        if four.records or six.records:
            return Answer(DnsStatus.OK, four.records + six.records)
        return six if six.status is DnsStatus.TEMPERROR else four

    async def mx(self, name: str) -> Answer:
        """The mail exchangers of `name`: (preference, host)."""
        return await self.lookup(name, Kind.MX)

    async def ptr(self, address: str) -> Answer:
        """The names of an IP address; NXDOMAIN when it is not one."""
        try:
            name = ipaddress.ip_address(address).reverse_pointer
        except ValueError:
            return NO_NAME
        return await self.lookup(name, Kind.PTR)


class Dns(Asks):
    """The client. Make one per event loop; `aclose` it."""

    def __init__(self, settings: DnsSettings) -> None:
        self.counts = DnsCounts()
        self.settings = settings
        named = [Address.parse(server) for server in settings.servers]
        self.servers = tuple(Server(address) for address in named or system_servers())
        self._attempt = min(_ATTEMPT, settings.timeout / 3)
        self._cache: TtlCache[tuple[str, Kind], Answer] = TtlCache(settings.cache)
        self._under_way: dict[tuple[str, Kind], asyncio.Task[Answer]] = {}
        self._places = asyncio.Semaphore(settings.concurrency)

    @property
    def in_use(self) -> Server | None:
        """The server that is asked first now; None when no server answers."""
        return next((server for server in self.servers if server.alive), None)

    def known(self, name: str, kind: Kind) -> Answer | None:
        answer = self._cache.get((_canonical(name), kind), asyncio.get_running_loop().time())
        if answer is not None:
            self.counts.cached += 1
        return answer

    async def lookup(self, name: str, kind: Kind) -> Answer:
        if (answer := self.known(name, kind)) is not None:
            return answer
        key = (_canonical(name), kind)
        task = self._under_way.get(key)
        if task is None:
            self.counts.asked += 1
            task = asyncio.get_running_loop().create_task(self._find(*key))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        else:
            self.counts.shared += 1
        try:
            return await asyncio.shield(task)  # who stops waiting does not stop it for the others
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if task.cancelled() and current is not None and not current.cancelling():
                return CLOSED
            raise

    def budget(self, until: float) -> Budget:
        """A view for one mail: temporary errors past loop time `until`, or past its share of questions."""
        return Budget(self, until, self.settings.per_mail)

    async def aclose(self) -> None:
        """Stop asking; questions under way are temporary errors."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self.servers:
            await server.aclose()

    async def _find(self, name: str, kind: Kind) -> Answer:
        """Ask, follow aliases that the server left to us, and remember."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.timeout
        target, lifetime = name, float(_MAX_TTL)
        for _ in range(_MAX_ALIASES):
            reply = await self._ask(target, kind, until)
            if isinstance(reply, Answer):
                answer, ttl, target = reply, (0.0 if reply in (NO_SERVER, BUSY) else _FAILURE_TTL), ""
            else:
                answer, ttl, target = _read(reply, target, kind)
            lifetime = min(lifetime, ttl)
            if not target:
                break
        else:
            answer, lifetime = Answer(DnsStatus.TEMPERROR, (), "too many aliases"), _FAILURE_TTL
        if answer.status is DnsStatus.TEMPERROR:
            self.counts.failed += 1
        if lifetime > 0:
            size = _ENTRY_BYTES + sum(len(one) + 50 for one in answer.records)
            self._cache.put((name, kind), answer, expires=loop.time() + lifetime, size=size)
        return answer

    async def _ask(self, name: str, kind: Kind, until: float) -> wire.Reply | Answer:
        """The reply of the first server that gives one, or the Answer that says why there is none."""
        encoded = wire.encode_name(name)
        if encoded is None:
            return NO_NAME
        if self._places.locked():
            try:
                async with asyncio.timeout_at(until):
                    await self._places.acquire()
            except TimeoutError:
                return BUSY
        else:
            await self._places.acquire()
        try:
            return await self._try_servers(encoded, kind, until)
        finally:
            self._places.release()

    async def _try_servers(self, name: bytes, kind: Kind, until: float) -> wire.Reply | Answer:
        loop = asyncio.get_running_loop()
        failure = NO_SERVER
        while loop.time() < until:
            asked = 0
            for server in self.servers:
                left = until - loop.time()
                if not server.alive or left <= 0:
                    continue
                asked += 1
                reply = await self._exchange(server, name, kind, min(left, self._attempt), until)
                if isinstance(reply, wire.Reply):
                    return reply
                failure = reply
            if not asked or failure is not TIMEOUT:  # a server that answers with a failure is not asked again
                break
        return failure

    async def _exchange(
        self, server: Server, name: bytes, kind: Kind, seconds: float, until: float
    ) -> wire.Reply | Answer:
        query, question = wire.encode_query(name, kind)
        self.counts.packets += 1
        packet = await server.ask(query, question, seconds)
        try:
            reply = wire.decode_reply(packet, question) if packet else None
        except wire.WireError:
            reply, packet = None, ASK_STREAM  # cut off in the middle of a record, as some do
        if packet == ASK_STREAM or (reply and reply.truncated):
            self.counts.streams += 1
            left = max(until - asyncio.get_running_loop().time(), 0)
            packet = await server.ask_stream(query, question, left)
            try:
                reply = wire.decode_reply(packet, question) if packet else None
            except wire.WireError as error:
                return Answer(DnsStatus.TEMPERROR, (), str(error))
        if reply is None:
            return TIMEOUT
        if reply.code in (Code.NOERROR, Code.NXDOMAIN):
            return reply
        server.counts.failed += 1
        word = Code(reply.code).name.lower() if reply.code in Code.__members__.values() else f"rcode {reply.code}"
        return Answer(DnsStatus.TEMPERROR, (), word)


class Budget(Asks):
    """The DNS as one mail may use it: so many questions, and none waited for past a time."""

    def __init__(self, dns: Asks, until: float, questions: int) -> None:
        self._dns = dns
        self._until = until
        self._left = questions

    def known(self, name: str, kind: Kind) -> Answer | None:
        return self._dns.known(name, kind) if self._left > 0 else None

    async def lookup(self, name: str, kind: Kind) -> Answer:
        if self._left <= 0:
            return Answer(DnsStatus.TEMPERROR, (), "over-budget")
        self._left -= 1
        if (answer := self._dns.known(name, kind)) is not None:
            return answer
        try:
            async with asyncio.timeout_at(self._until):
                return await self._dns.lookup(name, kind)
        except TimeoutError:
            return TIMEOUT


def system_servers(path: Path = Path("/etc/resolv.conf")) -> tuple[Address, ...]:
    """The name servers of this host (resolv.conf(5)); the local one when there are none."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    found = []
    for words in (line.split() for line in lines):
        if len(words) > 1 and words[0] == "nameserver":
            try:
                ipaddress.ip_address(words[1])
            except ValueError:
                continue
            found.append(Address(words[1]))
    return tuple(found) or (Address("127.0.0.1"),)


def to_txt(answer: Answer) -> TxtAnswer:
    """An answer about TXT records as a fact."""
    records = tuple(record for record in answer.records if isinstance(record, bytes))
    return TxtAnswer(answer.status, records, answer.reason)


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")


def _read(reply: wire.Reply, name: str, kind: Kind) -> tuple[Answer, float, str]:
    """(the answer, how long it lives, where an alias points that the reply does not follow, or "")."""
    records: Sequence[wire.Record] = reply.answers
    lifetime = float(_MAX_TTL)
    for _ in range(_MAX_ALIASES):
        own = [record for record in records if record.name == name]
        data = [record for record in own if record.kind == kind]
        if data:
            lifetime = min(lifetime, *(record.ttl for record in data))
            return Answer(DnsStatus.OK, tuple(record.data for record in data)), lifetime, ""
        alias = next((record for record in own if record.kind == Kind.CNAME), None)
        if alias is None:
            break
        name, lifetime = str(alias.data), min(lifetime, alias.ttl)
    negative = 0.0 if reply.negative_ttl is None else float(min(reply.negative_ttl, _MAX_NEGATIVE_TTL))
    if reply.code == Code.NXDOMAIN:
        return Answer(DnsStatus.NXDOMAIN), min(lifetime, negative), ""
    if reply.answers and reply.negative_ttl is None and name != reply.answers[0].name:
        return Answer(DnsStatus.NODATA), lifetime, name
    return Answer(DnsStatus.NODATA), min(lifetime, negative), ""
