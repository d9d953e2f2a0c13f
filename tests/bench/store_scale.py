"""How the store does with many rows: `python tests/bench/store_scale.py [ROWS] [FOLDER] [HISTORY]`.

Fills a store with ROWS records and ROWS quarantined items (200,000 unless said), the first WRITTEN of them as the
service writes them and the others as copies made by SQL, a later time each; and with records of delivered mail until
the history has HISTORY rows; then times what people and jobs do with it: pages, searches, bulk selection, expiry. Each
figure is the slowest of three runs, in milliseconds; the CPU of writing is per message. With a folder that holds a
filled store already, only the timing is done.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import itertools
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filterd.decision import Action, Decision, Reason
from filterd.findings import Finding
from filterd.ids import new_id
from filterd.mail.envelope import Envelope, Origin, Recipient, Source
from filterd.record import Generation, Opinion, Outline, Record, Verdict
from filterd.store import (
    Held,
    HistoryFilter,
    ItemState,
    QuarantineClass,
    QuarantineFilter,
    RetentionSettings,
    Store,
)
from filterd.store import puts as putting
from filterd.store.puts import Body, Entry, Holding, Puts
from filterd.store.rows import squeeze

DAYS = 30
WRITTEN = 200_000
GROUP = 200
COPIED = 50_000  # records that one transaction copies
WORDS = [
    "invoice",
    "offer",
    "your",
    "account",
    "meeting",
    "payment",
    "update",
    "order",
    "important",
    "security",
    "delivery",
    "free",
    "weekly",
    "report",
    "password",
    "team",
    "photos",
    "question",
    "price",
    "winner",
    "prize",
    "urgent",
    "newsletter",
    "summer",
    "party",
    "draft",
    "contract",
    "bank",
]
RULES = [f"RULE_{number:03}" for number in range(300)]
BODY = b"From: a@b\r\n\r\n" + b"A body of a usual size, with words. " * 140


def main(rows: int, folder: Path, history: int = 0) -> None:
    store = Store.open(folder, RetentionSettings(min_free=0))
    try:
        if not store.history.find(limit=1).rows:
            fill(store, min(rows, WRITTEN), DAYS * min(rows, WRITTEN) / rows)
        multiply(store, rows)
        lengthen(store, history)
        recount(store)
        measure(store, rows)
    finally:
        store.close()


def multiply(store: Store, rows: int) -> None:
    """Copy all there is to later times, under other ids, until there are so many."""
    with store.database.write() as connection:
        ask = connection.exec_driver_sql
        count, first, last = ask("SELECT count(*), min(key), max(key) FROM records").one()
        bodies = ask("SELECT max(id) FROM bodies").scalar_one()
        names = {
            table: ", ".join(row.name for row in ask(f"PRAGMA table_info({table})"))
            for table in ("bodies", "records", "record_data", "items")
        }
    for copy in range(1, -(-rows // count)):
        shift = ((last - first) // 1024 + 1) * copy
        changed = {
            "key": f"key + {shift * 1024}",
            "time": f"time + {shift * 1000}",
            "id": f"'{copy}-' || id",
            "digest": f"'x{copy}' || digest",
            "body": f"body + {bodies * copy}",
        }
        with store.database.write() as connection:
            for table, columns in names.items():
                own = changed | ({"id": f"id + {bodies * copy}"} if table == "bodies" else {})
                chosen = ", ".join(own.get(name, name) for name in columns.split(", "))
                limit = f"id <= {bodies}" if table == "bodies" else f"key <= {last}"
                sql = f"INSERT INTO {table}({columns}) SELECT {chosen} FROM {table} WHERE {limit}"
                connection.exec_driver_sql(sql)
            for table in ("records", "items"):
                for kind in ("facets", "search"):
                    fresh = f"SELECT key, {kind} FROM {table} WHERE key >= {first + shift * 1024}"
                    connection.exec_driver_sql(f"INSERT INTO {table}_{kind}(rowid, content) {fresh}")
        print(f"copy {copy}", file=sys.stderr)


def lengthen(store: Store, history: int) -> None:
    """Copy the records alone until there are so many: three at each time, over this and the months before."""
    with store.database.read() as connection:
        ask = connection.exec_driver_sql
        count, first, last = ask("SELECT count(*), min(key), max(key) FROM records").one()
        keys = ask("SELECT key FROM records ORDER BY key").scalars().all()[::COPIED]
        names = {
            table: [row.name for row in ask(f"PRAGMA table_info({table})")] for table in ("records", "record_data")
        }
    month = ((last - first) // 1024 + 1) * 1024
    for copy in range(1, -(-history // count)):
        shift = copy % 3 - copy // 3 * month
        changed = {"key": f"key + {shift}", "time": f"time + {shift // 1024 * 1000}", "id": f"'h{copy}-' || id"}
        for low, high in itertools.pairwise([*keys, last + 1]):
            with store.database.write() as connection:
                ask = connection.exec_driver_sql
                for table, columns in names.items():
                    chosen = ", ".join(changed.get(name, name) for name in columns)
                    original = f"SELECT key FROM records WHERE key >= {low} AND key < {high} AND id < 'h'"
                    ask(f"INSERT INTO {table}({', '.join(columns)}) SELECT {chosen} FROM {table} "
                        f"WHERE key IN ({original})")  # fmt: skip
                for kind in ("facets", "search"):
                    ask(f"INSERT INTO records_{kind}(rowid, content) SELECT key, {kind} FROM records "
                        f"WHERE key >= {low + shift} AND key < {high + shift} AND id GLOB 'h{copy}-*'")  # fmt: skip
        print(f"{copy} times the history", file=sys.stderr)


def fill(store: Store, rows: int, days: float) -> None:
    """Records over so many days from DAYS ago, each of them quarantined for one recipient, in time's order."""
    random.seed(1)
    start = time.time() - DAYS * 86_400
    writing = Puts(store.database.dialect)
    spent, held, began = 0.0, 0.0, time.monotonic()
    data = squeeze(BODY)
    for first in range(0, rows, GROUP):
        at = [start + (first + n) / rows * days * 86_400 for n in range(GROUP)]
        records = [make(stamp) for stamp in at]
        cpu = time.process_time()
        with store.database.write() as connection:
            writing.records(connection, [Entry(record) for record in records])
        spent += time.process_time() - cpu
        cpu = time.process_time()
        with store.database.write() as connection, clock(at):
            writing.items(connection, [holding(record, data) for record in records])
        held += time.process_time() - cpu
        if first % 20_000 == 0:
            print(f"{first:>9,} rows, {time.monotonic() - began:6.0f} s", file=sys.stderr)
    print(f"write a record: {spent / rows * 1e3:.3f} ms of CPU, in transactions of {GROUP}")
    print(f"hold a message: {held / rows * 1e3:.3f} ms of CPU more, compression apart")


