"""Shape: what the content fields of one header block say about its body, every reading of them.

In: `Headers`. Out: the types, transfer encodings and file names that some mail client would take it to
have, the likeliest first, and what is wrong with the fields. Never raises.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from filterd.mail import filenames
from filterd.mail.defects import Defect
from filterd.mail.headers import Headers
from filterd.mail.parameters import Parameters, parse_parameters
from filterd.mail.words import decode_words
from filterd.value import Value

_Texts = tuple[str, ...]

_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition")
_MAX_FIELDS = 8
_USUAL = 100  # characters of fields that are worth remembering
_MAX_NAMES = 16
_TYPE = re.compile(r"[a-z0-9!#$&^_.+*'%`{|}~-]+/[a-z0-9!#$&^_.+*'%`{|}~-]+")
_IDENTITY = frozenset({"7bit", "8bit", "binary"})
_ALIASES = {"x-uuencode": "uuencode", "uuencode": "uuencode", "x-uue": "uuencode", "uue": "uuencode"}
_KNOWN = _IDENTITY | {"base64", "quoted-printable"} | _ALIASES.keys()
_IDENTITY_LIKE = re.compile(r"(?:[78]-?bits?|binary)")
_ENCODING = re.compile(r"base64|quoted-printable|uuencode|x-uue")


class ContentType(Value):
    """One reading of Content-Type."""

    type: str  # lower case
    parameters: dict[str, str]
    boundaries: tuple[str, ...] = ()


class Shape(Value):
    """What the fields say."""

    types: tuple[ContentType, ...]
    encodings: tuple[str, ...] = ("7bit",)
    disposition: str = ""
    names: tuple[str, ...] = ()
    defects: frozenset[Defect] = frozenset()


_TEXT = (ContentType("text/plain", {}),)
_MESSAGE = (ContentType("message/rfc822", {}),)
_BARE = Shape(_TEXT)
_BARE_DIGEST = Shape(_MESSAGE)


def shape_of(headers: Headers, digest: bool = False) -> Shape:
    """The shape of a body; in a digest an untyped part is a message (RFC 2046 section 5.1.5)."""
    types, encodings, dispositions = ([field.raw_text for field in headers.all(name)[:_MAX_FIELDS]] for name in _FIELDS)
    if not (types or encodings or dispositions):
        return _BARE_DIGEST if digest else _BARE
    fields = tuple(types), tuple(encodings), tuple(dispositions), digest
    return _usual(*fields) if sum(map(len, types + dispositions)) < _USUAL else _shape(*fields)


def _shape(types: _Texts, encodings: _Texts, dispositions: _Texts, digest: bool) -> Shape:
    defects: set[Defect] = set()
    typed = [parse_parameters(text) for text in types]
    disposed = [parse_parameters(text) for text in dispositions]
    for parsed in (*typed, *disposed):
        defects |= parsed.defects
    kinds: list[ContentType] = []
    for parsed in typed:
        kind = _kind(parsed, defects)
        if kind not in kinds:
            kinds.append(kind)
    if len(kinds) > 1:
        defects.add(Defect.DUPLICATE_CONTENT_TYPE)
    return Shape(
        tuple(kinds) or (_MESSAGE if digest else _TEXT),
        _encodings(encodings, defects),
        disposed[0].head if disposed else "",
        _names(disposed, typed, defects),
        frozenset(defects),
    )


_usual = lru_cache(maxsize=1_024)(_shape)  # most parts are text/plain in UTF-8, or HTML


def _kind(parsed: Parameters, defects: set[Defect]) -> ContentType:
    """One Content-Type; what is no type is text/plain (RFC 2045 section 5.2)."""
    name = parsed.head
    if not _TYPE.fullmatch(name):
        defects.add(Defect.BAD_CONTENT_TYPE)
        if name.startswith("multipart"):
            name = "multipart/mixed"
        elif name.startswith("message"):
            name = "message/rfc822"
        else:
            name = "text/html" if "html" in name else "text/plain"
    boundaries = parsed.every.get("boundary", ()) if name.startswith("multipart/") else ()
    return ContentType(name, parsed.first, boundaries)


def _encodings(values: _Texts, defects: set[Defect]) -> tuple[str, ...]:
    """The encodings that readers may apply; an unknown one is read as it is and as what it resembles."""
    found: list[str] = []
    for value in values:
        token = value.lower().strip(" \t")
        if token in _KNOWN:
            found.append(_ALIASES.get(token, token))
            continue
        if _IDENTITY_LIKE.fullmatch(token):
            found.append("8bit")
            continue
        defects.add(Defect.UNKNOWN_ENCODING)
        resembled = _ENCODING.search(token)
        if resembled:
            found.append(_ALIASES.get(resembled[0], resembled[0]))
        found.append("8bit")
    effects = list(dict.fromkeys("8bit" if encoding in _IDENTITY else encoding for encoding in found))
    if len(values) > 1 and len(effects) > 1:
        defects.add(Defect.DUPLICATE_ENCODING)
    if len(effects) == 1:
        return (found[0],)
    return tuple(effects) or ("7bit",)


def _names(disposed: list[Parameters], typed: list[Parameters], defects: set[Defect]) -> tuple[str, ...]:
    """Every file name: Content-Disposition's (RFC 2183 section 2.3) before Content-Type's."""
    names: list[str] = []
    for parsed, key in [(p, "filename") for p in disposed] + [(p, "name") for p in typed]:
        names += (value.strip() for value in parsed.every.get(key, ()) if value.strip())
    distinct = tuple(dict.fromkeys(names))[:_MAX_NAMES]
    unescaped = {name.replace("\\", "") for name in distinct if "\\" in name}  # a path, read two ways
    shown = {_as_shown(name) for name in distinct if name not in unescaped}
    if len(shown) > 1:
        defects.add(Defect.NAMES_DIFFER)
    return distinct


def _as_shown(name: str) -> str:
    """A file name as far as a reader can tell it from another."""
    return unicodedata.normalize("NFC", filenames.base(decode_words(name))).strip("\"' ").casefold()
