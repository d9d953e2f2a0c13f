"""Release: to that item's recipient alone, once, and only gone from the quarantine with the next hop's 250."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd import release as releasing
from filterd.decision import Edits, HeaderLine, HeaderSpan
from filterd.mark import spent_by
from filterd.relay import NextHop, RelaySettings, next_hop
from filterd.release import Fate, release, retry
from filterd.store import Held, ItemState, QuarantineClass, RetentionSettings, Store
from filterd.store import quarantine as keeping
from filterd.store import rows as clock
from tests.nexthop import ABORT, DIE, HANG, FakeHop
from tests.store.stored import SPAM, held, make_record

KEY = b"k" * 32
LATER = datetime.timedelta(hours=2)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path, RetentionSettings(min_free=0))
    yield opened
    opened.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


@contextlib.asynccontextmanager
async def hop_to(fake: FakeHop, **changes: Any) -> AsyncIterator[NextHop]:
    async with fake:
        hop = next_hop(fake.url, RelaySettings(**{"command_timeout": 2, "data_timeout": 2, **changes}))
        try:
            yield hop
        finally:
            await hop.aclose()


async def hold(store: Store, raw: bytes = SPAM, recipient: str = "ann@example.org", **changes: Any) -> str:
    return (await store.hold(make_record(recipients=(recipient,), **changes), raw, held(recipient)))[0]


def test_goes_to_its_recipient_and_is_marked(store: Store) -> None:
    async def test() -> None:
        id_ = await hold(store, sender_parameters=("SIZE=99", "BODY=8BITMIME", "RET=HDRS", "AUTH=<>"))
        await hold(store, recipient="bob@example.org")
        fake = FakeHop()
        async with hop_to(fake) as hop:
            (done,) = await release(store, hop, [id_], "cli:root", KEY)
        assert (done.fate, done.text) == (Fate.RELEASED, "250 2.0.0 Ok: queued")
        (sent,) = fake.messages
        assert sent.mail == "MAIL FROM:<crook@bad.example> BODY=8BITMIME RET=HDRS"
        assert len(sent.rcpts) == 1
        assert "ann@example.org" in sent.rcpts[0]
        headers, _, rest = sent.content.partition(b"From: Crook")
        assert b"From: Crook" + rest == SPAM
        marked, _, quarantined = headers.decode().partition("X-Quarantine-ID: ")
        name, _, value = marked.partition(":")
        assert name == "X-Filterd-Release"
        assert quarantined == f"{id_}\r\n"
        now = datetime.datetime.now(datetime.UTC)
        assert spent_by([value], "ann@example.org", sent.content, KEY, now).id.startswith(id_)
        item = store.quarantine.get(id_)
        assert item
        assert (item.state, item.state_by, item.reply) == (ItemState.RELEASED, "cli:root", "250 2.0.0 Ok: queued")
        assert [line.what for line in store.audit.find(id_)] == ["released"]

    run(test())


def test_forged_verdicts_stay_behind_and_ours_goes_along(store: Store) -> None:
    async def test() -> None:
        raw = b"X-Spam-Flag: NO\r\n" + SPAM
        edits = Edits((HeaderLine("Authentication-Results", "mx.example.org; spf=fail"),),
                      (HeaderSpan("X-Spam-Flag", 1, 0, 17),))  # fmt: skip
        one = Held("ann@example.org", QuarantineClass.SPAM, "why", edits)
        (id_,) = await store.hold(make_record(recipients=("ann@example.org",)), raw, [one])
        fake = FakeHop()
        async with hop_to(fake) as hop:
            await release(store, hop, [id_], "ann", KEY)
        content = fake.messages[0].content
        assert b"X-Spam-Flag" not in content
        assert content.endswith(b"Authentication-Results: mx.example.org; spf=fail\r\n" + SPAM)

    run(test())


def test_bare_line_ends_leave_as_crlf(store: Store) -> None:
    async def test() -> None:
        id_ = await hold(store, b"Subject: x\n\n.dot\nbare\rcr\r\nend")
        fake = FakeHop()
        async with hop_to(fake) as hop:
            await release(store, hop, [id_], "ann", KEY)
        content = fake.messages[0].content
        assert content.rstrip(b"\r\n").endswith(b"Subject: x\r\n\r\n.dot\r\nbare\r\ncr\r\nend")
        assert spent_by(
            [content.partition(b":")[2].partition(b"\r\nX-Quarantine-ID")[0].decode()],
            "ann@example.org",
            content,
            KEY,
            datetime.datetime.now(datetime.UTC),
        )

    run(test())


def test_a_double_click_delivers_once(store: Store, tmp_path: Path) -> None:
    """From two processes, as the web and a terminal are."""

    async def test() -> None:
        ids = [await hold(store, b"%d" % n) for n in range(5)]
        other = Store.open(tmp_path, RetentionSettings(min_free=0))
        fake = FakeHop()
        async with hop_to(fake) as hop:
            clicks = (release(one, hop, ids, f"user{n}", KEY) for n in range(6) for one in (store, other))
            fates = [one for click in await asyncio.gather(*clicks) for one in click]
        other.close()
        assert sorted(one.item for one in fates if one.fate is Fate.RELEASED) == sorted(ids)
        assert {one.fate for one in fates} <= {Fate.RELEASED, Fate.BUSY, Fate.GONE}
        assert len(fake.messages) == 5

    run(test())


@pytest.mark.parametrize(
    ("script", "fate"),
    [
        ({"BANNER": DIE}, Fate.WAITING),
        ({"MAIL": "451 4.3.0 not now"}, Fate.WAITING),
        ({"RCPT": "450 4.2.1 mailbox busy"}, Fate.WAITING),
        ({"RCPT": "550 5.1.1 no such user"}, Fate.REFUSED),
        ({"DATA": "452 4.3.1 full"}, Fate.WAITING),
        ({".": "451 4.3.0 not now"}, Fate.WAITING),
        ({".": "554 5.7.1 we do not want this"}, Fate.REFUSED),
        ({".": DIE}, Fate.WAITING),
        ({".": ABORT}, Fate.WAITING),
        ({".": HANG}, Fate.WAITING),
    ],
)
def test_stays_until_the_next_hop_has_it(store: Store, script: dict[str, Any], fate: Fate) -> None:
    async def test() -> None:
        id_ = await hold(store)
        async with hop_to(FakeHop(script=script)) as hop:
            (done,) = await release(store, hop, [id_], "ann", KEY)
        assert done.fate is fate
        item = store.quarantine.get(id_)
        assert item
        assert item.state is ItemState.HELD
        assert item.reply == done.text
        assert [one.id for one in store.quarantine.find()] == [id_]
        assert (item.due is not None) == (fate is Fate.WAITING)
        fake = FakeHop()
        async with hop_to(fake) as hop:  # whoever clicks again need not wait
            (done,) = await release(store, hop, [id_], "ann", KEY)
        assert done.fate is Fate.RELEASED
        assert len(fake.messages) == 1

    run(test())


def test_survives_an_outage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens; later somebody does, and what waited is delivered by itself."""

    async def test() -> None:
        id_ = await hold(store)
        gone = FakeHop()
        async with gone:
            url = gone.url
        hop = next_hop(url, RelaySettings())
        assert [one.fate for one in await release(store, hop, [id_], "ann", KEY)] == [Fate.WAITING]
        assert await retry(store, hop, KEY) == []  # not due yet
        waits = []
        for _ in range(9):
            item = store.quarantine.get(id_)
            assert item
            assert item.due
            waits.append((item.due - item.state_at).total_seconds())
            moment = clock.milliseconds(item.due) + 1
            monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
            assert [one.fate for one in await retry(store, hop, KEY)] == [Fate.WAITING]
            monkeypatch.undo()
        await hop.aclose()
        monkeypatch.setattr(clock, "now", lambda: clock.milliseconds(datetime.datetime.now(datetime.UTC) + 2 * LATER))
        fake = FakeHop()
        async with hop_to(fake) as hop:
            (done,) = await retry(store, hop, KEY)
            assert await retry(store, hop, KEY) == []
        assert done.fate is Fate.RELEASED
        assert len(fake.messages) == 1
        item = store.quarantine.get(id_)
        assert item
        assert (item.state, item.state_by, item.tries) == (ItemState.RELEASED, "ann", 11)

    run(test())


