"""Rule and Group: what one item of a rules file declares.

A rule is a name, a sentence, a score, and a condition; a group is a cap on what its rules may add together.
Reading one notes every problem at its place; what cannot be used is None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from filterd.decision import Action
from filterd.findings import Symbol, hundredths
from filterd.mail.envelope import Direction
from filterd.ruleset.conditions import Condition, all_of, condition
from filterd.ruleset.guards import Guards
from filterd.ruleset.operators import Context
from filterd.ruleset.patterns import whole_glob
from filterd.ruleset.place import Place, shown, unknown
from filterd.ruleset.view import View

MAX_SCORE = 100.0
NAME = re.compile(r"[A-Z][A-Z0-9_]{1,59}", re.ASCII)
RULE_KEYS = {
    "name": "Capital letters, digits and _; the finding has this name.",
    "about": "One sentence for the postmaster.",
    "score": "Points, at most two decimals; 0 is a shadow: it is recorded and weighs nothing.",
    "when": "The condition.",
    "applies": "Only for this direction, these recipients, these listeners.",
    "group": "The group whose cap it shares.",
    "decisive": "May alone lift authenticated mail over the tag threshold.",
    "silent": "Never a finding itself; only other rules ask about it.",
    "force": "The action it forces, and the text of the SMTP reply.",
    "backtracking": "Its patterns may use look-around and back-references, under a time limit.",
    "hits": "Messages that it must find: files of cases/, or written here.",
    "misses": "Messages that it must not find.",
    "examples": "Short messages written here, as hits and misses.",
}
GROUP_KEYS = {
    "group": "Small letters, digits, - and _.",
    "about": "One sentence for the postmaster.",
    "cap": "The most that its rules add together.",
}
FORCED = tuple(str(action) for action in Action if action is not Action.ACCEPT)
_GROUP_NAMES = "a group's name is small letters, digits, - and _"
_GROUP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_REPLY_TEXT = re.compile(r"[ -~]{1,200}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Force:
    action: Action
    text: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, compiled."""

    symbol: Symbol
    holds: Callable[[View], str | None]
    guards: Guards
    place: Place
    group: str = ""
    silent: bool = False
    force: Force | None = None
    asks: frozenset[str] = frozenset()  # the findings that it asks about
    fields: frozenset[str] = frozenset()  # the fields, and things such as `link`, that it asks about

    @property
    def name(self) -> str:
        return self.symbol.name


@dataclass(frozen=True, slots=True)
class Group:
    """The cap of some rules; going over it is a finding of its own, with negative points."""

    name: str
    about: str
    cap: int  # hundredths
    place: Place

    @property
    def symbol(self) -> Symbol:
        return Symbol(cap_name(self.name), 0.0, self.about, source=str(self.place))


def cap_name(group: str) -> str:
    return f"{group.upper().replace('-', '_')}_CAP"


def item_name(place: Place) -> str | None:
    """The name of the rule or group that an item declares; None when it has none."""
    for key in ("name", "group"):
        if key in place and isinstance(place.data[key], str):
            return str(place.data[key])
    return None


def is_group(place: Place) -> bool:
    return "name" not in place and "when" not in place


def refuse_nameless(place: Place) -> None:
    """Say why an item has no name that could be used."""
    if isinstance(place.data, dict):
        place.mapping("an item", {**RULE_KEYS, **GROUP_KEYS})
    if "name" in place:
        _name(place["name"])
    elif "group" in place:
        place.refuse(_GROUP_NAMES)
    else:
        place.refuse("an item has a name (a rule), or group and cap (a group)")


def read_rule(place: Place, context: Context, score: float | None = None) -> Rule | None:
    """The rule at `place`, with another score when the overlay gives one; None when it cannot be used."""
    before = len(place.problems)
    entries = place.mapping("a rule", RULE_KEYS)
    for key in ("name", "about", "when"):
        if key not in entries:
            place.refuse(f"a rule has {'a ' if key == 'name' else ''}{key}; this one has none")
    if "score" not in entries and not _flag(entries, "silent"):
        place.refuse("a rule has a score; 0 records it without points")
    if not {"name", "about", "when"} <= entries.keys():
        return None
    name = _name(entries["name"])
    own = _score(entries["score"]) if "score" in entries else 0.0
    context.backtracking = _flag(entries, "backtracking")
    asked_before, fields_before = len(context.asks), len(context.fields)
    when = condition(entries["when"], context)
    if "applies" in entries:
        when = all_of([*_applies(entries["applies"]), when])
    force = _force(entries["force"]) if "force" in entries else None
    if force and not own:
        entries["force"].refuse("a rule with score 0 is a shadow, which forces nothing")
    if len(place.problems) > before:
        return None
    return Rule(
        Symbol(
            name,
            own if score is None else score,
            _about(entries["about"]),
            _flag(entries, "decisive"),
            str(place),
        ),
        when.holds,
        when.guards,
        place,
        group=entries["group"].data if "group" in entries else "",
        silent=_flag(entries, "silent"),
        force=force,
        asks=frozenset(asked for asked, _ in context.asks[asked_before:]),
        fields=frozenset(context.fields[fields_before:]),
    )