@contextlib.contextmanager
def clock(times: list[float]) -> Iterator[None]:
    """The store's clock, telling these times one after the other."""
    left, now = iter(times), putting.rows.now
    putting.rows.now = lambda: int(next(left, times[-1]) * 1000)
    try:
        yield
    finally:
        putting.rows.now = now


def holding(record: Record, data: bytes) -> Holding:
    body = Body(hashlib.sha256(record.id.encode()).hexdigest(), len(BODY), data)
    return Holding(record, body, [Held(record.envelope.recipients[0].address, random.choice(list(QuarantineClass)))])


def make(stamp: float) -> Record:
    names = [*random.sample(RULES, 9), "ALWAYS"]
    findings = tuple(Finding(name, 100, "A sentence about it.", "evidence", "rules/x.yaml:1") for name in names)
    subject = " ".join(random.choices(WORDS, k=6)) + f" {random.getrandbits(24):x}"
    sender = f"{random.choice(WORDS)}{random.getrandbits(16)}@{random.choice(WORDS)}{random.getrandbits(10)}.example"
    recipient = f"user{random.randrange(2000)}@example.{random.choice(('org', 'net'))}"
    origin = Origin(f"192.0.{random.randrange(256)}.{random.randrange(256)}", None, "mx.example", Source.PEER)
    action = random.choices([Action.ACCEPT, Action.QUARANTINE, Action.TAG, Action.REJECT], (600, 350, 49, 1))[0]
    return Record(
        id=new_id(),
        envelope=Envelope(
            id="",
            received_at=datetime.datetime.fromtimestamp(stamp, datetime.UTC),
            listener="smtp 127.0.0.1:10025",
            peer="127.0.0.1",
            client=origin,
            sender=sender,
            recipients=(Recipient(recipient),),
        ),
        origin=origin,
        outline=Outline(
            subject=subject, from_=f'"{subject[:20]}" <{sender}>', message_id=f"<{new_id()}@x>", size=len(BODY),
            urls=tuple(f"http://{word}.example/{random.getrandbits(32)}" for word in random.sample(WORDS, 5)),
        ),
        verdict=Verdict(findings=findings, points=1000, probability=random.random()),
        opinion=Opinion(0.9, 400, "base-1"),
        decisions=(Decision(recipient, action, Reason.SPAM_SCORE, "It looks like spam."),),
        generation=Generation(ruleset=f"r{random.randrange(20)}", model="base-1"),
    )  # fmt: skip


