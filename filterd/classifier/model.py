"""The base model: what the shipped or trained arrays say about a message.

In goes a Mail; out comes an Opinion: a calibrated probability, points within the cap, and the evidence that
adds up to them. A hash, a sum of weights, and a look into a table; scikit-learn has no part in it.
`load_model` verifies before it parses and raises ModelError; `opinion` never raises, and is finite and
quick for any message, for it reads bounded parts of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from filterd.classifier.explain import explain
from filterd.classifier.features import BLOCKS, PORTABLE_SIZE, VERSION, Features
from filterd.classifier.hashing import Hashes
from filterd.classifier.learner import logistic
from filterd.classifier.manifest import Array, Manifest, ModelError, read_folder
from filterd.classifier.points import SLOPE, exact_points, points
from filterd.mail import Mail
from filterd.record import Opinion
from filterd.resources import shipped
from filterd.settings import Settings

WEIGHTS = "weights"  # float16, PORTABLE_SIZE
CURVE = "calibration"  # float32, (2, knots): scores in rising order, and the calibrated log-odds of each
_FARTHEST = 1e4  # no weight and no knot is larger


class ModelSettings(Settings):
    """Which model judges."""

    path: str | None = Field(None, description="Folder of the base model. null: the one shipped with filterd.")


@dataclass(frozen=True, eq=False)
class Model:
    """A base model in memory. `weights` are float32; the bias is part of the calibration curve."""

    manifest: Manifest
    weights: NDArray[np.float32]
    scores: NDArray[np.float64]  # of the curve's knots
    calibrated: NDArray[np.float64]  # log-odds at them

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def indifference(self) -> float:
        """The score at which it knows nothing: calibrated log-odds of 0."""
        return float(np.interp(0.0, self.calibrated, self.scores))

    def score(self, portable: Sequence[Hashes]) -> float:
        """The raw sum; comparable only within this model."""
        return sum(
            float(self.weights[found + np.uint32(block.offset)].sum()) / math.sqrt(len(found))
            for block, found in zip(BLOCKS, portable, strict=True)
            if len(found)
        )

    def log_odds(self, portable: Sequence[Hashes]) -> float:
        """Of the calibrated probability of spam."""
        return self.calibrate(self.score(portable))

    def calibrate(self, score: float) -> float:
        return float(np.interp(score, self.scores, self.calibrated))

    def opinion(self, mail: Mail) -> Opinion:
        """What it thinks of `mail`; no opinion about an empty message."""
        if not mail.message.raw.strip():
            return Opinion(model=self.id)
        features = Features(mail.message)
        score = self.score(features.portable)
        log_odds = self.calibrate(score)
        away = score - self.indifference
        slope = exact_points(log_odds) / away if abs(away) > 1e-6 else SLOPE
        given = points(log_odds)
        return Opinion(logistic(log_odds), given, self.id, explain(features, self.weights, slope, given))


def load_model(path: str | Path) -> Model:
    """The model in the folder `path`; raises ModelError with one sentence."""
    folder = Path(path)
    manifest, arrays = read_folder(folder)
    if manifest.kind != "base":
        raise ModelError(f"{folder}: a {manifest.kind} model cannot stand where a base model is needed")
    if manifest.features != VERSION:
        raise ModelError(
            f"{folder}: made for feature version {manifest.features}, not {VERSION} as here; train it again"
        )
    return assemble(
        manifest,
        _array(folder, arrays, WEIGHTS, np.dtype(np.float16), (PORTABLE_SIZE,)),
        _rising(folder, _array(folder, arrays, CURVE, np.dtype(np.float32), (2, None))),
    )


def assemble(manifest: Manifest, weights: Array, curve: Array) -> Model:
    """A model from its arrays, as they are in the folder."""
    knots = curve.astype(np.float64)
    return Model(manifest, weights.astype(np.float32), knots[0], knots[1])


def load_shipped_or(settings: ModelSettings) -> Model:
    """The model that the settings name, or the shipped one; raises ModelError."""
    if settings.path is not None:
        return load_model(settings.path)
    try:
        return load_model(shipped("models") / "default")
    except FileNotFoundError as error:
        raise ModelError(str(error)) from error


def _array(
    folder: Path,
    arrays: dict[str, Array],
    name: str,
    kind: np.dtype[np.generic],
    shape: tuple[int | None, ...],
) -> Array:
    """The array `name`, if it is what it must be; None in `shape` is any length."""
    array = arrays.get(name)
    if array is None:
        raise ModelError(f"{folder}: {name}.npy is missing")
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape, strict=True))
    if array.dtype != kind or not fits:
        raise ModelError(f"{folder}: {name}.npy holds {array.dtype} {array.shape}, not {kind} {shape}")
    if not np.isfinite(array).all() or np.abs(array).max(initial=0) > _FARTHEST:
        raise ModelError(f"{folder}: {name}.npy holds numbers that no training makes")
    return array


def _rising(folder: Path, curve: Array) -> Array:
    if curve.shape[1] < 2 or not (np.diff(curve, axis=1) > 0).all():
        raise ModelError(f"{folder}: the calibration does not rise")
    return curve
