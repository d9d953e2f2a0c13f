"""Doubts: entries of an access list that can never matter, or that let more in than whoever wrote them meant. Pure.

In: the entries, the domains where strangers have addresses beside each other, and the day. Out: the position of each
doubtful entry and a sentence. None of them is an error: the list works as `filterd.access` says.
"""

from __future__ import annotations

import datetime
from collections.abc import Container, Iterator, Sequence
from ipaddress import ip_network

from filterd.access import Entry
from filterd.mail.domains import registrable
from filterd.mail.envelope import domain_of
from filterd.settings import Network

WIDE = {4: 8, 6: 19}  # a network that is this wide or wider is not one owner's


def doubts(
    entries: Sequence[Entry], shared: Container[str] = (), today: datetime.date | None = None
) -> Iterator[tuple[int, str]]:
    """What is doubtful, by position."""
    places = _Places(entries)
    for position, entry in enumerate(entries):
        if today is not None and entry.until is not None and entry.until < today:
            yield position, f"`{said(entry)}` has expired"
        elif text := _open(entry, shared) or _useless(position, entry, places):
            yield position, text


def said(entry: Entry) -> str:
    """An entry as it is written."""
    return f"{entry.text} for {entry.recipient}" if entry.recipient else entry.text


def _open(entry: Entry, shared: Container[str]) -> str:
    """Does an allow entry let strangers in?"""
    if not entry.allows or "@" in entry.whom:
        return ""
    if (network := entry.network) is not None:
        wide = network.prefixlen <= WIDE[network.version]
        return f"`{said(entry)}` lets in whatever comes from a network of strangers" if wide else ""
    if registrable(entry.whom) is None:
        return f"`{said(entry)}` lets in everybody who has a domain under {entry.whom}"
    if entry.whom in shared:
        return f"`{said(entry)}` lets in everybody who has an address there; name the address"
    return ""


class _Places:
    """The entries, found by what they name."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._found: dict[str | Network, list[tuple[int, Entry]]] = {}
        for position, entry in enumerate(entries):
            self._found.setdefault(entry.network or entry.whom, []).append((position, entry))
        self.ranks = {(entry.allows, entry.rank) for entry in entries}

    def wider(self, entry: Entry) -> Iterator[tuple[int, Entry]]:
        """The other entries that hold for all mail that `entry` holds for."""
        for name in _names_above(entry):
            for position, other in self._found.get(name, ()):
                if other is not entry and _for_all(other.recipient, entry.recipient) and _as_long(other, entry):
                    yield position, other


def _names_above(entry: Entry) -> Iterator[str | Network]:
    """What an entry that is as wide, or wider, may name."""
    if entry.network is not None:
        address = entry.network.network_address
        for width in range(entry.network.prefixlen, -1, -1):
            yield ip_network((address, width), strict=False)
        return
    if "@" in entry.whom:
        yield entry.whom
    rest = domain_of(entry.whom) or entry.whom
    while rest:
        yield rest
        rest = rest.partition(".")[2]


def _for_all(other: str, recipient: str) -> bool:
    return other in ("", recipient) or ("@" not in other and domain_of(recipient) == other)


def _as_long(other: Entry, entry: Entry) -> bool:
    return other.until is None or (entry.until is not None and other.until >= entry.until)


def _useless(position: int, entry: Entry, places: _Places) -> str:
    """Can this entry never change what is decided?"""
    for other_position, other in places.wider(entry):
        same = (other.rank[:2], other.recipient) == (entry.rank[:2], entry.recipient)
        if same and other.allows == entry.allows:
            if other_position < position or other.until != entry.until:
                return f"`{said(entry)}` is there twice"
        elif same and entry.allows:
            return f"`{said(entry)}` never decides: `{said(other)}` goes before it"
        elif not same and other.allows == entry.allows and not _between(entry, other, places):
            return f"`{said(entry)}` changes nothing: `{said(other)}` says the same of more mail"
    return ""


def _between(entry: Entry, wider: Entry, places: _Places) -> bool:
    """May an entry of the other kind decide between the two, so that the narrower one is needed after all?"""
    return any(allows != entry.allows and wider.rank < rank < entry.rank for allows, rank in places.ranks)
