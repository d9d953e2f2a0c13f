"""The demo is the first thing that anybody sees of filterd: each of its messages must become what its name promises."""

from __future__ import annotations

import asyncio
from pathlib import Path

from filterd.app.demo import Sent, running, send_all

BECAME = {
    "A letter from a friend": ["delivered"],
    "A newsletter, signed with DKIM": ["delivered"],
    "A train ticket": ["delivered"],
    "A mailing list": ["delivered"],
    "A delivery report": ["delivered"],
    "GTUBE, the test for spam filters": ["quarantined"],
    "A lottery nobody played": ["quarantined"],
    "A bank that is not the bank": ["quarantined"],
    "EICAR, the test for virus scanners": ["quarantined"],
    "An offer, to a person and to a strict address": ["delivered", "quarantined"],
    "Hidden text around an advertisement": ["quarantined"],
}


def test_each_message_becomes_what_it_should(tmp_path: Path) -> None:
    async def play() -> list[Sent]:
        async with running(tmp_path) as demo:
            return [sent async for sent in send_all(demo)]

    sent = asyncio.run(play())
    assert len(sent) == 12
    became = {one.about: [delivery.fate for delivery in one.record.deliveries] for one in sent if one.record}
    assert {about: became[about] for about in BECAME} == BECAME
    newsletter = next(one.record for one in sent if one.record and "DKIM" in one.about)
    assert [one.result.value for one in newsletter.auth.dkim] == ["pass"]
    assert newsletter.auth.dmarc.result.value == "pass"
