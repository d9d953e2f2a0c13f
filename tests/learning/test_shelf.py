"""What lies on a shelf is what was put there, and its file goes with the last that lies in it."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np

from filterd.classifier.site import Example
from filterd.learning.shelf import Shelf
from filterd.value import pack, unpack


def open_files(folder: Path) -> int:
    return sum(
        str(folder) in os.readlink(f"/proc/self/fd/{one}")
        for one in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{one}")
    )


def test_examples_are_equal_and_packed_as_before(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, size=1_000)
    examples = [
        Example.made(str(number), [np.arange(number, dtype=np.uint32), np.arange(7, dtype=np.uint32)], 0.5)
        for number in range(300)
    ]
    kept = [shelf.put(one) for one in examples]
    for one, before in zip(kept, examples, strict=True):
        assert isinstance(one.views[1], memoryview)
        assert one == before
        assert all(map(np.array_equal, one.indices(), before.indices()))
        assert unpack(pack(one), Example) == before
    assert list(tmp_path.iterdir()) == []  # nothing is left behind, whatever becomes of us


def test_a_file_goes_with_the_last_that_lies_in_it(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, size=100)
    kept = [shelf.lay(bytes([number]) * 60) for number in range(20)]
    assert open_files(tmp_path) >= 20
    del kept[:18]
    gc.collect()
    assert open_files(tmp_path) <= 5
    assert [bytes(one) for one in kept] == [bytes([number]) * 60 for number in (18, 19)]


def test_what_is_larger_than_a_file_has_one_for_itself_and_nothing_takes_no_room(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, size=10)
    assert bytes(shelf.lay(b"x" * 1_000)) == b"x" * 1_000
    assert bytes(shelf.lay(b"")) == b""
