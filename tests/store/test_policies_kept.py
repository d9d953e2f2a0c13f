"""What a policy makes of a message for one recipient is found again under him."""

from __future__ import annotations

import asyncio

from filterd.decision import Action, Thresholds
from filterd.findings import Finding
from filterd.record import Apart
from filterd.store import HistoryFilter, QuarantineFilter, Store
from filterd.value import replace
from tests.store.stored import SPAM, held, make_record


def test_a_row_has_the_score_of_its_recipient(store: Store) -> None:
    record = make_record(recipients=("ann@example.org", "ben@example.org"))
    apart = (Apart("ann", (Finding("FOREIGN_LANGUAGE", 250),)),)
    ann, ben = record.decisions
    record = replace(
        record,
        verdict=replace(record.verdict, apart=apart),
        decisions=(
            replace(ann, policy="ann", thresholds=Thresholds(300, 700, None)),
            replace(ben, action=Action.ACCEPT),
        ),
    )

    async def keep() -> None:
        await store.hold(record, SPAM, held("ann@example.org"))
        await store.hold(replace(record, id="2"), SPAM, held("ben@example.org"))

    asyncio.run(keep())
    scores = {item.recipient: item.score for item in store.quarantine.each(QuarantineFilter())}
    assert scores == {"ann@example.org": 8.5, "ben@example.org": 6.0}
    rows = list(store.history.each(HistoryFilter(finding="FOREIGN_LANGUAGE")))
    assert [row.score for row in rows] == [8.5, 8.5]
    kept = store.history.show(record.id)
    assert kept is not None
    assert kept.verdict_of(kept.decisions[0]).points == 850
    assert kept.thresholds_of(kept.decisions[0]).tag == 300
    assert kept.thresholds_of(kept.decisions[1]) == kept.thresholds
