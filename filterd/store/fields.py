"""Fields: the conditions that the quarantine and the history share and that no facet answers."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Table, func, or_

from filterd.store import rows
from filterd.store.dialect import Dialect
from filterd.store.search import Ask, containing, only
from filterd.store.text import fold
from filterd.store.words import HistoryFilter, QuarantineFilter


def within(dialect: Dialect, of: Table, wanted: HistoryFilter | QuarantineFilter) -> list[Ask]:
    """What the texts of single fields, the bounds of score and size, `since` and `until` ask."""
    texts = [(of.c.from_, wanted.author), (of.c.subject, wanted.subject)]
    tests: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        tests.append(of.c.time >= rows.milliseconds(wanted.since))
    if wanted.until is not None:
        tests.append(of.c.time < rows.milliseconds(wanted.until))
    for column, (least, most), scale in ((of.c.points, wanted.score, 100), (of.c.size, wanted.size, 1)):
        if least is not None:
            tests.append(column >= round(least * scale))
        if most is not None:
            tests.append(column <= round(most * scale))
    return [
        *(Ask(containing(dialect, of, text[:100]).lead, _holds(column, text)) for column, text in texts if text),
        *(only(test) for test in tests),
    ]


def _holds(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Upper and lower case alike, beyond ASCII where the text stands as it was typed."""
    text = text.replace("\0", "")
    return or_(func.lower(column).contains(fold(text), autoescape=True), column.contains(text, autoescape=True))
