"""Spool: a message on its way in, with bounded memory.

In: pieces of a message. Out: the message, as bytes, or as a view of a file without a name when it is over
1 MB or when all messages that are being received take more memory than they may. Raises OSError when there is
no room on disk.
"""

from __future__ import annotations

import mmap
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

SPOOL_ABOVE = 1_000_000


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


class Spool:
    """One message. `folder` is where its file goes; None is the system's."""

    __slots__ = ("_file", "_folder", "_mapped", "_memory", "_store")

    def __init__(self, memory: Memory, folder: Path | None = None) -> None:
        self._memory = memory
        self._folder = folder
        self._store = bytearray()
        self._file: IO[bytes] | None = None
        self._mapped: tuple[memoryview, MappedMessage] | None = None

    def write(self, piece: bytes | memoryview) -> None:
        if self._file is not None:
            self._file.write(piece)
            return
        self._store += piece
        self._memory.taken += len(piece)
        if len(self._store) > SPOOL_ABOVE or self._memory.taken > self._memory.limit:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  closed by close()
            self._file.write(self._store)
            self._forget()

    def message(self) -> bytes | memoryview:
        """All of it: bytes, or a view of a MappedMessage."""
        if self._file is None:
            return bytes(self._store)
        self._file.flush()
        mapped = MappedMessage(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.file = self._file
        self._mapped = memoryview(mapped), mapped
        return self._mapped[0]

    def close(self) -> None:
        """Forget the message. A view that is still in use keeps its file until it is dropped."""
        self._forget()
        if self._mapped is not None:
            with suppress(BufferError):
                self._mapped[0].release()
                self._mapped[1].close()
            self._mapped = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def _forget(self) -> None:
        self._memory.taken -= len(self._store)
        self._store = bytearray()
