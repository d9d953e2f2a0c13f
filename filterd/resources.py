"""Where the shipped rules and models are: package data when installed, the sibling folder in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """The shipped folder `name` ("rules" or "models"); raises FileNotFoundError when the installation is broken."""
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"filterd's own {name}/ folder is missing; the installation is incomplete")
