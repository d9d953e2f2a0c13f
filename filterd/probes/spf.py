"""SPF (RFC 7208) by pyspf, over our own DNS client.

pyspf asks as it goes and blocks while it waits. Here it runs in a greenlet: its one call to the DNS hands
the question to the coroutine around it, which awaits our client and hands the answer back. So pyspf stays
on the event loop's thread, and waits without holding it. Records and terms that are longer than any honest
one are a permerror, which keeps each step between two questions short; RFC 7208's own limits bound the
number of steps.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import spf as _spf
from greenlet import GreenletExit, getcurrent, greenlet

from filterd.authentication import AuthResult
from filterd.facts import DnsStatus, Questions, SpfAnswer, SpfQuestion
from filterd.mail.envelope import Origin
from filterd.net.dns import Answer, Asks
from filterd.net.wire import Kind
from filterd.probes.probe import Net

pyspf: Any = _spf  # it has no types

_MAX_RECORD = 8_192  # bytes; RFC 7208 section 3.4 advises 450
_LONG_TERM = re.compile(rb"[^ ]{513}")  # a domain name has 255 characters at most
_KINDS = {kind.name: kind for kind in (Kind.A, Kind.AAAA, Kind.MX, Kind.PTR, Kind.TXT)}
_NO_ADDRESS = "the client's address is not known"

Found = list[tuple[tuple[str, str], Any]]


async def spf(questions: Questions, net: Net) -> tuple[SpfAnswer, ...]:
    """One answer for each question, in order."""
    asked = (check_host(question, questions.origin, net.dns) for question in questions.spf)
    return tuple(await asyncio.gather(*asked))


async def check_host(question: SpfQuestion, origin: Origin, dns: Asks) -> SpfAnswer:
    """Evaluate one identity (RFC 7208 section 4). Never raises."""

    def answer(result: AuthResult, reason: str = "", lookups: int = 0) -> SpfAnswer:
        return SpfAnswer(question.identity, question.domain, result, reason, lookups)

    if origin.address is None:
        return answer(AuthResult.NONE, _NO_ADDRESS)
    # Most HELO names have no record; without one there is nothing to evaluate (sections 4.3 to 4.5).
    own = await dns.lookup(question.domain, Kind.TXT)
    if own.status is DnsStatus.TEMPERROR:
        return answer(AuthResult.TEMPERROR, own.reason)
    if not any(isinstance(record, bytes) and pyspf.RE_SPF.match(record) for record in own.records):
        return answer(AuthResult.NONE, "no SPF record")
    try:
        query = pyspf.query(i=origin.address, s=question.sender, h=origin.helo or question.domain)
        result, _, text = await _run(query, dns)
        return answer(AuthResult(result), _reason(query, result, text), query.lookups)
    except Exception as error:  # noqa: BLE001  pyspf raises what it likes on a record that is odd enough
        return answer(AuthResult.PERMERROR, f"not evaluated: {type(error).__name__}: {error}"[:200])


def _reason(query: Any, result: str, text: str) -> str:
    """What matched, or what was wrong."""
    if result.endswith("error"):
        return str(getattr(query, "prob", "") or text)[:200]
    return str(query.mechanism or "no mechanism matched")[:200]


async def _run(query: Any, dns: Asks) -> tuple[str, int, str]:
    """`query.check()`, awaiting what it asks."""
    evaluation = greenlet(query.check)
    try:
        step = evaluation.switch()
        while not evaluation.dead:
            name, kind = step
            step = evaluation.switch(await dns.lookup(name, kind))
    finally:
        while not evaluation.dead:  # cancelled: unwind it, past the bare excepts that pyspf has
            evaluation.throw(GreenletExit)
    return step  # type: ignore[no-any-return]


def _dns_lookup(name: str, qtype: str, *_: object, **__: object) -> Found:
    """In place of `spf.DNSLookup`: [((name, type), value)]; raises pyspf's own errors."""
    kind = _KINDS.get(qtype)
    if kind is None:
        return []
    answer: Answer = getcurrent().parent.switch((name, kind))
    if answer.status is DnsStatus.TEMPERROR:
        raise pyspf.TempError(f"DNS: {answer.reason}")
    if kind is not Kind.TXT:
        return [((name, qtype), record) for record in answer.records]
    texts = [record for record in answer.records if isinstance(record, bytes)]
    for text in texts:
        if pyspf.RE_SPF.match(text) and (len(text) > _MAX_RECORD or _LONG_TERM.search(text)):
            raise pyspf.PermError("the record is too long")
    return [((name, qtype), (text,)) for text in texts]


pyspf.DNSLookup = _dns_lookup
