"""Probes ask the outside world, each one thing; `gather` runs them all at once under one deadline.

In: the Questions of one mail. Out: Facts. A probe that fails, or is not back in time, is named in
`Facts.failed` and leaves its fact at the default; nothing is raised. What the DNS has said by the deadline
is kept: only the names that are still open are temporary errors.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from filterd.facts import Facts, Questions
from filterd.net.dns import Dns
from filterd.plugins import Asking
from filterd.probes.exists import exists
from filterd.probes.iprev import iprev
from filterd.probes.lists import Lists, listings
from filterd.probes.probe import Net, Probe
from filterd.probes.senders import Remembers, near, senders
from filterd.probes.spf import spf
from filterd.probes.txt import txt

_NO_PROGRAMS: Mapping[str, Asking] = {}

PROBES = (
    Probe("txt", txt),
    Probe("spf", spf),
    Probe("exists", exists),
    Probe("iprev", iprev),
    Probe("listings", listings),
    Probe("senders", senders),
    Probe("near", near),
)

MOST = 100_000  # characters of what a plugin's probe may say

_GRACE = 0.25  # seconds between the end of answers and the end of waiting

__all__ = ["PROBES", "Lists", "Net", "Probe", "gather"]


async def gather(
    questions: Questions,
    dns: Dns,
    deadline: float,
    probes: Sequence[Probe] = PROBES,
    *,
    lists: Lists | None = None,
    memory: Remembers | None = None,
    programs: Mapping[str, Asking] = _NO_PROGRAMS,
) -> Facts:
    """All that the world says about one mail within `deadline` seconds. `programs` are the probes of plugins."""
    until = asyncio.get_running_loop().time() + deadline
    net = Net(dns.budget(until), lists, memory)
    tasks = {asyncio.ensure_future(probe.ask(questions, net)): probe.fact for probe in probes}
    tasks |= {asyncio.ensure_future(_said(ask, questions, net)): f"program {name}" for name, ask in programs.items()}
    try:
        _, late = await asyncio.wait(tasks, timeout=deadline + _GRACE)
    except asyncio.CancelledError:
        late = set(tasks)
        raise
    finally:
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    known: dict[str, Any] = {}
    failed: dict[str, str] = {}
    for task, fact in tasks.items():
        if task in late:
            failed[fact] = "timeout"
        elif error := task.exception():
            failed[fact] = f"{type(error).__name__}: {error}"[:200]
        else:
            known[fact] = task.result()
    said = {name: known.pop(f"program {name}") for name in programs if f"program {name}" in known}
    return Facts(**known, programs=said, failed=failed)


async def _said(ask: Asking, questions: Questions, net: Net) -> str:
    """What a plugin's probe answers, as JSON text."""
    text = json.dumps(await ask(questions, net), ensure_ascii=False)
    if len(text) > MOST:
        raise ValueError(f"an answer of more than {MOST} characters")
    return text
