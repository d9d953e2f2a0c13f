"""The TXT records that authentication needs: DKIM and ARC keys, DMARC's tree walk."""

from __future__ import annotations

import asyncio

from filterd.facts import Questions, TxtAnswer
from filterd.net.dns import to_txt
from filterd.net.wire import Kind
from filterd.probes.probe import Net


async def txt(questions: Questions, net: Net) -> dict[str, TxtAnswer]:
    """An answer for every name; those that the cache has cost no task."""
    answers = {name: net.dns.known(name, Kind.TXT) for name in questions.txt}
    missing = [name for name, answer in answers.items() if answer is None]
    found = await asyncio.gather(*(net.dns.lookup(name, Kind.TXT) for name in missing))
    answers.update(zip(missing, found, strict=True))
    return {name: to_txt(answer) for name, answer in answers.items() if answer is not None}
