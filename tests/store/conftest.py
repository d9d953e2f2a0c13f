"""A store in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.store import RetentionSettings, Store


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Open a store on the test's folder, with these retention settings; closed at the end."""
    opened: list[Store] = []

    def open_(**settings: Any) -> Store:
        store = Store.open(tmp_path / "state", RetentionSettings(**({"min_free": 0} | settings)))
        opened.append(store)
        return store

    yield open_
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()
