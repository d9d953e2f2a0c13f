"""The labelled mail that the shipped model is made from: a corpus, and what was written by hand.

Reads; never writes. A line of the index that is not `spam PATH` or `ham PATH` is a ValueError with its
number. What the corpus's makers put in place of names (`redacted`, `hxxp`, `[.]`, example addresses) would
tell the source and so the label; `read_item` gives all of it one common form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from training import handmade

_PLACEHOLDERS = (
    (re.compile(rb"\bhxxp(s?)(?=:|%3a)", re.IGNORECASE), rb"http\1"),
    (re.compile(rb"\[\.\]"), rb"."),
    (
        re.compile(rb"\bredacted@redacted\.com\b|\b(?:user|test|info)@example\.(?:com|org)\b"),
        b"info@example.org",
    ),
    (re.compile(rb"\bredacted\b", re.IGNORECASE), b"info"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled message: a file, or one made here."""

    path: Path
    spam: bool
    source: str
    made: bytes | None = None


def read_index(corpus: Path) -> list[Item]:
    """The items of `corpus`/index, in its order (that of dates); a source is the folder of a message."""
    items = []
    for number, line in enumerate((corpus / "index").read_text().splitlines(), 1):
        label, _, name = line.partition(" ")
        if label not in ("spam", "ham") or not name:
            raise ValueError(f"{corpus / 'index'}:{number}: neither `spam PATH` nor `ham PATH`")
        path = corpus / name
        items.append(Item(path, label == "spam", path.parent.name))
    return items


def even(item: Item) -> bool:
    """Is the number in its file's name even? The half that the even/odd split trains on."""
    return int(item.path.name.partition("-")[0]) % 2 == 0


def made_by_hand(held_out: bool) -> list[Item]:
    """The hand-made ham that is trained on, or the part of it that never is."""
    letters = [
        Item(Path(f"{one.language}-{one.place}"), False, "handmade-romance", handmade.letter_message(one))
        for one in handmade.letters()
        if one.held_out is held_out
    ]
    notices = [
        Item(Path(f"{one.shell}-{one.place}"), False, "handmade-notices", handmade.notice_message(one))
        for one in handmade.notices()
        if one.held_out is held_out
    ]
    return letters + notices


def read_item(item: Item) -> bytes:
    """The message, its placeholders made alike."""
    raw = item.path.read_bytes() if item.made is None else item.made
    for pattern, common in _PLACEHOLDERS:
        raw = pattern.sub(common, raw)
    return raw
