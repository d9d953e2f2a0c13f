"""A store in a folder of its own, and the pages over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.frontends.web import Site
from filterd.store import RetentionSettings, Store
from tests.frontends.web.browsing import Pages, serving_pages
from tests.frontends.web.visitor import site_of
from tests.peers import require


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "state", RetentionSettings(min_free=0))
    yield store
    store.close()


@pytest.fixture
def site(store: Store) -> Iterator[Site]:
    with site_of(store) as site:
        yield site


@pytest.fixture(scope="package")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """One running service for all that is tried in a browser."""
    require("chromium", package="chromium")
    with serving_pages(tmp_path_factory.mktemp("pages")) as pages:
        yield pages
