"""Query: what people type into the search box, as the store's filters. Pure.

Words are looked for in the subject, From, the addresses and the message id. `from:`, `to:`, `author:`,
`subject:`, `found:`, `class:`, `state:`, `action:`, `reason:`, `client:`, `id:`, `queue:`, `score:`, `size:`, `since:`,
`until:` and others ask one field; a value with spaces stands in double quotes, a number may be `>8`, `<8` or `5..8`.
What cannot be understood is said, and never silently left out.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from filterd.decision import Action
from filterd.settings import parse_duration, parse_size
from filterd.store import HistoryFilter, ItemState, QuarantineClass, QuarantineFilter

_WORD = re.compile(r'(?:([a-z]+):)?(?:"([^"]*)"|(\S+))')
LONGEST = 500
_STATES = {
    "held": (ItemState.HELD, ItemState.RELEASING),
    "released": (ItemState.RELEASED,),
    "deleted": (ItemState.DELETED,),
    "any": tuple(ItemState),
}


NAMES = {
    "from": "sender",
    "to": "recipient",
    "author": "author",
    "subject": "subject",
    "found": "finding",
    "id": "message_id",
    "client": "client",
    "reason": "reason",
    "ruleset": "ruleset",
    "model": "model",
}


@dataclass
class Query:
    """A question, and what of it was not understood."""

    fields: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    wrong: list[str] = field(default_factory=list)


def quarantine(typed: str, mine: tuple[str, ...]) -> tuple[QuarantineFilter, list[str]]:
    """The items that somebody asks for, and sentences about what was not understood."""
    query = _read(typed, NAMES, {"class": _klass, "state": _states})
    return QuarantineFilter(mine=mine, text=query.text, **query.fields), query.wrong


def history(typed: str, mine: tuple[str, ...]) -> tuple[HistoryFilter, list[str]]:
    """The messages that somebody asks for."""
    names = NAMES | {"queue": "queue_id", "campaign": "campaign", "listener": "listener", "direction": "direction"}
    query = _read(typed, names, {"action": _action})
    return HistoryFilter(mine=mine, text=query.text, **query.fields), query.wrong


def _read(typed: str, names: dict[str, str], special: dict[str, Any]) -> Query:
    query, words = Query(), []
    for match in _WORD.finditer(typed[:LONGEST].replace("\0", "")):
        key, value = match[1], match[2] if match[2] is not None else match[3]
        try:
            if key in names:
                query.fields[names[key]] = value
            elif key in ("since", "until"):
                query.fields[key] = _moment(value)
            elif key in ("score", "size"):
                query.fields[key] = _bounds(value, float if key == "score" else parse_size)
            elif key in special:
                name, read = special[key](value)
                query.fields[name] = read
            else:
                words.append(match[0].strip('"'))
        except ValueError:
            query.wrong.append(match[0])
    query.text = " ".join(words)
    return query


def _moment(value: str) -> datetime.datetime:
    try:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=parse_duration(value))
    except OverflowError as error:
        raise ValueError(value) from error
    except ValueError:
        return datetime.datetime.fromisoformat(value).astimezone(datetime.UTC)


def _bounds(value: str, read: Callable[[str], float]) -> tuple[float | None, float | None]:
    """`>8` and `<8` leave the other side open; `5..8` has both, and `8` is that alone."""
    if value.startswith((">", "<")):
        one = _finite(read(value[1:].removeprefix("=")))
        return (one, None) if value[0] == ">" else (None, one)
    least, _, most = value.partition("..")
    return _finite(read(least)), _finite(read(most or least))


def _finite(value: float) -> float:
    if not -1e12 < value < 1e12:
        raise ValueError(value)
    return value


def _klass(value: str) -> tuple[str, QuarantineClass]:
    return "klass", QuarantineClass(value)


def _action(value: str) -> tuple[str, Action]:
    return "action", Action(value)


def _states(value: str) -> tuple[str, tuple[ItemState, ...]]:
    if value not in _STATES:
        raise ValueError(value)
    return "states", _STATES[value]
