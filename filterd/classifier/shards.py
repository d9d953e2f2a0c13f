"""Work on many things in shards, on several processes: joblib, and nothing else, knows where.

In go things as they come and a function for a list of them; out come its answers, in order. Few shards are under way
at a time, so memory is bounded by the shard. `with joblib.parallel_config("dask"): ...` moves it to a cluster.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

SHARD = 250

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_shards(
    items: Iterable[Item], work: Callable[[list[Item]], Answer], jobs: int = 1, size: int = SHARD
) -> Iterator[Answer]:
    """What `work` makes of each shard. With more than one job both must be picklable."""
    shards = _cut(iter(items), size)
    if jobs == 1:
        yield from map(work, shards)
        return
    import joblib

    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    yield from parallel(joblib.delayed(work)(shard) for shard in shards)


def _cut(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while shard := list(itertools.islice(items, size)):
        yield shard
