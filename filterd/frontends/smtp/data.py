"""Collector: the bytes of DATA on their way in, in bulk, with bounded memory.

In: chunks as the socket gives them, cut anywhere. Out: a message in wire form (CRLF lines only, no NUL, dots
unstuffed), or the trouble it is in. The data ends at CRLF.CRLF and nowhere else (RFC 5321 section 4.1.1.4),
so that no other ending can smuggle a second message; a line is only what CRLF ends, so dots are unstuffed by
the same rule. Linear in size: every byte is looked at a fixed number of times by C code. What is over 1 MB
goes to a file without a name.
"""

from __future__ import annotations

import enum
import mmap
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

_END = b"\r\n.\r\n"
SPOOL_ABOVE = 1_000_000


class Trouble(enum.StrEnum):
    """Why a message cannot be taken. It is drained to its end, for there the reply is expected."""

    SIZE = "size"
    NUL = "nul"
    BARE = "bare"
    STORAGE = "storage"


class Memory:
    """How much memory all messages that are being received share."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0


class MappedMessage(mmap.mmap):
    """A message in a file without a name, mapped for reading; `file` can be passed on by its descriptor."""

    file: IO[bytes]

    def fileno(self) -> int:
        return self.file.fileno()


class Collector:
    """One message being received."""

    def __init__(self, limit: int, memory: Memory, *, normalize: bool = True, spool: Path | None = None) -> None:
        self.received = 0  # octets from the wire, for the rate
        self.size = 0  # of the message
        self.trouble: Trouble | None = None
        self._limit = limit
        self._memory = memory
        self._normalize = normalize
        self._spool = spool
        self._held = b"\r\n"  # the CRLF of the DATA command: a dot at the start is at the start of a line
        self._begun = False
        self._store = bytearray()
        self._file: IO[bytes] | None = None
        self._mapped: tuple[memoryview, MappedMessage] | None = None

    def feed(self, chunk: bytes) -> bytes | None:
        """Take a chunk. None: more is needed; else the data has ended, and this is what followed it."""
        self.received += len(chunk)
        chunk = self._held + chunk
        end = chunk.find(_END)
        if end >= 0:
            self._add(chunk[: end + 2])
            return chunk[end + len(_END) :]
        for length in (4, 3, 2, 1):
            if chunk.endswith(_END[:length]):
                self._held = chunk[-length:]
                self._add(chunk[:-length])
                return None
        self._held = b""
        self._add(chunk)
        return None

    def message(self) -> bytes | memoryview:
        """The message, when there was no trouble: bytes, or a view of a MappedMessage. Raises OSError."""
        if self._file is None:
            return bytes(self._store)
        self._file.flush()
        mapped = MappedMessage(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.file = self._file
        self._mapped = memoryview(mapped), mapped
        return self._mapped[0]

    def close(self) -> None:
        """Forget the message. A view that is still in use keeps its file until it is dropped."""
        self._memory.taken -= len(self._store)
        self._store = bytearray()
        if self._mapped is not None:
            with suppress(BufferError):
                self._mapped[0].release()
                self._mapped[1].close()
            self._mapped = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(self, piece: bytes) -> None:
        """A piece that ends neither within CRLF nor within CRLF-dot."""
        if not piece or self.trouble is not None:
            return
        if b"\0" in piece:
            return self._fail(Trouble.NUL)
        piece = piece.replace(b"\r\n.", b"\r\n")  # RFC 5321 section 4.5.2
        if not self._begun:
            self._begun = True
            piece = piece[2:]
        lines = piece.count(b"\r\n")
        if piece.count(b"\n") != lines or piece.count(b"\r") != lines:
            if not self._normalize:
                return self._fail(Trouble.BARE)
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        self.size += len(piece)
        if self.size > self._limit:
            return self._fail(Trouble.SIZE)
        try:
            self._keep(piece)
        except OSError:
            self._fail(Trouble.STORAGE)

    def _keep(self, piece: bytes) -> None:
        if self._file is not None:
            self._file.write(piece)
            return
        self._store += piece
        self._memory.taken += len(piece)
        if len(self._store) > SPOOL_ABOVE or self._memory.taken > self._memory.limit:
            self._file = tempfile.TemporaryFile(dir=self._spool)  # noqa: SIM115  closed by close()
            self._file.write(self._store)
            self._memory.taken -= len(self._store)
            self._store = bytearray()

    def _fail(self, trouble: Trouble) -> None:
        self.close()
        self.trouble = trouble
