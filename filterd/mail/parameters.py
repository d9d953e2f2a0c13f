"""A structured MIME field, `head; name=value; ...` (RFC 2045 section 5.1, RFC 2231), with every reading kept.

In: the unfolded text of the field. Out: the head and, for each parameter, all the values that some reader
could take it to have, the likeliest first. Linear, capped, never raises.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from msgspec import field

from filterd.mail.charsets import decode
from filterd.mail.defects import Defect
from filterd.mail.words import decode_words
from filterd.value import Value

MAX_PARAMETERS = 500
MAX_FIELD = 65_536

_PARAMETER = re.compile(r';([^=;]*+)=[ \t\r\n]*+("(?:[^"\\]++|\\.)*+"?[^;]*+|[^;]*+)', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)("?)(.*)', re.DOTALL)
_COMMENT = re.compile(r"\([^()]*+\)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,4}))?(\*)?")  # RFC 2231 section 4.1: name*0*


class Parameters(Value):
    """What a structured field says."""

    head: str  # lower case, without comments and spaces
    every: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by lower-case name: all readings
    defects: frozenset[Defect] = frozenset()

    @property
    def first(self) -> dict[str, str]:
        """The likeliest value of each parameter."""
        return {name: values[0] for name, values in self.every.items()}

    def get(self, name: str) -> str:
        values = self.every.get(name)
        return values[0] if values else ""


def parse_parameters(text: str) -> Parameters:
    """Read `text`, such as `multipart/mixed; boundary="a b"`."""
    if ";" not in text and "=" not in text and "(" not in text:
        return Parameters(_squeeze(text))
    defects: set[Defect] = set()
    if len(text) > MAX_FIELD:
        text = text[:MAX_FIELD]
        defects.add(Defect.TOO_MANY_PARAMETERS)
    head, semicolon, rest = text.partition(";")
    if "=" in head:  # the semicolon was forgotten
        defects.add(Defect.BAD_PARAMETER)
        head, _, forgotten = head.strip().partition(" ")
        rest = forgotten + semicolon + rest
    plain: dict[str, list[str]] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for number, match in enumerate(_PARAMETER.finditer(";" + rest)):
        if number >= MAX_PARAMETERS:
            defects.add(Defect.TOO_MANY_PARAMETERS)
            break
        name = _name(match[1], defects)
        section = _SECTION.fullmatch(name) if "*" in name else None
        if section is None:
            readings = _readings(match[2], defects)
            if name in plain and readings[0] not in plain[name]:
                defects.add(Defect.DUPLICATE_BOUNDARY if name == "boundary" else Defect.DUPLICATE_PARAMETER)
            plain.setdefault(name, []).extend(readings)
        else:
            value = _readings(match[2], defects)[0]
            pieces = sections.setdefault(section[1], {})
            index = int(section[2] or 0)
            if index in pieces and pieces[index][0] != value:
                defects.add(Defect.DUPLICATE_PARAMETER)
                plain.setdefault(section[1], []).append(_join({0: pieces[index]}))
            pieces[index] = (value, bool(section[3]))
    every = {name: [_join(pieces)] for name, pieces in sections.items()}
    for name, values in plain.items():
        every.setdefault(name, []).extend(values)
    merged = {name: tuple(dict.fromkeys(_worded(values))) for name, values in every.items()}
    return Parameters(_squeeze(head), merged, frozenset(defects))


def _squeeze(head: str) -> str:
    """The head, lower case, without comments, quotes and white space."""
    if "(" in head:
        head = _COMMENT.sub("", head)
    return "".join(head.lower().split()).strip("\"'")


def _name(text: str, defects: set[Defect]) -> str:
    """A parameter's name; of several words the last, for readers skip what is before it."""
    name = text.strip().lower()
    if " " in name or "(" in name or "\t" in name:
        defects.add(Defect.BAD_PARAMETER)
        words = _COMMENT.sub(" ", name).split()
        name = words[-1] if words else ""
    return name


def _readings(raw: str, defects: set[Defect]) -> list[str]:
    """What readers take `raw`, a value as it came, to be; the likeliest first."""
    if not raw.startswith('"'):
        value = raw.strip()
        if not any(character in value for character in ' \t("'):
            return [value]
        defects.add(Defect.BAD_PARAMETER)
        bare = _COMMENT.sub("", value).strip()
        first = (bare.split(None, 1) or [""])[0]
        return [value, bare, first, value.replace('"', "")]
    match = _QUOTED.fullmatch(raw)
    if match is None:
        return [raw]
    inner, closing, after = match[1], match[2], match[3].strip()
    readings = [_ESCAPE.sub(r"\1", inner), inner] if "\\" in inner else [inner]
    if not closing:
        defects.add(Defect.BAD_PARAMETER)
        readings += [inner.partition(";")[0].strip(), '"' + inner.partition(";")[0].strip()]
    elif after and _COMMENT.sub("", after).strip():
        defects.add(Defect.BAD_PARAMETER)
        readings.append(inner + after.replace('"', ""))
    return readings


def _join(pieces: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 sections 3 and 4: sections in the order of their numbers, percent-decoded where marked."""
    charset = ""
    data = bytearray()
    for order, index in enumerate(sorted(pieces)):
        value, extended = pieces[index]
        if extended and order == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        data += unquote_to_bytes(value) if extended else value.encode("utf-8", "replace")
    return decode(bytes(data), charset)[0]


def _worded(values: list[str]) -> list[str]:
    """Values that hold encoded words are read decoded first (readers do, against RFC 2047 section 5)."""
    out: list[str] = []
    for value in values:
        if "=?" in value:
            out.append(decode_words(value))
        out.append(value)
    return out