def recount(store: Store) -> None:
    """The copies were made behind the back of whoever keeps the totals."""
    with store.database.write() as connection:
        for sql in ("DELETE FROM totals", "INSERT INTO totals SELECT 'records', count(*), 0 FROM records",
                    "INSERT INTO totals SELECT 'held:' || klass, count(*), sum(stored) FROM items WHERE open = 1 "
                    "GROUP BY klass"):  # fmt: skip
            connection.exec_driver_sql(sql)


def measure(store: Store, rows: int) -> None:
    sample = store.history.find(limit=1, before=middle(store)).rows[0]
    week = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=7)
    rare, half = HistoryFilter(action=Action.REJECT), middle(store)
    asked: list[tuple[str, Callable[[], object]]] = [
        ("history: first page", lambda: store.history.find()),
        ("history: a page in the middle", lambda: store.history.find(before=half)),
        ("history: by recipient", lambda: store.history.find(HistoryFilter(recipient=sample.recipients[0]))),
        ("history: by recipient's domain", lambda: store.history.find(HistoryFilter(recipient="example.org"))),
        ("history: by sender", lambda: store.history.find(HistoryFilter(sender=sample.sender))),
        ("history: by sender's domain", lambda: store.history.find(HistoryFilter(sender="bank7.example"))),
        ("history: by message id", lambda: store.history.find(HistoryFilter(message_id=sample.message_id))),
        ("history: common text", lambda: store.history.find(HistoryFilter(text="invoice"))),
        ("history: rare text", lambda: store.history.find(HistoryFilter(text=sample.subject[-9:]))),
        ("history: absent text", lambda: store.history.find(HistoryFilter(text="viagra"))),
        ("history: two letters, absent", lambda: store.history.find(HistoryFilter(text="qj"))),
        ("history: by finding", lambda: store.history.find(HistoryFilter(finding="RULE_007"))),
        ("history: finding and week", lambda: store.history.find(HistoryFilter(finding="RULE_007", since=week))),
        ("history: rare action", lambda: store.history.find(rare)),
        ("history: common and rare", lambda: store.history.find(
            HistoryFilter(finding="ALWAYS", text="prize", recipient=sample.recipients[0]))),
        ("history: show", lambda: store.history.show(sample.id)),
        ("quarantine: first page", lambda: store.quarantine.find()),
        ("quarantine: by class", lambda: store.quarantine.find(QuarantineFilter(klass=QuarantineClass.VIRUS))),
        ("quarantine: by finding", lambda: store.quarantine.find(QuarantineFilter(finding="RULE_100"))),
        ("quarantine: by ruleset", lambda: store.quarantine.find(QuarantineFilter(ruleset="r3"))),
        ("quarantine: by recipient", lambda: store.quarantine.find(
            QuarantineFilter(recipient=sample.recipients[0]))),
        ("quarantine: rare text", lambda: store.quarantine.find(QuarantineFilter(text=sample.subject[-9:]))),
        ("quarantine: deleted (none)", lambda: store.quarantine.find(
            QuarantineFilter(states=(ItemState.DELETED,)))),
        ("stats", lambda: store.stats()),
        ("expiry with nothing to do", lambda: store.expire(budget=10)),
    ]  # fmt: skip
    for name, question in asked:
        print(f"{name:32} {max(timed(question)):8.1f} ms")
    select = QuarantineFilter(finding="RULE_050")
    began = time.monotonic()
    chosen = [item.id for item in store.quarantine.each(select)]
    print(f"select {len(chosen):,} items by finding: {time.monotonic() - began:.2f} s")
    began = time.monotonic()
    gone = store.quarantine.delete(chosen[:10_000], "bench")
    print(f"delete {len(gone):,} of them: {time.monotonic() - began:.2f} s")
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=DAYS / 30)
    began = time.monotonic()
    went = store.expire(later, budget=0.8)
    print(f"one expiry call, a day due: {went} in {time.monotonic() - began:.2f} s")
    began, total = time.monotonic(), went.items
    while went.more:
        went = store.expire(later, budget=0.8)
        total += went.items
    print(f"the rest of that day: {total:,} items in {time.monotonic() - began:.1f} s")
    size = (store.database.path or Path()).stat().st_size
    print(f"database: {size / 1e6:,.0f} MB, {size / rows:,.0f} bytes a row (record and item)")


def middle(store: Store) -> int:
    newest = store.history.find(limit=1).next or 0
    return newest - int(DAYS / 2 * 86_400) * 1024


def timed(question: Callable[[], object]) -> Iterator[float]:
    for _ in range(3):
        began = time.perf_counter()
        question()
        yield (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    if len(sys.argv) > 2:
        main(count, Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(count, Path(temporary))