def read_group(place: Place) -> Group | None:
    before = len(place.problems)
    entries = place.mapping("a group", GROUP_KEYS)
    name = entries["group"].data if "group" in entries else ""
    if not isinstance(name, str) or not _GROUP_NAME.fullmatch(name):
        place.refuse(_GROUP_NAMES)
    about = (
        _about(entries["about"]) if "about" in entries else f"The rules of the group {name} add no more than its cap."
    )
    if "cap" not in entries:
        place.refuse("a group has a cap; this one has none")
        return None
    cap = _score(entries["cap"])
    if cap <= 0:
        entries["cap"].refuse("a cap is above 0")
    return Group(name, about, hundredths(cap), place) if len(place.problems) == before else None


def _name(place: Place) -> str:
    if isinstance(place.data, str) and NAME.fullmatch(place.data):
        return place.data
    place.refuse(f"a rule's name is capital letters, digits and _, not {shown(place.data)}")
    return ""


def _about(place: Place) -> str:
    text = place.data
    if isinstance(text, str) and text.strip() and text.isprintable():
        return text
    place.refuse(f"about is one sentence on one line, not {shown(text)}")
    return ""


def _score(place: Place) -> float:
    value = place.data
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        place.refuse(f"a score is a number, not {shown(value)}")
    elif abs(value) > MAX_SCORE:
        place.refuse(f"a score is from -{MAX_SCORE:g} to {MAX_SCORE:g}")
    elif abs(value * 100 - round(value * 100)) > 1e-6:
        place.refuse("a score has at most two decimals")
    else:
        return float(value)
    return 0.0


def _flag(entries: dict[str, Place], name: str) -> bool:
    if name not in entries:
        return False
    value = entries[name].data
    if not isinstance(value, bool):
        entries[name].refuse(f"{name} is true or false, not {shown(value)}")
    return value is True


def _force(place: Place) -> Force | None:
    """`force: reject`, or `force: {action: reject, text: ...}`; never accept, which is for policies."""
    entries = place.mapping("force", ("action", "text")) if isinstance(place.data, dict) else {"action": place}
    action = entries["action"].data if "action" in entries else None
    if action is None:
        place.refuse(f"force has an action, one of {', '.join(FORCED)}")
        return None
    if action not in FORCED:
        place.refuse(f"{unknown('action', str(action), FORCED)}; it is one of {', '.join(FORCED)}")
        return None
    text = entries["text"].data if "text" in entries else ""
    if text and not (isinstance(text, str) and _REPLY_TEXT.fullmatch(text)):
        entries["text"].refuse("the text of a reply is one line of at most 200 ASCII characters")
        return None
    return Force(Action(action), text)


def _applies(place: Place) -> list[Condition]:
    entries = place.mapping("applies", ("direction", "recipient", "listener"))
    directions = tuple(str(one) for one in Direction)
    made = []
    if "direction" in entries:
        wanted = entries["direction"].texts("a direction")
        for one in wanted:
            if one not in directions:
                entries["direction"].refuse(unknown("direction", one, directions))
        given = frozenset(wanted)
        made.append(Condition(lambda view: "" if view.envelope.direction in given else None))
    if "recipient" in entries:
        wanted = entries["recipient"].texts("a recipient")
        made.append(_one_of(wanted, lambda view: tuple(one.address for one in view.envelope.recipients)))
    if "listener" in entries:
        made.append(_one_of(entries["listener"].texts("a listener"), lambda view: (view.envelope.listener,)))
    return made


def _one_of(globs: tuple[str, ...], values: Callable[[View], tuple[str, ...]]) -> Condition:
    """Some value fits some glob (`*@example.org`), letter case not counting."""
    forms = [whole_glob(glob) for glob in globs]
    return Condition(lambda view: "" if any(form.search(value) for value in values(view) for form in forms) else None)


def plain(place: Place) -> dict[str, Any]:
    """What counts for judging of an item, as plain data: all but its cases."""
    return {key: value for key, value in place.data.items() if key not in ("hits", "misses", "examples")}
