"""Stored labels as a model takes them in.

Out come the newest examples, in the order their labels came, of the features that we extract now. What was labelled
under an earlier feature version is extracted anew from its message, and stored so at once, for messages are let go of
sooner than labels. A label without a message that could be read again stays stored, is in no model until somebody says
the same again, and is told as left out. Raises StoreError, OSError.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filterd.classifier import Model
from filterd.classifier.features import VERSION
from filterd.classifier.shards import cut
from filterd.classifier.site import Example
from filterd.learning.shelf import Shelf
from filterd.mail import Message
from filterd.value import CodecError, pack, replace, unpack

if TYPE_CHECKING:
    from filterd.store import Store

_AT_ONCE = 500  # labels in one transaction

Kept = tuple[Example, bool, float]  # with what the model had said before it was told


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of the stored labels."""

    examples: list[Kept]
    left_out: frozenset[str]  # digests
    renewed: int  # labels that were extracted anew


def stored_labels(store: Store, newest: int, base: Model | None, shelf: Shelf) -> Stored:
    """At most so many examples, on the shelf."""
    found: deque[Kept] = deque(maxlen=newest)
    left_out: set[str] = set()
    renewed = 0
    for labels in cut((label for _, label in store.labels.read()), _AT_ONCE):
        anew = dict(_extracted(store, [one.digest for one in labels if readable(one.example) is None], base))
        store.labels.renew({digest: pack(example) for digest, example in anew.items()})
        renewed += len(anew)
        for label in labels:
            example = readable(label.example) or anew.get(label.digest)
            if example is None:
                left_out.add(label.digest)
            else:
                found.append((shelf.put(example), label.spam, label.said))
    return Stored(list(found), frozenset(left_out), renewed)


def readable(packed: bytes) -> Example | None:
    """The example, if it was made by the extraction that we have."""
    try:
        example = unpack(packed, Example)
    except CodecError:
        return None
    return example if example.version == VERSION else None


def _extracted(store: Store, digests: list[str], base: Model | None) -> Iterator[tuple[str, Example]]:
    for digest, raw in store.labels.bodies(digests):
        yield digest, replace(Example.of(Message(raw), base), digest=digest)
