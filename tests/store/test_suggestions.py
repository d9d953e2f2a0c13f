"""Suggestions: kept, found, decided about; a label and the word that it came by are on disk together."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import pytest

from filterd.store import Store, Suggestion, SuggestionCounts, SuggestionFilter, SuggestionState, Way
from filterd.store.labels import Label
from filterd.value import replace

ONE = Suggestion(
    digest="d1",
    spam=True,
    way=Way.RELEASE,
    reporter="Ann@Example.org",
    address="ann@example.org",
    from_="Shop <news@shop.example>",
    subject="Große Angebote\0",
    message_id="<1@shop.example>",
    item="item1",
)
ALL = tuple(SuggestionState)


def add(store: Store, **changes: object) -> str:
    with store.suggestions.change() as change:
        return change.add(replace(ONE, **changes), "web:ann", b"example", b"Subject: x\r\n\r\nbody\r\n")


def learn(store: Store, id_: str) -> None:
    """Accept, as the learner does it."""
    with store.suggestions.change() as change:
        (kept,) = change.kept([id_])
        change.accept(kept, "web:mia")
        change.teach(Label(digest=kept.digest, spam=kept.spam, example=kept.example, suggestion=id_), 0)


def test_found_by_every_field(store: Store) -> None:
    first = add(store)
    second = add(store, digest="d2", spam=False, way=Way.IMAP, reporter="bob", address="bob@b.example", doubtful=True)

    def ids(**asked: object) -> list[str]:
        return [one.id for one in store.suggestions.find(SuggestionFilter(**asked))]  # type: ignore[arg-type]

    assert ids() == [second, first]
    assert ids(text="GROSSE ang") == [second, first]
    assert ids(text="100%") == []
    assert ids(spam=True) == ids(way=Way.RELEASE) == ids(reporter="ANN@example.org") == ids(doubtful=False) == [first]
    assert ids(mine=("@b.example",)) == ids(mine=("bob@b.example", "x@y.example")) == [second]
    assert ids(mine=("@example",)) == []
    assert ids(since=datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)) == []
    assert store.suggestions.counts() == SuggestionCounts(2, 1)
    assert store.suggestions.counts(("@example.org",)) == SuggestionCounts(1, 0)
    found = store.suggestions.get(first)
    assert found
    assert (found.reporter, found.subject, found.stored) == ("ann@example.org", "Große Angebote\ufffd", True)
    assert store.suggestions.raw(first) == b"Subject: x\r\n\r\nbody\r\n"
    assert store.suggestions.get("nothing") is None
    assert store.suggestions.raw("nothing") is None


def test_pages_go_on_where_the_last_ended(store: Store) -> None:
    ids = [add(store, digest=f"d{number}") for number in range(7)]
    page = store.suggestions.find(limit=3)
    assert [one.id for one in page] == ids[:3:-1]
    assert page.next is not None
    page = store.suggestions.find(limit=4, before=page.next)
    assert [one.id for one in page] == ids[3::-1]
    assert page.next is None
    assert [one.id for one in store.suggestions.each()] == ids[::-1]


def test_acceptance_hands_the_message_to_the_label_and_is_audited(store: Store) -> None:
    id_ = add(store, doubtful=True)
    learn(store, id_)
    found = store.suggestions.get(id_)
    assert found
    assert (found.state, found.decided_by, found.stored, found.doubtful) == ("accepted", "web:mia", False, False)
    assert store.labels.counts().spam == 1
    assert store.suggestions.counts() == SuggestionCounts(0, 0)
    assert [(line.who, line.what) for line in store.audit.find("item1")] == [
        ("web:mia", "suggestion-accepted"),
        ("web:ann", "suggestion-made"),
    ]


def test_every_word_goes_back_to_the_label_that_came_by_none(store: Store) -> None:
    store.labels.put([Label(digest="d1", spam=False)])
    first, second = add(store), add(store, spam=False, reporter="bob")
    learn(store, first)
    learn(store, second)
    with store.suggestions.change() as change:
        assert [kept.before for kept in change.kept([first, second])] == [False, False]
        assert [one.id for one in change.standing("d1", "BOB")] == [second]
        label = change.label("d1")
    assert label
    assert (label.spam, label.suggestion) == (False, second)


def test_rejected_reopened_and_undone(store: Store) -> None:
    id_ = add(store)

    def state() -> tuple[str, str, bool]:
        one = store.suggestions.get(id_)
        assert one
        return one.state.value, one.note, one.stored

    with store.suggestions.change() as change:
        change.reject(change.kept([id_])[0], "web:mia", "a newsletter\0")
    assert state() == ("rejected", "a newsletter\ufffd", True)
    with store.suggestions.change() as change:
        change.reopen(change.kept([id_])[0], "web:mia")
    assert state() == ("pending", "", True)
    learn(store, id_)
    with store.suggestions.change() as change:
        change.undo(change.kept([id_])[0], "web:mia", b"example", None)
        change.unteach("d1")
    assert state() == ("undone", "", False)
    assert store.labels.counts().spam == 0


def test_what_breaks_off_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.suggestions.change() as change:
        change.add(replace(ONE, state=SuggestionState.ACCEPTED), "x", b"", None)
        change.teach(Label(digest="d1", spam=True), 0)
        raise RuntimeError("in the middle")
    assert store.suggestions.find(SuggestionFilter(states=ALL)).rows == []
    assert store.labels.counts().spam == 0


def test_old_ones_go(open_store: Callable[..., Store]) -> None:
    store = open_store(suggestions="1d")
    add(store)
    store.expire(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=23))
    assert store.suggestions.counts().pending == 1
    store.expire(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=25))
    assert store.suggestions.counts().pending == 0
