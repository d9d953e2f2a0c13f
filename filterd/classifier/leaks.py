"""Does one header give the label away? Then what was collected would be learnt, and not what spam is.

In go the names of each message's header fields and the labels; out come the fields whose mere presence ranks spam
against ham with an AUC over 0.8. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from filterd.value import Value

SUSPECT = 0.8
FEWEST = 20  # messages of each class before anything is said


class Leak(Value):
    """A field whose presence predicts the label."""

    name: str
    auc: float  # of presence, or of absence if that is the greater
    of_spam: bool  # does presence mean spam?


def header_leaks(headers: Iterable[Iterable[str]], labels: Sequence[bool]) -> list[Leak]:
    """The strongest first; `headers` are the field names of each message, in any case."""
    counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for names, spam in zip(headers, labels, strict=True):
        counts[bool(spam)].update({name.lower() for name in names})
    spam_total = sum(map(bool, labels))
    ham_total = len(labels) - spam_total
    if min(spam_total, ham_total) < FEWEST:
        return []
    found = []
    for name in counts[False].keys() | counts[True].keys():
        lean = counts[True][name] / spam_total - counts[False][name] / ham_total
        if (auc := 0.5 + abs(lean) / 2) > SUSPECT:
            found.append(Leak(name, round(auc, 3), lean > 0))
    return sorted(found, key=lambda leak: (-leak.auc, leak.name))
