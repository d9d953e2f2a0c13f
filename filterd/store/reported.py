"""Reported: how often people said that we were wrong, by day. Blocks."""

from __future__ import annotations

import datetime

from sqlalchemy import func, select

from filterd.store import rows
from filterd.store.database import Database
from filterd.store.suggestion_tables import suggestions
from filterd.store.words import SuggestionState
from filterd.value import Value

DAY = 86_400_000  # ms
_STANDING = (SuggestionState.PENDING.value, SuggestionState.ACCEPTED.value)


class Errors(Value):
    """What people said of the mail of one day, that they have not taken back."""

    day: datetime.datetime
    missed: int = 0  # delivered, and said to be spam
    alarms: int = 0  # held, and said not to be


def errors(database: Database, since: datetime.datetime) -> list[Errors]:
    """The days on which there were any, the first first."""
    day = suggestions.c.time.op("/")(DAY).label("day")
    held = (suggestions.c.item != "").label("held")
    asked = (
        select(day, suggestions.c.spam, held, func.count(func.distinct(suggestions.c.digest)))
        .where(suggestions.c.time >= rows.milliseconds(since), suggestions.c.state.in_(_STANDING))
        .group_by(day, suggestions.c.spam, held)
    )
    found: dict[int, dict[str, int]] = {}
    with database.read() as connection:
        for number, spam, was_held, count in connection.execute(asked):
            if bool(spam) is not bool(was_held):  # what was held and is spam, or came through and is not, was right
                of_day = found.setdefault(int(number), {"missed": 0, "alarms": 0})
                of_day["missed" if spam else "alarms"] += count
    return [Errors(rows.moment(number * DAY), **counts) for number, counts in sorted(found.items())]
