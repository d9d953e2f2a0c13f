"""Text that strangers wrote, made safe for a line of a log or a terminal. Pure."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` on one line that drives nothing: control, direction and surrogate characters as `\\u{1b}`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == " " else f"\\u{{{ord(one):x}}}" for one in text)
