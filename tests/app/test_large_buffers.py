"""Large buffers go back to the system when they are freed, also after larger ones were."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, sys
from filterd.app.run import give_large_buffers_back

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]

class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd f g h i j".split()]

libc.mallinfo2.restype = Info
if sys.argv[1] == "given back":
    give_large_buffers_back()
libc.free(libc.malloc(1 << 20))
before = libc.mallinfo2().hblks
for _ in range(64):  # more than free room in the heap may have been found for
    libc.malloc(256 << 10)
print(libc.mallinfo2().hblks - before > 32)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt and mallinfo2 are glibc's")
@pytest.mark.parametrize(("how", "mapped"), [("left alone", "False"), ("given back", "True")])
def test_buffers_after_a_larger_one(how: str, mapped: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == mapped
