"""The words of what people keep for themselves: entries about senders, and searches with a name. Values only."""

from __future__ import annotations

import datetime

from filterd.access import Entry
from filterd.value import Value


class AccessEntry(Value, kw_only=True):
    """One entry about a sender, as `filterd.access` understands it, and who made it."""

    id: str
    allows: bool
    whom: str  # an address, a domain or a network
    recipient: str = ""  # an address or a domain of ours; "" is everybody
    until: datetime.date | None = None  # its last day, UTC
    comment: str = ""
    by: str = ""
    time: datetime.datetime  # of its last change
    item: str = ""  # the held message that it was made from

    @property
    def line(self) -> str:
        return _line(self.allows, self.whom, self.recipient, self.until, self.comment)


class SavedSearch(Value, kw_only=True):
    """A search that somebody gave a name to; `room` says where it searches."""

    room: str
    title: str
    q: str


def name_of(entry: Entry) -> str:
    """What the entry names."""
    return str(entry.network or entry.whom)


def line_of(entry: Entry) -> str:
    """The entry as a line that `filterd.access` reads."""
    return _line(entry.allows, name_of(entry), entry.recipient, entry.until, entry.comment)


def _line(allows: bool, whom: str, recipient: str, until: datetime.date | None, comment: str) -> str:
    options = (f" for {recipient}" if recipient else "") + (f" until {until}" if until else "")
    return f"{'allow' if allows else 'deny'} {whom}{options}" + (f" # {comment}" if comment else "")
