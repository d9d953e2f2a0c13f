"""Around a message: its sender's other mail, the campaign that it is of, and what is remembered of the sender."""

from __future__ import annotations

from filterd.frontends.web import outcomes, rights
from filterd.frontends.web.visit import Visit
from filterd.record import Record
from filterd.store import Campaign, HistoryFilter, HistoryRow

OTHERS = 6


def others_of(visit: Visit, sender: str, record: str) -> list[HistoryRow]:
    """The same sender's other mail to whomever this person sees, the newest first."""
    if not sender:
        return []
    wanted = HistoryFilter(mine=rights.scope(visit.person), sender=sender)
    found = outcomes.find(visit.site.store.history, visit.person, wanted, OTHERS + 1)
    return [one for one in found if one.id != record][:OTHERS]


def campaign_of(visit: Visit, record: Record | None) -> Campaign | None:
    """The campaign that a message is of, where it is one."""
    near = record.facts.near if record is not None else None
    if record is None or near is None or not near.bands:
        return None
    return next(iter(visit.site.store.memory.campaigns(id_=near.record or record.id, least=2)), None)


def remembered(visit: Visit, record: Record | None) -> list[str]:
    """What is remembered of the sender, in sentences, for those who look after mail."""
    if record is None or visit.site.remembered is None or not rights.reviews(visit.person):
        return []
    return visit.site.remembered(record)
