"""Doctor: what is wrong around filterd, and how to mend it: resolvers, lists, clocks, clients, learning, permissions.

In: a configuration, read from disk as the service would. Out: what was found, area by area, each with a sentence and,
where something is wrong, a second one on how to mend it. Asks the DNS, reads the store and the state folder; changes
nothing. What cannot be looked at is itself something that was found; nothing is raised.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import enum
import os
import secrets
import stat
import time
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path

from filterd.app.clock import is_synchronised
from filterd.app.control import path_of
from filterd.classifier import open_live
from filterd.config.load import Loaded
from filterd.config.model import Config
from filterd.facts import DnsStatus
from filterd.learning.words import LEFT_OUT, SAY_AGAIN
from filterd.mail import Direction
from filterd.net import Dns
from filterd.net.wire import Kind
from filterd.probes.lists import LOCAL, ailment
from filterd.store import HistoryFilter, Store, StoreError
from filterd.value import Value

SLOW = 0.5  # seconds for one answer
RECENT = 500  # messages whose clients are looked at
FUTURE = datetime.timedelta(minutes=5)
_PUBLIC = {
    "8.8.8.8": "Google", "8.8.4.4": "Google", "2001:4860:4860::8888": "Google", "2001:4860:4860::8844": "Google",
    "1.1.1.1": "Cloudflare", "1.0.0.1": "Cloudflare", "2606:4700:4700::1111": "Cloudflare",
    "9.9.9.9": "Quad9", "149.112.112.112": "Quad9", "2620:fe::fe": "Quad9",
    "208.67.222.222": "OpenDNS", "208.67.220.220": "OpenDNS", "4.2.2.1": "Level 3", "4.2.2.2": "Level 3",
    "94.140.14.14": "AdGuard", "185.228.168.9": "CleanBrowsing", "64.6.64.6": "Verisign", "77.88.8.8": "Yandex",
}  # fmt: skip
_OWN = "Run a resolver of your own (unbound, BIND, Knot) on this host and set dns.servers: [127.0.0.1]."


class Level(enum.StrEnum):
    GOOD = "good"
    DOUBT = "doubt"
    BAD = "bad"


class Told(Value):
    """One thing that was found."""

    area: str
    level: Level
    text: str
    mend: str = ""


async def examine(loaded: Loaded) -> list[Told]:
    """Everything that a doctor looks at, in order."""
    config = loaded.config
    found = [one async for one in _resolvers(config)]
    found += [one async for one in _lists(config)]
    found += _clock(config)
    found += await asyncio.to_thread(lambda: list(_clients(config)))
    found += _labels(config)
    found += _permissions(loaded)
    return found


async def _resolvers(config: Config) -> AsyncIterator[Told]:
    dns = Dns(config.dns)
    addresses = [server.address for server in dns.servers]
    await dns.aclose()
    for address in addresses:
        yield await _resolver(config, str(address), address.host)


async def _resolver(config: Config, server: str, host: str) -> Told:
    dns = Dns(config.dns.model_copy(update={"servers": (server,)}))
    try:
        started = time.monotonic()
        known = await dns.lookup(config.hostname, Kind.A)
        took = time.monotonic() - started
        made_up = await dns.lookup(f"{secrets.token_hex(8)}.invalid", Kind.A)
    finally:
        await dns.aclose()
    name = f"the resolver {server}"
    if known.status is DnsStatus.TEMPERROR:
        mend = "Start it, let it answer this host, or set dns.servers to one that does."
        return Told("dns", Level.BAD, f"{name} does not answer: {known.reason}", mend)
    if made_up.status is DnsStatus.OK:
        text = f"{name} lies: it gives {', '.join(made_up.texts[:2])} for a name that cannot exist"
        return Told("dns", Level.BAD, text, _OWN)
    if host in _PUBLIC:
        text = f"{name} is {_PUBLIC[host]}'s public one: block lists refuse it, or answer it falsely"
        return Told("dns", Level.BAD if config.lists else Level.DOUBT, text, _OWN)
    if took > SLOW:
        return Told("dns", Level.DOUBT, f"{name} took {took:.1f} s for one answer", _OWN)
    return Told("dns", Level.GOOD, f"{name} answers in {took * 1000:.0f} ms")


async def _lists(config: Config) -> AsyncIterator[Told]:
    if not config.lists:
        yield Told("lists", Level.GOOD, "no list is configured")
        return
    dns = Dns(config.dns)
    try:
        found = await asyncio.gather(*(ailment(one, dns) for one in config.lists))
    finally:
        await dns.aclose()
    for one, why in zip(config.lists, found, strict=True):
        if why:
            yield Told("lists", Level.BAD, f"the list {one.name} ({one.zone}) {why}", _mend_list(why))
        else:
            yield Told("lists", Level.GOOD, f"the list {one.name} ({one.zone}) is well")


def _mend_list(why: str) -> str:
    if why.startswith("refuses"):
        return f"{_OWN} If it is your own already: the list wants a contract for so many questions."
    if why.startswith("does not answer"):
        return "See what is said about dns; if the resolver is well, the list has trouble: wait, or take it out."
    if why.startswith("lists nothing"):
        return "Check its zone, and its test point `listed`; if both are right, the list has ended: take it out."
    return "The list has ended, or a resolver answers in its place: take it out, or use a resolver of your own."


def _clock(config: Config) -> Iterator[Told]:
    now = datetime.datetime.now(datetime.UTC)
    built = datetime.datetime.fromtimestamp(Path(__file__).stat().st_mtime, datetime.UTC)
    synchronised = is_synchronised()
    mend = "Start a time service (chrony, systemd-timesyncd): signatures expire, and keys of history follow the clock."
    if now < built - datetime.timedelta(days=1):
        text = f"the clock says {now:%Y-%m-%d %H:%M}, which is before filterd was installed"
        yield Told("clock", Level.BAD, text, mend)
    elif synchronised is False:
        yield Told("clock", Level.DOUBT, "the kernel says that nothing keeps the clock right", mend)
    else:
        yield Told("clock", Level.GOOD, f"the clock says {now:%Y-%m-%d %H:%M:%S} UTC")


def _clients(config: Config) -> Iterator[Told]:
    """Whose addresses recent mail came from, and whether the newest of it is from the future."""
    if not _has_store(config):
        yield Told("clients", Level.GOOD, "no mail has been seen yet")
        return
    try:
        store = Store.open(config.store, config.retention)
    except StoreError as error:
        yield Told("clients", Level.DOUBT, f"the history cannot be read: {error}", "See what is said of permissions.")
        return
    try:
        rows = list(store.history.find(HistoryFilter(direction=Direction.INBOUND.value), RECENT, budget=None))
    except StoreError as error:
        yield Told("clients", Level.DOUBT, f"the history cannot be read: {error}")
        return
    finally:
        store.close()
    if rows and rows[0].time > datetime.datetime.now(datetime.UTC) + FUTURE:
        text = f"the newest message is dated {rows[0].time:%Y-%m-%d %H:%M}, which is still to come"
        yield Told("clock", Level.BAD, text, "The clock was ahead, or is behind: set it, and keep it right.")
    yield _origins(config, [row.client for row in rows])


def _origins(config: Config, clients: list[str]) -> Told:
    total = len(clients)
    if not total:
        return Told("clients", Level.GOOD, "no inbound mail has been seen yet")
    unknown = sum(not _is_address(client) for client in clients)
    local = [client for client in clients if _is_address(client) and LOCAL.hold(client)]
    if local and len(local) * 2 > total:
        text = f"{len(local)} of the last {total} messages seem to come from {local[0]}: that is a relay of your own"
        mend = f"Add {local[0]} to networks.relays, or let it send XFORWARD (smtpd_authorized_xforward_hosts)."
        return Told("clients", Level.BAD, f"{text}, so SPF and block lists judge it instead of the sender", mend)
    if unknown * 2 > total:
        text = f"of {unknown} of the last {total} messages the client is not known, so SPF and lists are not asked"
        mend = "Postfix: smtp_send_xforward_command=yes. Else: networks.relays, and try doctor --message on one mail."
        return Told("clients", Level.BAD, text, mend)
    return Told("clients", Level.GOOD, f"of {total - unknown} of the last {total} messages the client is known")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _has_store(config: Config) -> bool:
    return config.database is not None or (config.state / "filterd.db").exists()


def _labels(config: Config) -> Iterator[Told]:
    live = open_live(config.state)
    if live is None or not live.taught:
        yield Told("learning", Level.GOOD, "nothing was taught yet")
    elif live.left_out:
        yield Told("learning", Level.DOUBT, LEFT_OUT.format(live.left_out), SAY_AGAIN)
    else:
        yield Told("learning", Level.GOOD, f"the model holds {live.ham} ham and {live.spam} spam, all that is stored")


def _permissions(loaded: Loaded) -> Iterator[Told]:
    config = loaded.config
    before = _Count()
    state = config.state
    if not state.exists():
        mend = f"filterd serve makes it; to make it by hand: install -d -m 750 {state}"
        yield before(Told("permissions", Level.DOUBT, f"the state folder {state} is not there", mend))
    else:
        yield from map(before, _secret(state, folder=True))
        for name in ("secret", "filterd.db", "filterd.db-wal"):
            if (state / name).exists():
                yield from map(before, _secret(state / name))
        yield from map(before, _of_one_owner(state))
        if not os.access(state, os.W_OK | os.X_OK) and not path_of(state).exists():
            mend = "Run the service as the folder's owner."
            yield before(Told("permissions", Level.DOUBT, f"{state} cannot be written by this user", mend))
    if config.tls.key is not None and config.tls.key.exists():
        yield from map(before, _secret(config.tls.key))
    if loaded.document is not None:
        yield from map(before, _not_writable(Path(str(loaded.document.file))))
    for folder in config.rules.paths:
        if folder.exists():
            yield from map(before, _not_writable(folder))
    if not before.told:
        yield Told("permissions", Level.GOOD, "the files are as private as they should be")


class _Count:
    """Counts what passes."""

    def __init__(self) -> None:
        self.told = 0

    def __call__(self, one: Told) -> Told:
        self.told += 1
        return one


def _secret(path: Path, *, folder: bool = False) -> Iterator[Told]:
    """A file that no stranger may read, or a folder that no stranger may enter."""
    mode = _mode(path)
    if mode is not None and mode & 0o007:
        mend = f"chmod {'750' if folder else '600'} {path}"
        yield Told("permissions", Level.BAD, f"everybody on this host may read {path}", mend)


def _of_one_owner(state: Path) -> Iterator[Told]:
    """The service writes all that is in the folder, so all of it is the folder's owner's."""
    with contextlib.suppress(OSError):
        owner = state.stat().st_uid
        strange = next((path for path in state.rglob("*") if path.lstat().st_uid != owner), None)
        if strange is not None:
            mend = f"chown -R --reference={state} {state}"
            yield Told("permissions", Level.BAD, f"{strange} belongs to somebody else than {state}", mend)


def _not_writable(path: Path) -> Iterator[Told]:
    mode = _mode(path)
    if mode is not None and mode & 0o002:
        yield Told("permissions", Level.BAD, f"everybody on this host may change {path}", f"chmod o-w {path}")


def _mode(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    return None
