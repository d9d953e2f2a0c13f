"""The report of a replay: what flips, what did it, mistakes before and after, and how sure all that is.

In: `Seen` by `Seen`. Out: JSON, lines for a terminal, or one HTML page with nothing from elsewhere in it. At most
`FLIPS` flips are shown one by one; all are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader

from filterd.app.replay import HAM, SPAM, Seen
from filterd.decision import Action
from filterd.ruleset.again import Reach

FLIPS = 1_000
SHARES = 5  # findings named for each flip
NAMED = 20  # rules named that could not look again
_FROM = {Reach.RECORD: "record", Reach.HEADERS: "headers", Reach.MESSAGE: "message"}


@dataclass(slots=True)
class Report:
    """Counts of everything, and the first flips."""

    seconds: float = 0.0
    judged: int = 0
    exact: Counter[str] = field(default_factory=Counter)  # by what they were judged from
    assumed: int = 0  # taken as recorded, under a set of rules that is not here any more
    partly: int = 0  # judged without what `missing` names
    missing: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    flips: Counter[tuple[Action, Action]] = field(default_factory=Counter)
    shown: list[Seen] = field(default_factory=list)
    fates: Counter[tuple[str, str, Action]] = field(default_factory=Counter)  # label, "before" or "after", action

    def add(self, seen: Seen) -> None:
        if seen.skipped:
            self.skipped[seen.skipped] += 1
            return
        self.judged += 1
        self.missing.update(seen.missing)
        self.partly += bool(seen.missing)
        self.assumed += seen.assumed and not seen.missing
        if not seen.missing and not seen.assumed:
            self.exact[_FROM[seen.reach]] += 1
        if seen.label:
            self.fates[seen.label, "before", seen.before] += 1
            self.fates[seen.label, "after", seen.after] += 1
        if seen.flip is not None:
            self.flips[seen.flip.before, seen.flip.after] += 1
            if len(self.shown) < FLIPS:
                self.shown.append(seen)

    def known(self, label: str) -> int:
        return sum(n for (of, when, _), n in self.fates.items() if (of, when) == (label, "before"))

    def as_json(self) -> dict[str, Any]:
        """The object that `filterd rules replay --json` prints; its keys keep their meaning."""
        return {
            "judged": self.judged,
            "seconds": round(self.seconds, 2),
            "per_second": round(self.judged / self.seconds, 1) if self.seconds else None,
            "exact": {name: self.exact[name] for name in _FROM.values()},
            "assumed": self.assumed,
            "partly": self.partly,
            "missing": dict(self.missing.most_common()),
            "not_judged": dict(self.skipped.most_common()),
            "flips": self.flips.total(),
            "changes": [
                {"before": before.value, "after": after.value, "count": count}
                for (before, after), count in self.flips.most_common()
            ],
            "labelled": {label: self._mistakes(label) for label in (HAM, SPAM)},
            "messages": [_flipped(seen) for seen in self.shown],
        }

    def _mistakes(self, label: str) -> dict[str, Any]:
        return {"messages": self.known(label)} | {
            when: {
                "marked": self._count(label, when, {action for action in Action if action is not Action.ACCEPT}),
                "kept_back": self._count(label, when, {action for action in Action if not action.delivers}),
            }
            for when in ("before", "after")
        }

    def _count(self, label: str, when: str, actions: set[Action]) -> int:
        return sum(self.fates[label, when, action] for action in actions)

    def sureness(self) -> Iterator[str]:
        """Sentences: which part is exact, and what could not be judged again."""
        exact = ", ".join(f"{count} from the {name}" for name, count in sorted(self.exact.items()))
        yield f"Exact: {self.exact.total()} of {self.judged}{f' ({exact})' if exact else ''}."
        if self.assumed:
            yield (
                f"{self.assumed} were judged under rules that are not here any more: what rules found in headers and "
                "content is taken as it was recorded."
            )
        if self.partly:
            names = ", ".join(f"{name} ({count})" for name, count in self.missing.most_common(NAMED))
            yield (
                f"{self.partly} could be judged again only in part, for what these read was not kept "
                f"(retention.keep): {names}."
            )
        for why, count in self.skipped.most_common():
            yield f"{count} were not judged again: {_WHY.get(why, why)}."

    def mistakes(self) -> Iterator[tuple[str, int, int, int]]:
        """Where labels are known: what is counted, of how many, before, after."""
        for label, bad in ((HAM, "false positives"), (SPAM, "spam caught")):
            if not (messages := self.known(label)):
                continue
            of = self._mistakes(label)
            yield f"{bad}, tagged or worse", messages, of["before"]["marked"], of["after"]["marked"]
            yield f"{bad}, kept back", messages, of["before"]["kept_back"], of["after"]["kept_back"]

    def as_text(self, limit: int = 50) -> Iterator[str]:
        """Lines for a terminal."""
        rate = f" ({self.judged / self.seconds:,.0f} a second)" if self.seconds else ""
        yield f"{self.judged} messages judged again in {self.seconds:.1f} s{rate}, {self.flips.total()} flip."
        yield from self.sureness()
        for (before, after), count in self.flips.most_common():
            yield f"{count:8} {before} -> {after}"
        for text, messages, before_, after_ in self.mistakes():
            yield f"{text}: {_of(before_, messages)} before, {_of(after_, messages)} after"
        for seen in self.shown[:limit]:
            yield _line(seen)
        if self.flips.total() > limit:
            yield f"... and {self.flips.total() - limit} more; --limit, --json and --html show more of them"

    def as_html(self, title: str) -> str:
        """One page that stands alone."""
        pages = Environment(loader=PackageLoader("filterd.app"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        mistakes = [(text, n, _of(before, n), _of(after, n)) for text, n, before, after in self.mistakes()]
        rows = [_flipped(seen) | {"because": because(seen)} for seen in self.shown]
        return pages.get_template("replay.html").render(title=title, report=self, mistakes=mistakes, rows=rows)


_WHY = {
    "released": "released from the quarantine, whatever their score",
    "loop": "they went in a circle",
    "unjudged": "reading them ended the workers",
    "error": "an outage of ours, they were never judged",
    "unreadable": "their record or file cannot be read",
}


def because(seen: Seen) -> str:
    """What did it: the findings that changed, the strongest first."""
    flip = seen.flip
    assert flip is not None
    named = ", ".join(f"{one.name} {one.points / 100:+.2f}" for one in flip.shares[:SHARES])
    return f"{named}, {len(flip.shares) - SHARES} more" if len(flip.shares) > SHARES else named or flip.why


def _of(count: int, messages: int) -> str:
    return f"{count} of {messages} ({100 * count / messages:.2f} %)"


def _line(seen: Seen) -> str:
    flip = seen.flip
    assert flip is not None
    label = f" [{seen.label}]" if seen.label else ""
    return (
        f"{seen.name}{label} {flip.before} -> {flip.after}, {seen.points_before / 100:.2f} -> "
        f"{seen.points_after / 100:.2f}: {because(seen)}; {seen.sender or '<>'}: {seen.subject}"
    )


def _flipped(seen: Seen) -> dict[str, Any]:
    flip = seen.flip
    assert flip is not None
    return {
        "name": seen.name,
        "label": seen.label or None,
        "time": seen.time.isoformat() if seen.time else None,
        "sender": seen.sender,
        "subject": seen.subject,
        "before": flip.before.value,
        "after": flip.after.value,
        "score_before": seen.points_before / 100,
        "score_after": seen.points_after / 100,
        "recipients": flip.recipients,
        "findings": [{"name": one.name, "score": one.points / 100} for one in flip.shares],
        "because": because(seen),
        "from": _FROM[seen.reach],
        "missing": list(seen.missing),
        "assumed": seen.assumed,
    }
