"""Lock: everyone who has the store open shares it; a restore needs it alone.

A file lock (flock) on `filterd.lock` beside the database: it ends with the process that held it, however that
ended.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from filterd.store.words import StoreError, StoreUnavailable

NAME = "filterd.lock"


class Lock:
    def __init__(self, folder: Path, alone: bool = False) -> None:
        """Take the lock in this folder, shared or alone; raises StoreUnavailable when others have it."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the state folder cannot be used: {error}") from error
        try:
            fcntl.flock(self._file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            who = "filterd is running" if alone else "a restore is under way"
            raise StoreUnavailable(f"{who} on {folder}") from error

    @classmethod
    def beside(cls, where: str | Path) -> Lock | None:
        """A shared lock for a store at this URL or folder; None where a server keeps it."""
        if isinstance(where, Path) or "://" not in where:
            return cls(Path(where))
        try:
            url = make_url(where)
        except ArgumentError as error:
            raise StoreError("the database URL cannot be read") from error
        if url.get_backend_name() != "sqlite" or not url.database:
            return None
        return cls(Path(url.database).parent)

    def release(self) -> None:
        """Also the second time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
