"""Reports: a mail to a report address, and what the messages that it carries teach.

In goes the request with the mail; out comes one result, with a sentence that counts what became of each message. The
limits of a reporter and of a campaign hold for each of them.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from filterd.learning.originals import MOST, Originals
from filterd.learning.review import Reviewing
from filterd.learning.words import Klass, LearningError, Request, Result
from filterd.store import Way
from filterd.value import replace

if TYPE_CHECKING:
    from filterd.learning.learner import SiteLearner

NOTHING = "It carries no message that is known: attach what is reported."


def take_report(learner: SiteLearner, request: Request) -> Result:
    """Learn, or suggest, what the mail carries. Raises StoreError; what was learnt before stays, and is known again."""
    if request.klass not in (Klass.SPAM, Klass.HAM):
        raise LearningError("a report says spam or ham")
    readers = tuple(dict.fromkeys(name for name in (request.reporter, request.sender) if "@" in name))
    became: Counter[str] = Counter()
    why = ""
    suggestions: list[str] = []
    address = next(iter(readers), request.reporter)
    for original in Originals(learner.store).of_report(request.raw, readers):
        one = replace(request, report=False, raw=original.raw, record=original.record, way=Way.REPORT, address=address)
        result = Reviewing(learner).suggest(one)
        became[_became(result, request.klass)] += 1
        why = why or result.why
        if result.suggestion:
            suggestions.append(result.suggestion)
    told = ", ".join(f"{count} {word}" for word, count in became.items())
    most = f" Only the first {MOST} were looked at." if became.total() >= MOST else ""
    return Result(
        counted=became[f"learnt as {request.klass}"] > 0,
        queued=became["for a reviewer"] > 0,
        why=why,
        told=f"{told}{f' ({why})' if why else ''}.{most}" if told else NOTHING,
        done=tuple(suggestions),
    )


def _became(result: Result, klass: Klass) -> str:
    if result.refused:
        return "refused"
    if result.queued:
        return "for a reviewer"
    return f"learnt as {klass}" if result.counted else "known already"
