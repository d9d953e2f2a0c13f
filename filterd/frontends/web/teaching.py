"""Teaching: what people say about held mail, handed to the process that learns; and what reviewers decide about it.

A button's word is a word; a release or a block is taken as one too, and waits for a reviewer where the settings say so.
Nothing here stops what a person asked for: a learner that does not answer is a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from filterd.frontends.web import rights
from filterd.frontends.web.visit import Refused, Visit
from filterd.learning import Klass, LearningError, Request, Result, Review
from filterd.store import Person, QuarantineItem, Role, Suggestion, Way

log = structlog.get_logger("filterd.web")

TRUSTED = (Role.MANAGER, Role.ADMIN)  # whose button needs no reviewer


def teach(visit: Visit, items: Sequence[QuarantineItem], klass: Klass) -> str:
    """Say what these messages are; a sentence about what came of it. Raises Refused for who does not teach."""
    if not visit.teaches:
        raise Refused("You are not one of those who teach.")
    results = _tell(visit, visit.person, visit.by, items, klass, Way.BUTTON)
    refused = next((one.why for one in results if one.refused), "")
    for item in items:
        visit.site.store.audit.write(visit.by, f"taught-{klass}", item.id, refused)
    say = visit.language.say
    if refused:
        return say("Not learnt: %(why)s", why=refused)
    if klass is Klass.FORGET:
        return say("What it taught was taken back.")
    if any(one.queued for one in results):
        return say("It is learnt when a reviewer agrees.")
    return say("It was learnt.")


def suggest(
    visit: Visit, items: Iterable[QuarantineItem], klass: Klass, way: Way, reader: Person | None = None
) -> None:
    """Take what somebody did for what they think, where they are one of those who teach. Says nothing.

    `reader` did it by the link of a digest, without being logged in.
    """
    person = reader or visit.person
    by = f"digest:{reader.name}" if reader else visit.by
    if visit.site.learn is not None and rights.may_teach(person, visit.site.settings):
        for one in _tell(visit, person, by, items, klass, way):
            if one.refused:
                log.info("not-suggested", person=person.name, why=one.why)


def _tell(
    visit: Visit, person: Person, by: str, items: Iterable[QuarantineItem], klass: Klass, way: Way
) -> list[Result]:
    """One word for each message that is still there."""
    found = []
    for item in items:
        if (raw := visit.site.store.quarantine.raw(item.id)) is not None:
            request = Request(
                klass=klass,
                raw=raw,
                reporter=person.name,
                by=by,
                way=way,
                trusted=person.role in TRUSTED and way is Way.BUTTON,
                address=item.recipient,
                record=item.record,
                item=item.id,
            )
            found.append(_asked(visit, request))
    return found


def decide(visit: Visit, found: Sequence[Suggestion], review: Review, text: str = "") -> Result:
    """What became of these suggestions; that this person may decide about them is asked elsewhere."""
    ids = tuple(one.id for one in found)
    return _asked(visit, Request(review=review, ids=ids, by=visit.by, text=text))


def _asked(visit: Visit, request: Request) -> Result:
    if visit.site.learn is None:
        return Result(refused=True, why="learning is not available now")
    try:
        return visit.site.learn(request)
    except LearningError as error:
        return Result(refused=True, why=str(error))
