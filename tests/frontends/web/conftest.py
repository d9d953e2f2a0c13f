"""A store in a folder of its own, and the pages over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from filterd.frontends.web import Site
from filterd.frontends.web.language import LANGUAGES, Catalogue, catalogue
from filterd.store import RetentionSettings, Store
from tests.frontends.web.browsing import Pages, serving_pages
from tests.frontends.web.visitor import site_of
from tests.peers import require


@pytest.fixture(autouse=True)
def everything_said(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test has a page say is in every catalogue."""
    known = [catalogue(code).texts for code in LANGUAGES if code != "en"]
    say, missing = Catalogue.say, set()

    def heard(self: Catalogue, text: str, /, **values: object) -> str:
        if text and not all(text in texts for texts in known):
            missing.add(text)
        return say(self, text, **values)

    monkeypatch.setattr(Catalogue, "say", heard)
    yield
    assert not missing


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
