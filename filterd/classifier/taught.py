"""What single people taught about their own mail, where every worker sees it: sketches in mapped files.

In go a message and its recipients; out come `Offset`s, points that are added for one recipient alone. A sketch is 256
small numbers: who the message is from and links to, and the pairs of words in it, both alike, by signed hashing
(Weinberger et al. 2009). The cosine of two sketches tells how alike two messages are: at most 0.2 for nearly all that
have nothing in common, 0.5 to 0.9 for two issues of a newsletter. What somebody said of a message counts for messages
like it and for no others: so a word never drifts into other mail, and one that is taken back leaves nothing behind.

The one process that learns writes, the workers map read-only before they close their door, as with the site's model.
The store is the truth; the files are made again from it. `offsets` never raises.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.features import Features
from filterd.classifier.hashing import Hashes, finish, numbers
from filterd.classifier.live import FOLDER, mapped, prepared
from filterd.classifier.manifest import ModelError
from filterd.mail import Message
from filterd.mail.address import parse_addresses
from filterd.mail.domains import to_ascii
from filterd.record import Offset

CELLS = 256
SKETCH_VERSION = 1
WORDS = 32_768  # of all people together that are looked at: 8.7 MB
UNLIKE, SAME = 0.3, 0.6  # cosines at which a word begins to count, and counts in full
ENOUGH = 2  # words of one kind about the same mail that move all that may be moved
LEAST = -3.0  # points: nobody's own words let more pass than that
_HOSTS = 8  # of links that are looked at

_ARRAYS = {"owners.npy": ("<u8", (WORDS,)), "sketches.npy": ("<i1", (WORDS, CELLS))}
_SPAM = np.uint64(1)  # the last bit of an owner tells what was said

Sketch = NDArray[np.int8]
Word = tuple[bool, bytes]  # spam?, and the sketch of the message


def owner_of(address: str) -> str:
    """Whose mail goes to that address: upper and lower case alike, without +detail (RFC 5233); "" if it is none."""
    local, at, domain = address.rpartition("@")
    name = local.casefold()
    return f"{name.partition('+')[0] or name}@{to_ascii(domain.lower()) or domain.lower()}" if at and local else ""


def sketch_of(message: Message) -> Sketch:
    """All zeros for a message that has nothing to compare."""
    features = Features(message)
    author = message.headers.first("From")
    boxes = parse_addresses(author.text).mailboxes[:1] if author is not None else ()
    tokens = [part for box in boxes for part in (box.address.lower(), box.address.lower().rpartition("@")[2])]
    if (named := message.headers.first("List-Id")) is not None:
        tokens.append(f"list {named.text.lower()}")
    tokens += [f"host {host}" for host in list(dict.fromkeys(link.host for link in message.links))[:_HOSTS]]
    who = finish(numbers([token.encode("utf-8", "replace") for token in tokens]))
    both = _spread(who) + _spread(features.visible.pairs())
    largest = np.abs(both).max()
    return np.round(both * (127 / largest) if largest else both).astype(np.int8)


class Taught:
    """The mapped files. Serving asks for `offsets`; the one process that learns opens them `writable`, and writes."""

    def __init__(self, state: Path, most: float, *, writable: bool = False) -> None:
        """`most` points, either way, are what a recipient's words may move. Raises ModelError."""
        self._owners, self._sketches = mapped(state / FOLDER, _ARRAYS, writable=writable)
        self._most = most

    @staticmethod
    def prepare(state: Path) -> None:
        """Make the files where there are none. Raises OSError."""
        prepared(state / FOLDER, _ARRAYS)

    def offsets(self, message: Message, recipients: Collection[str]) -> tuple[Offset, ...]:
        """What each of these has taught about mail like this one; nothing for those whose words it is not like."""
        keys = {address: _key(owner) for address in recipients if (owner := owner_of(address))}
        owners = np.array(self._owners)
        places = np.flatnonzero(np.isin(owners | _SPAM, list(keys.values())))
        if not len(places):
            return ()
        counts = _counting(sketch_of(message), self._sketches[places])
        found = []
        for address, key in keys.items():
            mine = owners[places] | _SPAM == key
            spam = owners[places] & _SPAM == _SPAM
            offset = self._offset(address, counts[mine & spam], counts[mine & ~spam])
            if offset.points:
                found.append(offset)
        return tuple(found)

    def write(self, owner: str, words: Sequence[Word]) -> None:
        """These are now all that `owner` taught. What there is no room for is left out."""
        key = _key(owner)
        places = [*np.flatnonzero(self._owners | _SPAM == key), *np.flatnonzero(self._owners == 0)]
        for place, (spam, sketch) in zip(places, words, strict=False):
            self._put(place, key, spam, sketch)
        for place in places[len(words) :]:
            self._owners[place] = 0

    def fill(self, words: Sequence[tuple[str, Word]]) -> None:
        """These are now all words of all owners; the last are left out where there is no room."""
        for place, (owner, (spam, sketch)) in enumerate(words[:WORDS]):
            self._put(place, _key(owner), spam, sketch)
        self._owners[len(words) :] = 0

    def _put(self, place: int, key: int, spam: bool, sketch: bytes) -> None:
        """The owner comes last: nobody sees half of it."""
        self._owners[place] = 0
        self._sketches[place] = np.frombuffer(sketch, dtype=np.int8)
        self._owners[place] = key if spam else key ^ int(_SPAM)

    def _offset(self, address: str, spam: NDArray[np.float64], ham: NDArray[np.float64]) -> Offset:
        share = min(float(spam.sum()) / ENOUGH, 1.0) - min(float(ham.sum()) / ENOUGH, 1.0)
        points = max(self._most * share, LEAST)
        said = [(int((spam > 0).sum()), "spam"), (int((ham > 0).sum()), "wanted")]
        told = " and ".join(f"{count} as {what}" for count, what in said if count)
        return Offset(address, round(points * 100), f"you taught: mail like this, {told}")


def open_taught(state: Path, most: float) -> Taught | None:
    """What people taught, for reading; None where nobody ever prepared it, or may not read it."""
    try:
        return Taught(state, most)
    except ModelError:
        return None


def _key(owner: str) -> int:
    """The number of an owner, odd."""
    return int.from_bytes(hashlib.blake2b(owner.encode("utf-8", "replace"), digest_size=8).digest(), "little") | 1


def _spread(hashes: Hashes) -> NDArray[np.float64]:
    """Signed hashing into a vector of length one, or of zeros."""
    signs = np.where(hashes >> np.uint32(16) & np.uint32(1), 1.0, -1.0)
    cells = np.bincount(hashes & np.uint32(CELLS - 1), weights=signs, minlength=CELLS)
    return cells / max(float(np.linalg.norm(cells)), 1e-9)


def _counting(one: Sketch, others: Sketch) -> NDArray[np.float64]:
    """How much what was said of each of the others counts for this one, 0 to 1."""
    mine, theirs = one.astype(np.float64), others.astype(np.float64)
    lengths = np.maximum(np.linalg.norm(theirs, axis=1) * np.linalg.norm(mine), 1e-9)
    counted: NDArray[np.float64] = np.clip((theirs @ mine / lengths - UNLIKE) / (SAME - UNLIKE), 0.0, 1.0)
    return counted
