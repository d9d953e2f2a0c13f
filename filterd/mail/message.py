"""Message: the raw bytes, never changed, and a lazy, cached, never-raising view of them."""

from __future__ import annotations


class Message:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
