"""Bytes to characters, as a mail client would show them: always text, never an exception, linear.

In: bytes and the charset that was declared, if any. Out: text without NUL and lone surrogates, and a defect
when the declaration was no help. The declared charset comes first (read as generously as browsers do:
iso-8859-1 is windows-1252), then UTF-8, then a guess by chardet on a bounded sample. Codecs and tables are
loaded by `preload`, so that a worker that may open no file decodes what any other process does.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache

import chardet

from filterd.mail.defects import Defect

_SAMPLE = 4_096
_NAME = re.compile(r"[a-z0-9][a-z0-9._:+-]{0,39}", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_META = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?\s{0,9}([\w.:-]{1,40})", re.IGNORECASE)
_ASCII = frozenset({"", "ascii", "us-ascii"})  # no help, once there are other bytes
_PLAIN = _ASCII | {"utf-8", "utf8"}

# The Encoding Standard's reading of labels that are narrower on paper than in mail, and labels Python lacks.
_WIDER = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "gb2312": "gb18030",
    "gb_2312-80": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cp936": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "big5": "big5hkscs",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "unicode-1-1-utf-7": "utf-7",
    "x-unicode-2-0-utf-7": "utf-7",
    "cp-850": "cp850",
    "utf8mb4": "utf-8",
    "unicode": "utf-16",
    "ucs-2": "utf-16",
    "iso-10646-ucs-2": "utf-16",
}
# Codecs that are quadratic, not for text, or read escapes instead of characters.
_REFUSED = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})
_MODULES = frozenset(aliases.values()) | {"koi8_t", "koi8_u", "cp720", "cp737", "cp874", "utf_8_sig"}
# One of each kind that the guesser has tables for, so that it loads them all; the first has many pairs of letters.
_CYRILLIC = "абвгдежзиклмнопрстуфхцчшщъыьэюя"
_SAMPLES = (
    ("".join(first + second for first in _CYRILLIC for second in _CYRILLIC), "cp1251"),
    ("Déjà vu, ça va très bien là-bas, garçon. ", "cp1252"),
    ("今日は天気がいいですね。", "cp932"),
    ("plain words ", "utf-16-le"),
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def preload() -> None:
    """Load every codec and table that decoding may need; afterwards nothing here opens a file."""
    for name in {*_MODULES, *_WIDER.values()}:
        codec(name)
    for text, encoding in _SAMPLES:
        chardet.detect(text.encode(encoding) * 20)


def codec(charset: str) -> str | None:
    """The Python codec for a declared charset; None when there is none that reads text."""
    label = charset[:80].strip().strip("'\"").lower()
    return _codec(label) if _NAME.fullmatch(label) else None


@lru_cache(maxsize=512)
def _codec(label: str) -> str | None:
    wider = _WIDER.get(label)
    if wider is not None:
        return wider
    # Not codecs.lookup: it would look for a file of whatever name a sender chose.
    module = re.sub(r"[^a-z0-9]+", "_", label)
    module = aliases.get(module, module)
    if module not in _MODULES:
        return None
    try:
        info = codecs.lookup(module)
    except LookupError:  # one for another system
        return None
    usable = info.name.replace("-", "_") not in _REFUSED and getattr(info, "_is_text_encoding", True)
    return _WIDER.get(info.name, info.name) if usable else None


def decode(content: bytes, declared: str = "", *, html: bool = False, guess: bool = False) -> tuple[str, Defect | None]:
    """The text of `content`.

    With `html`, a meta element may declare the charset where the header did not. With `guess`, one that cannot be
    known is guessed, at the price of a millisecond; else it is taken for windows-1252.
    """
    if content.isascii() and declared.lower() in _PLAIN:
        text = content.decode("ascii")
        return (text.replace("\0", "") if "\0" in text else text), None
    if html and not declared and (meta := _META.search(content, 0, 1_024)):
        declared = meta[1].decode("ascii", "replace")
    text, defect = _decode(content, declared, guess)
    return _clean(text), defect


def _decode(content: bytes, declared: str, guess: bool) -> tuple[str, Defect | None]:
    for mark, marked in _BOMS:
        if content.startswith(mark):
            return content.decode(marked, "replace"), None
    name = codec(declared) if declared else None
    trusted = name if declared.lower() not in _ASCII else None
    for candidate in (trusted, "utf-8"):
        if candidate is not None:
            try:
                return content.decode(candidate), None if name or not declared else Defect.UNKNOWN_CHARSET
            except (UnicodeError, ValueError):
                continue
    if trusted is not None:
        return content.decode(trusted, "replace"), Defect.BAD_CHARACTERS
    return content.decode(_guess(content) if guess else "cp1252", "replace"), Defect.UNKNOWN_CHARSET


def _guess(content: bytes) -> str:
    """The codec that chardet takes the first bytes beyond ASCII for."""
    start = _first_high(content) if content[:_SAMPLE].isascii() else 0
    try:
        found = chardet.detect(content[start : start + _SAMPLE]).get("encoding")
    except (ValueError, LookupError, ArithmeticError, OSError):
        found = None
    return (codec(found) if found else None) or "cp1252"


def _first_high(content: bytes) -> int:
    match = re.search(rb"[\x80-\xff]", content)
    return max(0, match.start() - 64) if match else 0


def _clean(text: str) -> str:
    if "\0" in text:
        text = text.replace("\0", "")
    return _SURROGATE.sub("\ufffd", text) if _SURROGATE.search(text) else text
