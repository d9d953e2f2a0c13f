"""The one door to dkimpy: its parser of tag lists and its canonicalization of header fields.

dkimpy loads two DNS libraries and an event loop when it is imported. A worker must not ask anybody and
should start quickly, so they are kept out: 30 ms instead of 200 ms, and dkimpy could not ask if it wanted
to. What it does with signatures itself is not used, for it answers True or False where we need the reason,
and takes quadratic time on hostile white space; the tests hold our results against its own.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


def _load() -> tuple[Any, Any]:
    nobody = ModuleType("dkim.dnsplug")
    nobody.get_txt = None  # type: ignore[attr-defined]
    hidden: dict[str, Any] = {"dkim.dnsplug": nobody, "aiodns": None}
    before = {name: sys.modules[name] for name in hidden if name in sys.modules}
    sys.modules.update(hidden)
    try:
        import dkim.canonicalization as canonicalization
        import dkim.util as util
    finally:
        for name in hidden:
            del sys.modules[name]
        sys.modules.update(before)
    return canonicalization, util


_canonicalization, _util = _load()


def parse_tags(text: bytes) -> dict[bytes, bytes] | None:
    """A tag list (RFC 6376 section 3.2) as tags and values; None when it is not one."""
    try:
        return _util.parse_tag_value(text)  # type: ignore[no-any-return]
    except _util.InvalidTagValueList:
        return None


def relaxed_header(name: bytes, value: bytes) -> bytes:
    """One header field in relaxed canonical form (RFC 6376 section 3.4.2), CRLF at its end."""
    [(name, value)] = _canonicalization.Relaxed.canonicalize_headers([(name, value)])
    return name + b":" + value
