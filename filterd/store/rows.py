"""From a record to rows, and from rows back to what people look at. Pure, but for `now`."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import zstandard

from filterd.decision import Action, Decision
from filterd.record import Record
from filterd.store import facets
from filterd.store.schema import KEY_BITS
from filterd.store.text import ADDRESS, SEARCHED, clean, fold
from filterd.store.words import HistoryRow, ItemState, QuarantineClass, QuarantineItem
from filterd.value import pack, unpack

LISTED = 100  # recipients that the history lists; the record has all
_LEVEL = 3


def milliseconds(moment: datetime.datetime) -> int:
    return int(moment.timestamp() * 1000)


def moment(stamp: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(stamp / 1000, datetime.UTC)


def now() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def key_at(stamp: int) -> int:
    """The least key that a row of this time can have."""
    return (stamp // 1000) << KEY_BITS


def squeeze(data: bytes | memoryview) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def unsqueeze(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def pack_record(record: Record) -> bytes:
    """The stored form of a record; text that UTF-8 cannot hold is replaced rather than refused."""
    try:
        return squeeze(pack(record))
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(record, builtin_types=(bytes, datetime.datetime))
        return squeeze(pack(_encodable(plain)))


def unpack_record(data: bytes) -> Record:
    """Raises CodecError when the bytes are not a record."""
    return unpack(unsqueeze(data), Record)


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_encodable(name): _encodable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    return value


def finding_names(record: Record) -> str:
    """The names of the findings, each once, separated by spaces."""
    return " ".join(dict.fromkeys("_".join(clean(name, 100).split()) for name in record.verdict.names))


def common_columns(record: Record, decision: Decision | None) -> dict[str, Any]:
    """The columns that a record and its items share. `decision` is the one that the row is about."""
    outline = record.outline
    return {
        "from_": clean(outline.from_),
        "subject": clean(outline.subject),
        "message_id": clean(outline.message_id, ADDRESS),
        "points": record.verdict_of(decision).points,
        "client": clean(record.origin.address or "", 64),
        "ruleset": clean(record.generation.ruleset, 100),
        "model": clean(record.opinion.model or record.generation.model, 100),
    }


def searched(columns: Mapping[str, Any], sender: str, recipients: Sequence[str]) -> str:
    """The folded text that a substring search looks at. The short and certain parts come first."""
    parts = [sender[:80], *(one[:60] for one in recipients[:2]), columns["message_id"][:80]]
    return fold("\n".join([*parts, columns["subject"][:120], columns["from_"]]))[:SEARCHED]


def record_columns(record: Record) -> dict[str, Any]:
    """A row of `records`, without its key."""
    envelope, decision = record.envelope, record.strictest
    columns = common_columns(record, decision)
    sender = clean(envelope.sender, ADDRESS)
    recipients = [clean(one.address, ADDRESS) for one in envelope.recipients[:LISTED]]
    return columns | {
        "id": clean(record.id, 64),
        "time": milliseconds(envelope.received_at),
        "sender": sender,
        "recipients": "\n".join(recipients),
        "action": decision.action.value if decision else Action.ACCEPT.value,
        "reason": decision.reason.value if decision else "",
        "probability": record.verdict.probability,
        "direction": envelope.direction.value,
        "listener": clean(envelope.listener, 100),
        "size": record.outline.size,
        "queue_id": clean(envelope.queue_id or "", 100),
        "facets": facets.of_record(record, decision),
        "search": searched(columns, sender, recipients),
    }


def item_from(row: Any) -> QuarantineItem:
    """What people and releasers see of a row of `items`."""
    return QuarantineItem(
        id=row.id,
        record=row.record,
        time=moment(row.time),
        sender=row.sender,
        recipient=row.recipient,
        from_=row.from_,
        subject=row.subject,
        message_id=row.message_id,
        klass=QuarantineClass(row.klass),
        state=ItemState(row.state),
        state_at=moment(row.state_at),
        state_by=row.state_by,
        text=row.text,
        reason=row.reason,
        score=row.points / 100,
        findings=tuple(row.findings.split()),
        size=row.size,
        client=row.client,
        ruleset=row.ruleset,
        model=row.model,
        digest=row.digest,
        reply=row.reply,
        tries=row.tries,
        due=None if row.due is None else moment(row.due),
        stored=row.body is not None,
        sender_parameters=tuple(row.sender_parameters.split()),
        recipient_parameters=tuple(row.recipient_parameters.split()),
    )


def history_from(row: Any) -> HistoryRow:
    """What the history lists of a row of `records`."""
    return HistoryRow(
        id=row.id,
        time=moment(row.time),
        sender=row.sender,
        recipients=tuple(row.recipients.splitlines()),
        from_=row.from_,
        subject=row.subject,
        message_id=row.message_id,
        action=Action(row.action),
        reason=row.reason,
        score=row.points / 100,
        probability=row.probability,
        client=row.client,
        direction=row.direction,
        listener=row.listener,
        size=row.size,
        queue_id=row.queue_id,
        ruleset=row.ruleset,
        model=row.model,
    )
