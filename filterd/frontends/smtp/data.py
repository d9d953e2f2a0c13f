"""Collector: the bytes of a message on their way in, in bulk, with bounded memory.

In: chunks as the socket gives them, cut anywhere. Out: a message in wire form (CRLF lines only, no NUL), or the
trouble it is in. `Dotted` is DATA: it ends at CRLF.CRLF and nowhere else (RFC 5321 section 4.1.1.4), so that no
other ending can smuggle a second message; a line is only what CRLF ends, so dots are unstuffed by the same rule.
`Counted` is BDAT (RFC 3030): it ends where the client said, whatever the octets are. Linear in size: every byte
is looked at a fixed number of times by C code. What is over 1 MB goes to a file without a name.
"""

from __future__ import annotations

import enum
from pathlib import Path

from filterd.frontends.spool import Memory, Spool

_END = b"\r\n.\r\n"


class Trouble(enum.StrEnum):
    """Why a message cannot be taken. It is drained to its end, for there the reply is expected."""

    SIZE = "size"
    NUL = "nul"
    BARE = "bare"
    STORAGE = "storage"


class Collector:
    """One message being received."""

    def __init__(self, limit: int, memory: Memory, *, normalize: bool = True, spool: Path | None = None) -> None:
        self.received = 0  # octets from the wire, for the rate
        self.size = 0  # of the message
        self.trouble: Trouble | None = None
        self._limit = limit
        self._normalize = normalize
        self._spool = Spool(memory, spool)

    def feed(self, chunk: bytes) -> bytes | None:
        """Take a chunk. None: more is needed; else the data has ended, and this is what followed it."""
        raise NotImplementedError

    def message(self) -> bytes | memoryview:
        """The message, when there was no trouble: bytes, or a view of a MappedMessage. Raises OSError."""
        return self._spool.message()

    def close(self) -> None:
        """Forget the message. A view that is still in use keeps its file until it is dropped."""
        self._spool.close()

    def _keep(self, piece: bytes) -> None:
        """A piece of the message that does not end within CRLF."""
        if self.trouble is not None:
            return
        if b"\0" in piece:
            return self._fail(Trouble.NUL)
        lines = piece.count(b"\r\n")
        if piece.count(b"\n") != lines or piece.count(b"\r") != lines:
            if not self._normalize:
                return self._fail(Trouble.BARE)
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        self.size += len(piece)
        if self.size > self._limit:
            return self._fail(Trouble.SIZE)
        try:
            self._spool.write(piece)
        except OSError:
            self._fail(Trouble.STORAGE)

    def _fail(self, trouble: Trouble) -> None:
        self.close()
        self.trouble = self.trouble or trouble


class Dotted(Collector):
    """The data after DATA."""

    def __init__(self, limit: int, memory: Memory, *, normalize: bool = True, spool: Path | None = None) -> None:
        super().__init__(limit, memory, normalize=normalize, spool=spool)
        self._held = b"\r\n"  # the CRLF of the DATA command: a dot at the start is at the start of a line
        self._begun = False

    def feed(self, chunk: bytes) -> bytes | None:
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

    def _add(self, piece: bytes) -> None:
        """A piece that ends neither within CRLF nor within CRLF-dot."""
        if not piece or self.trouble is not None:
            return
        piece = piece.replace(b"\r\n.", b"\r\n")  # RFC 5321 section 4.5.2
        if not self._begun:
            self._begun = True
            piece = piece[2:]
        self._keep(piece)


class Counted(Collector):
    """The octets after each BDAT of a message."""

    def __init__(self, limit: int, memory: Memory, *, normalize: bool = True, spool: Path | None = None) -> None:
        super().__init__(limit, memory, normalize=normalize, spool=spool)
        self.chunks = 0
        self._left = 0
        self._last = False
        self._held = b""  # a CR at the end of a piece waits for its LF
        self._ended = True  # with CRLF, so far

    def discard(self) -> None:
        """Store nothing of what comes."""
        self._fail(Trouble.STORAGE)

    def expect(self, size: int, *, last: bool) -> None:
        """So many octets come next. What would be too large is not stored at all."""
        self.chunks += 1
        self._left = size
        self._last = last
        if self.size + size > self._limit:
            self._fail(Trouble.SIZE)

    def feed(self, chunk: bytes) -> bytes | None:
        taken, rest = chunk[: self._left], chunk[self._left :]
        self.received += len(taken)
        self._left -= len(taken)
        piece = self._held + taken
        self._held = b""
        if piece.endswith(b"\r"):
            self._held, piece = b"\r", piece[:-1]
        self._add(piece)
        if self._left:
            return None
        if self._last:
            self._add(self._held)
            if not self._ended:
                self._add(b"\r\n")  # as DATA would have it; RFC 6376 section 3.4.3 takes it for given, too
        return rest

    def _add(self, piece: bytes) -> None:
        if piece:
            self._ended = piece.endswith((b"\n", b"\r"))
            self._keep(piece)
