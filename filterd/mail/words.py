"""Encoded words (RFC 2047) in header fields: decoded as readers do, leniently; never an exception; linear.

Bytes of neighbouring words with the same charset are joined before they are decoded, for many senders cut
inside a character. What cannot be decoded stays as it was.
"""

from __future__ import annotations

import binascii
import re

from filterd.mail.charsets import codec, decode

# RFC 2047 section 2; readers accept spaces in the text and a language (RFC 2231 section 5) after the charset.
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*+)\?=")
_MAX_WORDS = 2_000


def decode_words(text: str) -> str:
    """`text` with its encoded words decoded."""
    out: list[str] = []
    pending = bytearray()
    charset = ""
    position = 0
    for number, match in enumerate(_WORD.finditer(text)):
        data = _payload(match[2], match[3])
        if number >= _MAX_WORDS or data is None:
            continue
        between = text[position : match.start()]
        neighbours = bool(pending) and not between.strip(" \t\r\n")
        label = match[1].partition("*")[0].lower()
        if not (neighbours and label == charset):
            if pending:
                out.append(decode(bytes(pending), charset)[0])
                pending.clear()
            if not neighbours:
                out.append(between)
        charset = label
        pending += data
        position = match.end()
    if pending:
        out.append(decode(bytes(pending), charset)[0])
    out.append(text[position:])
    return "".join(out)


def has_bad_word(text: str) -> bool:
    """Is there something that was meant as an encoded word and cannot be decoded?"""
    words = list(_WORD.finditer(text))
    if len(words) > _MAX_WORDS:
        return True
    return any(_payload(m[2], m[3]) is None or codec(m[1].partition("*")[0]) is None for m in words)


def _payload(encoding: str, text: str) -> bytes | None:
    data = text.encode("utf-8", "replace")
    if encoding in "qQ":
        return binascii.a2b_qp(data.replace(b"=\n", b""), header=True)
    try:
        return binascii.a2b_base64(data.rstrip(b"=") + b"==")
    except binascii.Error:
        return None
