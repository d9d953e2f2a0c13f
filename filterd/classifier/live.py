"""The site model where every worker sees it: plain arrays in files, mapped into memory.

The one process that learns writes into them (`Live.publish`); the workers map them read-only before they close their
door, and so see each label at once, with no message and no restart. Files are written in place and never cut, for a
worker would die of that. What is half written is a mixture of two good models for less than a millisecond. The labels
in the store are the truth: files that are damaged or behind are simply made again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.classifier.features import SIZE, VERSION, VIEWS, Features
from filterd.classifier.hashing import Hashes
from filterd.classifier.manifest import ModelError
from filterd.classifier.site import Example, SiteModel

FOLDER = "site"  # in the state folder

_ARRAYS = {  # file: kind, shape
    "weights.npy": ("<f4", (len(VIEWS), SIZE)),
    "squares.npy": ("<f4", (len(VIEWS), SIZE)),  # the learner's alone
    "numbers.npy": ("<f8", (32,)),
    "name.npy": ("<u1", (64,)),
}
# places in `numbers`; from _REST on what the learner goes on from
_VERSION, _HAM, _SPAM, _NEWEST, _TRUSTED, _BASE_WEIGHT, _BIASES, _REST = range(8)
_LEFT_OUT = 31
NO_SITE = "site-0"  # the name before the first version was trained


class Live:
    """The mapped arrays. Serving reads them; the one process with `writable` publishes."""

    def __init__(self, folder: Path, *, writable: bool = False) -> None:
        """Map the files of `folder`; raises ModelError."""
        self.folder = folder
        self._weights, self._squares, self._numbers, self._name = mapped(folder, _ARRAYS, writable=writable)

    @staticmethod
    def prepare(state: Path) -> Path:
        """The folder of the live model in the state folder, with files that hold an untaught one if there were none.

        Raises OSError.
        """
        return prepared(state / FOLDER, _ARRAYS)

    @property
    def id(self) -> str:
        """The version that it came from; online labels since then do not change it."""
        return bytes(self._name).rstrip(b"\0").decode("ascii", "replace") or NO_SITE

    @property
    def ham(self) -> int:
        return self._count(_HAM)

    @property
    def spam(self) -> int:
        return self._count(_SPAM)

    @property
    def newest(self) -> int:
        """The key of the newest label in it."""
        return self._count(_NEWEST)

    @property
    def left_out(self) -> int:
        """Labels that are stored and not in it: made by another extraction, and their messages are gone."""
        return self._count(_LEFT_OUT)

    @property
    def taught(self) -> bool:
        """Is there anything in it, learnt from the features that we extract?"""
        return self._numbers[_VERSION] == VERSION and self.ham + self.spam > 0

    @property
    def trusted(self) -> bool:
        return bool(self._numbers[_TRUSTED] == 1.0)

    @property
    def base_weight(self) -> float:
        return min(max(_finite(self._numbers[_BASE_WEIGHT]), 0.0), 1.0)

    @property
    def surest(self) -> float:
        """Log-odds beyond which it is never sure by itself: with n labels of the rarer class, n + 1 to 1."""
        return math.log(min(self.ham, self.spam) + 2)

    def shares(self, view: int, indices: Hashes) -> NDArray[np.float64]:
        """What each of these features of a view adds to the site's log-odds."""
        if not len(indices):
            return np.zeros(0)
        scale = 1 / (math.sqrt(len(indices)) * len(VIEWS))
        shares: NDArray[np.float64] = np.nan_to_num(self._weights[view, indices].astype(np.float64) * scale)
        return shares

    @property
    def bias(self) -> float:
        return _finite(self._numbers[_BIASES])

    def score(self, features: Features) -> float:
        """The site's own log-odds as they come."""
        return self._sum(features.site)

    def judge(self, example: Example) -> float:
        """The log-odds that serving gives this message; the base model's alone before anything was taught."""
        if not self.taught:
            return example.base
        return self.bounded(self._sum(example.indices())) + self.base_weight * example.base

    def bounded(self, score: float) -> float:
        """As far as its labels let it be sure."""
        return min(max(score, -self.surest), self.surest)

    def publish(self, model: SiteModel, newest: int, name: str | None = None, left_out: int = 0) -> None:
        """Let everybody see `model`; `newest` is the key of the newest label in it.

        What it learns afterwards one by one is seen even before the next call.
        """
        learnt = model.learnt()
        for learner, weights, squares in zip(model.learners, self._weights, self._squares, strict=True):
            if not np.shares_memory(learner.weights, weights):  # from now on it learns right here
                weights[:], squares[:] = learner.weights, learner.squares
                learner.weights, learner.squares = weights, squares
        self._numbers[_REST : _REST + len(learnt.rest)] = learnt.rest
        self._numbers[_BIASES] = learnt.bias
        self._numbers[_BASE_WEIGHT] = model.base_weight
        self._numbers[_TRUSTED] = float(model.trusted)
        self._numbers[[_HAM, _SPAM, _NEWEST, _LEFT_OUT, _VERSION]] = model.ham, model.spam, newest, left_out, VERSION
        if name is not None:
            self._name[:] = np.frombuffer(name.encode("ascii")[:64].ljust(64, b"\0"), dtype=np.uint8)

    def resume(self, model: SiteModel) -> None:
        """Give `model`, which holds the same labels or the newest of them, what it had learnt."""
        ham, spam = (max(had - has, 0) for had, has in ((self.ham, model.ham), (self.spam, model.spam)))
        model.resume(self._weights, self._squares, self._numbers[_REST:], ham, spam)

    def _sum(self, views: Sequence[Hashes]) -> float:
        return self.bias + sum(float(self.shares(place, view).sum()) for place, view in enumerate(views))

    def _count(self, place: int) -> int:
        return int(max(_finite(self._numbers[place]), 0.0))


def open_live(state: Path) -> Live | None:
    """The site model in the state folder for reading; None where nobody ever prepared one, or may not read it."""
    try:
        return Live(state / FOLDER)
    except ModelError:
        return None


def prepared(folder: Path, arrays: Mapping[str, tuple[str, tuple[int, ...]]]) -> Path:
    """The folder with these arrays; all of them zeros if one was missing, damaged or of another form (as an earlier
    release had it). Raises OSError.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    try:
        mapped(folder, arrays, writable=False)
    except ModelError:
        for name, (kind, shape) in reversed(
            list(arrays.items())
        ):  # numbers before weights: killed here, it is untaught
            fresh = folder / f".{name}"
            np.lib.format.open_memmap(fresh, mode="w+", dtype=kind, shape=shape).flush()
            fresh.rename(folder / name)
    return folder


def mapped(
    folder: Path, arrays: Mapping[str, tuple[str, tuple[int, ...]]], *, writable: bool
) -> tuple[NDArray[Any], ...]:
    """These arrays (file name: kind, shape), mapped; raises ModelError."""
    found = []
    for name, (kind, shape) in arrays.items():
        try:
            array = np.load(folder / name, mmap_mode="r+" if writable else "r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder}: the site model cannot be mapped: {error}") from error
        if array.dtype != np.dtype(kind) or array.shape != shape:
            raise ModelError(f"{folder / name} is not {kind} {shape}")
        found.append(np.asarray(array))
    return tuple(found)


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
