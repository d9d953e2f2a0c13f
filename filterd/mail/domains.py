"""Domain names: in A-labels (RFC 5890), under one another, and registrable by the public suffix list.

Pure look-ups in tables that are loaded at import. Never raises. The public suffix list serves links and
reputation; DMARC's organisational domain comes from the tree walk alone (RFC 9989) and never from here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import idna
from publicsuffixlist import PublicSuffixList

_MAX_LABEL = 63
_MAX = 253  # RFC 1035 section 2.3.4, in text form
_DOTS = re.compile("[\u3002\uff0e\uff61]")  # RFC 3490 section 3.1; UTS 46 maps them too
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_suffixes = PublicSuffixList()


def preload() -> None:
    """Load the tables that look-ups need later."""
    to_ascii("bücher.example")
    registrable("www.example.com")


def to_ascii(domain: str) -> str | None:
    """`domain` as lower-case A-labels without the root's dot; None when it is no domain name."""
    return _to_ascii(domain.strip()) if len(domain) <= 4 * _MAX else None


@lru_cache(maxsize=4_096)
def _to_ascii(name: str) -> str | None:
    if not name.isascii():
        name = _a_labels(name) or ""
    name = name.lower().removesuffix(".")
    if not name or len(name) > _MAX:
        return None
    return name if all(map(_LABEL.fullmatch, name.split("."))) else None


def _a_labels(name: str) -> str | None:
    """UTS 46, non-transitional, as browsers do; label by label, so that one odd label harms no other."""
    labels: list[str] = []
    for label in _DOTS.sub(".", name).split("."):
        if label.isascii():
            labels.append(label)
        elif len(label) > _MAX_LABEL:
            return None
        else:
            labels.append(_a_label(label))
    return ".".join(labels)


def _a_label(label: str) -> str:
    try:
        return idna.encode(label, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError, IndexError):
        # Symbols that IDNA 2008 forbids and browsers look up all the same.
        folded = unicodedata.normalize("NFKC", label).lower()
        return folded if folded.isascii() else "xn--" + folded.encode("punycode", "replace").decode("ascii")


def to_unicode(domain: str) -> str:
    """`domain` as a reader may see it: A-labels decoded where they are valid."""
    labels = []
    for label in domain.split("."):
        try:
            labels.append(idna.decode(label) if label.startswith("xn--") else label)
        except (idna.IDNAError, UnicodeError):
            labels.append(label)
    return ".".join(labels)


def registrable(host: str | None) -> str | None:
    """The public suffix and one label more, in the script that `host` came in; None when there is none."""
    if not host or host.startswith(".") or len(host) > 4 * _MAX:
        return None
    return _registrable(host)


@lru_cache(maxsize=4_096)
def _registrable(host: str) -> str | None:
    name = to_ascii(host)
    if name is None or is_ip(name):
        return None
    found = _suffixes.privatesuffix(name)
    if found is None or host.isascii():
        return found
    labels = _DOTS.sub(".", host.strip().lower()).removesuffix(".").split(".")
    return ".".join(labels[-(found.count(".") + 1) :])


def has_known_suffix(host: str) -> bool:
    """Is `host`, in A-labels, a name under a suffix that the list really names?"""
    return _suffixes.privatesuffix(host, accept_unknown=False) is not None


def is_under(host: str, domain: str) -> bool:
    """Is `host` the domain itself or a name below it? `evilgood.com` is not under `good.com`."""
    host, domain = host.lower().removesuffix("."), domain.lower().removesuffix(".").lstrip(".")
    return domain != "" and (host == domain or host.endswith("." + domain))


def is_ip(host: str) -> bool:
    """Is that an address, not a name? The last label of a name is never all digits (RFC 3696 section 2)."""
    return ":" in host or host.startswith("[") or host.rpartition(".")[2].isdigit()
