"""Own verdicts: what may be learnt from mail that was plainly one or the other, where the postmaster wants that.

`lesson` says what a record teaches, from the record alone: only what lies far from every threshold, on the word of
rules and authentication, with the classifier's own points left out, so that a model is never its own teacher. Ham must
come from somebody whom his domain vouches for and whom this site knows: mail that merely hits no rule is what poisoners
send. `too_many` bounds what is learnt so: both classes alike, so many in a day, and never more than people said by
themselves, but for the first few. A person's word about a message goes before, whenever it comes. Pure, but for the
store.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from filterd.authentication import AuthResult
from filterd.checks import senders
from filterd.classifier.site import GATE_LABELS
from filterd.decision import Reason
from filterd.judge import LEARNT_CAP, LEARNT_HAM, LEARNT_SPAM, TAUGHT
from filterd.learning.words import Klass
from filterd.mail.envelope import Direction
from filterd.record import Record

if TYPE_CHECKING:
    from filterd.learning.settings import LearningLimits
    from filterd.store.labels import Labels

FAR = 400  # hundredths over the quarantine threshold
QUARANTINE, TAG = 800, 500  # where a site has no such threshold
AHEAD = 10  # labels that one class may have more than the other
FIRST = GATE_LABELS // 2  # labels of each class before people must have given as many: half of what opens the gate
DAY = 86_400_000  # ms

_LEARNT = {one.name for one in (LEARNT_SPAM, LEARNT_HAM, LEARNT_CAP, TAUGHT)}
_KNOWN = {senders.GOOD.name, senders.WROTE.name}
_BY_SCORE = {Reason.SPAM_SCORE, Reason.CLEAN}


def lesson(record: Record) -> Klass | None:
    """What the mail plainly is; None where that may be doubted, or where something other than the score decided."""
    by_score = {one.reason for one in record.decisions} <= _BY_SCORE
    if record.error or not record.decisions or not by_score or record.envelope.direction is not Direction.INBOUND:
        return None
    own = [one for one in record.verdict.findings if one.name not in _LEARNT]
    points, passed = sum(one.points for one in own), record.auth.dmarc.result is AuthResult.PASS
    quarantine = QUARANTINE if record.thresholds.quarantine is None else record.thresholds.quarantine
    tag = TAG if record.thresholds.tag is None else record.thresholds.tag
    if record.verdict.points >= quarantine + FAR and points >= tag and record.opinion.points >= 0 and not passed:
        return Klass.SPAM
    doubted = any(one.points > 0 for one in own) or not any(one.name in _KNOWN for one in own)
    if record.verdict.points <= 0 and passed and not doubted and record.opinion.points <= 0:
        return Klass.HAM
    return None


def too_many(labels: Labels, klass: Klass, limits: LearningLimits, ham: int, spam: int) -> str:
    """Why one more is not learnt; "" when it may be. `ham` and `spam`: all labels that there are."""
    counts = labels.of_verdicts(int(time.time() * 1000) - DAY)
    own, other = (counts.spam, counts.ham) if klass is Klass.SPAM else (counts.ham, counts.spam)
    people = (spam if klass is Klass.SPAM else ham) - own
    if counts.lately >= limits.verdicts_per_day:
        return f"{counts.lately} verdicts were learnt within a day"
    if own >= other + AHEAD:
        return f"{own} verdicts of {klass} were learnt, and {other} of the other class"
    if own >= max(FIRST, people):
        return f"{own} verdicts of {klass} were learnt, and people said so of {people}"
    return ""