def test_a_releaser_that_dies_frees_the_item(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        id_ = await hold(store)
        claim = store.quarantine.claim_for_release(id_, "ann")
        assert claim
        fake = FakeHop()
        async with hop_to(fake) as hop:
            (busy,) = await release(store, hop, [id_], "bob", KEY)
            assert busy.fate is Fate.BUSY
            assert await retry(store, hop, KEY) == []
            after = clock.now() + int(keeping.LEASE * 1000) + 1
            monkeypatch.setattr(clock, "now", lambda: after)
            (done,) = await retry(store, hop, KEY)
        assert done.fate is Fate.RELEASED
        assert not store.quarantine.released(claim, "250 too late")
        assert not store.quarantine.release_failed(claim, "too late")
        item = store.quarantine.get(id_)
        assert item
        assert item.state is ItemState.RELEASED

    run(test())


def test_a_release_that_is_cancelled_holds_again(store: Store) -> None:
    async def test() -> None:
        id_ = await hold(store)
        async with hop_to(FakeHop(script={"MAIL": HANG}), command_timeout=20) as hop:
            work = asyncio.create_task(release(store, hop, [id_], "ann", KEY))
            while (item := store.quarantine.get(id_)) and item.state is ItemState.HELD:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
        item = store.quarantine.get(id_)
        assert item
        assert item.state is ItemState.HELD
        assert "broke off" in item.reply

    run(test())


def test_a_next_hop_slower_than_the_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delivery is given up before the claim ends, so that nobody delivers beside it."""
    assert releasing.TIMEOUT < keeping.LEASE
    monkeypatch.setattr(releasing, "TIMEOUT", 0.3)

    async def test() -> None:
        id_ = await hold(store)
        async with hop_to(FakeHop(script={".": HANG}), data_timeout=20) as hop:
            (done,) = await release(store, hop, [id_], "ann", KEY)
        assert done.fate is Fate.WAITING
        assert done.text.startswith("451 4.4.2")

    run(test())


def test_what_is_not_held_says_why(store: Store) -> None:
    async def test() -> None:
        gone, deleted = "NONE", await hold(store)
        store.quarantine.delete([deleted], "bob")
        async with hop_to(FakeHop()) as hop:
            fates = await release(store, hop, [gone, deleted], "ann", KEY)
        assert [(one.fate, one.text) for one in fates] == [
            (Fate.GONE, "there is no such item"),
            (Fate.GONE, "it was deleted by bob"),
        ]

    run(test())


def test_parameters_that_the_next_hop_does_not_know(store: Store) -> None:
    async def test() -> None:
        id_ = await hold(store, sender_parameters=("BODY=8BITMIME", "RET=HDRS", "ENVID=x", "SMTPUTF8"))
        fake = FakeHop(keywords=("SMTPUTF8",))
        async with hop_to(fake) as hop:
            (done,) = await release(store, hop, [id_], "ann", KEY)
        assert done.fate is Fate.RELEASED
        assert fake.messages[0].mail == "MAIL FROM:<crook@bad.example> SMTPUTF8"

    run(test())
