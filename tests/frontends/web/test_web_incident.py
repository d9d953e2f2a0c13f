"""What nobody foresaw: an honest page, or JSON for a program, with the name that the log tells more under."""

from __future__ import annotations

import re

import pytest
from structlog.testing import capture_logs

from filterd.frontends.web import Site
from filterd.store import Store
from tests.frontends.web.visitor import visitor

SECRET = "wrong number of columns: hunter2"


@pytest.fixture(autouse=True)
def broken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for held mail finds a mistake of ours."""

    def find(*_: object, **__: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(store.quarantine, "find", find)


def test_a_page_says_so_and_the_log_says_why(site: Site) -> None:
    ann = visitor(site)
    ann.client.follow_redirects = False
    ann.login("ann")
    with capture_logs() as logged:
        answer = ann.get("/quarantine?q=x", **{"Accept-Language": "ca"})
    (line,) = logged
    assert answer.status_code == 500
    assert f"<code>{line['incident']}</code>" in answer.text
    assert re.fullmatch("[0-9a-f]{8}", line["incident"])
    assert "hunter2" not in answer.text
    assert "Això s'ha espatllat" in answer.text.replace("&#39;", "'")
    assert "Content-Security-Policy" in answer.headers
    assert line["why"] == f"ZeroDivisionError: {SECRET}"
    assert line["path"] == "/quarantine"
    assert line["exc_info"].__traceback__ is not None
    assert ann.get("/history").status_code == 200, "the rest goes on"


def test_a_program_is_told_in_json(site: Site, store: Store) -> None:
    store.people.add_token("ann", "filterd_" + "t" * 30, "a program", ["read"], 3600.0)
    with capture_logs() as logged:
        answer = visitor(site).get("/api/v1/quarantine", Authorization="Bearer filterd_" + "t" * 30)
    assert answer.status_code == 500
    assert answer.json() == {"error": "something is broken here", "incident": logged[0]["incident"]}


def test_a_page_that_cannot_even_be_drawn_is_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = visitor(site)
    ann.client.follow_redirects = False
    ann.login("ann")

    def environment() -> None:
        raise OSError("the templates are gone")

    monkeypatch.setattr("filterd.frontends.web.visit.environment", environment)
    with capture_logs() as logged:
        answer = ann.get("/quarantine")
    assert answer.status_code == 500
    assert answer.text.strip().endswith(logged[0]["incident"])


def test_an_address_that_is_not_there_is_told_to_programs_in_json(site: Site) -> None:
    answer = visitor(site).get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no such operation"}
