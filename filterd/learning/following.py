"""Following: what its owner moves into a Junk folder is spam, what comes back out of it into another folder is ham.

In go a session of the mailbox and what was known of it; out come messages with their class, and what is known now. The
first look takes stock and learns nothing, and so does the first after a UIDVALIDITY changed. Mail that we had marked as
spam ourselves is not learnt from: it lies in Junk because of us. What leaves Junk for a folder that is not followed, as
Trash, says nothing. Reads only; whatever fails leaves the state as it was.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from filterd.mail import Message
from filterd.value import Value, replace

K = TypeVar("K")
V = TypeVar("V")

FIELDS = ("Message-ID", "X-Filterd-Id", "X-Spam-Flag")
LARGEST = 50_000_000  # bytes of a message that is learnt
REMEMBERED = 20_000  # messages in Junk, the newest
RECENT = 1_000  # messages that came to the other folders
PATIENCE = 3_600.0  # seconds that what left Junk may take to come somewhere else


class Session(Protocol):
    """What is asked of a mailbox; see `filterd.mailboxes.ImapSession`."""

    def open(self, folder: str) -> int: ...
    def uids(self, since: int = 0) -> list[int]: ...
    def fields(self, uids: Sequence[int], names: Sequence[str]) -> dict[int, bytes]: ...
    def message(self, uid: int, limit: int | None = None) -> bytes | None: ...


class Folder(Value):
    """How a folder was found."""

    validity: int
    last: int  # the highest UID


class Seen(Value):
    """What is known of a mailbox. A key is the id that we gave a message, or its Message-ID."""

    folders: dict[str, Folder] = {}
    junk: dict[int, str] = {}  # keys by UID
    left: dict[str, float] = {}  # keys that went from Junk, and when
    came: dict[str, tuple[str, int]] = {}  # keys that came to another folder lately: which, and the UID


class Moved(Value):
    """A message, and what its owner said by moving it."""

    raw: bytes
    spam: bool


class Following:
    """One look. `moves` yields what is to be learnt; `seen` is what is known when all of it was."""

    def __init__(self, session: Session, junk: str, folders: Sequence[str], seen: Seen) -> None:
        self._session = session
        self._junk = junk
        self._folders = [folder for folder in folders if folder != junk]
        self.seen = seen

    def moves(self) -> Iterator[Moved]:
        yield from self._into_junk()
        for folder in self._folders:
            yield from self._out_of_junk(folder)
        oldest = time.time() - PATIENCE
        self.seen = replace(self.seen, left={key: when for key, when in self.seen.left.items() if when > oldest})
        self._session.open(self._junk)

    def _into_junk(self) -> Iterator[Moved]:
        validity, uids = self._session.open(self._junk), self._session.uids()
        before = self.seen.folders.get(self._junk)
        if before is None or before.validity != validity:
            self._take_stock(validity, uids)
            return
        fresh = [uid for uid in uids if uid > before.last]
        heads = {uid: _Head(found) for uid, found in self._session.fields(fresh, FIELDS).items()}
        for uid, head in heads.items():
            if not head.marked and (raw := self._session.message(uid, LARGEST)) is not None:
                yield Moved(raw, True)
        there, now = set(uids), time.time()
        came = {key for head in heads.values() if (key := head.key)}
        gone = {key: now for uid, key in self.seen.junk.items() if uid not in there and key and key not in came}
        kept = {uid: key for uid, key in self.seen.junk.items() if uid in there}
        kept |= {uid: head.key for uid, head in heads.items()}
        self.seen = replace(
            self.seen,
            folders={**self.seen.folders, self._junk: Folder(validity, max(uids, default=before.last))},
            junk=_newest(kept, REMEMBERED),
            left=_without(self.seen.left, came) | gone,
            came=_without(self.seen.came, came),
        )

    def _take_stock(self, validity: int, uids: Sequence[int]) -> None:
        some = uids[-REMEMBERED:]
        keys = {uid: _Head(found).key for uid, found in self._session.fields(some, FIELDS).items()}
        folders = {**self.seen.folders, self._junk: Folder(validity, max(uids, default=0))}
        self.seen = Seen(folders=folders, junk=keys)

    def _out_of_junk(self, folder: str) -> Iterator[Moved]:
        """What came to a folder is matched with what left Junk, whichever of the two was seen first."""
        validity = self._session.open(folder)
        before = self.seen.folders.get(folder)
        if before is None or before.validity != validity:
            last = max(self._session.uids(), default=0)
            self.seen = replace(self.seen, folders={**self.seen.folders, folder: Folder(validity, last)})
            return
        fresh = self._session.uids(before.last)
        heads = self._session.fields(fresh, FIELDS)
        came = {key: (folder, uid) for uid, found in heads.items() if (key := _Head(found).key)}
        came = {**self.seen.came, **came}
        back = [key for key, (where, _) in came.items() if where == folder and key in self.seen.left]
        for key in back:
            if (raw := self._session.message(came[key][1], LARGEST)) is not None:
                yield Moved(raw, False)
        self.seen = replace(
            self.seen,
            folders={**self.seen.folders, folder: Folder(validity, max(fresh, default=before.last))},
            left=_without(self.seen.left, back),
            came=_newest(_without(came, back), RECENT),
        )


class _Head:
    """What a few fields say of a message in a mailbox."""

    def __init__(self, fields: bytes) -> None:
        headers = Message(fields).headers
        ours, named, flag = (headers.first(name) for name in ("X-Filterd-Id", "Message-ID", "X-Spam-Flag"))
        found = ours or named
        self.key = found.raw_text[:300] if found is not None else ""
        self.marked = ours is not None and flag is not None and flag.raw_text.upper() == "YES"


def _without(found: Mapping[K, V], keys: Collection[K]) -> dict[K, V]:
    return {key: value for key, value in found.items() if key not in keys}


def _newest(found: Mapping[K, V], most: int) -> dict[K, V]:
    return dict(list(found.items())[-most:])
