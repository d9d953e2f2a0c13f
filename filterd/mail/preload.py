"""Load all that reading may ever need, so that a worker that can open no file reads as others do."""

from __future__ import annotations

from filterd.mail import charsets, domains


def preload() -> None:
    """Load codecs and tables now. Call it before the limits on files and descriptors close the door."""
    charsets.preload()
    domains.preload()
