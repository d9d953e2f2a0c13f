"""Statistics: what rspamd's clients ask about a service, in rspamd's words. Counted since the service was started.

`/stat` for `rspamc stat`, `/counters` for `rspamc counters`, `/auth` for `rspamc uptime`, and `/symbols`. What rspamd
counts of its own memory and of services that there are not here is left out; rspamc takes that for 0.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from filterd import __version__
from filterd.app.metrics import Metrics
from filterd.config.load import Loaded
from filterd.decision import Action
from filterd.engine.loading import builtin_symbols
from filterd.frontends.http import Answer, Route
from filterd.frontends.http.answer import json_answer
from filterd.frontends.learner import Klass, Learner
from filterd.frontends.words import rspamd_action
from filterd.ruleset import Ruleset


class CountingLearner:
    """A learner that counts what was learnt."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.learnt = 0

    async def learn(self, raw: bytes, klass: Klass, *, user: str | None, by: str) -> bool:
        done = await self._learner.learn(raw, klass, user=user, by=by)
        self.learnt += done and klass is not Klass.FORGET
        return done


class Statistics:
    """Answers from the metrics, and from the configuration that is in force."""

    def __init__(self, metrics: Metrics, loaded: Callable[[], Loaded], learner: CountingLearner) -> None:
        self._metrics = metrics
        self._loaded = loaded
        self._learner = learner
        self._began = time.monotonic()
        self._known: tuple[str, list[dict[str, Any]]] = "", []

    @property
    def routes(self) -> dict[str, Route]:
        return {"/stat": self._stat, "/symbols": self._symbols, "/counters": self._counters, "/auth": self._auth}

    async def _stat(self) -> Answer:
        actions = _counts(self._metrics, "action")
        words: Counter[str] = Counter()
        for action, count in actions.items():
            words[rspamd_action(Action(action))] += count
        scanned = sum(actions.values())
        ham = actions[Action.ACCEPT] + actions[Action.DEFER]
        return json_answer(
            {
                "version": __version__,
                "config_id": self._loaded().hash,
                "uptime": self._uptime,
                "read_only": False,
                "scanned": scanned,
                "learned": self._learner.learnt,
                "total_learns": self._learner.learnt,
                "actions": words,
                "spam_count": scanned - ham,
                "ham_count": ham,
            }
        )

    async def _auth(self) -> Answer:
        return json_answer({"auth": "ok", "version": __version__, "uptime": self._uptime, "read_only": False})

    async def _symbols(self) -> Answer:
        return json_answer([{"group": "filterd", "rules": await self._listed()}])

    async def _counters(self) -> Answer:
        return json_answer(await self._listed())

    @property
    def _uptime(self) -> int:
        return int(time.monotonic() - self._began)

    async def _listed(self) -> list[dict[str, Any]]:
        """Every symbol there is, with how often it was found; rspamd's frequencies are by the second."""
        loaded = self._loaded()
        if self._known[0] != loaded.hash:
            self._known = loaded.hash, await asyncio.to_thread(_known, loaded)
        hits = _counts(self._metrics, "symbol")
        seconds = max(1, self._uptime)
        return [
            {**symbol, "hits": hits[symbol["symbol"]], "frequency": round(hits[symbol["symbol"]] / seconds, 6)}
            for symbol in self._known[1]
        ]


def _known(loaded: Loaded) -> list[dict[str, Any]]:
    declared = builtin_symbols(loaded.config.site)
    ruleset = Ruleset.load(loaded.config.rules, declared)
    listed = []
    for symbol in sorted({one.name: one for one in (*declared, *ruleset.symbols)}.values(), key=lambda s: s.name):
        points = ruleset.weight(symbol.name)
        listed.append(
            {
                "symbol": symbol.name,
                "weight": (symbol.points if points is None else points) / 100,
                "description": symbol.about,
                "frequency_stddev": 0.0,
                "time": 0.0,
            }
        )
    return listed


def _counts(metrics: Metrics, label: str) -> Counter[str]:
    """A counter's values, summed by one of its labels."""
    found: Counter[str] = Counter()
    for family in (metrics.messages if label == "action" else metrics.findings).collect():
        for sample in family.samples:
            if sample.name.endswith("_total"):
                found[sample.labels[label]] += int(sample.value)
    return found
