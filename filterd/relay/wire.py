"""The bytes of a message on their way out: checked, never normalised, in pieces of bounded size.

In: chunks in wire form (CRLF lines). A bare CR or LF here is a bug of ours, for the front end normalised or
refused it before anything was hashed: `BareNewline` is raised and nothing after it may be sent. Linear in
size; a message without a dot at the start of a line, and with a final CRLF, leaves byte-identical.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

PIECE = 1 << 17
END = b".\r\n"


class BareNewline(Exception):
    """The content holds a CR without LF, or an LF without CR."""


def pieces(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The content in pieces that never end between CR and LF, with a final CRLF when it had none."""
    held = b""  # a CR at the end of a piece waits for its LF
    ended = True
    for piece in _sliced(chunks):
        piece = held + piece if held else piece
        held = b""
        if piece.endswith(b"\r"):
            held, piece = b"\r", piece[:-1]
        lines = piece.count(b"\r\n")
        if piece.count(b"\r") != lines or piece.count(b"\n") != lines:
            raise BareNewline
        if piece:
            ended = piece.endswith(b"\n")
            yield piece
    if held:
        raise BareNewline
    if not ended:
        yield b"\r\n"


def stuffed(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """The content as DATA wants it (RFC 5321 section 4.5.2), the final dot included."""
    at_line_start = True
    for piece in pieces(chunks):
        if at_line_start and piece.startswith(b"."):
            yield b"."
        yield piece.replace(b"\r\n.", b"\r\n..")
        at_line_start = piece.endswith(b"\n")
    yield END


def _sliced(chunks: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    for chunk in chunks:
        if len(chunk) <= PIECE:
            yield bytes(chunk)
            continue
        view = memoryview(chunk)
        for start in range(0, len(view), PIECE):
            yield bytes(view[start : start + PIECE])
