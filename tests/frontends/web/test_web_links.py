"""Links that let in once, by mail: for whoever has an account with that address, and telling nobody who has."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from filterd.frontends.web import Site
from filterd.frontends.web.site import Letter
from filterd.store import Person, Role, Store
from tests.frontends.web.visitor import site_of, visitor

URL = "http://filterd.example"
SETTINGS = {"url": URL}


@pytest.fixture
def posted() -> list[Letter]:
    return []


@pytest.fixture
def mailing(store: Store, posted: list[Letter]) -> Iterator[Site]:
    with site_of(store, settings=SETTINGS, send=posted.append, sender="postmaster@example.org") as site:
        store.people.add(Person(name="chief", role=Role.ADMIN, addresses=("chief@example.org",)))
        yield site


def read(letter: Letter) -> tuple[EmailMessage, str]:
    found = email.message_from_bytes(letter.content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    body = found.get_body(("plain",))
    assert body is not None
    link = re.search(rf"{re.escape(URL)}(/link/[\w-]{{43}})", body.get_content())
    assert link
    return found, link[1]


def test_asked_for_mailed_and_spent(mailing: Site, posted: list[Letter], store: Store) -> None:
    stranger = visitor(mailing)
    assert "Mail me a link" in stranger.get("/login").text
    stranger.post("/login/link", address=" Robert@Example.org ")
    assert "a link is on its way" in stranger.page
    (made,) = posted
    mail, link = read(made)
    assert (made.recipient, mail["To"], mail["From"]) == (
        "robert@example.org", "robert@example.org", "filterd <postmaster@example.org>"
    )  # fmt: skip
    assert store.audit.find()[0].what == "link-made"
    stranger.get(link)
    assert "Log out" in stranger.post(link).text
    assert "bob" in stranger.page
    other = visitor(mailing)
    other.get(link)
    assert other.post(link).status_code == 403


def test_nobody_is_told_who_has_an_account(mailing: Site, posted: list[Letter]) -> None:
    pages = []
    for address in ("ann@example.org", "nobody@example.org", "chief@example.org", "x@elsewhere.example"):
        stranger = visitor(mailing)
        stranger.get("/login")
        stranger.post("/login/link", address=address)
        pages.append(re.sub(r"[0-9a-f]{32}", "", stranger.page))
    assert len(set(pages)) == 1
    assert [one.recipient for one in posted] == ["ann@example.org"]


def test_nobody_s_mailbox_is_flooded(mailing: Site, posted: list[Letter]) -> None:
    stranger = visitor(mailing)
    stranger.get("/login")
    codes = [stranger.post("/login/link", address="ann@example.org").status_code for _ in range(12)]
    assert codes[:10] == [200] * 10
    assert codes[10:] == [429, 429]
    assert len(posted) == 10
    assert visitor(mailing, "ann").page, "a password still logs in"


@pytest.mark.parametrize(
    "address", ["", "@", "ann", "ann@example.org\r\nBcc: evil@x.example", "a" * 400 + "@example.org"]
)
def test_what_is_no_address(mailing: Site, posted: list[Letter], address: str) -> None:
    stranger = visitor(mailing)
    stranger.get("/login")
    stranger.post("/login/link", address=address)
    assert posted == []


def test_without_an_address_of_the_pages_none_is_offered(store: Store) -> None:
    for changes in ({}, {"settings": SETTINGS}, {"settings": {**SETTINGS, "login_links": False}, "send": print}):
        for name in ("ann", "bob", "mo", "eve", "root"):
            store.people.remove(name)
        with site_of(store, **changes) as site:
            stranger = visitor(site)
            assert "Mail me a link" not in stranger.get("/login").text
            assert stranger.post("/login/link", address="ann@example.org").status_code == 404
