"""Whose mail passes, said on the pages: by whom, about whom, for whom; and taken back."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from filterd.access import AccessList, parse_entry
from filterd.authentication import Authentication, AuthResult, DkimResult, DmarcResult, SpfResult
from filterd.frontends.web import Site
from filterd.frontends.web.senders import Unfit, described, to_allow, to_block
from filterd.record import Outline, Record
from filterd.store import ItemState, Store
from filterd.value import replace
from tests.frontends.web.test_web_quarantine import state
from tests.frontends.web.visitor import Visitor, hold, site_of, visitor
from tests.store.stored import make_record

SHARED = frozenset({"gmail.com", "freehost.example"})


def vouched(domain: str) -> Authentication:
    return Authentication(dkim=(DkimResult(AuthResult.PASS, domain),), dmarc=DmarcResult(AuthResult.PASS))


def of(author: str, auth: Authentication, **changes: Any) -> Record:
    record = make_record(from_=f"Somebody <{author}>", **changes)
    return replace(record, auth=auth, outline=Outline(from_=f"Somebody <{author}>"))


def listed(store: Store) -> list[str]:
    return sorted(store.access.lines())


def signed(store: Store, monkeypatch: pytest.MonkeyPatch, author: str, domain: str) -> None:
    """Have every record say that this domain vouches for this author."""
    show = store.history.show

    def shown(id_: str) -> Record | None:
        found = show(id_)
        return replace(found, auth=vouched(domain), outline=Outline(from_=author)) if found else None

    monkeypatch.setattr(store.history, "show", shown)


@pytest.mark.parametrize(
    ("author", "signer", "line"),
    [
        ("News@Shop.example", "shop.example", "allow shop.example for ann@example.org"),
        ("a@news.shop.example", "shop.example", "allow news.shop.example for ann@example.org"),
        ("joe@gmail.com", "gmail.com", "allow joe@gmail.com for ann@example.org"),
        ("joe@his.freehost.example", "freehost.example", "allow joe@his.freehost.example for ann@example.org"),
        ("news@shop.example", "mailer.example", ""),
        ("news@shop.example", "evilshop.example", ""),
        ("not an address", "shop.example", ""),
    ],
)
def test_what_is_allowed_is_what_vouches(author: str, signer: str, line: str) -> None:
    record = of(author, vouched(signer))
    if not line:
        with pytest.raises(Unfit):
            to_allow(record, "ann@example.org", SHARED)
        return
    entry = to_allow(record, "ann@example.org", SHARED)
    assert entry == parse_entry(line)
    assert AccessList([line], SHARED).holding(record)


def test_a_name_that_is_only_claimed_is_not_allowed() -> None:
    for auth in (
        Authentication(),
        Authentication(spf=SpfResult(AuthResult.SOFTFAIL, "shop.example")),
        replace(vouched("shop.example"), dmarc=DmarcResult(AuthResult.FAIL)),
    ):
        with pytest.raises(Unfit, match="Nobody vouches"):
            to_allow(of("news@shop.example", auth), "ann@example.org", SHARED)
    with pytest.raises(Unfit):
        to_allow(None, "ann@example.org", SHARED)


def test_two_authors_are_none() -> None:
    record = replace(
        of("a@shop.example", vouched("shop.example")), outline=Outline(from_="a@shop.example, b@x.example")
    )
    with pytest.raises(Unfit):
        to_allow(record, "ann@example.org", SHARED)


def test_whom_a_block_names() -> None:
    assert to_block(of("Bad@Spam.example", Authentication()), "x@y.example", "").whom == "bad@spam.example"
    assert to_block(None, "X@Y.example", "ann@example.org").whom == "x@y.example"
    with pytest.raises(Unfit, match="names no sender"):
        to_block(None, "", "ann@example.org")
    with pytest.raises(Unfit, match="names no sender"):
        to_block(None, 'a # b"@y.example for', "ann@example.org")


@pytest.mark.parametrize(
    "said",
    [
        ("allow", "gmail.com"), ("allow", "x.freehost.example"), ("allow", "co.uk"), ("allow", "0.0.0.0/0"),
        ("deny", "::/0"), ("allow", "a b"), ("allow", "nodots"), ("deny", ""), ("deny", "a@b.example#c"),
        ("deny", "x.example for bob@example.org"), ("deny", "x.example\nallow y.example"),
    ],
)  # fmt: skip
def test_what_nobody_may_say(said: tuple[str, str]) -> None:
    with pytest.raises(Unfit):
        described(said[0] == "allow", said[1], "ann@example.org", "", "", SHARED)


def test_a_comment_cannot_become_an_entry() -> None:
    entry = described(True, "shop.example", "", "2030-01-31", "why\nallow evil.example # x", SHARED)
    assert entry.comment == "why allow evil.example # x"
    assert entry.until == datetime.date(2030, 1, 31)


def test_allowed_and_undone(site: Site, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (id_,) = hold(store)
    signed(store, monkeypatch, "news@shop.example", "shop.example")
    ann = visitor(site, "ann")
    ann.get("/quarantine")
    ann.post("/quarantine/act", act="allow", id=id_)
    assert "is released in 60 seconds. From now on shop.example passes." in ann.page
    assert listed(store) == ["allow shop.example for ann@example.org"]
    assert "shop.example" in ann.get("/senders").text
    assert {"access-added", "release-asked"} <= {line.what for line in store.audit.find(id_)}
    ann.get("/quarantine")
    ann.post("/quarantine/act", act="unallow", id=id_)
    assert listed(store) == []
    item = store.quarantine.get(id_)
    assert item is not None
    assert item.due is None


def test_what_nobody_vouches_for_is_released_and_not_listed(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    ann = visitor(site, "ann")
    ann.get("/quarantine")
    ann.post("/quarantine/act", act="allow", id=id_)
    assert "Nobody vouches for the sender" in ann.page
    assert listed(store) == []


def test_blocked_and_undone(site: Site, store: Store) -> None:
    (id_,) = hold(store, sender="bad@spam.example", from_="Bad <bad@spam.example>")
    store.flush_now()
    ann = visitor(site, "ann")
    ann.get(f"/quarantine/{id_}")
    ann.post("/quarantine/act", act="block", id=id_)
    assert "From now on bad@spam.example is blocked." in ann.page
    assert listed(store) == ["deny bad@spam.example for ann@example.org"]
    assert state(store, id_) is ItemState.DELETED
    assert 'value="unblock"' in ann.page
    ann.post("/quarantine/act", act="unblock", id=id_)
    assert (listed(store), state(store, id_)) == ([], ItemState.HELD)


@pytest.mark.parametrize(
    ("name", "whose", "recipient"),
    [("ann", "", "ann@example.org"), ("mo", "domain", "example.org"), ("root", "all", ""), ("ann", "domain", None),
     ("ann", "all", None), ("mo", "all", None), ("eve", "", None)],
)  # fmt: skip
def test_for_whom_it_may_be_said(site: Site, store: Store, name: str, whose: str, recipient: str | None) -> None:
    (id_,) = hold(store, sender="bad@spam.example")
    person = visitor(site, name)
    offered = person.get(f"/quarantine/{id_}").text
    assert ('value="block"' in offered) == (name != "eve")
    answer = person.post("/quarantine/act", act="block", id=id_, whose=whose)
    if recipient is None:
        assert answer.status_code == 403
        assert (listed(store), state(store, id_)) == ([], ItemState.HELD), "nothing is done by halves"
    else:
        assert [parse_entry(line).recipient for line in listed(store)] == [recipient]


def test_the_page(site: Site, store: Store) -> None:
    store.access.add(parse_entry("deny evil.example"), "web:root")
    store.access.add(parse_entry("deny other.example for bob@example.org"), "web:bob")
    ann = visitor(site, "ann")
    assert "No sender is listed here" in ann.get("/senders").text
    ann.post(
        "/senders", verb="allow", whom="Shop.example", **{"for": "ann@example.org"}, until="2031-05-06", comment="x"
    )
    assert "Saved. It holds from now on." in ann.page
    (mine,) = store.access.find(("ann@example.org",))
    assert (mine.line, mine.by) == ("allow shop.example for ann@example.org until 2031-05-06 # x", "web:ann")
    assert 'value="2031-05-06"' in ann.get(f"/senders?change={mine.id}").text
    ann.post("/senders", id=mine.id, verb="deny", whom="shop.example", **{"for": "ann@example.org"})
    assert [one.line for one in store.access.find(("ann@example.org",))] == ["deny shop.example for ann@example.org"]
    assert ">shop.example<" not in visitor(site, "bob").get("/senders").text
    mo = visitor(site, "mo").get("/senders").text
    assert re.findall(r">(\w+\.example)</a>", mo) == ["shop.example", "other.example"]
    everything = visitor(site, "eve").get("/senders").text
    assert "evil.example" in everything
    assert 'name="whom"' not in everything
    ann.get("/senders")
    ann.post("/senders", act="remove", id=mine.id)
    assert "1 was removed." in ann.page
    whats = [line.what for line in store.audit.find() if line.what.startswith("access")]
    assert whats == ["access-removed", "access-changed", "access-added", "access-added", "access-added"]


def test_somebody_else_s_entry_does_not_exist(site: Site, store: Store) -> None:
    bobs = store.access.add(parse_entry("deny other.example for bob@example.org"), "web:bob")
    ann = visitor(site, "ann")
    ann.get("/senders")
    assert ann.get(f"/senders?change={bobs.id}").status_code == 404
    ann.get("/senders")
    assert ann.post("/senders", act="remove", id=bobs.id).status_code == 404
    ann.get("/senders")
    form = {"verb": "allow", "whom": "x.example", "for": "ann@example.org", "id": bobs.id}
    assert ann.post("/senders", **form).status_code == 404
    for recipient in ("bob@example.org", "example.org", "", "@example.org", "ANN@example.org.evil.example"):
        ann.get("/senders")
        assert ann.post("/senders", verb="deny", whom="x.example", **{"for": recipient}).status_code == 403
    assert listed(store) == ["deny other.example for bob@example.org"]
    eve = visitor(site, "eve")
    eve.get("/senders")
    assert eve.post("/senders", act="remove", id=bobs.id).status_code in (403, 404)


def test_there_is_an_end_to_entries(site: Site, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.store.entries.MOST_EACH", 3)
    ann = visitor(site, "ann")
    for number in range(4):
        ann.get("/senders")
        answer = ann.post("/senders", verb="deny", whom=f"x{number}.example", **{"for": "ann@example.org"})
    assert answer.status_code == 400
    assert "There are too many entries for this recipient already" in ann.page


def test_who_is_listed_is_found(store: Store) -> None:
    with site_of(store) as site:
        for line in ("deny one.example for ann@example.org # Café", "deny two.example for example.org"):
            store.access.add(parse_entry(line), "web:mo")
        mo: Visitor = visitor(site, "mo")
        both = {"one.example", "two.example"}
        for q, found in {"one": {"one.example"}, "cafe": set(), "Caf": {"one.example"}, "": both, "%": set()}.items():
            mo.get(f"/senders?q={q}")
            assert set(re.findall(r">(\w+\.example)</a>", mo.page)) == found, q


def test_where_users_list_nobody(store: Store) -> None:
    with site_of(store, settings={"list_senders": ["manager"]}) as site:
        (id_,) = hold(store, sender="bad@spam.example")
        for name, allowed in (("ann", False), ("mo", True), ("root", True), ("eve", False)):
            person = visitor(site, name)
            for path in ("/quarantine", f"/quarantine/{id_}"):
                assert ('value="block"' in person.get(path).text) == allowed, (name, path)
            assert ('name="whom"' in person.get("/senders").text) == allowed
            form = {"verb": "deny", "whom": f"{name}.example", "for": "ann@example.org"}
            assert person.post("/senders", **form).status_code == (200 if allowed else 403)
        ann = visitor(site, "ann")
        ann.get("/quarantine")
        assert ann.post("/quarantine/act", act="block", id=id_).status_code == 403
        assert state(store, id_) is ItemState.HELD, "nothing is done by halves"


def test_what_is_over_is_shown_and_renewed_or_removed(site: Site, store: Store) -> None:
    for line in ("allow old.example for ann@example.org until 2020-01-01", "deny new.example for ann@example.org"):
        store.access.add(parse_entry(line), "cli")
    ann, bob = visitor(site, "ann"), visitor(site, "bob")
    assert "new.example" in ann.get("/senders").text
    assert ann.page.count(">expired</span>") == 1
    assert "new.example" not in ann.get("/senders?over=1").text
    (old,) = store.access.find(text="old.example")
    bob.get("/senders")
    assert bob.post("/senders", act="renew", id=old.id).status_code == 404, "another's"
    ann.get("/senders?over=1")
    ann.post("/senders", act="renew", over="1", id=old.id)
    assert "1 holds until" in ann.page
    assert "old.example" not in ann.page, "it is no longer among those"
    (old,) = store.access.find(text="old.example")
    assert old.until is not None
    assert old.until > datetime.datetime.now(datetime.UTC).date()
    assert store.audit.find()[0].what == "access-changed"
    (new,) = store.access.find(text="new.example")
    ann.post("/senders", act="renew", id=new.id)
    assert store.access.find(text="new.example")[0].until is None, "what holds for ever goes on to"
    ann.post("/senders", act="remove", id=[old.id, new.id])
    assert "2 were removed" in ann.page
