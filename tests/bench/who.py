"""What the questions of who sent it cost: CPU a message with cached DNS, in the mail process and in a worker.

`python -m tests.bench.who [FOLDER]`: messages of a folder, or those of 5 KB of `make bench`. Milliseconds of CPU, each
part by itself.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from filterd.app.memory import Memory
from filterd.authentication import UNAUTHENTICATED
from filterd.checks import remembering
from filterd.checks.asked import asked
from filterd.checks.lists import Asks, ListSettings
from filterd.checks.senders import SenderSettings
from filterd.checks.site import SiteSettings, site_checks
from filterd.engine.loading import shipped_list
from filterd.facts import Facts, Questions
from filterd.mail import Mail, Origin
from filterd.net import Dns, DnsSettings
from filterd.probes.lists import Lists, listings
from filterd.probes.probe import Net
from filterd.probes.senders import near, senders
from filterd.record import Record
from filterd.sources import Found, read_sources
from filterd.store import RetentionSettings, Store
from filterd.value import replace
from tests.auth.mails import mail
from tests.bench.messages import generated
from tests.nameserver import NameServer

LISTS = (
    ListSettings(name="a", zone="a.test"), ListSettings(name="b", zone="b.test"),
    ListSettings(name="l", zone="l.test", asks=(Asks.LINK, Asks.SENDER)),
)  # fmt: skip
WELL: dict[str, Any] = {
    "2.0.0.127.a.test": [{"A": "127.0.0.2"}], "2.0.0.127.b.test": [{"A": "127.0.0.2"}],
    "test.l.test": [{"A": "127.0.0.2"}],
}  # fmt: skip
ASKS = frozenset(asks for one in LISTS for asks in one.asks)
NOBODY = Facts(senders={})


def main(folder: str | None) -> None:
    raws = (
        [one.raw for one in read_sources([folder]) if isinstance(one, Found)][:300] if folder else generated(300, 5_000)
    )
    parts = measure(raws)
    for name, spent in (parts | {"together": sum(parts.values())}).items():
        sys.stdout.write(f"{spent:7.3f} ms  {name}\n")


def measure(raws: Sequence[bytes]) -> dict[str, float]:
    """Milliseconds by part."""
    mails = [mail(raw, address=f"203.0.113.{number % 250}") for number, raw in enumerate(raws)]
    for one in mails:
        _ = one.message.text, one.message.links, one.message.from_
    hosts = frozenset(shipped_list("freemail"))
    parts: dict[str, float] = {}
    parts["worker: what lists are asked"] = _each(mails, lambda one: asked(one, ASKS))
    parts["worker: what the memory is asked"] = _each(mails, lambda one: remembering.asked(one, hosts))
    for check in site_checks(SiteSettings(domains=("example.org",), lists=LISTS), shipped_list("brand_domains"), hosts):
        name = check.name.rpartition(".")[2]
        parts[f"worker: check {name}"] = _each(mails, lambda one, c=check: c(one, NOBODY, UNAUTHENTICATED))  # type: ignore[misc]
    asyncio.run(_mail_process(mails, hosts, parts))
    return parts


def _each(mails: Iterable[Mail], work: Callable[[Mail], object]) -> float:
    some = list(mails)
    started = time.process_time()
    for one in some:
        work(one)
    return (time.process_time() - started) / len(some) * 1000


async def _mail_process(mails: list[Mail], hosts: frozenset[str], parts: dict[str, float]) -> None:
    questions = [
        replace(
            Questions(origin=Origin(), reverse=one.origin.address or ""),
            **asked(one, ASKS),
            **remembering.asked(one, hosts),
        )
        for one in mails
    ]
    with NameServer(dict(WELL)) as server, tempfile.TemporaryDirectory() as state:
        dns = Dns(DnsSettings(servers=(server.address,)))
        store = Store.open(Path(state), RetentionSettings(min_free=0))
        lists, memory = Lists(LISTS, quiet=True), Memory(store, SenderSettings(), hosts)
        await lists.test(dns)
        await memory.recall()
        net = Net(dns, lists, memory)
        for name, probe in (("lists", listings), ("senders", senders), ("near", near)):
            for one in questions:
                await probe(one, net)  # type: ignore[operator]
            started = time.process_time()
            for one in questions:
                await probe(one, net)  # type: ignore[operator]
            parts[f"mail process: probe {name}, cached DNS"] = (time.process_time() - started) / len(questions) * 1000
        records = [Record(id="x", envelope=one.envelope, origin=one.origin) for one in mails]
        started = time.process_time()
        for record in records:
            memory.note(record)
        await memory.flush()
        parts["mail process: remembering"] = (time.process_time() - started) / len(records) * 1000
        store.close()
        await dns.aclose()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
