"""Inbox: bytes from a client, given out as command lines.

A line ends at CRLF. One that ends in a bare LF, or is too long, is given out as the Reply that refuses it: a
line that another server might end elsewhere is not guessed at. Memory stays under the longest line plus one
chunk.
"""

from __future__ import annotations

from filterd.frontends.smtp import replies
from filterd.reply import Reply

LONGEST_LINE = 4096  # RFC 5321 section 4.5.3.1.4 has 512, extensions add to it
LONGEST_LOGIN = 12_288  # RFC 4954 section 4


class Inbox:
    __slots__ = ("_buffer", "_overlong", "_scanned", "longest")

    def __init__(self) -> None:
        self.longest = LONGEST_LINE
        self._buffer = bytearray()
        self._scanned = 0  # up to here there is no line end
        self._overlong = False  # what comes up to the next line end belongs to a line that was too long

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def within_line(self) -> bool:
        """Has a line begun and not ended?"""
        return bool(self._buffer) or self._overlong

    @property
    def ends_in_quit(self) -> bool:
        """Has the client said the last that it has to say?"""
        return self._buffer[-6:].upper() == b"QUIT\r\n"

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def take(self) -> bytes | Reply | None:
        """The next line without its CRLF, a refusal of it, or None when there is none yet."""
        end = self._buffer.find(b"\n", self._scanned)
        if end < 0:
            if len(self._buffer) > self.longest:
                self._buffer.clear()
                self._overlong = True
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._scanned = 0
        if self._overlong or end > self.longest:
            self._overlong = False
            return replies.LINE_TOO_LONG
        return line[:-1] if line.endswith(b"\r") else replies.BARE_LINE_END

    def take_all(self) -> bytes:
        """Everything that is left, for whoever reads next: DATA, or nobody when TLS begins."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        self._overlong = False
        return rest
