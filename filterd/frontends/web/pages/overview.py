"""Overview: how much mail there was, what became of it, and what is held. The plots are SVG that we draw."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass

from starlette.responses import Response

from filterd.frontends.web import rights
from filterd.frontends.web.visit import Refused, Visit
from filterd.mail.envelope import domain_of
from filterd.store import Tally

SPANS = {"day": (24, 1), "week": (168, 6), "month": (720, 24)}  # hours in all, hours of a bar
ORDER = ("accept", "tag", "quarantine", "discard", "defer", "reject")
WIDTH, HEIGHT = 720, 200
NEWEST, MOST = 1000, 8  # held items that are looked at for the most frequent rules and senders


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
    return visit.render(
        "overview.html",
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
    """Stacked bars, oldest first, and the number that the highest stands for."""
    count = hours // step
    stacks: list[Counter[str]] = [Counter() for _ in range(count)]
    for one in tallies:
        position = int((one.hour - start).total_seconds() // 3600) // step
        if 0 <= position < count:
            stacks[position][one.action] += one.count
    top = max((sum(stack.values()) for stack in stacks), default=0)
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


def _marks(start: datetime.datetime, hours: int, span: str) -> list[tuple[float, str]]:
    """Where on the time axis which word stands."""
    local, each = start.astimezone(), 6.0 if span == "day" else hours / 7
    form = "%H:%M" if span == "day" else "%d %b"
    steps = range(int(hours / each))
    return [(at * each / hours * WIDTH, (local + datetime.timedelta(hours=at * each)).strftime(form)) for at in steps]
