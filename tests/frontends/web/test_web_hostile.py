"""What hostile mail, hostile sites and hostile programs try on the pages."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from filterd.access import parse_entry
from filterd.frontends.web import Site
from filterd.frontends.web.app import POLICY
from filterd.frontends.web.pages.message import SANDBOX
from filterd.frontends.web.preview import tame
from filterd.store import ItemState, SavedSearch, Store, Suggestion, Way
from tests.frontends.web.visitor import CASES, PASSWORD, Visitor, hold, site_of, visitor

HOSTILE = (CASES / "hostile.eml").read_bytes().replace(b"\n", b"\r\n")
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u202egpj.exe"


class Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def check(page: str) -> None:
    """Nothing in the page runs, or comes from elsewhere, that we did not put there."""
    assert "\u202e" not in page
    for tag, attributes in Elements(page).found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        source = attributes.get("src") or attributes.get("href") or attributes.get("action") or "/"
        assert re.match(r"/(?!/)|#", source), (tag, attributes)
        if tag == "script":
            assert (attributes.get("src") or "").startswith("/static/")
        assert tag not in ("object", "embed", "base", "style", "video", "audio")


@pytest.fixture
def evil(site: Site, store: Store) -> tuple[Visitor, str]:
    (id_,) = hold(
        store, raw=HOSTILE, subject=EVIL, from_=f"{EVIL} <a@b.example>", sender=f"{EVIL}@bad.example",
        findings=("PILLS", EVIL), message_id=f"<{EVIL}>", client=EVIL,
    )  # fmt: skip
    return visitor(site, "root"), id_


@pytest.mark.parametrize("view", ["text", "html", "headers", "source"])
def test_markup_is_text_everywhere(evil: tuple[Visitor, str], store: Store, view: str) -> None:
    root, id_ = evil
    store.flush_now()
    item = store.quarantine.get(id_)
    assert item is not None
    paths = [f"/quarantine/{id_}?view={view}", "/quarantine", "/history", f"/history/{item.record}", "/audit",
             f"/quarantine?q={EVIL}", f"/history?q={EVIL}", f"/audit?item={EVIL}", "/overview", f"/{EVIL}"]  # fmt: skip
    for path in paths:
        check(root.get(path).text)


def test_markup_in_what_people_type(site: Site, store: Store) -> None:
    store.audit.write(f"web:{EVIL}", EVIL, "x", EVIL)
    root = visitor(site, "root")
    check(root.get("/audit").text)
    check(visitor(site).login(EVIL, EVIL).text)
    root.get("/account")
    check(root.post("/account", part="token", title=EVIL, scope="read").text)
    check(root.get("/account").text)


def test_markup_in_what_people_keep(site: Site, store: Store) -> None:
    comment = EVIL.replace("#", "")
    store.access.add(parse_entry(f"deny bad.example for ann@example.org # {comment}"), EVIL)
    store.saved.save("root", SavedSearch(room="quarantine", title=EVIL, q=EVIL))
    said = Suggestion(
        digest="0", spam=True, way=Way.BUTTON, reporter=EVIL, address=f"{EVIL}@example.org", from_=EVIL, subject=EVIL,
        note=EVIL, message_id=EVIL, doubtful=True,
    )  # fmt: skip
    with store.suggestions.change() as change:
        id_ = change.add(said, EVIL, b"", HOSTILE)
    root = visitor(site, "root")
    for path in ("/senders", f"/senders?q={EVIL}", f"/senders?change={store.access.find()[0].id}", "/quarantine",
                 "/review", f"/review?q={EVIL}", f"/review/{id_}", "/overview", "/audit"):  # fmt: skip
        check(root.get(path).text)
    root.get("/senders")
    check(root.post("/senders", verb="allow", whom=EVIL, until=EVIL, comment=EVIL, **{"for": ""}).text)


def test_the_preview_is_tame(evil: tuple[Visitor, str]) -> None:
    root, id_ = evil
    answer = root.get(f"/quarantine/{id_}/html")
    assert answer.headers["content-security-policy"] == SANDBOX
    assert SANDBOX.startswith("sandbox; default-src 'none'")
    assert "Visible words" in answer.text
    assert "evil.example" not in answer.text
    assert "alert" not in answer.text
    tags = {tag for tag, _ in Elements(answer.text).found}
    assert tags <= {"meta", "title", "link", "body", "p", "a", "table", "tbody", "tr", "td", "hr"}
    check(answer.text)
    assert '<iframe sandbox src="/quarantine/' in root.get(f"/quarantine/{id_}?view=html").text


@pytest.mark.parametrize(
    "markup",
    ["<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<a href=data:text/html,x>y</a>", "<p style=x:y>",
     "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>", "<math><mi//xlink:href='data:x,<script>'>",
     "<template><script>alert(1)</script></template>", "<" * 5000, "<table background=//x>", "<base href=//x>"],
)  # fmt: skip
def test_tricks_on_the_sanitiser(markup: str) -> None:
    for tag, attributes in Elements(tame(markup)).found:
        assert set(attributes) <= {"colspan", "rowspan"}, (tag, attributes)
        assert tag not in ("img", "svg", "script", "math", "base", "template", "noscript")


def test_the_policy_allows_nothing_inline(site: Site) -> None:
    assert "unsafe" not in POLICY
    stranger = visitor(site)
    for path in ("/login", "/nothing", "/static/filterd.css", "/static/nothing", "/api/v1/quarantine", "/link/x"):
        headers = stranger.get(path).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


WRITES = (
    ("/quarantine/act", {"act": "release"}),
    ("/quarantine/act", {"act": "delete"}),
    ("/account", {"part": "settings", "language": "it", "digest": ""}),
    ("/account", {"part": "password", "old": PASSWORD, "new": "another one, longer"}),
    ("/account", {"part": "token", "title": "t", "scope": "read"}),
    ("/logout", {}),
)


@pytest.mark.parametrize(("path", "fields"), WRITES)
@pytest.mark.parametrize(
    ("csrf", "headers"),
    [
        ("", {}),
        ("0" * 32, {}),
        ("theirs", {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Origin": "null"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_forged_posts(
    site: Site, store: Store, path: str, fields: dict[str, str], csrf: str | None, headers: dict[str, str]
) -> None:
    (id_,) = hold(store)
    ann = visitor(site, "ann")
    ann.get("/quarantine")
    before = len(store.audit.find())
    more = {} if csrf is None else {"csrf": csrf}
    if csrf == "theirs":
        mallory = visitor(site, "bob")
        mallory.get("/account")
        found = re.search(r'name="csrf" value="(\w+)"', mallory.page)
        assert found
        more = {"csrf": found[1]}
        before = len(store.audit.find())
    assert ann.post(path, headers=headers, id=id_, **fields, **more).status_code == 403
    item = store.quarantine.get(id_)
    assert item is not None
    assert (item.state, item.due) == (ItemState.HELD, None)
    assert len(store.audit.find()) == before
    assert ann.get("/quarantine").url.path == "/quarantine", "still logged in"


def test_looking_changes_nothing(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    store.flush_now()
    root = visitor(site, "root")
    item = store.quarantine.get(id_)
    assert item is not None
    before, lines = item, len(store.audit.find())
    for path in ("/", "/quarantine", f"/quarantine/{id_}", f"/quarantine/{id_}/html", "/history", "/overview", "/audit",
                 f"/history/{item.record}", "/history.csv", "/history.json", "/account", "/login",
                 f"/quarantine/act?act=release&id={id_}", "/quarantine/act", "/logout", "/theme"):  # fmt: skip
        root.get(path)
    assert store.quarantine.get(id_) == before
    assert len(store.audit.find()) == lines
    assert root.get("/quarantine").url.path == "/quarantine"


def test_sql_and_odd_bytes_are_inert(site: Site, store: Store) -> None:
    (id_,) = hold(store)
    root = visitor(site, "root")
    for typed in (
        "'; DROP TABLE items; --",
        "%00",
        "%ff%fe",
        '"' * 50,
        "from:' OR 1=1",
        "a" * 5000,
        "\ud83d",
        "*",
        "%25",
        "_",
    ):
        for path in ("quarantine", "history", "history.csv", "history.json"):
            answer = root.get(f"/{path}?q={typed.encode('utf-8', 'replace').decode()}&before=-1")
            assert answer.status_code in (200, 404), typed
    for path in ("/quarantine/%00", "/history/%00", "/static/../app.py", "/static/%2e%2e%2fapp.py", "/link/%00"):
        assert root.get(path).status_code in (200, 404)
    assert store.quarantine.get(id_) is not None


def test_bodies_that_are_no_form(site: Site) -> None:
    root = visitor(site, "root")
    for kind, body, status in (
        ("application/x-www-form-urlencoded", b"a=" * 600_000, 413),
        ("application/x-www-form-urlencoded", b"a&" * 100_000, 413),
        ("multipart/form-data; boundary=x", b"--x\r\n", 403),
        ("application/json", b"{", 403),
    ):
        answer = root.client.post("/quarantine/act", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status, kind


def test_a_spreadsheet_runs_no_formula(site: Site, store: Store) -> None:
    hold(store, subject='=HYPERLINK("https://evil.example")', sender="+1@bad.example")
    store.flush_now()
    lines = visitor(site, "root").get("/history.csv").text.splitlines()
    assert "'=HYPERLINK" in lines[1]
    assert "'+1@bad.example" in lines[1]


def test_no_file_of_ours_but_the_public_ones(site: Site) -> None:
    stranger = visitor(site)
    for name in ("NOTICE", "../app.py", "..%2fapp.py", "templates/base.html", "htmx.LICENSE", ".css", ""):
        assert stranger.get(f"/static/{name}").status_code == 404, name
    assert stranger.get("/static/filterd.js").headers["content-type"].startswith("text/javascript")


def test_an_address_that_only_a_button_leads_to(site: Site) -> None:
    for path in ("/logout", "/login/link", "/saved"):
        answer = visitor(site, "ann").get(path)
        assert (answer.status_code, "POST" in answer.headers["allow"]) == (405, True)
        assert "There is no such page" in answer.text


@pytest.mark.parametrize(("origin", "status"), [("https://q.example", 303), ("https://r.example", 403), ("null", 403)])
def test_a_proxy_that_asks_under_another_name_is_no_stranger(store: Store, origin: str, status: int) -> None:
    """nginx names itself as the Host unless it is told to hand on the browser's; `web.url` says what people see."""
    (id_,) = hold(store)
    with site_of(store, settings={"url": "https://q.example"}) as site:
        ann = visitor(site, "ann")
        ann.get("/quarantine")
        answer = ann.post("/quarantine/act", headers={"Origin": origin}, id=id_, act="release", back="/quarantine")
    assert (answer.history[0] if answer.history else answer).status_code == status
