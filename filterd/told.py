"""Told: an error whose text is what the postmaster should read, in one sentence.

The command line prints it as it is; any other exception is a bug of ours, and is said to be one.
"""

from __future__ import annotations


class Told(Exception):
    """The base of every error that is somebody's to mend, and not ours."""
