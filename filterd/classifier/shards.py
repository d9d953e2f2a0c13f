"""Work on many things in shards, on several processes: joblib, and nothing else, knows where.

In go things as they come and a function for a list of them; out come its answers, in order. Few shards are under way
at a time, so memory is bounded by the shard; one shard is done right here. `on_cluster` moves it all to a cluster.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

SHARD = 250
_PATIENCE = 10  # seconds for a scheduler to answer

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_shards(
    items: Iterable[Item], work: Callable[[list[Item]], Answer], jobs: int = 1, size: int = SHARD
) -> Iterator[Answer]:
    """What `work` makes of each shard. With more than one job both must be picklable."""
    shards = cut(iter(items), size)
    first = list(itertools.islice(shards, 2))
    if jobs == 1 or len(first) < 2:
        yield from map(work, itertools.chain(first, shards))
        return
    import joblib

    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator", pre_dispatch="2*n_jobs")
    yield from parallel(joblib.delayed(work)(shard) for shard in itertools.chain(first, shards))


@contextlib.contextmanager
def on_cluster(address: str) -> Iterator[None]:
    """Shards go to the workers of this Dask scheduler while the context is open. Needs the extra `dask`; raises
    ModuleNotFoundError without it, OSError when nobody answers.
    """
    import joblib
    from distributed import Client

    with Client(address, timeout=_PATIENCE), joblib.parallel_config("dask"):
        yield


def cut(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Lists of so many, the last of what is left."""
    while shard := list(itertools.islice(items, size)):
        yield shard
