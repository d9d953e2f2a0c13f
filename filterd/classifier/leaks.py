"""Does one header give the label away? Then what was collected would be learnt, and not what spam is.

In go the names of each message's header fields and its label, one message at a time; out come the fields whose mere
presence ranks spam against ham with an AUC over 0.8. Keeps counts, no messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from filterd.value import Value

SUSPECT = 0.8
FEWEST = 20  # messages of each class before anything is said


class Leak(Value):
    """A field whose presence predicts the label."""

    name: str
    auc: float  # of presence, or of absence if that is the greater
    of_spam: bool  # does presence mean spam?


class Presence:
    """Which fields were there, in how many messages of each class."""

    def __init__(self) -> None:
        self.ham = 0
        self.spam = 0
        self._fields: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}

    def add(self, names: Iterable[str], spam: bool) -> None:
        """One more message; its field names in any case."""
        self.spam += spam
        self.ham += not spam
        self._fields[spam].update({name.lower() for name in names})

    def leaks(self) -> list[Leak]:
        """The strongest first."""
        if min(self.spam, self.ham) < FEWEST:
            return []
        found = []
        for name in self._fields[False].keys() | self._fields[True].keys():
            lean = self._fields[True][name] / self.spam - self._fields[False][name] / self.ham
            if (auc := 0.5 + abs(lean) / 2) > SUSPECT:
                found.append(Leak(name, round(auc, 3), lean > 0))
        return sorted(found, key=lambda leak: (-leak.auc, leak.name))
