"""The review page, over the real learner: what waits, who decides about whose mail, and what undoing takes back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from filterd.frontends.web import Site
from filterd.frontends.web.pages.review import disputed
from filterd.learning import LearningLimits
from filterd.learning.learner import open_learner
from filterd.store import Store, SuggestionFilter, SuggestionState
from tests.frontends.web.visitor import Visitor, hold, site_of, visitor

ALL = SuggestionFilter(states=tuple(SuggestionState))


@pytest.fixture
def taught(store: Store) -> Iterator[Site]:
    """A site whose learner waits for reviewers where people only release and block."""
    assert store.database.path is not None
    with (
        open_learner(store.database.path.parent, store, None, LearningLimits()) as learner,
        site_of(store, learn=learner.handle) as site,
    ):
        yield site


def act(person: Visitor, what: str, *ids: str, path: str = "/quarantine/act", start: str = "/quarantine") -> str:
    person.get(start)
    answer = person.post(path, act=what, id=list(ids))
    assert answer.status_code == 200
    return person.page


def states(store: Store) -> dict[str, str]:
    return {one.reporter: one.state.value for one in store.suggestions.find(ALL)}


def waiting(person: Visitor, view: str = "waiting") -> list[str]:
    person.get(f"/review?view={view}")
    return re.findall(r'href="/review/(\w{26})"', person.page)


def test_released_suggested_accepted_and_undone(taught: Site, store: Store) -> None:
    (id_,) = hold(store)
    ann, mo = visitor(taught, "ann"), visitor(taught, "mo")
    act(ann, "release", id_)
    assert store.labels.counts().ham == 0, "a release by itself teaches nothing"
    (waits,) = waiting(mo)
    assert "Cheap pills" in mo.page
    assert "Buy them." in mo.get(f"/review/{waits}").text
    assert "Done, for 1 message." in act(mo, "accept", waits, path="/review", start="/review")
    assert store.labels.counts().ham == 1
    assert waiting(mo) == []
    assert 'value="undo"' in act(mo, "accept", waits, path="/review", start="/review?view=learnt")
    act(mo, "undo", waits, path="/review", start="/review?view=learnt")
    assert store.labels.counts().ham == 0
    assert {line.what for line in store.audit.find(id_)} >= {"suggestion-accepted", "suggestion-undone"}


def test_rejected(taught: Site, store: Store) -> None:
    (id_,) = hold(store, sender="x@spam.example")
    ann, mo = visitor(taught, "ann"), visitor(taught, "mo")
    act(ann, "block", id_)
    (waits,) = waiting(mo)
    act(mo, "reject", waits, path="/review", start="/review")
    assert states(store) == {"ann": "rejected"}
    assert store.labels.counts().spam == 0
    assert waiting(mo) == []
    assert waiting(mo, "rejected") == [waits]


def test_undone_by_the_one_who_said_it(taught: Site, store: Store) -> None:
    (id_,) = hold(store)
    ann = visitor(taught, "ann")
    act(ann, "release", id_)
    act(ann, "unrelease", id_)
    assert states(store) == {"ann": "undone"}
    assert waiting(visitor(taught, "mo")) == []


def test_who_reviews_whose(taught: Site, store: Store) -> None:
    (ours,), (theirs,) = hold(store, "ann@example.org"), hold(store, "zoe@elsewhere.example")
    ann, mo, root, eve = (visitor(taught, name) for name in ("ann", "mo", "root", "eve"))
    act(ann, "release", ours)
    act(root, "release", theirs)
    assert len(waiting(root)) == len(waiting(eve)) == 2
    (seen,) = waiting(mo)
    (hidden,) = set(waiting(root)) - {seen}
    assert mo.get(f"/review/{hidden}").status_code == 404
    for person, code in ((mo, 404), (ann, 403), (eve, 403)):
        person.get("/quarantine")
        assert person.post("/review", act="accept", id=[seen, hidden]).status_code == code
        person.get("/quarantine")
        assert person.post("/review", act="accept", id=hidden).status_code == code
    assert ann.get("/review").status_code == 403
    assert 'href="/review"' not in ann.page
    assert set(states(store).values()) == {"pending"}


def test_who_says_the_contrary_is_marked(taught: Site, store: Store) -> None:
    first, second = hold(store, "ann@example.org", "bob@example.org")
    act(visitor(taught, "ann"), "release", first)
    act(visitor(taught, "bob"), "block", second)
    mo = visitor(taught, "mo")
    assert len(waiting(mo)) == 2
    assert mo.page.count("others say the contrary") == 2
    assert len(disputed(store.suggestions.find().rows)) == 1


def test_nonsense(taught: Site) -> None:
    mo = visitor(taught, "mo")
    for path in ("/review?view=x&before=" + "9" * 30, "/review?q=%00'%25&before=-1", "/review?before=²"):
        assert mo.get(path).status_code == 200
    assert mo.post("/review", act="explode").status_code == 404
    mo.get("/review")
    assert "Nothing was chosen" in mo.post("/review", act="accept").text


def test_a_user_takes_back_a_lesson_long_after(taught: Site, store: Store) -> None:
    (id_,) = hold(store)
    ann = visitor(taught, "ann")
    act(ann, "spam", id_)
    ann.get("/quarantine")  # the notice with its button is gone
    assert store.labels.counts().spam == 1
    assert "Take back what it taught" in ann.get(f"/quarantine/{id_}").text
    assert "What it taught was taken back." in act(ann, "forget", id_, start=f"/quarantine/{id_}")
    assert store.labels.counts().spam == 0
    assert "Take back what it taught" not in ann.get(f"/quarantine/{id_}").text
