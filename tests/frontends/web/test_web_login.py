"""Logging in: passwords, links, sessions; and what keeps others out."""

from __future__ import annotations

import secrets

import pytest

from filterd.frontends.web import Site, passwords
from filterd.frontends.web.attempts import BY_NAME
from filterd.frontends.web.visit import own_path
from filterd.store import Store, rows
from tests.frontends.web.visitor import PASSWORD, site_of, visitor


def test_nobody_sees_anything_without_logging_in(site: Site) -> None:
    stranger = visitor(site)
    for path in ("/", "/quarantine", "/quarantine/x", "/history", "/history/x", "/history.csv", "/overview", "/audit",
                 "/account", "/quarantine/x/html", "/quarantine/x/message.eml"):  # fmt: skip
        stranger.get(path)
        assert "Your quarantine" in stranger.page, path


def test_by_password_and_out_again(site: Site) -> None:
    ann = visitor(site)
    assert ann.get("/quarantine?q=pills").url.path == "/login"
    answer = ann.post("/login", name="Ann ", password=PASSWORD, next="/quarantine?q=pills")
    assert str(answer.url).endswith("/quarantine?q=pills")
    old = dict(ann.client.cookies)
    ann.post("/logout")
    ann.client.cookies.update(old)
    ann.get("/quarantine")
    assert "Your quarantine" in ann.page, "the session is over at the server too"


def test_no_word_about_who_exists(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    right = passwords.right
    monkeypatch.setattr(passwords, "right", lambda kept, given: bool(checked.append(kept)) or right(kept, given))
    said = []
    for name in ("ann", "nobody"):
        one = visitor(site)
        answer = one.login(name, "wrong wrong wrong")
        shown = one.page.replace(name, "").split("<main")[1].split('name="csrf"')[0]
        said.append((answer.status_code, shown))
    assert said[0] == said[1]
    assert said[0][0] == 403
    assert len(checked) == 2, "a hash is computed for nobody as well"


def test_guessing_is_slow(site: Site) -> None:
    thief = visitor(site)
    for _ in range(BY_NAME):
        assert thief.login("ann", "guess guess guess").status_code == 403
    assert thief.login("ann").status_code == 429, "the right password does not help any more"
    assert visitor(site).login("nobody at all", "x").status_code == 403


def test_a_link_is_good_once_and_not_spent_by_looking(site: Site, store: Store) -> None:
    secret = secrets.token_urlsafe(32)
    store.people.add_link("ann", secret, 60)
    scanner = visitor(site)
    for _ in range(3):
        assert scanner.get(f"/link/{secret}").status_code == 200
    ann = visitor(site)
    ann.get(f"/link/{secret}")
    assert ann.post(f"/link/{secret}").url.path == "/quarantine"
    again = visitor(site)
    again.get(f"/link/{secret}")
    assert again.post(f"/link/{secret}").status_code == 403


@pytest.mark.parametrize("change", ["flipped", "late", "cut"])
def test_a_changed_or_late_link_lets_nobody_in(site: Site, store: Store, change: str) -> None:
    secret = secrets.token_urlsafe(32)
    store.people.add_link("ann", secret, -1 if change == "late" else 60)
    if change == "flipped":
        secret = ("A" if secret[0] != "A" else "B") + secret[1:]
    elif change == "cut":
        secret = secret[:-1]
    thief = visitor(site)
    thief.get(f"/link/{secret}")
    assert thief.post(f"/link/{secret}").status_code == 403


def test_a_session_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with site_of(store, settings={"session": 60}) as site:
        ann, now = visitor(site, "ann"), rows.now
        monkeypatch.setattr(rows, "now", lambda: now() + 61_000)
        ann.get("/quarantine")
        assert "Your quarantine" in ann.page


def test_a_new_password_ends_every_session(site: Site) -> None:
    here, there = visitor(site, "ann"), visitor(site, "ann")
    here.get("/account")
    assert here.post("/account", part="password", old="not this one", new="another one, longer").status_code == 403
    here.get("/account")
    assert here.post("/account", part="password", old=PASSWORD, new="short").status_code == 403
    here.get("/account")
    here.post("/account", part="password", old=PASSWORD, new="another one, longer")
    assert there.get("/quarantine").url.path == "/login"
    assert visitor(site).login("ann", "another one, longer").url.path == "/quarantine"


def test_cookies_are_kept_from_scripts_and_other_sites(store: Store) -> None:
    with site_of(store, secure=True) as site:
        ann = visitor(site, follow_redirects=False)
        ann.get("/login")
        answer = ann.post("/login", name="ann", password=PASSWORD)
        cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("__Host-filterd="))
        assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Secure", "Path=/"))
        assert "Domain" not in cookie
        assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/evil.example", "",
     "/a\\..\\b", "\\\\evil", "/%0d%0aX: y\r\n"],
)  # fmt: skip
def test_no_open_redirect(site: Site, path: str) -> None:
    assert own_path(path) == "/"
    ann = visitor(site, follow_redirects=False)
    ann.get("/login")
    assert ann.post("/login", name="ann", password=PASSWORD, next=path).headers["location"] == "/"


def test_the_database_knows_no_secret(site: Site, store: Store) -> None:
    ann = visitor(site, "ann")
    session = ann.client.cookies["filterd"]
    with store.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM sessions").fetchall()
        kept = connection.exec_driver_sql("SELECT password FROM people").scalars().all()
    assert session not in repr(rows)
    assert all(one.startswith("$argon2id$") for one in kept)
