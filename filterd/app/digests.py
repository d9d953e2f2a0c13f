"""Digests: sent when they are due, by the jobs process or by `filterd quarantine digest`.

A digest that the next hop does not take is not lost: it is composed anew at the next turn, from the same time on.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator

import structlog

from filterd.app.hops import Hops, release_url
from filterd.app.state import prepare
from filterd.config.model import Config
from filterd.frontends.web import Site, digest
from filterd.frontends.web.site import Letter
from filterd.mail.envelope import Origin, Recipient
from filterd.relay import Handover, NextHop, deliver
from filterd.store import Store
from filterd.value import Value

log = structlog.get_logger("filterd.digest")


class Sent(Value):
    """What came of one person's digest."""

    person: str
    recipient: str
    items: int
    sent: bool
    reply: str


async def send_due(
    store: Store, config: Config, *, dry_run: bool = False, only: str | None = None
) -> AsyncIterator[Sent]:
    """Send every digest that is due, or of one rhythm. Raises ValueError when `web.url` or the next hop is not said."""
    url = release_url(config)
    if config.web.url is None or url is None:
        raise ValueError("digests need web.url, for their links, and release.relay or an smtp listener, to be sent by")
    site = Site(
        store=store,
        secret=prepare(config.state),
        settings=config.web,
        hostname=config.hostname,
        sender=sender_of(config),
    )
    hops = Hops()
    try:
        for person in await asyncio.to_thread(store.people.everybody):
            now = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000)
            since = await asyncio.to_thread(store.people.digested, person.name)
            if not digest.due(person, since, now) or only not in (None, person.digest):
                continue
            letter = await asyncio.to_thread(digest.compose, site, person, since, now)
            if letter is None:
                continue
            reply = "dry run" if dry_run else await send(hops.give(config, url), letter)
            sent = reply.startswith("2")
            if sent:
                await asyncio.to_thread(store.people.digested, person.name, now)
            yield Sent(person.name, letter.recipient, letter.items, sent, reply)
    finally:
        await hops.aclose()


def sender_of(config: Config) -> str:
    """Whom our own mail is from."""
    return f"postmaster@{config.domains[0] if config.domains else config.hostname}"


async def send(hop: NextHop, letter: Letter) -> str:
    """One transaction, from nobody, so that nothing comes back; the next hop's last word."""
    transaction = hop.transaction(Handover(client=Origin()))
    try:
        return str((await deliver(transaction, "", (), [Recipient(letter.recipient)], [letter.content]))[0])
    finally:
        await transaction.close()
