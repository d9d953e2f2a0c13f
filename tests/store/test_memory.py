"""Memory of senders and texts: counted, fading, on disk, forgotten in time; and what the check makes of it."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest

from filterd.app.memory import Memory
from filterd.authentication import Authentication, AuthResult, DmarcResult
from filterd.checks.remembering import asked, learnt, vouched
from filterd.checks.senders import SenderSettings, sender_check
from filterd.checks.shingles import bands
from filterd.facts import Facts, Near, Seen, SenderNote, TextNote
from filterd.findings import Finding
from filterd.mail import Direction, Envelope, Origin, Recipient, Source
from filterd.record import Outline, Record, Verdict
from filterd.store import Store
from tests.auth.mails import NOW, mail

HOUR, DAY = 3600.0, 86400.0
HOSTS = frozenset({"gmail.com"})
CHECK = sender_check(SenderSettings(), HOSTS)
PASS = Authentication(dmarc=DmarcResult(AuthResult.PASS, domain="example.com"))
OLD = Seen((NOW - datetime.timedelta(days=60)).timestamp(), NOW.timestamp())
LETTER = " ".join(
    f"{a}{b}" for a in ("alpha", "bravo", "candle", "delta", "echo") for b in ("ing", "ed", "er", "ly", "s", "ness")
)


def seen(good: float = 0, bad: float = 0, times: int = 20) -> Seen:
    return Seen(OLD.first, OLD.last, times, good, bad)


def names(known: dict[str, Seen] | None, auth: Authentication = PASS, body: str = "Hello.", **facts: Any) -> set[str]:
    one = mail(f"From: Ann <ann@example.com>\r\n\r\n{body}\r\n".encode(), address="203.0.113.9")
    return {finding.name for finding in CHECK(one, Facts(senders=known, **facts), auth)}


def record(points: int = 0, *, auth: Authentication = PASS, **fields: Any) -> Record:
    envelope = Envelope(
        id="x", received_at=NOW, listener="t", peer=None, client=Origin("203.0.113.9", source=Source.PEER),
        sender="ann@example.com", recipients=(Recipient("bob@example.org"),), direction=Direction.INBOUND,
    )  # fmt: skip
    verdict = Verdict(findings=(Finding("X", points),), points=points)
    outline = Outline(from_="Ann <ann@example.com>", subject="hi")
    return Record(
        id="x", envelope=envelope, origin=envelope.client, auth=auth, verdict=verdict, outline=outline, **fields
    )


def test_counts_fade_with_their_half_life(store: Store) -> None:
    week = int(7 * DAY * 1000)
    with store.database.write() as connection:
        store.memory.note(connection, [SenderNote("d:a.b", good=8, bad=4)] * 2, [], 7 * DAY, now=week)
        store.memory.note(connection, [SenderNote("d:a.b", good=1)], [], 7 * DAY, now=2 * week)
    assert store.memory.look(["d:a.b", "d:other"]) == {"d:a.b": Seen(7 * DAY, 14 * DAY, 3, 9.0, 4.0)}
    assert store.memory.look(["d:a.b"])["d:a.b"].faded(21 * DAY, 7 * DAY) == (4.5, 2.0)
    assert store.memory.forget("d:a.b")
    assert not store.memory.forget("d:a.b")


def test_hostile_keys_are_only_text(store: Store) -> None:
    keys = ["a:\0'; DROP TABLE senders;--@x.y", "a:" + "x" * 5_000, "a:\ud800@x.y"]
    asyncio.run(store.remember([SenderNote(key) for key in keys], [], DAY))
    assert store.memory.look(["a:\ufffd'; DROP TABLE senders;--@x.y"])


def test_memory_expires(store: Store) -> None:
    asyncio.run(store.remember([SenderNote("d:a.b")], [TextNote((1, 2), True, "r", "s")], DAY))
    store.expire(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3))
    assert store.memory.near([1, 2]) == Near()
    assert store.memory.look(["d:a.b"])
    store.expire(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=181))
    assert not store.memory.look(["d:a.b"])


def test_texts_are_counted_shown_and_forgotten(store: Store) -> None:
    for n in range(6):
        asyncio.run(store.remember([], [TextNote((10, 11 + n), n > 2, f"r{n}", "Buy")], DAY))
    near = store.memory.near([10, 99])
    assert (near.seen, near.bad, near.record) == (6, 3, "r0")
    assert [(one.id, one.seen, one.spam, one.subject) for one in store.memory.campaigns()] == [("r0", 6, 3, "Buy")]
    assert store.memory.campaigns(7) == []
    assert store.memory.campaigns(id_="r0")[0].first <= store.memory.campaigns(id_="r0")[0].last
    assert store.memory.forget("r0")
    assert store.memory.near([10]) == Near()


def test_what_the_mail_process_notes_is_read_again(store: Store) -> None:
    async def main() -> dict[str, Seen]:
        memory = Memory(store, SenderSettings(), HOSTS)
        for _ in range(3):
            memory.note(record(900))
        await memory.flush()
        assert await memory.look(["d:unknown"]) == {}
        first = await memory.look(["*", "d:example.com", "a:ann@example.com", "n:203.0.113.0/24"])
        assert await memory.look(["d:example.com"]) == {"d:example.com": first["d:example.com"]}  # from the cache
        return first

    found = asyncio.run(main())
    assert {key: (one.seen, one.good, round(one.bad)) for key, one in found.items()} == dict.fromkeys(
        ("*", "d:example.com", "a:ann@example.com", "n:203.0.113.0/24"), (3, 0.0, 3)
    )


def test_a_forged_name_neither_spoils_nor_earns() -> None:
    keys = {note.key[:2] for note in learnt(record(900, auth=Authentication()), HOSTS)[0]}
    assert keys == {"*", "n:"}
    assert "t:" in {note.key[:2] for note in learnt(record(), HOSTS, triples=True)[0]}
    assert not vouched(Authentication(), "ann@example.com")
    assert not vouched(PASS, "ann@other.com")
    assert names({"*": seen(), "d:example.com": seen(good=50), "w:ann@example.com": seen()}, Authentication()) == set()


def test_mail_hosts_are_known_by_address_only() -> None:
    one = mail(b"From: eve@gmail.com\r\n\r\nHi\r\n")
    assert not [key for key in asked(one, HOSTS)["memory"] if str(key).startswith("d:")]


def test_its_own_findings_do_not_feed_it() -> None:
    rec = record(350)
    own = Verdict(findings=(Finding("X", 850), Finding("SENDER_KNOWN_GOOD", -100)), points=750)
    from filterd.value import replace

    [everything, *_] = learnt(replace(rec, verdict=own), HOSTS)[0]
    assert everything.bad == 1.0


def test_our_users_mail_is_remembered_by_its_recipients() -> None:
    from filterd.value import replace

    rec = record()
    sent = replace(rec, envelope=replace(rec.envelope, direction=Direction.OUTBOUND))
    assert [note.key for note in learnt(sent, HOSTS)[0]] == ["w:bob@example.org"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (None, set()),
        ({}, set()),
        ({"d:example.com": seen(good=20)}, {"SENDER_KNOWN_GOOD"}),
        ({"d:example.com": seen(good=5)}, set()),
        ({"d:example.com": seen(good=20, bad=2)}, set()),
        ({"d:example.com": Seen(NOW.timestamp() - DAY, NOW.timestamp(), 99, 99.0)}, set()),  # too new
        ({"a:ann@example.com": seen(bad=9)}, {"SENDER_KNOWN_BAD"}),
        ({"a:ann@example.com": seen(bad=9), "d:example.com": seen(good=99)}, {"SENDER_KNOWN_BAD"}),
        ({"w:ann@example.com": seen()}, {"SENDER_WRITTEN_TO"}),
        ({"n:203.0.113.0/24": seen(bad=30, good=1)}, {"SENDER_NETWORK_BAD"}),
        ({"n:203.0.113.0/24": seen(good=300)}, set()),
    ],
)
def test_what_history_weighs(known: dict[str, Seen] | None, expected: set[str]) -> None:
    assert names(known) == expected


def test_a_stranger_who_asks_for_money() -> None:
    ask = "Please process the payment today, our bank details have changed."
    assert names({"*": seen()}, body=ask) == {"SENDER_STRANGER_ASKS"}
    assert names({"*": seen()}) == set()
    assert names({"*": seen(), "d:example.com": seen()}, body=ask) == set()
    assert names({"*": Seen(NOW.timestamp() - HOUR, NOW.timestamp())}, body=ask) == set()  # the memory is too young


def test_near_duplicates() -> None:
    changed = LETTER.replace("candleing", "Bob, 4711")
    assert len(bands(LETTER)) == 4
    assert set(bands(LETTER * 5)) & set(bands(f"Dear Bob,\n{LETTER * 5} https://x.example/{'a' * 30} 12345"))
    assert not set(bands(LETTER)) & set(bands(" ".join(reversed(LETTER.split()))))
    assert bands("too short") == ()
    assert all(0 <= band < 2**63 for band in bands(changed))
    bands("\U0001f4a9" * 100_000 + "a " * 1_000_000)
    assert names({}, near=Near(5, 4, 0.0, "r")) == {"TEXT_SEEN_AS_SPAM"}
    assert names({}, near=Near(50, 1, 0.0, "r")) == {"TEXT_SEEN_OFTEN"}
    assert names({}, near=Near(3, 1, 0.0, "r")) == set()
