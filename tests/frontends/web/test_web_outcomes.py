"""The history as one of several recipients may see it: his own copy's fate, and nothing of the others."""

from __future__ import annotations

import pytest

from filterd.decision import Action, Decision, Reason
from filterd.findings import Finding
from filterd.frontends.web import Site
from filterd.record import Apart, Verdict
from filterd.store import Store
from filterd.value import replace
from tests.frontends.web.visitor import visitor
from tests.store.stored import make_record

BOTH = ("ann@example.org", "bob@example.org")


@pytest.fixture
def told(store: Store, site: Site):
    """What the history lists for somebody who types something: subjects, actions, scores."""
    made = make_record(recipients=BOTH, subject="To both")
    apart = Apart("strict", (Finding("STRICTER", 500),), recipient="bob@example.org")
    verdict = Verdict(findings=(Finding("PILLS", 300),), points=300, apart=(apart,))
    decisions = (
        Decision("ann@example.org", Action.TAG, Reason.SPAM_SCORE, "It may be spam."),
        Decision("bob@example.org", Action.REJECT, Reason.POLICY, "Not from there."),
    )
    store.write(replace(made, verdict=verdict, decisions=decisions))
    store.write(make_record(recipients=("ann@example.org",), subject="To ann", action=Action.ACCEPT))
    store.flush_now()

    def ask(name: str, typed: str = "") -> list[tuple[str, str, list[str]]]:
        rows = visitor(site, name).client.get("/history.json", params={"q": typed}).json()
        return sorted((row["subject"], row["action"], row["recipients"]) for row in rows)

    return ask


TO_ANN = ("To ann", "accept", ["ann@example.org"])
ANNS = ("To both", "tag", ["ann@example.org"])
BOBS = ("To both", "reject", ["bob@example.org"])
ALL = ("To both", "reject", list(BOTH))


def test_each_sees_what_became_of_the_own_copy(told) -> None:
    assert told("ann") == [TO_ANN, ANNS]
    assert told("bob") == [BOBS]
    assert told("root") == [TO_ANN, ALL]
    assert told("mo") == [TO_ANN, ALL]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("to:bob@example.org", []),
        ("to:<ann@example.org>", [TO_ANN, ANNS]),
        ("to:example.org", [TO_ANN, ANNS]),
        ("to:elsewhere.example", []),
        ("bob@example", []),
        ("action:reject", []),
        ("action:tag", [ANNS]),
        ("reason:policy", []),
        ("reason:spam-score", [TO_ANN, ANNS]),
        ("score:<4", [ANNS]),
        ("score:>4", [TO_ANN]),
        ("both", [ANNS]),
        ("from:crook@bad.example", [TO_ANN, ANNS]),
    ],
)
def test_nothing_about_others_can_be_asked(told, typed, expected) -> None:
    assert told("ann", typed) == expected


def test_who_sees_everything_asks_everything(told) -> None:
    assert told("root", "to:bob@example.org") == [ALL]
    assert told("root", "action:reject") == [ALL]
    assert told("mo", "to:bob@example.org") == [ALL]


def test_pages_and_the_api_say_the_same(told, site: Site) -> None:
    ann = visitor(site, "ann")
    assert "To both" in ann.get("/history").text
    assert "To both" not in ann.get("/history?q=to:bob@example.org").text
    assert "reject" not in ann.get("/history?q=both").text.lower().split("</form>")[-1]


def test_a_subject_that_is_a_formula_is_text_in_the_table(store: Store, site: Site) -> None:
    for subject in ("=1+1", "-2+3", "@SUM(1)", "-5"):
        store.write(make_record(subject=subject))
    store.flush_now()
    lines = visitor(site, "root").get("/history.csv").text
    for cell in ("'=1+1", "'-2+3", "'@SUM(1)", ",-5,"):
        assert cell in lines
