"""Changes: notices that a list, a rule, the certificate or another file that a configuration names is another one on
disk, so that nobody has to reload by hand.

In: a configuration, and looks now and then. Out: the names of the files that changed. The configuration file itself is
not looked at: what is half written there is its author's to take over. Never raises; a file that cannot be seen is one
that is not there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from filterd.config.load import Loaded

Mark = tuple[int, int, int]  # time of the last change, size, inode


class Changes:
    """What the files were like at the last look."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._known = self._marks()
        self._last = self._known

    def look(self) -> tuple[str, ...]:
        """The files that are others than known, once they stay as they are for two looks; then they are known."""
        marks = self._marks()
        settled, self._last = marks == self._last, marks
        if not settled or marks == self._known:
            return ()
        names = {name for name, _ in marks.items() ^ self._known.items()}
        self._known = marks
        return tuple(sorted(names))

    def _marks(self) -> dict[str, Mark]:
        found: dict[str, Mark] = {}
        for path in _files(self._loaded):
            try:
                state = path.stat()
            except OSError:
                continue
            found[str(path)] = state.st_mtime_ns, state.st_size, state.st_ino
        return found


def _files(loaded: Loaded) -> Iterator[Path]:
    """Every file that the configuration names and that judging, deciding or the doors depend on."""
    document = loaded.document
    named = document.data if document and isinstance(document.data, dict) else {}
    for key in ("access", "domains", "recipients"):
        if document and isinstance(named.get(key), str):
            yield Path(document.file).parent / named[key]
    tls = loaded.config.tls
    yield from (path for path in (tls.certificate, tls.key, loaded.config.relay.ca) if path is not None)
    for path in loaded.config.rules.paths:
        yield from _listed(path) if path.is_dir() else (path,)
        yield from _listed(path / "lists")


def _listed(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return
    yield from (folder / name for name in names)
