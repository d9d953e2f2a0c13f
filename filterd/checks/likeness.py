"""Which domains look like others: confusable letters, a slip of a letter, added words, another ending. Pure.

In: the domains that are protected, with what each is to us. Out: for a domain, what it imitates and how, or None: for
a protected domain itself, for what lies under it, and for what only shares a common word. Letters are compared by
their skeletons (UTS 39 section 4), and by what looks alike in a mail client's font. Bounded, cached, never raises.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from rapidfuzz.distance import OSA

from filterd.mail.domains import registrable, to_unicode
from filterd.mail.filenames import words

SHORT = 4  # letters of a name that is compared at all
SLIP = 6  # letters from which on one slip is no coincidence
TWO_SLIPS = 12
_LONG = 64  # characters of a name that is compared
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("nn", "m"))
_DIGITS = str.maketrans("013458$|!i", "oleasbslll")
_WORDS = words(
    "account accounts alert alerts auth billing bill check client clients confirm customer customers cs delivery docs "
    "document documents help helpdesk id info invoice invoices login logon mail message my notice notification "
    "notifications office online order parcel password pay payment payments portal post recover refund reset safe "
    "secure secured security service services sign signin support team track tracking transfer update updates "
    "user validate validation verification verify web"
)


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a domain imitates."""

    domain: str  # the protected one
    kind: str  # what it is to us: "own", "partner", "brand"
    how: str  # "letters", "slip", "words", "ending", "prefix"


class Lookalikes:
    """The protected domains, made ready for comparison."""

    def __init__(self, protected: Mapping[str, str]) -> None:
        self._kinds = dict(protected)
        self._names: dict[str, str] = {}  # skeleton of the name before the suffix -> domain
        for domain in protected:
            name = _name(domain)
            if len(name) >= SHORT:
                self._names.setdefault(skeleton(name), domain)
        self._slips = [one for one in self._names if len(one) >= SLIP]
        self.of = lru_cache(maxsize=8_192)(self._of)

    def _of(self, host: str) -> Likeness | None:
        """What `host` (A-labels) imitates."""
        domain = registrable(host)
        if domain is None or domain in self._kinds or not self._kinds:
            return None
        name = _name(domain)
        found = self._same(name, domain) or self._worded(name) or self._slipped(name) or self._prefixed(host, domain)
        return None if found is None else Likeness(found[0], self._kinds[found[0]], found[1])

    def _same(self, name: str, domain: str) -> tuple[str, str] | None:
        imitated = self._names.get(skeleton(name))
        if imitated is None:
            return None
        return imitated, "ending" if name == _name(imitated) else "letters"

    def _worded(self, name: str) -> tuple[str, str] | None:
        """The name with hyphenated words, all of them such as phishing adds; or with one grown on."""
        tokens = name.split("-")
        if 2 <= len(tokens) <= 6:
            for token in tokens:
                imitated = self._names.get(skeleton(token))
                if imitated and all(other in _WORDS for other in tokens if other != token):
                    return imitated, "words"
        elif len(tokens) == 1 and len(name) <= _LONG:
            for at in range(SHORT, len(name) - 1):
                for rest, word in ((name[:at], name[at:]), (name[-at:], name[:-at])):
                    if len(word) > 2 and word in _WORDS and (imitated := self._names.get(skeleton(rest))):
                        return imitated, "words"
        return None

    def _slipped(self, name: str) -> tuple[str, str] | None:
        bare = skeleton(name)
        if not SLIP <= len(bare) <= _LONG:
            return None
        for known in self._slips:
            allowed = 2 if min(len(known), len(bare)) >= TWO_SLIPS else 1
            if abs(len(known) - len(bare)) <= allowed and OSA.distance(bare, known, score_cutoff=allowed) <= allowed:
                return self._names[known], "slip"
        return None

    def _prefixed(self, host: str, domain: str) -> tuple[str, str] | None:
        """A protected domain, whole, in front of another: bank.example.evil.test."""
        front = host.removesuffix(domain).rstrip(".")
        labels = front.split(".") if front else []
        for start in range(len(labels) - 1):
            for end in range(start + 2, min(start + 4, len(labels)) + 1):
                if (candidate := ".".join(labels[start:end])) in self._kinds:
                    return candidate, "prefix"
        return None


@lru_cache(maxsize=8_192)
def skeleton(text: str) -> str:
    """What `text` looks like: in plain letters where there is a plain letter that looks like it."""
    plain = text[:_LONG].lower()
    if not plain.isascii():
        table = _confusables()
        decomposed = unicodedata.normalize("NFKD", plain)
        plain = "".join(table.get(c, c) for c in decomposed if not unicodedata.combining(c)).lower()
    for pair, one in _PAIRS:
        plain = plain.replace(pair, one)
    return plain.translate(_DIGITS)


def mixes_scripts(word: str) -> bool:
    """Do letters of Latin stand beside ones of Cyrillic, Greek or Armenian that look like them?"""
    if word.isascii():
        return False
    scripts = {unicodedata.name(c, "").partition(" ")[0] for c in word if c.isalpha()}
    return "LATIN" in scripts and bool(scripts & {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})


def protect(**kinds: Iterable[str]) -> dict[str, str]:
    """Domains by what they are to us; the first that claims a domain has it."""
    found: dict[str, str] = {}
    for kind, domains in kinds.items():
        for domain in domains:
            found.setdefault(registrable(domain) or domain, kind)
    return found


@lru_cache(maxsize=8_192)
def _name(domain: str) -> str:
    """The label that somebody registered, as it is read."""
    return to_unicode(domain.partition(".")[0])


@cache
def _confusables() -> dict[str, str]:
    """Letter by letter, the plain letters that look like it (UTS 39)."""
    data = json.loads((files("confusable_homoglyphs") / "confusables.json").read_text("utf-8"))
    return {
        char: plain[0]
        for char, others in data.items()
        if not char.isascii()
        and len(char) == 1
        and (plain := [one["c"] for one in others if one["c"].isascii() and one["c"].isalnum() and len(one["c"]) <= 2])
    }


def preload() -> None:
    """Load what comparing needs later."""
    _confusables()
