"""Each stage of a message's way by itself: CPU milliseconds of one process, for one message."""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filterd.engine.loading import builtin_symbols, load_judge
from filterd.engine.warmup import rehearse
from filterd.engine.wire import Setup
from filterd.engine.worker import Stopwatch, warm
from filterd.facts import Facts
from filterd.ids import new_id
from filterd.judge import Inspection, Judge, Judgement
from filterd.mail.envelope import Envelope, Origin, Recipient, Source
from filterd.net import Dns
from filterd.net.dns import DnsSettings
from filterd.probes import gather
from filterd.record import Record
from filterd.relay import Handover, RelaySettings, deliver, next_hop
from filterd.ruleset import Ruleset, RulesSettings
from filterd.store import RetentionSettings, Store
from tests.bench.whole import behind, name_server
from tests.frontends.smtp_kit import Hop, Sieve, serving

AT_ONCE = 16


def rule_count() -> int:
    return len(Ruleset.load(RulesSettings(), builtin_symbols()).symbols)


async def measure(raws: Sequence[bytes], scratch: Path) -> dict[str, float]:
    """CPU ms by stage; the parts of a stage that has several begin with a dash and are not counted twice."""
    envelopes = [_envelope(number) for number in range(len(raws))]
    judge = load_judge(Setup(hostname="mx.example.org"))
    warm()
    rehearse(judge)
    reading, inspections = _read(judge, envelopes, raws)
    with name_server() as address:
        asking, facts = await _ask(inspections, address)
    watch, judgements = _judge(judge, envelopes, raws, facts)
    n = len(raws)
    return {
        "SMTP in": await _smtp_in(raws, scratch),
        "read": reading,
        "ask and authenticate": asking + watch["authenticate"] / n,
        "- ask": asking,
        "- authenticate": watch["authenticate"] / n,
        "checks": watch["checks"] / n,
        "features and score": watch["classify"] / n,
        "rules": watch["rules"] / n,
        "record": await _record(envelopes, raws, inspections, facts, judgements, scratch),
        "SMTP out": await _smtp_out(raws, scratch),
    }


def _read(judge: Judge, envelopes: Sequence[Envelope], raws: Sequence[bytes]) -> tuple[float, list[Inspection]]:
    start = time.process_time()
    found = [judge.inspect(envelope, raw)[1] for envelope, raw in zip(envelopes, raws, strict=True)]
    return _since(start, len(raws)), found


async def _ask(inspections: Sequence[Inspection], address: str) -> tuple[float, list[Facts]]:
    dns = Dns(DnsSettings(servers=(address,)))
    places = asyncio.Semaphore(AT_ONCE)

    async def one(inspection: Inspection) -> Facts:
        async with places:
            return await gather(inspection.questions, dns, 15.0)

    start = time.process_time()
    facts = await asyncio.gather(*map(one, inspections))
    spent = _since(start, len(inspections))
    await dns.aclose()
    return spent, facts


def _judge(
    judge: Judge, envelopes: Sequence[Envelope], raws: Sequence[bytes], facts: Sequence[Facts]
) -> tuple[dict[str, float], list[Judgement]]:
    """Milliseconds by the judge's own stages."""
    total = dict.fromkeys(("authenticate", "checks", "classify", "rules"), 0.0)
    judgements = []
    for envelope, raw, known in zip(envelopes, raws, facts, strict=True):
        mail, _ = judge.inspect(envelope, raw)
        watch = Stopwatch()
        judgements.append(judge.judge(mail, known, watch))
        for stage, seconds in watch.seconds.items():
            total[stage] += seconds * 1000
    return total, judgements


async def _smtp_in(raws: Sequence[bytes], scratch: Path) -> float:
    sieve = Sieve(seen=_Nothing(), raws=_Nothing())
    async with serving(hop=Hop(delivered=_Nothing()), filter=sieve, trusted=["127.0.0.0/8"]) as kit:
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bench.sender", str(kit.port), str(AT_ONCE), str(_written(raws, scratch))
        )
        start = time.process_time()
        assert await client.wait() == 0
        return _since(start, len(raws))


def _written(raws: Sequence[bytes], scratch: Path) -> Path:
    path = scratch / "messages.json"
    path.write_text(json.dumps([raw.decode("latin-1") for raw in raws]))
    return path


class _Nothing(list[Any]):
    """Keeps nothing."""

    def append(self, item: Any) -> None:
        pass


async def _record(
    envelopes: Sequence[Envelope],
    raws: Sequence[bytes],
    inspections: Sequence[Inspection],
    facts: Sequence[Facts],
    judgements: Sequence[Judgement],
    scratch: Path,
) -> float:
    store = Store.open(scratch, RetentionSettings(), min_free=0)
    start = time.process_time()
    for envelope, raw, inspection, known, judgement in zip(
        envelopes, raws, inspections, facts, judgements, strict=True
    ):
        record = Record(
            id=envelope.id,
            envelope=envelope,
            origin=envelope.client,
            outline=inspection.outline,
            facts=known,
            auth=judgement.auth,
            verdict=judgement.verdict,
            opinion=judgement.opinion,
        )
        store.write(record, raw)
    await store.flush()
    spent = _since(start, len(raws))
    store.close()
    return spent


async def _smtp_out(raws: Sequence[bytes], scratch: Path) -> float:
    with behind(scratch) as url:
        hop = next_hop(url, RelaySettings())
        places = asyncio.Semaphore(AT_ONCE)

        async def one(raw: bytes) -> None:
            async with places:
                transaction = hop.transaction(Handover(client=_envelope(0).client))
                replies = await deliver(transaction, "a@example.net", (), [Recipient("user@example.org")], [raw])
                await transaction.close()
                assert replies[0].ok, replies

        start = time.process_time()
        await asyncio.gather(*map(one, raws))
        spent = _since(start, len(raws))
        await hop.aclose()
    return spent


def _envelope(number: int) -> Envelope:
    return Envelope(
        id=new_id(),
        received_at=datetime.datetime(2026, 11, 22, 10, tzinfo=datetime.UTC),
        listener="bench",
        peer="127.0.0.1",
        client=Origin(f"192.0.2.{number % 250}", f"mail{number % 50}.example.net", "mail.example.net", Source.XFORWARD),
        sender=f"sender{number}@example{number % 100}.net",
        recipients=(Recipient("user@example.org"),),
    )


def _since(start: float, count: int) -> float:
    return (time.process_time() - start) * 1000 / count
