"""Shelf: what is looked at now and then, on disk instead of in memory: nameless files, mapped.

In goes an example, or bytes; out comes the same, whose bytes lie in a file. The system keeps of it in memory what there
is room for. A file goes when nothing that lies in it is held any more, and with the process. Raises OSError where the
disk is full.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import cast

from filterd.classifier.site import Example
from filterd.value import replace

FILE = 64_000_000  # bytes


class Shelf:
    def __init__(self, folder: Path | None = None, size: int = FILE) -> None:
        """The files are in `folder`, of so many bytes each."""
        self._folder = folder
        self._size = size
        self._map: mmap.mmap | None = None
        self._used = self._length = 0
        self._file = -1
        self._close: Callable[[], object] = lambda: None

    def put(self, example: Example) -> Example:
        """Its views are on the shelf."""
        return replace(example, views=tuple(cast("bytes", self.lay(view)) for view in example.views))

    def lay(self, data: bytes) -> memoryview:
        """These bytes, on the shelf."""
        if self._map is None or self._used + len(data) > self._length:
            self._map = self._next(max(self._size, len(data), 1))
        start, left = self._used, memoryview(data)
        while left:  # through the file: a full disk is an error here, and a signal where one writes to the map
            written = os.pwrite(self._file, left, self._used)
            self._used, left = self._used + written, left[written:]
        return memoryview(self._map)[start : self._used]

    def _next(self, length: int) -> mmap.mmap:
        """Another file; its map holds it open for whoever looks into it, we while we write."""
        self._close()
        self._file, path = tempfile.mkstemp(dir=self._folder, prefix="shelf-")
        self._close = weakref.finalize(self, os.close, self._file)
        os.unlink(path)
        os.truncate(self._file, length)
        self._used, self._length = 0, length
        return mmap.mmap(self._file, length, access=mmap.ACCESS_READ)
