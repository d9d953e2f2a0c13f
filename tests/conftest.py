"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("filterd", deadline=None)
settings.load_profile("filterd")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the labelled corpus: `index` and what it names. The tests that ask are skipped without it."""
    folder = os.environ.get("FILTERD_CORPUS")
    if not folder:
        pytest.skip("FILTERD_CORPUS is not set")
    path = Path(folder)
    assert (path / "index").is_file(), f"{path} holds no index"
    return path
