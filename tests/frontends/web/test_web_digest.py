"""Digests: links that show, buttons that act, and nothing that a changed bit or another recipient could use."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import re
import time
from email.message import EmailMessage

import pytest

from filterd.frontends.web import Site, digest
from filterd.store import ItemState, Person, Store
from filterd.value import replace
from tests.frontends.web.visitor import hold, site_of, visitor

URL = "http://filterd.example"


def now() -> int:
    return int(time.time() * 1000)


def letter_for(site: Site, store: Store, name: str = "ann") -> EmailMessage:
    person = store.people.get(name)
    assert person is not None
    made = digest.compose(dataclasses.replace(site, sender="postmaster@example.org"), person, 0, now() + 1000)
    assert made is not None
    found = email.message_from_bytes(made.content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def paths(letter: EmailMessage) -> list[str]:
    body = letter.get_body(("plain",))
    assert body is not None
    return re.findall(rf"{URL}(/\S+)", body.get_content())


def test_what_the_mail_says(store: Store) -> None:
    with site_of(store, settings={"url": URL}) as site:
        hold(store, subject="Prêt-à-porter\u202e <b>")
        hold(store, "bob@example.org", subject="Not for Ann")
        letter = letter_for(site, store)
        assert letter["To"] == "ann@example.org"
        assert letter["Subject"] == "1 message is held for you"
        assert letter["Auto-Submitted"] == "auto-generated"
        assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        text, html = letter.get_body(("plain",)), letter.get_body(("html",))
        assert text is not None
        assert html is not None
        assert "Prêt-à-porter" in text.get_content()
        assert "Not for Ann" not in text.get_content() + html.get_content()
        assert "&lt;b&gt;" in html.get_content()
        assert "\u202e" not in text.get_content() + html.get_content()


def test_a_link_shows_and_its_button_acts(store: Store) -> None:
    with site_of(store, settings={"url": URL}) as site:
        (id_,) = hold(store)
        link = paths(letter_for(site, store))[0]
        scanner = visitor(site)
        before = store.quarantine.get(id_)
        for _ in range(3):
            assert scanner.get(link).status_code == 200
        assert store.quarantine.get(id_) == before, "looking does nothing"
        assert scanner.client.post(link, data={"act": "release"}).status_code == 403, "without the form nothing"
        ann = visitor(site)
        ann.get(link)
        ann.post(link, act="release")
        assert "is being released" in ann.page
        ann.post(link, act="keep")
        ann.post(link, act="delete")
        item = store.quarantine.get(id_)
        assert item is not None
        assert (item.state, item.state_by) == (ItemState.DELETED, "digest:ann")
        ann.get(link)
        assert '<button name="act"' not in ann.page
        ann.get("/quarantine")
        assert "Your quarantine" in ann.page, "a link lets nobody in"


def test_act_on_all(store: Store) -> None:
    with site_of(store, settings={"url": URL}) as site:
        ids = [hold(store)[0], hold(store)[0]]
        (other,) = hold(store, "bob@example.org")
        everything = paths(letter_for(site, store))[2]
        ann = visitor(site)
        ann.get(everything)
        assert "Release all" in ann.page
        ann.post(everything, act="delete")
        states = [item.state for id_ in [*ids, other] if (item := store.quarantine.get(id_))]
        assert states == [ItemState.DELETED, ItemState.DELETED, ItemState.HELD]


def test_a_changed_link_is_no_link(store: Store) -> None:
    with site_of(store, settings={"url": URL}) as site:
        (mine,), (other,) = hold(store), hold(store, "bob@example.org")
        link = paths(letter_for(site, store))[0]
        stranger = visitor(site)
        wrong = [
            link[:-1],
            link + "0",
            link.replace(mine, other),
            link.replace("/d/i.", "/d/u."),
            "/d/",
            "/d/x",
            "/d/%00",
        ]
        wrong += [link[:at] + ("1" if link[at] != "1" else "2") + link[at + 1 :] for at in range(3, len(link))]
        assert {stranger.get(one).status_code for one in wrong} == {404}


def test_a_link_is_for_its_recipient_and_its_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with site_of(store, settings={"url": URL}) as site:
        (id_,) = hold(store)
        item = store.quarantine.get(id_)
        assert item is not None
        theirs = digest.item_link(site, replace(item, recipient="bob@example.org"), now() + 1000)
        late = digest.item_link(site, item, now() - 1)
        elsewhere = digest.item_link(replace_secret(site), item, now() + 1000)
        for link in (theirs, late, elsewhere):
            assert visitor(site).get(f"/d/{link}").status_code == 404
        store.people.remove("ann")
        assert visitor(site).get(f"/d/{digest.item_link(site, item, now() + 1000)}").status_code == 404


def test_a_virus_is_not_released_by_link(store: Store) -> None:
    with site_of(store, settings={"url": URL}) as site:
        (id_,) = hold(store, klass="virus")
        link = paths(letter_for(site, store))[0]
        ann = visitor(site)
        ann.get(link)
        ann.post(link, act="release")
        item = store.quarantine.get(id_)
        assert item is not None
        assert item.due is None


def test_one_click_and_no_more(store: Store) -> None:
    with site_of(store, settings={"url": URL}) as site:
        store.people.change("ann", digest="daily")
        hold(store)
        stop = letter_for(site, store)["List-Unsubscribe"].strip("<>").removeprefix(URL)
        assert visitor(site).get(stop).status_code == 200
        assert store.people.get("ann").digest == "daily"  # type: ignore[union-attr]
        done = visitor(site).client.post(stop, data={"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200
        assert store.people.get("ann").digest == ""  # type: ignore[union-attr]
        assert visitor(site).client.post(stop[:-1] + "x").status_code == 404


def test_when_it_is_due() -> None:
    person = Person(name="a", addresses=("@d.example", "a@d.example"), digest="daily")
    day = 86_400_000
    assert [digest.due(person, 0, at) for at in (day - 1, day)] == [False, True]
    assert not digest.due(replace(person, digest=""), 0, day)
    assert not digest.due(replace(person, addresses=("@d.example",)), 0, day)


def replace_secret(site: Site) -> Site:
    return Site(store=site.store, secret=b"another", settings=site.settings)


@pytest.mark.parametrize(("code", "why"), [("ca", "Sembla brossa: la puntuació és"), ("it", "Sembra spam:")])
def test_why_is_said_in_the_reader_s_language(store: Store, code: str, why: str) -> None:
    hold(store)
    with site_of(store, settings={"url": URL}) as site:
        store.people.change("ann", "cli", language=code, digest="daily")
        letter = letter_for(site, store)
        text, html = letter.get_body(("plain",)), letter.get_body(("html",))
        assert text is not None
        assert html is not None
        assert why in text.get_content()
        assert why in html.get_content()
        assert "It looks like spam" not in text.get_content() + html.get_content()
