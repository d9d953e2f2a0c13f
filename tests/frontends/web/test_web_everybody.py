"""Every page, for everybody: what axe-core finds, light and dark, large and small; nothing that has to be moved
sideways, and nothing in the console.
"""

from __future__ import annotations

import datetime

import pytest
from selenium.webdriver import Chrome

from filterd.access import parse_entry
from filterd.app.state import prepare
from filterd.frontends.web import Site, WebSettings, digest
from filterd.learning.link import answers
from filterd.store import HistoryFilter, QuarantineFilter, SavedSearch, Store
from tests.frontends.web.browsing import GTUBE, Pages, login, quiet, serious
from tests.frontends.web.chromium import chromium

LONG = f"{'a' * 60}.{'b' * 60}@{'c' * 60}.example"
MAIL = (
    "From: {author}\r\nTo: bob@example.org\r\nSubject: {subject}\r\nMessage-ID: <{n}@odd.example>\r\n"
    f"MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{'w' * 400}<p>{GTUBE}\r\n"
)
ODD = [
    (LONG, "x" * 300),
    ("משה <moshe@rtl.example>", "שלום עולם - 2026"),
    ("Party 🎉 <p@party.example>", "🎉👨‍👩‍👧‍👦 tonight 🍾"),
    ("<s@s.example>", '<script>alert("x")</script>'),
]
LOOKS = [(False, False), (False, True), (True, False)]


@pytest.fixture(scope="module")
def paths(pages: Pages) -> dict[str, list[str]]:
    """What each of them opens, "" being somebody who is not logged in, over mail that strains the layout."""
    for n, (author, subject) in enumerate(ODD):
        pages.deliver("bob@example.org", MAIL.format(author=author, subject=subject, n=n))
    pages.service.until(lambda: answers(pages.service.state), "the learning process")
    store = Store.open(pages.service.state, min_free=0)
    try:
        for line in (f"allow {LONG} for bob@example.org # {'w' * 100}", "deny odd.example until 2020-01-01 # over"):
            store.access.add(parse_entry(line), "cli")
        store.saved.save("bob", SavedSearch(room="quarantine", title="w" * 100, q="from:odd.example"))
        (item, *_), bob = store.quarantine.find(QuarantineFilter(text="xxxx")), store.people.get("bob")
        pages.service.until(lambda: bool(store.history.find(HistoryFilter(text="xxxx")).rows), "the history")
        (record, *_) = store.history.find(HistoryFilter(text="xxxx"))
        store.people.add_link("bob", "s" * 40, 3600.0, "cli")
        site = Site(store=store, secret=prepare(pages.service.state), settings=WebSettings(url=pages.url))
        assert bob is not None
        later = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000) + 10**8
        one, every = digest.item_link(site, item, later), digest.all_link(site, bob, 0, later, later)
        stop = digest.stop_link(site, bob)
        entry = store.access.find(text="over")[0]
    finally:
        store.close()
    message = f"/quarantine/{item.id}"
    views = [f"{message}?view={one}" for one in ("html", "headers", "source")]
    searches = ["/quarantine?q=nothing-like-it", "/quarantine?q=score:x"]
    return {
        "": ["/login", f"/link/{'s' * 40}", f"/d/{one}", f"/d/{every}", f"/unsubscribe/{stop}"],
        "bob": ["/quarantine", *searches, "/history", "/senders", "/account", message, *views, f"/history/{record.id}"],
        "mo": ["/review", "/review?view=learnt"],
        "root": ["/quarantine", "/overview", "/overview?span=month", "/audit", f"/senders?change={entry.id}", message],
        "eve": ["/quarantine", "/review"],
    }


def overhang(browser: Chrome) -> int:
    """Pixels by which the page is wider than the window."""
    wide: int = browser.execute_script("return document.documentElement.scrollWidth - innerWidth")
    return wide


@pytest.mark.parametrize(("phone", "dark"), LOOKS)
def test_everybody_can_use_every_page(pages: Pages, paths: dict[str, list[str]], phone: bool, dark: bool) -> None:
    with chromium(phone=phone, dark=dark) as browser:
        for name, theirs in paths.items():
            browser.delete_all_cookies()
            if name:
                login(browser, pages, name)
            for path in theirs:
                browser.get(pages.url + path)
                assert serious(browser) == [], path
                assert overhang(browser) <= 0, f"{path} has to be moved sideways"
        quiet(browser)
        browser.get(f"{pages.url}/no-such-page")
        assert serious(browser) == []
