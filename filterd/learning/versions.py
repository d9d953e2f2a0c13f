"""Versions of the site's model: verified folders beside the live arrays, and which of them was used when.

`keep` writes one (it appears whole, or not at all), `arrays` reads one back after its hashes matched, `note` and
`used` are the log behind rollback. `write_version` and `read_version` do it in any folder. Raises LearningError with
one sentence.
"""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.features import SIZE, VERSION, VIEWS
from filterd.classifier.manifest import Manifest, ModelError, read_folder, write_folder
from filterd.classifier.site import SiteModel
from filterd.learning.words import LearningError

FOLDER = "models"  # in the state folder
LOG = "used.jsonl"
_SHAPE = (len(VIEWS), SIZE)


class Versions:
    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def keep(self, model: SiteModel, manifest: Manifest, card: str) -> Manifest:
        """Write a version; its manifest with the id."""
        fresh = self._folder / ".fresh"
        made = write_version(fresh, model, manifest, card)
        try:
            if not (self._folder / made.id).exists():
                fresh.rename(self._folder / made.id)
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        return made

    def all(self) -> Iterator[Manifest]:
        """Every version that is whole, the latest made last."""
        found = []
        for path in self._folder.glob("site-*"):
            try:
                found.append((path.stat().st_mtime, read_folder(path)[0]))
            except (ModelError, OSError):
                continue
        for _, manifest in sorted(found, key=lambda one: (one[0], one[1].id)):
            yield manifest

    def broken(self) -> Iterator[str]:
        """A sentence for each version that cannot be used."""
        for path in sorted(self._folder.glob("site-*")):
            try:
                self.arrays(path.name)
            except LearningError as error:
                yield str(error)

    def manifest(self, version: str) -> Manifest:
        return _read(self._place(version))[0]

    def card(self, version: str) -> str:
        return (self._place(version) / "CARD.md").read_text()

    def arrays(self, version: str) -> dict[str, NDArray[Any]]:
        """What the version had learnt; verified."""
        return read_version(self._place(version))[1]

    def note(self, version: str) -> None:
        """Remember that this version was taken over now."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / LOG).open("a") as file:
            file.write(json.dumps({"version": version, "time": now}) + "\n")

    def used(self) -> list[str]:
        """The versions in use, the current last; one that was rolled back is none of them."""
        try:
            lines = (self._folder / LOG).read_text().splitlines()
        except FileNotFoundError:
            return []
        found: list[str] = []
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                version = str(json.loads(line)["version"])
                if found[-2:-1] == [version]:
                    found.pop()
                elif found[-1:] != [version]:
                    found.append(version)
        return found

    def _place(self, version: str) -> Path:
        if not version.startswith("site-") or not version.isascii() or not version.replace("-", "").isalnum():
            raise LearningError(f"{version!r} is not the id of a site model")
        return self._folder / version


def write_version(folder: Path, model: SiteModel, manifest: Manifest, card: str) -> Manifest:
    """Write what `model` has learnt; its manifest with the id."""
    learnt = model.learnt()
    arrays: dict[str, NDArray[Any]] = {
        "weights": np.stack(learnt.weights),
        "squares": np.stack(learnt.squares),
        "rest": learnt.rest,
    }
    try:
        return write_folder(folder, manifest, arrays, card)
    except OSError as error:
        raise _unwritten(folder, error) from error


def read_version(folder: Path) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    """What the version in `folder` is and had learnt; verified."""
    manifest, arrays = _read(folder)
    if manifest.features != VERSION:
        raise LearningError(f"{folder.name} was made for feature version {manifest.features}, not {VERSION}")
    for name in ("weights", "squares"):
        if name not in arrays or arrays[name].shape != _SHAPE or not np.isfinite(arrays[name]).all():
            raise LearningError(f"{folder.name}: {name}.npy is not what a site model has")
    if "rest" not in arrays or len(arrays["rest"]) < 2 * len(VIEWS):
        raise LearningError(f"{folder.name}: rest.npy is not what a site model has")
    return manifest, arrays


def opened_version(folder: Path, base_weight: float | None = None) -> SiteModel:
    """The version in `folder`, to judge with and to go on learning; it holds no labels."""
    manifest, arrays = read_version(folder)
    model = SiteModel(base_weight=base_weight)
    model.resume(arrays["weights"], arrays["squares"], arrays["rest"], manifest.ham, manifest.spam)
    return model


def _read(folder: Path) -> tuple[Manifest, dict[str, NDArray[Any]]]:
    try:
        return read_folder(folder)
    except ModelError as error:
        raise LearningError(str(error)) from error


def _unwritten(folder: Path, error: OSError) -> LearningError:
    return LearningError(f"{folder}: the version cannot be written: {error}")
