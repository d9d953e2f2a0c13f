"""Transfer encodings, undone as mail clients do: junk is skipped, and what follows padding is read.

In: the encoded bytes. Out: the decoded bytes and what was odd about them. Linear, never raises.
"""

from __future__ import annotations

import binascii
import re

from filterd.mail.defects import Defect

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_ALPHABET))
_WHITE = b" \t\r\n"
_MAX_SEGMENTS = 100_000
_UU_BEGIN = re.compile(rb"^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n", re.MULTILINE)
_QP_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)|=[ \t]++\r?\Z")
_QP_JUNK = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")

Decoded = tuple[bytes, frozenset[Defect]]
_NONE: frozenset[Defect] = frozenset()


def decode(raw: bytes, encoding: str) -> Decoded:
    """The content behind a transfer encoding (RFC 2045 section 6); under an unknown one as it stands."""
    if encoding == "base64":
        return decode_base64(raw)
    if encoding == "quoted-printable":
        return decode_quoted_printable(raw)
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return decode_uu(raw)
    return raw, _NONE


def decode_base64(raw: bytes) -> Decoded:
    """RFC 2045 section 6.8: what is not in the alphabet is skipped; after `=` a new quantum begins."""
    defects: set[Defect] = set()
    data = raw.translate(None, _NOT_BASE64)
    if len(data) + sum(map(raw.count, (b" ", b"\t", b"\r", b"\n"))) < len(raw):
        defects.add(Defect.BASE64_JUNK)
    body = data.rstrip(b"=")
    if b"=" not in body:
        if len(body) % 4 == 1:
            defects.add(Defect.BASE64_TRUNCATED)
        return _quanta(body), frozenset(defects)
    defects.add(Defect.BASE64_AFTER_PADDING)
    segments = body.split(b"=", _MAX_SEGMENTS)
    segments[-1] = segments[-1].replace(b"=", b"")
    return b"".join(_quanta(segment) for segment in segments if segment), frozenset(defects)


def _quanta(data: bytes) -> bytes:
    """Decode clean base64; a last character that is no byte yet is dropped."""
    rest = len(data) % 4
    if rest == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


def decode_quoted_printable(raw: bytes) -> Decoded:
    """RFC 2045 section 6.7; white space at line ends is dropped, a stray `=` stays."""
    if b"=" not in raw:
        return raw, _NONE
    defects = frozenset({Defect.QP_JUNK}) if _QP_JUNK.search(raw) else _NONE
    if defects:
        raw = _QP_TRAILING.sub(_soft_break, raw)
    data = raw.replace(b"=\r\n", b"").replace(b"=\n", b"").replace(b"=\r", b"")
    return binascii.a2b_qp(data), defects


def _soft_break(match: re.Match[bytes]) -> bytes:
    return b"=" if match[0].startswith(b"=") else b""


def decode_uu(raw: bytes) -> Decoded:
    """The first uuencoded file in `raw`, or all of it when there is no `begin` line."""
    files = uu_files(raw, 1)
    if files:
        return files[0][1], _NONE
    content, clean = _uu_lines(raw)
    return content, _NONE if clean else frozenset({Defect.UU_JUNK})


def uu_files(raw: bytes, most: int) -> list[tuple[str, bytes]]:
    """Names and contents of files uuencoded in running text."""
    files: list[tuple[str, bytes]] = []
    begin = _UU_BEGIN.search(raw)
    while begin is not None and len(files) < most:
        is_base64 = begin[0].startswith(b"begin-")
        end = raw.find(b"\n====" if is_base64 else b"\nend", begin.end() - 1)
        end = len(raw) if end < 0 else end
        lines = raw[begin.end() : end]
        content = decode_base64(lines)[0] if is_base64 else _uu_lines(lines)[0]
        files.append((begin[1].decode("utf-8", "replace").strip(), content))
        begin = _UU_BEGIN.search(raw, end)
    return files


def _uu_lines(lines: bytes) -> tuple[bytes, bool]:
    """Decode line by line; a bad line is repaired or skipped."""
    out: list[bytes] = []
    clean = True
    for line in lines.split(b"\n"):
        line = line.rstrip(b"\r")
        if not line:
            continue
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            clean = False
            out.append(_uu_repaired(line))
    return b"".join(out), clean


def _uu_repaired(line: bytes) -> bytes:
    """A line whose padding is wrong, as some encoders write it: decode as many bytes as its length says."""
    count = ((line[0] - 32) & 63) * 4 + 5
    try:
        return binascii.a2b_uu(line[: count // 3])
    except binascii.Error:
        return b""
