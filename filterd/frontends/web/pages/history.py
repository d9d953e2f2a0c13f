"""The history: what became of every message, and why."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

import msgspec
from starlette.responses import JSONResponse, Response

from filterd.early import NOBODY
from filterd.frontends.web import outcomes, query, rights
from filterd.frontends.web.pages.around import campaign_of, remembered
from filterd.frontends.web.pages.saved import searches
from filterd.frontends.web.view import case
from filterd.frontends.web.visit import NotFound, Visit
from filterd.store import HistoryRow

PAGE = 50
EXPORT = 10_000  # rows of a file
_FORMULA = re.compile(r"[=+@\t\r]|-(?![0-9.]+$)")  # what a spreadsheet would run; a number under nought is none
COLUMNS = (
    "time",
    "id",
    "action",
    "reason",
    "score",
    "sender",
    "from_",
    "recipients",
    "subject",
    "message_id",
    "client",
)


def show(visit: Visit) -> Response:
    typed, before = visit.asked("q"), visit.asked("before")
    wanted, wrong = query.history(typed, rights.scope(visit.person))
    start = int(before) if before.isascii() and before.isdigit() and len(before) < 20 else None
    found = outcomes.find(visit.site.store.history, visit.person, wanted, PAGE, start)
    return visit.render(
        "history.html",
        rows=found.rows,
        q=typed,
        wrong=wrong,
        saved=searches(visit, "history"),
        older=f"/history?{urlencode({'q': typed, 'before': found.next})}" if found.next else "",
        first=start is None,
    )


def message(visit: Visit) -> Response:
    record = visit.site.store.history.show(visit.request.path_params["id"])
    recipients = [one.address for one in record.envelope.recipients] or [NOBODY.address] if record else []
    if record is None or not rights.sees(visit.person, recipients):
        if record is not None:
            visit.site.store.audit.write(visit.by, "refused", record.id, "not theirs, history")
        raise NotFound
    own = rights.own(visit.person, recipients)
    return visit.render(
        "record.html",
        record=record,
        own=own,
        case=case(record, own),
        campaign=campaign_of(visit, record),
        remembered=remembered(visit, record),
    )


def as_csv(visit: Visit) -> Response:
    """The search as a table for a spreadsheet, in which nothing is a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(name.rstrip("_") for name in COLUMNS)
    for row in _all(visit):
        writer.writerow(_cells(row))
    headers = {"Content-Disposition": 'attachment; filename="history.csv"'}
    return Response(out.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")


def as_json(visit: Visit) -> Response:
    rows = [msgspec.to_builtins(row) for row in _all(visit)]
    return JSONResponse(rows, headers={"Content-Disposition": 'attachment; filename="history.json"'})


def _all(visit: Visit) -> Iterable[HistoryRow]:
    wanted, wrong = query.history(visit.asked("q"), rights.scope(visit.person))
    if wrong:
        raise NotFound
    return itertools.islice(outcomes.each(visit.site.store.history, visit.person, wanted), EXPORT)


def _cells(row: HistoryRow) -> Sequence[str]:
    values = (getattr(row, name) for name in COLUMNS)
    texts = (" ".join(one) if isinstance(one, tuple) else one.isoformat() if hasattr(one, "isoformat") else str(one)
             for one in values)  # fmt: skip
    return [f"'{one}" if _FORMULA.match(one) else one for one in texts]
