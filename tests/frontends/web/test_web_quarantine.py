"""The quarantine pages: each sees their own, and a release reaches its recipient once, after the time to undo it."""

from __future__ import annotations

import asyncio
import datetime
import html
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from filterd.findings import Finding
from filterd.frontends.web import Site
from filterd.learning import LearningError, Request, Result
from filterd.record import Record, Verdict
from filterd.relay import RelaySettings, next_hop
from filterd.release import Fate, retry
from filterd.store import ItemState, QuarantineFilter, Store, Way
from filterd.value import replace
from tests.frontends.web.visitor import Visitor, hold, site_of, visitor


def state(store: Store, id_: str) -> ItemState:
    item = store.quarantine.get(id_)
    assert item is not None
    return item.state


def listed(page: Visitor) -> set[str]:
    return set(re.findall(r'href="/quarantine/(\w{26})"', page.page))


def test_each_sees_what_is_theirs(site: Site, store: Store) -> None:
    ann, bob = hold(store, "ann@example.org", "Robert@Example.org")
    (other,) = hold(store, "zoe@elsewhere.example")
    seen = {}
    for name in ("ann", "bob", "mo", "eve", "root"):
        page = visitor(site, name)
        page.get("/quarantine")
        seen[name] = listed(page)
    assert seen == {
        "ann": {ann}, "bob": {bob}, "mo": {ann, bob}, "eve": {ann, bob, other}, "root": {ann, bob, other}
    }  # fmt: skip


def test_another_s_item_does_not_exist_and_asking_is_noted(site: Site, store: Store) -> None:
    mine, others = hold(store, "ann@example.org", "bob@example.org")
    ann = visitor(site, "ann")
    for path in (f"/quarantine/{others}", f"/quarantine/{others}/html", f"/quarantine/{others}/message.eml"):
        there, nowhere = ann.get(path), ann.get(path.replace(others, "0" * 26))
        assert there.status_code == nowhere.status_code == 404
        assert there.text == nowhere.text.replace("0" * 26, others)
    for act in ("release", "delete", "undelete", "unrelease"):
        ann.get("/quarantine")
        assert ann.post("/quarantine/act", act=act, id=[mine, others]).status_code == 404
    assert state(store, others) is state(store, mine) is ItemState.HELD, "nothing is done by halves"
    assert len([line for line in store.audit.find(others) if line.what == "refused"]) == 7
    store.flush_now()
    item = store.quarantine.get(mine)
    assert item is not None
    assert "bob@example.org" not in ann.get(f"/quarantine/{mine}").text.lower()
    assert "bob@example.org" not in ann.get(f"/history/{item.record}").text.lower()
    assert "bob@example.org" not in ann.get("/history").text.lower()
    assert "bob@example.org" not in ann.get("/history.json").text.lower()


def test_released_to_its_recipient_and_nobody_else(store: Store, tmp_path: Path) -> None:
    with site_of(store, settings={"undo": 0}) as site:
        ann_s, bob_s = hold(store, "ann@example.org", "bob@example.org")
        ann = visitor(site, "ann")
        ann.get("/quarantine")
        assert "1 message is released" in ann.post("/quarantine/act", act="release", id=ann_s).text
        hop = next_hop(f"maildir:{tmp_path / 'Maildir'}", RelaySettings())
        done = asyncio.run(retry(store, hop, site.secret))
        assert [(one.item, one.fate) for one in done] == [(ann_s, Fate.RELEASED)]
        assert asyncio.run(retry(store, hop, site.secret)) == []
        (delivered,) = (tmp_path / "Maildir" / "new").iterdir()
        text = delivered.read_bytes()
        assert b"Delivered-To: ann@example.org" in text or b"ann@example.org" in text
        assert b"X-Filterd-Release:" in text
        assert (state(store, ann_s), state(store, bob_s)) == (ItemState.RELEASED, ItemState.HELD)
        assert [line.who for line in store.audit.find(ann_s) if line.what == "released"] == ["web:ann"]


