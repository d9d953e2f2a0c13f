"""Load all that reading a message may ever need, so that a worker that can open no file reads as any other process."""

from __future__ import annotations

from filterd.mail import charsets, domains


def preload() -> None:
    """Load codecs and tables now. Call it before the limits on files and descriptors close the door."""
    charsets.preload()
    domains.preload()
