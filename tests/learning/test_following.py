"""What is moved into Junk and out of it, in whatever order it is seen; a first look teaches nothing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from filterd.learning import following
from filterd.learning.following import Following, Seen


class Box:
    """A mailbox of folders, each with its validity and its messages by UID."""

    def __init__(self) -> None:
        self.folders: dict[str, tuple[int, dict[int, bytes]]] = {name: (1, {}) for name in ("INBOX", "Junk", "Trash")}
        self.seen = Seen()
        self._next = 1
        self._open = ""

    def add(self, folder: str, key: str, more: str = "") -> None:
        self.folders[folder][1][self._next] = f"Message-ID: <{key}>\r\n{more}\r\n".encode()
        self._next += 1

    def move(self, key: str, source: str, target: str) -> None:
        (uid,) = (uid for uid, raw in self.folders[source][1].items() if f"<{key}>".encode() in raw)
        raw = self.folders[source][1].pop(uid)
        self.folders[target][1][self._next] = raw
        self._next += 1

    def open(self, folder: str) -> int:
        self._open = folder
        return self.folders[folder][0]

    def uids(self, since: int = 0) -> list[int]:
        return sorted(uid for uid in self.folders[self._open][1] if uid > since)

    def fields(self, uids: Sequence[int], names: Sequence[str]) -> dict[int, bytes]:
        return {uid: raw for uid, raw in self.folders[self._open][1].items() if uid in uids}

    def message(self, uid: int, limit: int | None = None) -> bytes | None:
        raw = self.folders[self._open][1].get(uid)
        return None if raw is None or (limit is not None and len(raw) > limit) else raw

    def look(self) -> list[tuple[str, bool]]:
        """What is learnt, by key."""
        following = Following(self, "Junk", ("INBOX", "Junk"), self.seen)
        found = [(one.raw.split(b"<")[1].split(b">")[0].decode(), one.spam) for one in following.moves()]
        self.seen = following.seen
        return found


def test_into_junk_and_out_of_it() -> None:
    box = Box()
    box.add("Junk", "old")
    box.add("INBOX", "a")
    assert box.look() == []
    box.move("a", "INBOX", "Junk")
    assert box.look() == [("a", True)]
    assert box.look() == []
    box.move("a", "Junk", "INBOX")
    assert box.look() == [("a", False)]
    box.move("old", "Junk", "INBOX")
    assert box.look() == [("old", False)]
    box.move("a", "INBOX", "Junk")
    assert box.look() == [("a", True)]
    assert box.look() == []


def test_what_is_deleted_or_goes_to_the_trash_says_nothing() -> None:
    box = Box()
    box.look()
    box.add("INBOX", "a")
    box.add("INBOX", "b")
    assert box.look() == []
    box.move("a", "INBOX", "Junk")
    assert box.look() == [("a", True)]
    box.move("a", "Junk", "Trash")
    assert box.look() == []
    box.move("b", "INBOX", "Trash")
    box.add("INBOX", "c")
    assert box.look() == []


def test_a_move_between_two_folders_being_looked_at_is_not_lost() -> None:
    box = Box()
    box.look()
    box.add("Junk", "a")
    assert box.look() == [("a", True)]
    opened = box.open

    def moved_meanwhile(folder: str) -> int:
        if folder == "INBOX":
            box.move("a", "Junk", "INBOX")
            box.open = opened  # type: ignore[method-assign]
        return opened(folder)

    box.open = moved_meanwhile  # type: ignore[method-assign]
    assert box.look() == []
    assert box.look() == [("a", False)]


def test_our_own_verdict_is_not_learnt_from() -> None:
    box = Box()
    box.look()
    box.add("Junk", "ours", "X-Filterd-Id: 01M81Y79Z9GCV9DQMGPW748E82\r\nX-Spam-Flag: YES\r\n")
    box.add("Junk", "theirs", "X-Spam-Flag: YES\r\n")
    assert box.look() == [("theirs", True)]
    box.move("ours", "Junk", "INBOX")
    assert box.look() == [("ours", False)]


def test_a_folder_that_was_made_anew_is_taken_stock_of() -> None:
    box = Box()
    box.add("Junk", "a")
    box.look()
    box.folders["Junk"] = (2, {})
    for key in ("a", "b"):
        box.add("Junk", key)
    assert box.look() == []
    box.add("Junk", "c")
    assert box.look() == [("c", True)]
    box.folders["INBOX"] = (2, {})
    box.add("INBOX", "d")
    assert box.look() == []


def test_messages_without_a_key_are_learnt_as_spam_and_never_matched() -> None:
    box = Box()
    box.look()
    box.folders["Junk"][1][50] = b"Subject: <none>\r\n\r\n"
    assert box.look() == [("none", True)]
    box.folders["Junk"][1].clear()
    box.folders["INBOX"][1][60] = b"Subject: <other>\r\n\r\n"
    assert box.look() == []


def test_what_is_too_large_is_passed_over_and_the_rest_is_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LARGEST", 100)
    box = Box()
    box.look()
    box.add("Junk", "large", f"X-Long: {'x' * 200}\r\n")
    box.add("Junk", "small")
    assert box.look() == [("small", True)]
