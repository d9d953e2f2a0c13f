"""What a zip archive says it holds: names and sizes from its directory, one level, nothing unpacked.

In: bytes. Out: the entries, capped, and flags. Read by hand, for a reader that builds an object for every
entry of a hostile directory has no cap. Never raises, never writes, linear in the entries looked at.
"""

from __future__ import annotations

import struct

from filterd.value import Value

MAX_ENTRIES = 500

# APPNOTE.TXT 4.3.16, 4.3.12 and 4.3.7; only the fields that are used.
_END = struct.Struct("<4s6xHII2x")  # entries, size and offset of the directory
_CENTRAL = struct.Struct("<4s4xH10xIIHHH12x")  # bits, packed, unpacked, lengths of name, extra, comment
_LOCAL = struct.Struct("<4s2xH10xIIHH")  # bits, packed, unpacked, lengths of name, extra
_END_MARK, _CENTRAL_MARK, _LOCAL_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_MAX_COMMENT = 65_535
_ENCRYPTED, _STREAMED, _UTF8 = 0x0001, 0x0008, 0x0800


class Entry(Value):
    name: str
    size: int  # unpacked, as the archive claims
    encrypted: bool = False


class Listing(Value):
    """The entries of an archive. Flags: "truncated", "too-many-entries", "hidden-entries"."""

    entries: tuple[Entry, ...] = ()
    flags: tuple[str, ...] = ()


def list_zip(content: bytes) -> Listing:
    """What the directory names, and what only local headers do: programs that stream see those."""
    directory = _directory(content)
    local = _local_entries(content)
    if directory is None:
        return Listing(tuple(local), ("truncated",))
    entries, claimed = directory
    flags = ["too-many-entries"] if claimed > len(entries) else []
    names = {entry.name for entry in entries}
    hidden = [entry for entry in local if entry.name not in names] if not flags else []
    if hidden:
        flags.append("hidden-entries")
    return Listing(tuple((entries + hidden)[:MAX_ENTRIES]), tuple(flags))


def _directory(content: bytes) -> tuple[list[Entry], int] | None:
    """The entries of the directory at the end and how many it claims to have; None when there is none."""
    at = content.rfind(_END_MARK, max(0, len(content) - _MAX_COMMENT - _END.size))
    if at < 0 or at + _END.size > len(content):
        return None
    _, claimed, size, offset = _END.unpack_from(content, at)
    position = at - size  # other bytes may stand before the archive, so that `offset` is wrong
    if position < 0 or content[position : position + 4] != _CENTRAL_MARK:
        position = offset
    entries: list[Entry] = []
    while len(entries) < MAX_ENTRIES and position + _CENTRAL.size <= len(content):
        mark, bits, _, unpacked, name, extra, comment = _CENTRAL.unpack_from(content, position)
        if mark != _CENTRAL_MARK:
            break
        start = position + _CENTRAL.size
        entries.append(_entry(content[start : start + name], bits, unpacked))
        position = start + name + extra + comment
    return (entries, claimed) if entries or not claimed else None


def _local_entries(content: bytes) -> list[Entry]:
    """The entries that stand one after the other from the first local header on."""
    entries: list[Entry] = []
    position = content.find(_LOCAL_MARK)
    while position >= 0 and len(entries) < MAX_ENTRIES and position + _LOCAL.size <= len(content):
        mark, bits, packed, unpacked, name, extra = _LOCAL.unpack_from(content, position)
        if mark != _LOCAL_MARK:
            break
        start = position + _LOCAL.size
        entries.append(_entry(content[start : start + name], bits, unpacked))
        if bits & _STREAMED and not packed:
            break  # the size stands behind the data; where that ends only unpacking tells
        position = start + name + extra + packed
    return entries


def _entry(name: bytes, bits: int, size: int) -> Entry:
    return Entry(name.decode("utf-8" if bits & _UTF8 else "cp437", "replace"), size, bool(bits & _ENCRYPTED))
