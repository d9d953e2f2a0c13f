"""The mapped files of the site model, when an earlier release or a damage left others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from filterd.classifier import Live
from filterd.classifier.site import Example, SiteModel


def taught(state: Path) -> Path:
    """A folder with a model that learnt one label of each class."""
    folder = Live.prepare(state)
    site = SiteModel()
    for place, spam in enumerate((True, False)):
        views = [np.arange(9, dtype=np.uint32) + 20 * place for _ in site.learners]
        site.learn(Example.made(f"{place:064x}", views), spam)
    Live(folder, writable=True).publish(site, 2)
    return folder


def test_what_fits_is_kept(tmp_path: Path) -> None:
    taught(tmp_path)
    assert Live(Live.prepare(tmp_path)).taught


@pytest.mark.parametrize("name", ["weights.npy", "squares.npy", "numbers.npy"])
def test_files_of_an_earlier_release_are_made_again(tmp_path: Path, name: str) -> None:
    folder = taught(tmp_path)
    np.save(folder / name, np.ones((2, 8), dtype=np.float32))
    live = Live(Live.prepare(tmp_path))
    assert not live.taught


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    folder = taught(tmp_path)
    (folder / "weights.npy").write_bytes(b"\x93NUMPY\x01")
    assert not Live(Live.prepare(tmp_path)).taught
