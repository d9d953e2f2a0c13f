"""How often people said that we were wrong: what was held and is not spam, what came through and is."""

from __future__ import annotations

import datetime

from filterd.store import Store, Suggestion, SuggestionState, Way

SINCE = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=2)


def test_errors_are_counted_once_for_each_message(store: Store) -> None:
    words = [
        ("a", True, "", SuggestionState.PENDING), ("a", True, "", SuggestionState.ACCEPTED),
        ("b", True, "", SuggestionState.UNDONE), ("c", False, "item", SuggestionState.PENDING),
        ("d", True, "item", SuggestionState.ACCEPTED), ("e", False, "", SuggestionState.ACCEPTED),
        ("f", False, "item", SuggestionState.REJECTED), ("g", True, "", SuggestionState.ACCEPTED),
    ]  # fmt: skip
    with store.suggestions.change() as change:
        for digest, spam, item, state in words:
            said = Suggestion(digest=digest, spam=spam, way=Way.BUTTON, item=item, state=state, reporter="ann")
            change.add(said, "web:ann", b"", None)
    assert [(one.missed, one.alarms) for one in store.errors(SINCE)] == [(2, 1)]
    assert store.errors(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)) == []