def test_a_release_can_be_undone_for_a_minute(site: Site, store: Store) -> None:
    ids = hold(store) + hold(store)
    ann = visitor(site, "ann")
    ann.get("/quarantine")
    ann.post("/quarantine/act", act="release", id=ids)
    assert ann.page.count("is being released") == 2
    due = [item.due for id_ in ids if (item := store.quarantine.get(id_))]
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=40)
    assert all(one and one > soon for one in due)
    undo = re.search(r'id="undo">.*?</form>', ann.page, re.DOTALL)
    assert undo is not None
    assert set(re.findall(r'name="id" value="(\w+)"', undo[0])) == set(ids)
    ann.post("/quarantine/act", act="unrelease", id=ids)
    assert "2 messages stay here" in ann.page
    assert [item.due for item in store.quarantine.find()] == [None, None]
    assert "Undo" not in ann.get("/quarantine").text, "a notice is shown once"


def test_deleted_and_back(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    ann = visitor(site, "ann")
    ann.get("/quarantine")
    ann.post("/quarantine/act", act="delete", id=id_)
    assert state(store, id_) is ItemState.DELETED
    assert id_ not in listed(ann)
    ann.get("/quarantine?q=state:deleted")
    assert id_ in listed(ann)
    ann.post("/quarantine/act", act="undelete", id=id_)
    assert state(store, id_) is ItemState.HELD


@pytest.mark.parametrize(
    ("name", "klass", "allowed"),
    [("ann", "spam", True), ("ann", "virus", False), ("ann", "unjudged", False), ("mo", "virus", False),
     ("mo", "unjudged", True), ("root", "virus", True), ("eve", "spam", False)],
)  # fmt: skip
def test_who_may_release_what(site: Site, store: Store, name: str, klass: str, allowed: bool) -> None:
    (id_,) = hold(store, klass=klass)
    person = visitor(site, name)
    shown = person.get(f"/quarantine/{id_}").text
    assert ('value="release"' in shown) == allowed
    answer = person.post("/quarantine/act", act="release", id=id_)
    assert answer.status_code == (200 if allowed else 403)
    item = store.quarantine.get(id_)
    assert item is not None
    assert (item.due is not None) == allowed
    assert person.get(f"/quarantine/{id_}/message.eml").status_code == (200 if allowed else 404)


def test_a_user_cannot_be_talked_into_viruses(store: Store) -> None:
    with site_of(store, settings={"users_release": ["virus", "spam"]}) as site:
        (id_,) = hold(store, klass="virus")
        assert visitor(site, "ann").post("/quarantine/act", act="release", id=id_).status_code == 403


def test_an_auditor_changes_nothing(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    eve = visitor(site, "eve")
    for act in ("release", "delete"):
        eve.get("/quarantine")
        assert eve.post("/quarantine/act", act=act, id=id_).status_code == 403
    assert state(store, id_) is ItemState.HELD
    assert eve.get("/audit").status_code == 200


def test_search(site: Site, store: Store) -> None:
    (pills,) = hold(store, subject="Cheap pills", sender="a@pills.example")
    (watch,) = hold(store, subject="Fine watches", sender="b@watch.example", findings=("WATCHES",))
    mo = visitor(site, "mo")
    for typed, found in {
        "watches": {watch}, "from:pills.example": {pills}, "found:WATCHES": {watch},
        "to:ann@example.org": {pills, watch},
        "since:1h": {pills, watch}, "until:1h": set(), "class:virus": set(), '"Fine watches"': {watch},
        "to:@elsewhere.example": set(), "state:any": {pills, watch}, "author:crook": {pills, watch},
        "subject:fine": {watch},
        "author:fine": set(), "score:>6.5": set(), "score:>=6": {pills}, "score:3..6.00": {pills, watch},
        "score:<5": {watch}, "size:>1kB": set(), "size:<1kB": {pills, watch}, "client:192.0.2.7": {pills, watch},
        "reason:spam-score": {pills, watch}, "reason:x": set(), "ruleset:r1": {pills, watch}, "model:zzz": set(),
    }.items():  # fmt: skip
        mo.get(f"/quarantine?q={quote(typed)}")
        assert listed(mo) == found, typed
    assert "Not understood: class:nonsense" in mo.get("/quarantine?q=class:nonsense").text
    for wrong in ("since:yesterday", "score:high", "score:nan", "score:>1e400", "size:-5", "size:9999999TB"):
        assert f"Not understood: {html.escape(wrong)}" in mo.get(f"/quarantine?q={quote(wrong)}").text, wrong


def test_pages(site: Site, store: Store) -> None:
    ids = [hold(store)[0] for _ in range(53)]
    ann, seen, path = visitor(site, "ann"), set(), "/quarantine"
    for _ in range(2):
        ann.get(path)
        seen |= listed(ann)
        older = re.search(r'href="([^"]+)" rel="next"', ann.page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == set(ids)
    assert not path


def test_why_adds_up(site: Site, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (id_,) = hold(store)
    show = store.history.show
    findings = (
        Finding("HEAVY", 700, "Something heavy."),
        Finding("LIGHT", 150, "A little."),
        Finding("CAP", -25, "A cap."),
    )

    def shown(record: str) -> Record | None:
        found = show(record)
        return replace(found, verdict=Verdict(findings=findings, points=825)) if found else None

    monkeypatch.setattr(store.history, "show", shown)
    page = visitor(site, "ann").get(f"/quarantine/{id_}").text
    numbers = [float(one) for one in re.findall(r'class="points[^"]*">([-+0-9.]+)<', page)]
    assert numbers == [7.00, 1.50, -0.25, 8.25]
    assert "Something heavy." in page
    without = re.search(r"without any one of these:(.*?)</p>", page, re.DOTALL)
    assert without is not None
    assert re.findall(r"<code>(\w+)</code>", without[1]) == ["HEAVY", "LIGHT"]


def test_a_message_whose_body_is_gone(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    store.quarantine.delete([id_], "x")
    while store.expire(grace=0).more:
        pass
    assert "The message itself is gone" in visitor(site, "ann").get(f"/quarantine/{id_}").text


def test_what_learning_is_told(store: Store) -> None:
    told: list[tuple[str, str, Way, bool]] = []

    def learn(request: Request) -> Result:
        told.append((request.klass or "", request.reporter, request.way or Way.DOOR, request.trusted))
        return Result(refused=True, why="no more today") if len(told) > 4 else Result(counted=True)

    with site_of(store, learn=learn) as site:
        (good,), (bad,) = hold(store), hold(store)
        ann = visitor(site, "ann")
        ann.get("/quarantine")
        ann.post("/quarantine/act", act="ham", id=good)
        assert "is released in 60 seconds. It was learnt." in ann.page
        ann.post("/quarantine/act", act="spam", id=bad)
        assert told == [("ham", "ann", Way.BUTTON, False), ("spam", "ann", Way.BUTTON, False)]
        assert state(store, bad) is ItemState.DELETED
        assert [one.id for one in store.quarantine.find(QuarantineFilter()) if one.due] == [good]
        assert 'value="unspam"' in ann.page
        ann.post("/quarantine/act", act="unspam", id=bad)
        ann.post("/quarantine/act", act="unham", id=good)
        assert told[2:] == [("forget", "ann", Way.BUTTON, False)] * 2
        assert [(one.state, one.due) for one in store.quarantine.find()] == [(ItemState.HELD, None)] * 2
        ann.post("/quarantine/act", act="spam", id=bad)
        assert "Not learnt: no more today" in ann.page
        assert {line.what for line in store.audit.find(bad)} >= {"taught-spam", "taught-forget"}


def test_who_teaches(store: Store) -> None:
    with site_of(store, learn=lambda _: Result(), settings={"teach": ["manager"]}) as site:
        (id_,) = hold(store)
        for name, offered in (("ann", False), ("mo", True), ("eve", False), ("root", False)):
            person = visitor(site, name)
            assert ("Not spam" in person.get("/quarantine").text) == offered
            if not offered:
                assert person.post("/quarantine/act", act="spam", id=id_).status_code == 403
        assert state(store, id_) is ItemState.HELD


def test_without_learning_nobody_is_offered_to_teach(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    ann = visitor(site, "ann")
    assert "Not spam" not in ann.get("/quarantine").text
    assert ann.post("/quarantine/act", act="ham", id=id_).status_code == 403


def test_what_a_release_and_a_block_suggest(store: Store) -> None:
    told: list[tuple[str, Way, str]] = []

    def learn(request: Request) -> Result:
        told.append((request.klass or "", request.way or Way.DOOR, request.address))
        if len(told) > 4:
            raise LearningError("the learning process broke off")
        return Result(queued=True)

    with site_of(store, learn=learn) as site:
        one, other = hold(store), hold(store)
        ann = visitor(site, "ann")
        ann.get("/quarantine")
        for act, id_ in (("release", one), ("unrelease", one), ("block", other), ("unblock", other), ("release", one)):
            assert ann.post("/quarantine/act", act=act, id=id_).status_code == 200
        ways = [("ham", Way.RELEASE), ("forget", Way.RELEASE), ("spam", Way.DENY), ("forget", Way.DENY)]
        assert told[:4] == [(klass, way, "ann@example.org") for klass, way in ways]
        assert "is released in 60 seconds" in ann.page, "a learner that is not there stops nobody"
        ann.post("/quarantine/act", act="delete", id=other)
        assert len(told) == 5, "to delete says nothing about what it is"


def test_what_waits_for_a_reviewer_is_said(store: Store) -> None:
    with site_of(store, learn=lambda _: Result(queued=True)) as site:
        (id_,) = hold(store)
        ann = visitor(site, "ann")
        ann.get("/quarantine")
        ann.post("/quarantine/act", act="spam", id=id_)
        assert "It is learnt when a reviewer agrees." in ann.page


def test_searches_with_a_name(site: Site, store: Store) -> None:
    ann, mo = visitor(site, "ann"), visitor(site, "mo")
    assert 'name="title"' not in ann.get("/quarantine").text
    assert 'name="title"' in ann.get("/quarantine?q=pills").text
    ann.post("/saved", act="save", room="quarantine", title=" The <b>pills</b> ", q="from:pills.example since:7d")
    assert "&lt;b&gt;pills" in ann.page
    assert ann.page.count("/quarantine?q=from%3Apills.example+since%3A7d") == 1
    ann.post("/saved", act="save", room="history", title="mine", q="action:reject")
    assert "action%3Areject" in ann.get("/history").text
    assert "action%3Areject" not in ann.get("/quarantine").text
    assert "pills" not in mo.get("/quarantine").text
    mo.post("/saved", act="remove", room="quarantine", title="The <b>pills</b>")
    assert len(store.saved.find("ann", "quarantine")) == 1
    ann.get("/quarantine")
    ann.post("/saved", act="remove", room="quarantine", title="The <b>pills</b>")
    assert store.saved.find("ann", "quarantine") == []
    for form in ({"room": "elsewhere", "title": "x", "q": "x"}, {"room": "history", "title": " ", "q": "x"},
                 {"room": "history", "title": "x", "q": " "}):  # fmt: skip
        ann.get("/account")
        assert ann.post("/saved", act="save", **form).status_code == 404
    for number in range(31):
        ann.get("/history")
        answer = ann.post("/saved", act="save", room="history", title=f"t{number}", q="x")
    assert answer.status_code == 400
    assert "remove one" in answer.text
