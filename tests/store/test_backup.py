"""Backup and restore: whole, online, and never half."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import tarfile
import threading
from pathlib import Path

import pytest

from filterd.store import Store, StoreError, StoreUnavailable
from filterd.store.backup import MANIFEST, backup, restore
from tests.store.stored import SPAM, held, make_record
from tests.store.test_failures import orphans


def fill(store: Store, count: int, start: int = 0) -> list[str]:
    async def hold() -> list[tuple[str, ...]]:
        return await asyncio.gather(
            *(store.hold(make_record(), SPAM + b"%d" % n, held()) for n in range(start, start + count))
        )

    return [one for ids in asyncio.run(hold()) for one in ids]


def test_there_and_back(store: Store, tmp_path: Path) -> None:
    state, file = tmp_path / "state", tmp_path / "backup.tar"
    ids = fill(store, 20)
    (state / "secret").write_bytes(b"key")
    (state / "models" / "site").mkdir(parents=True)
    (state / "models" / "site" / "weights").write_bytes(b"w" * 100_000)
    (state / ".scratch").write_bytes(b"x")
    (state / "link").symlink_to("/etc/passwd")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(state / "control"))
        assert backup(store.database, state, file) == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    fill(store, 5, start=100)
    store.close()
    aside = restore(file, state)
    assert aside
    assert (aside / "filterd.db").exists()
    assert sorted(path.name for path in state.iterdir() if path != aside) == [
        ".scratch",
        "control",
        "filterd.db",
        "filterd.lock",
        "models",
        "secret",
    ]
    assert (state / "secret").read_bytes() == b"key"
    assert (state / "models" / "site" / "weights").read_bytes() == b"w" * 100_000
    assert orphans(state) == {}
    again = Store.open(state, min_free=0)
    assert {item.id for item in again.quarantine.each()} == set(ids)
    assert len(fill(again, 3, start=200)) == 3
    again.close()


def test_into_an_empty_folder(store: Store, tmp_path: Path) -> None:
    ids = fill(store, 3)
    backup(store.database, tmp_path / "state", tmp_path / "b.tar")
    assert restore(tmp_path / "b.tar", tmp_path / "elsewhere") is None
    again = Store.open(tmp_path / "elsewhere")
    assert again.quarantine.raw(ids[0])
    again.close()


def test_while_mail_flows(store: Store, tmp_path: Path) -> None:
    fill(store, 50)
    stop, errors = threading.Event(), []

    def flow() -> None:
        number = 1000
        while not stop.is_set():
            try:
                fill(store, 5, number)
            except StoreUnavailable as error:
                errors.append(error)
            number += 5

    mail = threading.Thread(target=flow)
    mail.start()
    for n in range(3):
        backup(store.database, tmp_path / "state", tmp_path / f"{n}.tar")
    stop.set()
    mail.join()
    assert not errors
    for n in range(3):
        restore(tmp_path / f"{n}.tar", tmp_path / f"restored{n}")
        assert orphans(tmp_path / f"restored{n}") == {}


def test_not_while_filterd_runs(store: Store, tmp_path: Path) -> None:
    backup(store.database, tmp_path / "state", tmp_path / "b.tar")
    with pytest.raises(StoreUnavailable, match="filterd is running"):
        restore(tmp_path / "b.tar", tmp_path / "state")


def evil(file: Path, members: dict[str, bytes], link: str = "") -> None:
    with tarfile.open(file, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo("link")
            info.type, info.linkname = tarfile.SYMTYPE, link
            tar.addfile(info)


GOOD = json.dumps({"format": 1, "schema": "0001"}).encode()


@pytest.mark.parametrize(
    ("members", "link", "sentence"),
    [
        ({}, "", "not a backup"),
        ({"other": b""}, "", "not a backup"),
        ({MANIFEST: b"[]"}, "", "not a backup"),
        ({MANIFEST: b"\xff"}, "", "not a backup"),
        ({MANIFEST: b'{"format": 2}'}, "", "newer filterd"),
        ({MANIFEST: b'{"format": 1, "schema": "9999"}'}, "", "newer filterd"),
        ({MANIFEST: GOOD}, "", "holds no database"),
        ({MANIFEST: GOOD, "filterd.db": b"junk" * 5000}, "", "not a database"),
        ({MANIFEST: GOOD, "../evil": b"x"}, "", "holds '../evil'"),
        ({MANIFEST: GOOD, "/evil": b"x"}, "", "evil'"),
        ({MANIFEST: GOOD}, "/etc/passwd", "holds 'link'"),
    ],
)
def test_what_is_no_backup_changes_nothing(tmp_path: Path, members: dict[str, bytes], link: str, sentence: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "secret").write_bytes(b"as it was")
    evil(tmp_path / "b.tar", members, link)
    with pytest.raises(StoreError, match=sentence):
        restore(tmp_path / "b.tar", state)
    assert sorted(path.name for path in state.iterdir()) == ["filterd.lock", "secret"]
    assert (state / "secret").read_bytes() == b"as it was"
    assert not (tmp_path / "evil").exists()


def test_a_truncated_backup_changes_nothing(store: Store, tmp_path: Path) -> None:
    fill(store, 10)
    backup(store.database, tmp_path / "state", tmp_path / "b.tar")
    whole = (tmp_path / "b.tar").read_bytes()
    for share in (0.3, 0.6, 0.9):
        (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(StoreError):
            restore(tmp_path / "cut.tar", tmp_path / "elsewhere")
        assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["filterd.lock"]


def test_a_device_is_not_replaced(store: Store, tmp_path: Path) -> None:
    device = tmp_path / "tape"
    os.mkfifo(device)
    with pytest.raises(StoreError, match="no plain file"):
        backup(store.database, tmp_path / "state", device)
    assert device.is_fifo()


def test_where_it_cannot_be_written(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="could not be written"):
        backup(store.database, tmp_path / "state", tmp_path / "nowhere" / "b.tar")
    assert not (tmp_path / "nowhere").exists()
