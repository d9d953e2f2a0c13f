"""What nearly equal messages have in common, as four numbers; and a message that is read once for all who ask.

Never raises.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from filterd.mail import Message

_ODD = tuple(np.uint32(0x9E3779B1 * odd % (1 << 32)) for odd in range(1, 32, 2))
_TOGETHER = 4  # hashes in each number: half of the words in common gives a sixteenth of the numbers


@lru_cache(maxsize=1)
def message_of(raw: bytes) -> Message:
    """The message; who learns it, who remembers its sender and who keeps a person's word read it once together."""
    return Message(raw)


def likeness(indices: NDArray[np.uint32]) -> tuple[int, ...]:
    """Four numbers, of which nearly equal messages share most, and others few: the least of some hashes of their
    words, four together (Broder 1997)."""
    if not len(indices):
        return ()
    mixed = indices.astype(np.uint32)
    mixed ^= mixed << np.uint32(13)
    least = [int((mixed * odd ^ odd).min()) for odd in _ODD]
    return tuple(hash((place, *least[place : place + _TOGETHER])) for place in range(0, len(least), _TOGETHER))
