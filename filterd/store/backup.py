"""Backup: the database and the state folder in one tar file, while mail flows; and back, while it does not.

A backup is one snapshot of the database (SQLite's backup API) and every file of the state folder that is not
scratch; it appears under its name only when it is whole. A restore has the store alone, checks everything
before it touches anything, and moves what was there aside instead of deleting it. Fails with StoreError, one
sentence.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from filterd.store.database import FILE, REVISIONS, Database
from filterd.store.lock import NAME as LOCK
from filterd.store.lock import Lock
from filterd.store.words import StoreError

MANIFEST = "filterd-backup.json"
FORMAT = 1
_DATABASE = (FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal")
_ASIDE = "replaced-"
_LONGEST_MANIFEST = 65_536


def backup(database: Database, state: Path, file: Path) -> int:
    """Write a backup of `database` and of the folder `state` to `file`; its size in bytes."""
    if database.path is None:
        raise StoreError("the database is on a server: back it up with pg_dump, and the state folder with tar")
    if file.exists() and not file.is_file():
        raise StoreError(f"{file} is no plain file: a backup would take its place")
    try:
        with tempfile.TemporaryDirectory(prefix=".filterd-backup-", dir=file.absolute().parent) as folder:
            copy, whole = Path(folder) / FILE, Path(folder) / "backup.tar"
            _snapshot(database.path, copy)
            with open(os.open(whole, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as out:
                with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                    _add(tar, MANIFEST, _manifest())
                    tar.add(copy, FILE, filter=_plain)
                    for path in _state_files(state):
                        _add(tar, path.relative_to(state).as_posix(), path.read_bytes())
                out.flush()
                os.fsync(out.fileno())
            os.replace(whole, file)
            return file.stat().st_size
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise StoreError(f"the backup could not be written: {error}") from error


def restore(file: Path, state: Path) -> Path | None:
    """Put a backup in the place of the folder `state`'s files; where the old ones are now, if there were any."""
    lock = Lock(state, alone=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".filterd-restore-", dir=state) as folder:
            fresh = Path(folder)
            _unpack(file, fresh)
            _check(fresh / FILE)
            return _exchange(fresh, state)
    except tarfile.TarError as error:
        raise StoreError(f"{file} is not a backup of filterd: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{file} could not be restored: {error}") from error
    finally:
        lock.release()


def _snapshot(path: Path, copy: Path) -> None:
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with (
        contextlib.closing(sqlite3.connect(path, timeout=30)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)  # one step: a snapshot that no writer disturbs, or is disturbed by
        target.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it


def _manifest() -> bytes:
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return json.dumps({"format": FORMAT, "schema": REVISIONS[-1], "made": made}).encode()


def _state_files(state: Path) -> Iterator[Path]:
    """Every plain file that must outlive the machine: not the database, locks, sockets and scratch."""
    for path in sorted(state.rglob("*")):
        parts = path.relative_to(state).parts
        scratch = any(part.startswith((".", _ASIDE)) for part in parts)
        ours = len(parts) == 1 and parts[0] in (*_DATABASE, LOCK)
        if not scratch and not ours and path.is_file() and not path.is_symlink():
            yield path


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = _plain(tarfile.TarInfo(name))
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mode, info.uid, info.gid, info.uname, info.gname = 0o600, 0, 0, "", ""
    return info


def _unpack(file: Path, folder: Path) -> None:
    with tarfile.open(file, "r:") as tar:
        first = tar.next()
        _read_manifest(file, tar, first)
        while (info := tar.next()) is not None:
            path = PurePosixPath(info.name)
            if not info.isfile() or path.is_absolute() or ".." in path.parts:
                raise StoreError(f"{file} is not a backup of filterd: it holds {info.name!r}")
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            content = tar.extractfile(info)
            with open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                shutil.copyfileobj(content, out)  # type: ignore[arg-type]
                out.flush()
                os.fsync(out.fileno())


def _read_manifest(file: Path, tar: tarfile.TarFile, info: tarfile.TarInfo | None) -> None:
    content = tar.extractfile(info) if info and info.name == MANIFEST and info.isfile() else None
    try:
        manifest = json.loads(content.read(_LONGEST_MANIFEST)) if content else None
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise StoreError(f"{file} is not a backup of filterd")
    if manifest.get("format") != FORMAT or manifest.get("schema") not in REVISIONS:
        raise StoreError(f"{file} was made by a newer filterd")


def _check(database: Path) -> None:
    if not database.exists():
        raise StoreError("the backup holds no database")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        said = connection.execute("PRAGMA quick_check").fetchone()
    if said != ("ok",):
        raise StoreError(f"the database in the backup is damaged: {said[0] if said else 'unreadable'}")


def _exchange(fresh: Path, state: Path) -> Path | None:
    """Move the old files aside, then the new ones in, the database last."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    aside = state / f"{_ASIDE}{stamp}"
    old = [path for path in state.iterdir() if _is_replaced(path)]
    if old:
        aside.mkdir(mode=0o700)
        for path in old:
            os.rename(path, aside / path.name)
    for path in sorted(fresh.iterdir(), key=lambda one: one.name == FILE):
        os.rename(path, state / path.name)
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return aside if old else None


def _is_replaced(path: Path) -> bool:
    return path.name != LOCK and not path.name.startswith((".", _ASIDE)) and not path.is_socket()
