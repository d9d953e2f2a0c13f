"""What people say about messages is remembered of their senders, as long as they say it, and forgers gain nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from filterd.app.remembered import remembered
from filterd.authentication import UNAUTHENTICATED, Authentication, AuthResult, DmarcResult
from filterd.checks.remembering import learnt
from filterd.config import Config
from filterd.facts import Facts, Near, Seen
from filterd.learning import Klass, LearningLimits, Request, Review
from filterd.learning.learner import SiteLearner, open_learner
from filterd.learning.senders import SenderWords
from filterd.mail import Envelope, Message, Origin, Recipient, Source
from filterd.outline import outline
from filterd.record import Record
from filterd.store import Store, Way
from filterd.store.said import WORD
from filterd.value import replace
from tests.auth.mails import NOW
from tests.learning.letters import letter

DAY = 86400.0
HOSTS = frozenset({"gmail.com"})
PASS = Authentication(dmarc=DmarcResult(AuthResult.PASS, domain="shop.example"))
KEYS = ("n:203.0.113.0/24", "a:ann@shop.example", "d:shop.example")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path, min_free=0)
    yield opened
    opened.close()


@pytest.fixture
def learner(store: Store, tmp_path: Path) -> Iterator[SiteLearner]:
    with open_learner(tmp_path, store, None, LearningLimits(), SenderWords(store, HOSTS)) as opened:
        yield opened


def received(number: int, from_: str = "Ann <ann@shop.example>") -> bytes:
    head = f"Message-ID: <{number}@shop.example>\r\nFrom: {from_}\r\nSubject: Hello {number}\r\n\r\n"
    return head.encode() + letter(number, spam=False).partition(b"\r\n\r\n")[2]


def came(store: Store, raw: bytes, id_: str, auth: Authentication = PASS, points: int = 0) -> Record:
    """A record of `raw` in the history, and what it counted by itself in the memory."""
    envelope = Envelope(
        id=id_, received_at=NOW, listener="t", peer=None, client=Origin("203.0.113.9", source=Source.PEER),
        sender="ann@shop.example", recipients=(Recipient("bob@example.org"),),
    )  # fmt: skip
    record = Record(
        id=id_, envelope=envelope, origin=envelope.client, auth=auth, outline=outline(Message(raw)),
        facts=Facts(near=Near(bands=(1, 2, 3, 4))),
    )  # fmt: skip
    record = replace(record, verdict=replace(record.verdict, points=points))

    async def write() -> None:
        store.write(record)
        await store.flush()
        await store.remember(*learnt(record, HOSTS), 30 * DAY)

    asyncio.run(write())
    return record


def counts(store: Store) -> dict[str, tuple[float, float, int]]:
    return {key: (round(seen.good, 1), round(seen.bad, 1), seen.told) for key, seen in store.memory.look(KEYS).items()}


def say(learner: SiteLearner, raw: bytes, klass: Klass, **more: object) -> None:
    assert not learner.handle(Request(klass=klass, raw=raw, **more)).refused  # type: ignore[arg-type]


def test_a_word_weighs_more_than_the_mail_and_leaves_nothing_behind(learner: SiteLearner, store: Store) -> None:
    raw = received(1)
    came(store, raw, "R1")
    before = counts(store)
    assert before == dict.fromkeys(KEYS, (1.0, 0.0, 0))
    say(learner, raw, Klass.SPAM)
    assert counts(store) == dict.fromkeys(KEYS, (0.0, WORD, 1))
    assert store.memory.near([1]).bad == 1
    say(learner, raw, Klass.HAM)
    assert counts(store) == dict.fromkeys(KEYS, (WORD, 0.0, 1))
    assert store.memory.near([1]).bad == 0
    say(learner, raw, Klass.FORGET)
    assert counts(store) == before


def test_a_release_counts_before_it_is_reviewed(learner: SiteLearner, store: Store) -> None:
    raw = received(2)
    came(store, raw, "R2", points=900)
    assert counts(store) == dict.fromkeys(KEYS, (0.0, 1.0, 0))
    say(learner, raw, Klass.HAM, way=Way.RELEASE, reporter="bob", record="R2")
    assert counts(store) == dict.fromkeys(KEYS, (WORD, 0.0, 1))
    (one,) = store.suggestions.find().rows
    learner.handle(Request(review=Review.REJECT, ids=(one.id,), by="mia"))
    assert counts(store) == dict.fromkeys(KEYS, (0.0, 1.0, 0))
    learner.handle(Request(review=Review.UNDO, ids=(one.id,), by="mia"))
    assert counts(store) == dict.fromkeys(KEYS, (WORD, 0.0, 1))


def test_a_report_counts_for_what_is_attached(learner: SiteLearner, store: Store) -> None:
    raw = received(12)
    came(store, raw, "R12")
    bob = "bob@example.org"
    head = f"From: {bob}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    attached = b"--b\r\nContent-Type: message/rfc822\r\n\r\nX-Filterd-Id: R12\r\n" + raw + b"\r\n--b--\r\n"
    say(learner, head.encode() + attached, Klass.SPAM, report=True, reporter=bob, sender=bob)
    assert counts(store)["d:shop.example"] == (0.0, WORD, 1)


def test_the_copy_in_a_mailbox_finds_its_record(learner: SiteLearner, store: Store) -> None:
    raw = received(3)
    came(store, raw, "R3")
    say(learner, b"Received: from us by them\r\nX-Filterd-Id: R3\r\n" + raw, Klass.SPAM)
    assert counts(store)["d:shop.example"] == (0.0, WORD, 1)


@pytest.mark.parametrize(
    "forged",
    [
        b"X-Filterd-Id: R4\r\n" + received(5, "Eve <eve@evil.example>"),  # somebody else's id
        received(4, "Eve <eve@evil.example>"),  # the message id of another message
        received(6),  # never came here
    ],
)
def test_who_is_not_proven_to_have_sent_it_is_not_blamed(learner: SiteLearner, store: Store, forged: bytes) -> None:
    came(store, received(4), "R4")
    before = counts(store)
    say(learner, forged, Klass.SPAM)
    assert counts(store) == before


def test_of_two_that_look_the_same_nobody_is_blamed(learner: SiteLearner, store: Store) -> None:
    raw = received(7)
    came(store, raw, "R7")
    came(store, raw.replace(b"\r\n\r\n", b"\r\n\r\nBuy! ", 1), "R8", UNAUTHENTICATED)
    before = counts(store)
    say(learner, b"Received: a\r\n" + raw, Klass.SPAM)
    assert counts(store) == before
    say(learner, raw, Klass.HAM)  # this is R7 to the byte
    assert counts(store)["a:ann@shop.example"] == (WORD, 0.0, 1)


def test_a_domain_that_did_not_vouch_is_not_told_about(learner: SiteLearner, store: Store) -> None:
    raw = received(9)
    came(store, raw, "R9", UNAUTHENTICATED)
    say(learner, raw, Klass.SPAM)
    assert counts(store) == {"n:203.0.113.0/24": (0.0, WORD, 1)}


def test_words_fade_and_are_forgotten_with_the_sender(store: Store) -> None:
    store.said.put("digest", True, ["d:a.example"])
    (seen,) = store.memory.look(["d:a.example"]).values()
    assert seen.faded(seen.last + 30 * DAY, 30 * DAY)[1] == pytest.approx(WORD / 2)
    assert store.memory.forget("d:a.example") is False  # no mail was counted
    assert store.memory.look(["d:a.example"]) == {}
    store.said.put("digest", True, ["d:a.example"])
    store.expire(NOW + timedelta(days=181))
    assert store.memory.look(["d:a.example"]) == {}


def test_what_is_remembered_can_be_read(learner: SiteLearner, store: Store) -> None:
    raw = received(10)
    record = came(store, raw, "R10")
    say(learner, raw, Klass.HAM)
    config = Config.model_validate({"state": "/nowhere"})
    found = {one.kind: str(one) for one in remembered(store, record, config, NOW)}
    assert (
        found["domain"] == "domain shop.example: 3.0 wanted and 0.0 spam of late, people said so of 1; known for 0 days"
    )
    off = Config.model_validate({"state": "/nowhere", "senders": {"remember": False}})
    assert remembered(store, record, off, NOW) == []


def test_the_keys_of_the_memory_are_those_that_words_are_kept_under(store: Store) -> None:
    record = came(store, received(11), "R11")
    assert {note.key for note in learnt(record, HOSTS)[0]} == {"*", *KEYS}
    assert isinstance(store.memory.look(["*"])["*"], Seen)
