"""Release: held mail is delivered to the one recipient that it was held for.

An item leaves the quarantine only with the next hop's 250. Until then it is held: when the next hop is gone
or asks to wait, `retry` (called by the jobs process) tries again, ever less often; when it refuses, the item
stays with the refusal. Of two releases at once one delivers. Nothing here raises for what a next hop or the
store does: each item has its `Release`, with a sentence.
"""

from __future__ import annotations

import asyncio
import datetime
import enum
import re
from collections.abc import Iterable, Sequence

import structlog

from filterd import mark
from filterd.decision import Edits
from filterd.mail.envelope import Origin, Recipient
from filterd.marking import render
from filterd.relay import Capabilities, Handover, NextHop, deliver
from filterd.reply import Reply
from filterd.store import Claim, ItemState, QuarantineItem, Store, StoreError
from filterd.value import Value

TIMEOUT = 240.0  # seconds for one delivery; well under the lease of a claim
FIRST_WAIT, LONGEST_WAIT = 60.0, 3600.0  # seconds between tries
TRIES = 120  # about five days
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_NEEDS = {"RET": "DSN", "ENVID": "DSN", "NOTIFY": "DSN", "ORCPT": "DSN", "BODY": "8BITMIME"}
_OURS = ("SIZE", "AUTH")  # no longer true of what we send
_GONE = Reply(451, "The next hop did not answer in time", "4.4.2")

log = structlog.get_logger("filterd.release")


class Fate(enum.StrEnum):
    RELEASED = "released"
    WAITING = "waiting"  # held, and tried again later
    REFUSED = "refused"  # held; the next hop does not want it
    BUSY = "busy"  # somebody else is releasing it now
    GONE = "gone"  # not there, or not held any more


class Release(Value):
    """What came of releasing one item."""

    item: str
    fate: Fate
    text: str = ""  # the next hop's words, or ours


async def release(store: Store, hop: NextHop, ids: Iterable[str], by: str, key: bytes) -> list[Release]:
    """Deliver these items, one after the other, each to its own recipient. `key` signs the marks."""
    return [await _release(store, hop, id_, by, key) for id_ in ids]


async def retry(store: Store, hop: NextHop, key: bytes, limit: int = 100) -> list[Release]:
    """Try again what is due: releases that had to wait, and those whose releaser has gone."""
    due = await asyncio.to_thread(store.quarantine.due, None, limit)
    return [await _release(store, hop, item.id, item.state_by, key) for item in due]


async def _release(store: Store, hop: NextHop, id_: str, by: str, key: bytes) -> Release:
    try:
        claim = await _claim(store, id_, by)
        if claim is None:
            return _not_ours(id_, await asyncio.to_thread(store.quarantine.get, id_))
    except StoreError as error:
        return Release(id_, Fate.WAITING, str(error))
    try:
        reply = await _deliver(store, hop, claim.item, key)
    except BaseException as error:
        await asyncio.shield(asyncio.to_thread(_give_back, store, claim, f"the release broke off: {error!r}"))
        raise
    return await asyncio.to_thread(_settle, store, claim, reply)


async def _claim(store: Store, id_: str, by: str) -> Claim | None:
    """A claim that is ours; when we are cancelled while it is being made, it is given back."""
    claiming = asyncio.ensure_future(asyncio.to_thread(store.quarantine.claim_for_release, id_, by))
    try:
        return await asyncio.shield(claiming)
    except asyncio.CancelledError:
        if claim := await claiming:
            await asyncio.to_thread(_give_back, store, claim, "the release broke off")
        raise


async def _deliver(store: Store, hop: NextHop, item: QuarantineItem, key: bytes) -> Reply:
    try:
        raw = await asyncio.to_thread(store.quarantine.raw, item.id)
        edits = await asyncio.to_thread(store.quarantine.edits, item.id)
    except StoreError as error:
        return Reply(451, str(error), "4.3.0")
    if raw is None:
        return Reply(554, "The message itself is gone", "5.3.0")
    expires = datetime.datetime.now(datetime.UTC).timestamp() + mark.KEPT
    wire = await asyncio.to_thread(_wire, item, raw, edits, key, expires)
    try:
        async with asyncio.timeout(TIMEOUT):
            return await _converse(hop, item, wire)
    except TimeoutError:
        return _GONE


async def _converse(hop: NextHop, item: QuarantineItem, wire: Sequence[bytes]) -> Reply:
    """One transaction with the next hop; its last word."""
    has = await hop.capabilities() or Capabilities()
    transaction = hop.transaction(Handover(client=Origin()))
    try:
        recipient = Recipient(item.recipient, _understood(item.recipient_parameters, has))
        parameters = _understood(item.sender_parameters, has)
        return (await deliver(transaction, item.sender, parameters, [recipient], wire))[0]
    finally:
        await transaction.close()


def _understood(parameters: Sequence[str], has: Capabilities) -> tuple[str, ...]:
    """The envelope parameters that still hold and that the next hop knows."""
    names = [(one.partition("=")[0].upper(), one) for one in parameters]
    return tuple(one for name, one in names if name not in _OURS and (name not in _NEEDS or has.has(_NEEDS[name])))


def _wire(item: QuarantineItem, raw: bytes, edits: Edits | None, key: bytes, expires: float) -> list[bytes]:
    """The message as it is released, with its mark, with CRLF line ends and nothing else between lines."""
    edited = raw if edits is None else b"".join(render(edits, raw))
    body = _BARE.sub(b"\r\n", edited) if _BARE.search(edited) else edited
    value = mark.make(key, item.id, item.recipient, body, expires).replace("; mac=", ";\r\n mac=")
    return [f"{mark.HEADER}: {value}\r\nX-Quarantine-ID: {item.id}\r\n".encode("ascii"), body]


def _settle(store: Store, claim: Claim, reply: Reply) -> Release:
    """Write down what the next hop said. Blocks."""
    id_, said = claim.item.id, str(reply)
    try:
        if reply.ok:
            store.quarantine.released(claim, said)
            return Release(id_, Fate.RELEASED, said)
        if reply.temporary and claim.item.tries < TRIES:
            wait = min(FIRST_WAIT * 2 ** min(claim.item.tries - 1, 20), LONGEST_WAIT)
            again = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=wait)
            store.quarantine.release_failed(claim, said, again)
            return Release(id_, Fate.WAITING, said)
        store.quarantine.release_failed(claim, said)
        return Release(id_, Fate.REFUSED, said)
    except StoreError as error:
        # the claim ends by itself; after a 250 the item may then be delivered a second time
        log.error("release-not-noted", item=id_, said=said, why=str(error))
        return Release(id_, Fate.RELEASED if reply.ok else Fate.WAITING, f"{said} (not noted: {error})")


def _give_back(store: Store, claim: Claim, why: str) -> None:
    try:
        store.quarantine.release_failed(claim, why)
    except StoreError as error:
        log.error("release-not-noted", item=claim.item.id, said=why, why=str(error))


def _not_ours(id_: str, item: QuarantineItem | None) -> Release:
    if item is None:
        return Release(id_, Fate.GONE, "there is no such item")
    if item.state is ItemState.RELEASING:
        return Release(id_, Fate.BUSY, f"{item.state_by or 'somebody'} is releasing it")
    if not item.stored:
        return Release(id_, Fate.GONE, "the message itself is gone")
    return Release(id_, Fate.GONE, f"it was {item.state} by {item.state_by or 'somebody'}")
