"""Overview: how much mail there was, what became of it, where we were wrong, what is held, and how all does.

The plots are SVG that we draw. What only the running service knows is asked of it; a service that does not answer is a
sentence on the page.
"""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass

from starlette.responses import Response

from filterd.frontends.web import rights
from filterd.frontends.web.visit import Refused, Visit
from filterd.mail.envelope import domain_of
from filterd.store import Tally
from filterd.store.reported import Errors

SPANS = {"day": (24, 1), "week": (168, 6), "month": (720, 24)}  # hours in all, hours of a bar
KEPT_BACK = ("quarantine", "discard", "reject")
DAYS = 30  # of which errors are shown
ORDER = ("accept", "tag", "quarantine", "discard", "defer", "reject")
WIDTH, HEIGHT = 720, 200
NEWEST, MOST = 500, 8  # held items that are looked at for the most frequent rules and senders


@dataclass(frozen=True)
class Bar:
    """One rectangle of the plot."""

    x: float
    y: float
    width: float
    height: float
    action: str
    title: str


def show(visit: Visit) -> Response:
    if not rights.sees_everything(visit.person):
        raise Refused("The overview is for administrators and auditors.")
    span = visit.asked("span") if visit.asked("span") in SPANS else "day"
    hours, step = SPANS[span]
    now = datetime.datetime.now(datetime.UTC).replace(minute=0, second=0, microsecond=0)
    start = now - datetime.timedelta(hours=hours - 1)
    classes, tallies = visit.site.store.stats(start)
    totals, reasons = Counter[str](), Counter[str]()
    for one in tallies:
        totals[one.action] += one.count
        reasons[one.reason] += one.count
    newest = visit.site.store.quarantine.find(limit=NEWEST).rows
    bars, top = plot(tallies, start, hours, step)
    errors = visit.site.store.errors(now - datetime.timedelta(days=DAYS))
    mistakes, most_errors = error_plot(errors, now)
    return visit.render(
        "overview.html",
        caught=sum(totals[action] for action in KEPT_BACK),
        missed=sum(one.missed for one in errors),
        alarms=sum(one.alarms for one in errors),
        days=DAYS,
        errors=mistakes,
        most_errors=most_errors,
        days_marks=_marks(now - datetime.timedelta(days=DAYS - 1), DAYS * 24, "month"),
        health=visit.site.status() if visit.site.status is not None else None,
        labels=visit.site.store.labels.counts(),
        waiting=visit.site.store.suggestions.counts(),
        span=span,
        spans=list(SPANS),
        bars=bars,
        top=top,
        marks=_marks(start, hours, span),
        totals=[(action, totals[action]) for action in ORDER if totals[action]],
        all=sum(totals.values()),
        reasons=reasons.most_common(MOST),
        classes=classes,
        newest=len(newest),
        rules=Counter(name for item in newest for name in item.findings).most_common(MOST),
        senders=Counter(domain_of(item.sender) or "<>" for item in newest).most_common(MOST),
        width=WIDTH,
        height=HEIGHT,
    )


def plot(tallies: list[Tally], start: datetime.datetime, hours: int, step: int) -> tuple[list[Bar], int]:
    """Stacked bars, oldest first, and the number at the top of the scale."""
    count = hours // step
    stacks: list[Counter[str]] = [Counter() for _ in range(count)]
    for one in tallies:
        position = int((one.hour - start).total_seconds() // 3600) // step
        if 0 <= position < count:
            stacks[position][one.action] += one.count
    top = ceiling(max((sum(stack.values()) for stack in stacks), default=0))
    bars = []
    for position, stack in enumerate(stacks):
        below = 0
        when = (start + datetime.timedelta(hours=position * step)).astimezone().strftime("%a %d %b %H:%M")
        for action in ORDER:
            if number := stack[action]:
                height, left = number / top * HEIGHT, position * WIDTH / count
                y = HEIGHT - below / top * HEIGHT - height
                bars.append(Bar(left + 1, y, WIDTH / count - 2, height, action, f"{when}: {number} {action}"))
                below += number
    return bars, top


def ceiling(highest: int) -> int:
    """The next number that a scale ends at, and that is whole in its middle."""
    size = 1
    while highest > 10 * size:
        size *= 10
    return next(step * size for step in (0, 2, 4, 6, 8, 10) if highest <= step * size)


def error_plot(errors: list[Errors], now: datetime.datetime) -> tuple[list[Bar], int]:
    """Two bars a day, what was missed and the false alarms beside it; and the number at the top of their scale."""
    top = ceiling(max((max(one.missed, one.alarms) for one in errors), default=0))
    width, height, bars = WIDTH / DAYS, HEIGHT / 2, []
    for one in errors:
        left = (DAYS - 1 - (now - one.day).days) * width
        for place, (name, count) in enumerate((("missed", one.missed), ("alarms", one.alarms))):
            tall = count / top * height
            title = f"{one.day:%a %d %b}: {count}"
            bars.append(Bar(left + 1 + place * width / 2, height - tall, width / 2 - 1, tall, name, title))
    return bars, top


def _marks(start: datetime.datetime, hours: int, span: str) -> list[tuple[float, str]]:
    """Where on the time axis which word stands."""
    local, each = start.astimezone(), 6.0 if span == "day" else hours / 7
    form = "%H:%M" if span == "day" else "%d %b"
    steps = range(int(hours / each))
    return [(at * each / hours * WIDTH, (local + datetime.timedelta(hours=at * each)).strftime(form)) for at in steps]
