"""Language: gettext catalogues, read from their .po files, so that there is nothing to compile.

A catalogue is `locale/xx.po`. What it does not have is shown in English. Plural forms are C expressions, evaluated
by the standard library's own parser.
"""

from __future__ import annotations

import ast
import functools
import gettext
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files

LANGUAGES = {"en": "English", "ca": "Català", "pt": "Português", "it": "Italiano"}

_LINE = re.compile(r'(msgid_plural|msgid|msgstr)(?:\[(\d)\])?\s+(".*")|(".*")')
_PLURAL = re.compile(r"plural=([^;\n]+)")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language."""

    code: str
    texts: dict[str, list[str]] = field(default_factory=dict)
    form: Callable[[int], int] = lambda n: int(n != 1)

    def say(self, text: str, /, **values: object) -> str:
        """A text in this language, with its %(name)s filled in."""
        found = self.texts.get(text, [""])[0] or text
        return found % values if values else found

    def count(self, one: str, many: str, n: int, /, **values: object) -> str:
        """A text that counts `n` of something."""
        forms = self.texts.get(one)
        index = self.form(n)
        found = forms[index] if forms and index < len(forms) and forms[index] else (one if n == 1 else many)
        return found % {"n": n, **values}


def choose(wanted: str, accepted: str) -> Catalogue:
    """The catalogue of the wanted code, else the best of an Accept-Language header (RFC 9110 section 12.5.4)."""
    if wanted in LANGUAGES:
        return catalogue(wanted)
    ranked = []
    for position, one in enumerate(accepted.split(",")[:20]):
        tag, _, quality = one.strip().partition(";q=")
        try:
            ranked.append((-float(quality or 1), position, tag.partition("-")[0].lower()))
        except ValueError:
            continue
    return catalogue(next((code for _, _, code in sorted(ranked) if code in LANGUAGES), "en"))


@functools.cache
def catalogue(code: str) -> Catalogue:
    path = files(__package__) / "locale" / f"{code}.po"
    return parse(code, path.read_text("utf-8")) if path.is_file() else Catalogue(code)


def parse(code: str, text: str) -> Catalogue:
    """A catalogue from the text of a .po file."""
    texts: dict[str, list[str]] = {}
    id_, forms, target = "", [""], ""
    for line in [*text.splitlines(), 'msgid "end"']:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        keyword, index, said, more = match.groups()
        if keyword == "msgid":
            texts[id_] = forms
            id_, forms = ast.literal_eval(said), [""]
        elif keyword == "msgstr":
            forms = forms + [""] * (int(index or 0) + 1 - len(forms))
            forms[int(index or 0)] = ast.literal_eval(said)
        elif more and target == "msgid":
            id_ += ast.literal_eval(more)
        elif more and target == "msgstr":
            forms[-1] += ast.literal_eval(more)
        target = keyword or target
    rule = _PLURAL.search(texts.get("", [""])[0])
    return Catalogue(code, texts, gettext.c2py(rule[1]) if rule else lambda n: int(n != 1))
