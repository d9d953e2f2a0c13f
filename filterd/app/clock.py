"""Does anything keep this machine's clock right? The kernel knows (adjtimex(2))."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

_TIME_ERROR = 5
_SIZE = 512  # bytes; more than struct timex has on any platform


def is_synchronised() -> bool | None:
    """None where the kernel cannot be asked."""
    if sys.platform != "linux":
        return None
    name = ctypes.util.find_library("c")
    try:
        adjtimex = ctypes.CDLL(name or None).adjtimex
    except (OSError, AttributeError):
        return None
    state = adjtimex(ctypes.create_string_buffer(_SIZE))  # modes 0: only look
    return None if state < 0 else bool(state != _TIME_ERROR)
