"""What all tests share."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

settings.register_profile("filterd", deadline=None)
settings.load_profile("filterd")


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Each test leaves the log as it found it, so that none reads another's lines."""
    handlers, level, configured = logging.root.handlers[:], logging.root.level, structlog.get_config()
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.configure(**configured)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the labelled corpus: `index` and what it names. The tests that ask are skipped without it."""
    folder = os.environ.get("FILTERD_CORPUS")
    if not folder:
        pytest.skip("FILTERD_CORPUS is not set")
    path = Path(folder)
    assert (path / "index").is_file(), f"{path} holds no index"
    return path
