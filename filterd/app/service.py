"""Service: the mail process. Built from a configuration, started, reloaded, drained.

`start` raises what a postmaster should read (one sentence) and leaves nothing open. `reload` never raises:
a broken configuration leaves the old generation in force and says so in log and status. `stop` takes no
new mail, lets the mail in hand come to its end for up to `DRAIN` seconds, and writes what waits to be
written.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import structlog

from filterd import __version__
from filterd.app.advisers import Desks, HttpEntrance, SpamdEntrance
from filterd.app.build import pooled, redecided, setup_of
from filterd.app.changes import Changes
from filterd.app.children import Child
from filterd.app.control import Control
from filterd.app.doors import Door, Doors
from filterd.app.entrances import MilterEntrance, SmtpEntrance, WebEntrance
from filterd.app.following import Following
from filterd.app.health import Health, Level, Vitals, conclude, report
from filterd.app.hops import Hops
from filterd.app.learning import LearningLink
from filterd.app.logs import message_line, set_up
from filterd.app.metrics import CONTENT_TYPE, Metrics
from filterd.app.sockets import SocketError, inherited
from filterd.app.state import Bypass, StateError, prepare
from filterd.app.statistics import CountingLearner, Statistics
from filterd.app.verdicts import Lessons
from filterd.app.world import World
from filterd.classifier import Live, Taught, open_live
from filterd.config.load import Loaded, from_document
from filterd.engine.engine import Engine
from filterd.engine.pool import PoolError
from filterd.frontends.http import Answer, Route
from filterd.frontends.reports import Reporting
from filterd.frontends.settings import (
    Address,
    AnyListener,
    HttpListener,
    MilterListener,
    SmtpListener,
    SpamdListener,
    SubmissionListener,
    WebListener,
)
from filterd.plugins import PluginError
from filterd.record import Record
from filterd.store import QuarantineClass, Store, StoreError
from filterd.yamlfile import DocumentError

log = structlog.get_logger("filterd")

DRAIN = 30.0
WATCH = 1.0  # seconds between two looks at the bypass file, and at what people said of senders

LOOK = 2.0  # seconds between two looks at the lists and rules on disk

TROUBLE = (DocumentError, PluginError, PoolError, SocketError, StateError, StoreError, OSError, ValueError)


class Service:
    """The running service."""

    def __init__(self, loaded: Loaded, reread: Callable[[], Loaded]) -> None:
        self.loaded = loaded
        self._reread = reread
        self._stack = AsyncExitStack()
        self._bypass = Bypass(loaded.config.state)
        self._changes = Changes(loaded)
        self._refused: set[str] = set()  # files that changed, and could not be taken over yet
        self._hops = Hops()
        self._doors = Doors(inherited())
        self._children: list[Child] = []
        self._web: set[Child] = set()
        self._reloading = asyncio.Lock()
        self._reload_failed: str | None = None
        self.metrics = Metrics(self._gauges)
        self.on_record: Callable[[Record], None] | None = None
        self.store: Store
        self.engine: Engine
        self._desks: Desks
        self._filter: Reporting
        self._statistics: Statistics
        self._world: World
        self._following: Following

    @property
    def doors(self) -> Doors:
        return self._doors

    async def start(self, children: list[Child] | None = None) -> None:
        """Everything up and every door open; raises one of `TROUBLE`."""
        try:
            await self._start(children or [])
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self, children: list[Child]) -> None:
        config, stack = self.loaded.config, self._stack
        set_up(config.log)
        self._doors.reserve(config.listeners)
        stack.push_async_callback(self._doors.close, 0.0)
        secret = prepare(config.state)
        Live.prepare(config.state)
        Taught.prepare(config.state)
        self.store = Store.open(config.store, config.retention)
        stack.callback(self.store.close)
        self._world = World(config, store=self.store)
        stack.push_async_callback(self._close_world)
        generation = await pooled(self.loaded, self._world.ask, self._world.blocks)
        self.engine = Engine(generation, self.store, self._recorded, mark_key=secret, early=self.metrics.early)
        stack.push_async_callback(self._close_workers)
        self.engine.bypass = self._bypass.said() is not None
        self._following = Following(self.store, self.engine)
        await self._following.look()
        self._hops.take(config)
        stack.push_async_callback(self._hops.aclose)
        control = Control(config.state, self.status)
        await control.start()
        stack.push_async_callback(control.stop)
        for child in children:
            child.start()
            stack.push_async_callback(child.stop)
        self._children = children
        self._world.start()
        for watching in (self._watch(), self._watch_files()):
            stack.callback(asyncio.create_task(watching).cancel)
        link = LearningLink(config.state)
        learner = CountingLearner(link)
        lessons = Lessons(self.engine, link.ask, lambda: self.loaded.config.learn)
        stack.callback(asyncio.create_task(lessons.run()).cancel)
        self._filter = Reporting(lessons, link, lambda: self.loaded.config.learn.addresses)
        self._statistics = Statistics(self.metrics, lambda: self.loaded, learner)
        self._desks = Desks(lambda: self.loaded.config, self.engine, learner)
        await self._doors.arrange(config.listeners, self._make)
        stack.push_async_callback(self._doors.close, DRAIN)
        log.info(
            "started",
            version=__version__,
            config=self.loaded.document.file if self.loaded.document else "embedded defaults",
            generation=generation.ids.config,
            ruleset=generation.ids.ruleset,
            model=generation.ids.model,
            doors=self._doors.names,
        )

    async def stop(self) -> None:
        """Drain and end."""
        log.info("stopping", mails=self.engine.load["mails"])
        await self._stack.aclose()
        log.info("stopped")

    async def reload(self) -> bool:
        """Take over the configuration as it is on disk now. False: it is broken, and the old one goes on."""
        async with self._reloading:
            try:
                await self._reload(self._reread())
            except TROUBLE as error:
                self._reload_failed = str(error).replace("\n", "; ")
                log.error("reload-failed", why=self._reload_failed)
                return False
            self._changes = Changes(self.loaded)
            self._reloaded()
            return True

    async def refresh(self, changed: Sequence[str]) -> bool:
        """Take over what the configuration names (lists, rules, certificate) as it is on disk now. As `reload`."""
        async with self._reloading:
            changed = sorted(self._refused.union(changed))
            try:
                await self._refresh(changed)
            except TROUBLE as error:
                self._refused.update(changed)
                self._reload_failed = str(error).replace("\n", "; ")
                log.error("reload-failed", changed=changed, why=self._reload_failed)
                return False
            self._reloaded(changed)
            return True

    def _reloaded(self, changed: Sequence[str] = ()) -> None:
        self._reload_failed = None
        self._refused.clear()
        generation = self.engine.generation.ids
        log.info(
            "reloaded",
            generation=generation.config,
            ruleset=generation.ruleset,
            changed=changed or None,
            doors=self._doors.names,
        )

    async def _refresh(self, changed: Sequence[str]) -> None:
        document = self.loaded.document
        if document is None:
            return
        loaded = from_document(document)
        if setup_of(loaded.config) != setup_of(self.loaded.config):
            await self._reload(loaded)
            return
        rules = any(Path(name).is_relative_to(folder) for name in changed for folder in loaded.config.rules.paths)
        generation = self.engine.generation
        renewed = await pooled(loaded, generation.ask, generation.blocks) if rules else redecided(generation, loaded)
        self.loaded = loaded
        await self.engine.swap(renewed)
        if str(loaded.config.relay.ca) in changed:
            self._hops.renew()
        tls = loaded.config.tls
        if {str(tls.certificate), str(tls.key)} & set(changed):
            await self._doors.arrange(loaded.config.listeners, self._make)
        else:
            self._doors.adapt()

    async def _reload(self, loaded: Loaded) -> None:
        old = self.loaded.config
        for name in ("state", "database"):
            if getattr(old, name) != getattr(loaded.config, name):
                raise ValueError(f"{name} cannot change while the service runs; restart it")
        world = World(loaded.config, self._world, self.store)
        generation = await pooled(loaded, world.ask, world.blocks)
        before = self.loaded
        try:
            self._hops.take(loaded.config)
            self._hops.renew()
            self.loaded = loaded
            await self._doors.arrange(loaded.config.listeners, self._make)
        except TROUBLE:
            self.loaded = before
            await generation.judges.close()
            raise
        set_up(loaded.config.log)
        await self.engine.swap(generation)
        for child in self._children:
            await child.stop()
            child.start()
        last, self._world = self._world, world
        await last.aclose(world)
        world.start()

    def _make(self, name: str, listener: AnyListener, address: Address) -> Door:
        if isinstance(listener, SmtpListener | SubmissionListener):
            return SmtpEntrance(name, listener, lambda: self.loaded.config, self._filter, self._hops)
        if isinstance(listener, MilterListener):
            return MilterEntrance(name, listener, lambda: self.loaded.config, self._filter)
        if isinstance(listener, HttpListener):
            return HttpEntrance(name, listener, address, self._desks, self._routes)
        if isinstance(listener, SpamdListener):
            return SpamdEntrance(name, listener, self._desks)
        if isinstance(listener, WebListener):
            document = self.loaded.document
            return WebEntrance(name, str(document.file) if document else None, self._web)
        raise SocketError(f"{name}: this version of filterd has no {listener.protocol} listener")

    def _recorded(self, record: Record) -> None:
        self.metrics.record(record)
        self._world.note(record)
        log.info("message", **message_line(record))
        if self.on_record is not None:
            self.on_record(record)

    async def health(self) -> Health:
        """What is wrong now."""
        config, judges = self.loaded.config, self.engine.generation.judges
        counts, _ = await asyncio.to_thread(self.store.stats)
        undelivered = sum(one.count for one in counts if one.klass is QuarantineClass.UNDELIVERED)
        return conclude(
            Vitals(
                workers_alive=judges.alive,
                workers_wanted=judges.size,
                store=self.store.health(),
                next_hops=await self._hops.health(config),
                bypass=self._bypass.said(),
                enforcing=config.enforce,
                undelivered=undelivered,
                children_down=[child.name for child in (*self._children, *self._web) if not child.steady],
                reload_failed=self._reload_failed,
                lists_off=self._world.lists.off,
                name_servers={name: one["alive"] for name, one in self._world.name_servers.items()},
            )
        )

    async def status(self) -> dict[str, Any]:
        """All that `filterd status` shows."""
        generation = self.engine.generation
        waiting = await asyncio.to_thread(self.store.suggestions.counts)
        verdicts = await asyncio.to_thread(self.store.labels.of_verdicts)
        live = open_live(self.loaded.config.state)
        return report(
            await self.health(),
            version=__version__,
            config=self.loaded.document.file if self.loaded.document else None,
            generation={name: getattr(generation.ids, name) for name in ("config", "ruleset", "model")},
            doors=self._doors.names,
            workers={"alive": generation.judges.alive, "wanted": generation.judges.size},
            load=self.engine.load,
            bypass=self._bypass.said(),
            next_hops={url: one.report() for url, one in self._hops.standings(self.loaded.config).items()},
            lists=self._world.status(),
            dns=self._world.name_servers,
            suggestions={"pending": waiting.pending, "doubtful": waiting.doubtful},
            labels={"left_out": live.left_out if live is not None else 0},
            verdicts={"learnt": self.loaded.config.learn.from_verdicts, "ham": verdicts.ham, "spam": verdicts.spam},
        )

    @property
    def _routes(self) -> dict[str, Route]:
        return {"/healthy": self._healthy, "/metrics": self._scraped, **self._statistics.routes}

    async def _healthy(self) -> Answer:
        health = await self.health()
        body = json.dumps(report(health)).encode() + b"\n"
        return Answer(503 if health.level is Level.DOWN else 200, "application/json", body)

    async def _scraped(self) -> Answer:
        return Answer(200, CONTENT_TYPE, self.metrics.text())

    def _gauges(self) -> dict[str, float | dict[str, float]]:
        judges, counters = self.engine.generation.judges, self.store.counters
        return {
            "workers_alive": judges.alive,
            **self._hops.gauges(self.loaded.config),
            "worker_deaths": judges.deaths,
            "bypass": float(self.engine.bypass),
            "store_well": float(self.store.health() is None),
            "records_lost": counters.lost_records,
            **self._world.gauges(),
            **{f"load_{name}": value for name, value in self.engine.load.items()},
        }

    async def _watch(self) -> None:
        """Follow the bypass file, of which every minute is told, and what people say about senders."""
        said_at = 0.0
        while True:
            now = asyncio.get_running_loop().time()
            said = self._bypass.said()
            if self.engine.bypass != (said is not None):
                self.engine.bypass, said_at = said is not None, 0.0
                if said is None:
                    log.warning("bypass-off", text="mail is filtered again")
            if said is not None and now - said_at >= 60:
                log.warning("bypass-on", text=f"every message passes unfiltered {said}")
                said_at = now
            await self._following.look()
            await asyncio.sleep(WATCH)

    async def _watch_files(self) -> None:
        """Follow the lists and rules on disk. What is wrong there leaves the old ones in force."""
        while True:
            await asyncio.sleep(LOOK)
            if changed := await asyncio.to_thread(self._changes.look):
                await self.refresh(changed)

    async def _close_workers(self) -> None:
        await self.engine.generation.judges.close()

    async def _close_world(self) -> None:
        await self._world.aclose()
