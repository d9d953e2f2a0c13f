"""The folder that a model is: manifest.json, its arrays as .npy files, and CARD.md.

`write_folder` makes one under a temporary name and renames it when it is whole, so that a killed training
changes nothing. `read_folder` gives the manifest and arrays back, or raises ModelError with one sentence
for the postmaster. Nothing of a file is parsed before its size and SHA-256 were those of the manifest, and
the manifest's own hash is part of the model's id; no file ever holds a pickle. What was hashed is what is
parsed: a file is read once, into memory.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from filterd.told import Told
from filterd.value import Value

FORMAT = 1
MANIFEST = "manifest.json"
CARD = "CARD.md"
LARGEST = 8_000_000  # bytes of a whole model
_LARGEST_MANIFEST = 200_000

Array = NDArray[Any]


class ModelError(Told):
    """A model that will not be used, and why, in one sentence."""


class FileEntry(Value):
    """One file of the folder as it must be."""

    size: int
    sha256: str


class Manifest(Value, kw_only=True):
    """What a model is, where it came from, and how good it was where. Everything a person may ask of it."""

    id: str = ""  # kind-HASH, the hash being that of the manifest without its id
    format: int = FORMAT
    kind: str  # "base" or "site"
    features: int  # the feature version that it understands
    parents: tuple[str, ...] = ()
    ham: int = 0
    spam: int = 0
    sources: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)  # ham and spam by source
    first: str = ""  # the earliest and latest Date in what it was trained on, ISO 8601
    last: str = ""
    seed: int = 0
    parameters: dict[str, float] = msgspec.field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)  # by protocol, at stated thresholds
    made_with: dict[str, str] = msgspec.field(default_factory=dict)  # versions of what trained it
    files: dict[str, FileEntry] = msgspec.field(default_factory=dict)


def identify(manifest: Manifest) -> str:
    """The id that a manifest must bear."""
    return f"{manifest.kind}-{hashlib.sha256(_encode(_with(manifest, id=''))).hexdigest()[:16]}"


def write_folder(folder: Path, manifest: Manifest, arrays: Mapping[str, Array], card: str) -> Manifest:
    """Put a model where `folder` is, in one rename; returns the manifest with its id and hashes."""
    contents = {f"{name}.npy": _npy(array) for name, array in sorted(arrays.items())}
    contents[CARD] = card.encode()
    entries = {name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()}
    manifest = _with(manifest, files=entries)
    manifest = _with(manifest, id=identify(manifest))
    contents[MANIFEST] = msgspec.json.format(_encode(manifest), indent=2) + b"\n"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".model-", dir=folder.parent) as temporary:
        fresh = Path(temporary) / "new"
        fresh.mkdir(mode=0o755)
        for name, data in contents.items():
            with open(fresh / name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        fresh.rename(folder)
    return manifest


def read_folder(folder: Path) -> tuple[Manifest, dict[str, Array]]:
    """The verified manifest and arrays of the model in `folder`; raises ModelError."""
    _check_private(folder, stat.S_ISDIR, "a folder")
    manifest = _read_manifest(folder / MANIFEST)
    if manifest.format != FORMAT:
        raise ModelError(f"{folder}: model format {manifest.format} is not {FORMAT}, which this filterd reads")
    if manifest.id != identify(manifest):
        raise ModelError(f"{folder}: the manifest was changed after the model was made; its id does not match")
    if sum(entry.size for entry in manifest.files.values()) > LARGEST:
        raise ModelError(f"{folder}: the model is larger than {LARGEST} bytes")
    contents = {name: _read_verified(folder, name, entry) for name, entry in manifest.files.items()}
    return manifest, {
        name.removesuffix(".npy"): _parse(folder / name, data)
        for name, data in contents.items()
        if name.endswith(".npy")
    }


def _encode(manifest: Manifest) -> bytes:
    return msgspec.json.encode(manifest, order="deterministic")


def _with(manifest: Manifest, **changes: Any) -> Manifest:
    """`manifest` with other values, each as it reads back from its file (where a float is declared, 6 is 6.0)."""
    plain = {**msgspec.to_builtins(manifest), **msgspec.to_builtins(changes)}
    return msgspec.json.decode(msgspec.json.encode(plain), type=Manifest)


def _npy(array: Array) -> bytes:
    target = io.BytesIO()
    np.lib.format.write_array(target, np.ascontiguousarray(array), allow_pickle=False)
    return target.getvalue()


def _parse(path: Path, data: bytes) -> Array:
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ModelError(f"{path}: not a plain array: {error}") from error


def _check_private(path: Path, kind: Any, called: str) -> int:
    """The size of `path`, which must be `kind` and not writable by just anyone."""
    try:
        status = path.lstat() if kind is stat.S_ISREG else path.stat()
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error
    if not kind(status.st_mode):
        raise ModelError(f"{path}: not {called}")
    if status.st_mode & stat.S_IWOTH:
        raise ModelError(f"{path}: writable by everyone; a model must be writable by its owner only")
    return status.st_size


def _read(path: Path, most: int) -> bytes:
    if _check_private(path, stat.S_ISREG, "a regular file") > most:
        raise ModelError(f"{path}: larger than the {most} bytes it should have")
    try:
        with open(path, "rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}") from error


def _read_manifest(path: Path) -> Manifest:
    try:
        return msgspec.json.decode(_read(path, _LARGEST_MANIFEST), type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"{path}: not a manifest: {error}") from error


def _read_verified(folder: Path, name: str, entry: FileEntry) -> bytes:
    if Path(name).name != name or name in ("", ".", "..", MANIFEST):
        raise ModelError(f"{folder}: the manifest names {name!r}, which is not a file beside it")
    data = _read(folder / name, entry.size)
    if len(data) != entry.size:
        raise ModelError(f"{folder / name}: {len(data)} bytes, but the manifest says {entry.size}: truncated")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ModelError(f"{folder / name}: its SHA-256 is not the one in the manifest")
    return data
