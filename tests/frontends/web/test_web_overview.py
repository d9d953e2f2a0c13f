"""The overview's scales, and the audit log searched by person."""

from __future__ import annotations

import datetime
import re

import pytest

from filterd.frontends.web import Site
from filterd.frontends.web.pages.overview import HEIGHT, ceiling, plot
from filterd.store import Store, Tally
from tests.frontends.web.visitor import hold, visitor

NOON = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 0), (1, 2), (2, 2), (3, 4), (9, 10), (10, 10), (11, 20), (19, 20), (81, 100), (4021, 6000)]
)
def test_a_scale_ends_at_a_round_number_and_is_whole_in_its_middle(highest: int, top: int) -> None:
    assert ceiling(highest) == top


def test_bars_stand_on_one_another_and_under_the_top() -> None:
    tallies = [Tally(NOON, "accept", "clean", 12), Tally(NOON, "quarantine", "spam-score", 3)]
    bars, top = plot(tallies, NOON, 24, 1)
    assert top == 20
    below, above = bars
    assert below.y + below.height == pytest.approx(HEIGHT)
    assert above.y + above.height == pytest.approx(below.y)
    assert above.y == pytest.approx(HEIGHT - 15 / 20 * HEIGHT)


def test_what_is_held_now(site: Site, store: Store) -> None:
    hold(store, "ann@example.org", "bob@example.org")
    root = visitor(site, "root")
    page = re.sub(r"<[^>]+>|\s+", " ", root.get("/overview").text)
    assert re.search(r"Held now +spam +2 ", page)


def test_the_audit_log_of_one_person(site: Site, store: Store) -> None:
    for who in ("web:ann", "api:ann", "digest:ann", "web:bob", "cli"):
        store.audit.write(who, "looked", "", f"as {who}")
    eve = visitor(site, "eve")
    found = re.findall(r"as ([\w:]+)<", eve.get("/audit?who=ann").text)
    assert sorted(found) == ["api:ann", "digest:ann", "web:ann"]
    assert re.findall(r"as ([\w:]+)<", eve.get("/audit?who=cli").text) == ["cli"]
    assert "Nothing was done." in eve.get("/audit?who=%25").text
