"""The store: quarantine, history, and what filterd must not forget. The only door to the database.

`Store.open` gives one. The mail process awaits `hold`, `delivered`, `remember_delivered` and `spend_mark`,
and says `write` without waiting; the web, the jobs and the command line use `quarantine`, `history`, `audit`,
`expire` and `stats`, which block. Many processes may have the same store open. Failures are `StoreError`,
with one sentence.

`Store` itself is imported at first use, so that whoever needs only the words does not load a database
toolkit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from filterd.store.access_words import AccessEntry, SavedSearch
from filterd.store.settings import ClassRetention, Keep, RetentionSettings
from filterd.store.words import (
    OPEN,
    AuditLine,
    Campaign,
    Claim,
    ClassCount,
    Held,
    HistoryFilter,
    HistoryRow,
    ItemState,
    Person,
    QuarantineClass,
    QuarantineFilter,
    QuarantineItem,
    Role,
    StoreError,
    StoreFull,
    StoreUnavailable,
    Suggestion,
    SuggestionCounts,
    SuggestionFilter,
    SuggestionState,
    Tally,
    Token,
    Way,
)

if TYPE_CHECKING:
    from filterd.store.store import Store

__all__ = [
    "OPEN",
    "AccessEntry",
    "AuditLine",
    "Campaign",
    "Claim",
    "ClassCount",
    "ClassRetention",
    "Held",
    "HistoryFilter",
    "HistoryRow",
    "ItemState",
    "Keep",
    "Person",
    "QuarantineClass",
    "QuarantineFilter",
    "QuarantineItem",
    "RetentionSettings",
    "Role",
    "SavedSearch",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "Suggestion",
    "SuggestionCounts",
    "SuggestionFilter",
    "SuggestionState",
    "Tally",
    "Token",
    "Way",
]


def __getattr__(name: str) -> Any:
    if name == "Store":
        from filterd.store.store import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
