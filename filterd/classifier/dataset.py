"""Many messages as arrays: what training and evaluation work on.

In go items and a function that reads one (both are sent to other processes); out come rows of feature
indices. Extraction runs in shards through joblib, so that memory is bounded by the shard and the backend is
the only thing that changes on a cluster: `with joblib.parallel_config("dask"): extract(...)`. Order is that
of the items; the same items give the same arrays with any number of jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack

from filterd.classifier.features import BLOCKS, SIZE, VIEWS, Features
from filterd.classifier.hashing import Hashes
from filterd.mail import Message

SHARD = 250

Item = TypeVar("Item")
Indices = NDArray[np.uint32]
Progress = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Rows:
    """Sorted feature indices, row after row, of one view or block with `size` features."""

    starts: NDArray[np.int64]
    indices: Indices
    size: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> Indices:
        return self.indices[self.starts[row] : self.starts[row + 1]]

    def __iter__(self) -> Iterator[Indices]:
        return (self[row] for row in range(len(self)))

    def matrix(self) -> Any:
        """A scipy CSR matrix, float32, each row of length one."""
        counts = np.diff(self.starts)
        values = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts).astype(np.float32)
        return csr_matrix((values, self.indices.astype(np.int32), self.starts), shape=(len(self), self.size))

    @staticmethod
    def pack(rows: Sequence[Hashes], size: int) -> Rows:
        starts = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
        indices = np.concatenate(rows) if rows else np.empty(0, dtype=np.uint32)
        return Rows(starts, indices.astype(np.uint32, copy=False), size)

    @staticmethod
    def join(parts: Sequence[Rows], size: int) -> Rows:
        rows = np.concatenate([np.diff(part.starts) for part in parts]) if parts else np.empty(0, dtype=np.int64)
        indices = np.concatenate([part.indices for part in parts]) if parts else np.empty(0, dtype=np.uint32)
        return Rows(np.concatenate(([0], np.cumsum(rows))), indices, size)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Every view of the same messages, in the same order."""

    site: tuple[Rows, ...]  # as `Features.site`
    blocks: tuple[Rows, ...]  # as `features.BLOCKS`

    def __len__(self) -> int:
        return len(self.site[0])

    def seen(self, row: int) -> tuple[Indices, ...]:
        return tuple(view[row] for view in self.site)

    def portable(self, row: int) -> tuple[Indices, ...]:
        return tuple(block[row] for block in self.blocks)

    def matrix(self) -> Any:
        """The base model's input: the blocks side by side, as `Model.weights` has them."""
        return hstack([block.matrix() for block in self.blocks], format="csr")

    @staticmethod
    def join(parts: Sequence[Dataset]) -> Dataset:
        return Dataset(
            tuple(Rows.join([part.site[place] for part in parts], SIZE) for place in range(len(VIEWS))),
            tuple(Rows.join([part.blocks[place] for part in parts], block.size) for place, block in enumerate(BLOCKS)),
        )


def extract(
    items: Sequence[Item], read: Callable[[Item], bytes], jobs: int = 1, progress: Progress | None = None
) -> Dataset:
    """The features of every item; `progress` is called with the number done so far."""
    shards = [items[start : start + SHARD] for start in range(0, len(items), SHARD)]
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    parts = []
    done = 0
    for part in parallel(joblib.delayed(_extract_shard)(shard, read) for shard in shards):
        parts.append(part)
        done += len(part)
        if progress is not None:
            progress(done)
    return Dataset.join(parts)


def _extract_shard(items: Sequence[Item], read: Callable[[Item], bytes]) -> Dataset:
    found = [Features(Message(read(item))) for item in items]
    return Dataset(
        tuple(Rows.pack([one.site[place] for one in found], SIZE) for place in range(len(VIEWS))),
        tuple(Rows.pack([one.portable[place] for one in found], block.size) for place, block in enumerate(BLOCKS)),
    )
