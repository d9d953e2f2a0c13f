"""Links: what a recipient could follow, from text, HTML and header fields, capped.

In: text, `HtmlDocument`s, `Headers`. Out: `Link`s in the order met, each (URL, anchor text, source) once.
What text programs make clickable is found by its `://` or `www.`; disarmed spellings (`hxxp`, `[.]`) are
links with the flag `obfuscated`. Linear in the text, never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from filterd.mail.domains import has_known_suffix
from filterd.mail.headers import Headers
from filterd.mail.urls import parse_url
from filterd.value import Value

MAX_LINKS = 1_000
MAX_SEEN = 20_000  # URLs looked at, however many of them are the same
MAX_ANCHOR = 500
_MAX_IN_TEXT = 4_096  # characters of a URL in running text

HOSTLESS = (
    "javascript",
    "vbscript",
    "data",
    "file",
    "blob",
    "tel",
    "sms",
    "callto",
    "geo",
    "about",
    "intent",
)
HEADERS = (
    "list-unsubscribe",
    "list-subscribe",
    "list-help",
    "list-archive",
    "list-post",
    "list-owner",
    "subject",
    "x-originating-url",
    "content-location",
    "content-base",
)
_START = re.compile(r"://|www\.|mailto:|\[\.\]")
_BEFORE = re.compile(r"(?:https?|ftp|hxxps?|hxtps?|h\*\*ps?|fxp|meow)\Z")
_END = re.compile('[\\s<>"`{}|\x00-\x1f\x7f\u00a0\u200b\u3000\u300a-\u300f\uff08\uff09]')
_TRAILING = ".,;:!?'*_~\u2019\u201d\u3002\uff0c"
_WORD = re.compile(r"[\w.\[\]-]{1,100}\Z")
_BRACKETED = re.compile(r"<\s*([^<>\s]{1,2048})\s*>")


class Link(Value):
    """One link."""

    url: str
    scheme: str
    host: str = ""  # lower-case A-labels, or an address
    domain: str = ""  # registrable; "" when there is none
    text: str = ""  # anchor text
    source: str = "text"  # "text", "html" or "header"
    user: str = ""  # userinfo
    port: str = ""
    flags: tuple[str, ...] = ()  # "obfuscated", "userinfo", "ip", "odd-ip", "port", "idn", "encoded-host", ...


def make_link(url: str, source: str, text: str = "", extra: tuple[str, ...] = ()) -> Link | None:
    """The link that a URL is; None when it points nowhere."""
    parsed = parse_url(url)
    if parsed is None or (parsed.scheme not in ("mailto", *HOSTLESS) and not parsed.host):
        return None
    if "obfuscated" in parsed.flags and "ip" not in parsed.flags and not has_known_suffix(parsed.host):
        return None  # `a[.]b` in running text is a pattern, or anything
    return Link(
        parsed.url,
        parsed.scheme,
        parsed.host,
        parsed.domain,
        text[:MAX_ANCHOR],
        source,
        parsed.user,
        parsed.port,
        parsed.flags + extra,
    )


def text_urls(text: str) -> Iterator[str]:
    """URLs in running text, as they stand there. Each character is looked at a bounded number of times."""
    lowered = text.lower()
    if len(lowered) != len(text):  # some capitals become two characters
        lowered = text
    position = 0
    for match in _START.finditer(lowered):
        if match.start() < position:
            continue
        start, prefix = _begin(lowered, match)
        if start is None:
            continue
        limit = match.end() + _MAX_IN_TEXT
        stop = _END.search(text, match.end(), limit)
        end = stop.start() if stop else limit
        url = _trim(text[start:end])
        position = start + len(url)
        if position > match.end():
            yield prefix + url


def _begin(lowered: str, match: re.Match[str]) -> tuple[int | None, str]:
    """Where the URL around a find starts, and the scheme that is understood; None when it is none."""
    found, at = match[0], match.start()
    if found == "://":
        scheme = _BEFORE.search(lowered, max(0, at - 6), at)
        return (scheme.start(), "") if scheme else (None, "")
    if found == "[.]":
        word = _WORD.search(lowered, max(0, at - 100), at)
        return (word.start(), "hxxp://") if word else (None, "")
    before = lowered[at - 1 : at] if at else ""
    if before.isalnum() or (before in ("@", ".", "-", "/") and before):
        return None, ""
    return at, "http://" if found == "www." else ""


def _trim(url: str) -> str:
    """Without the punctuation that belongs to the sentence."""
    url = url.rstrip(_TRAILING)
    while url and url[-1] in ")]>" and url.count(url[-1]) > url.count({")": "(", "]": "[", ">": "<"}[url[-1]]):
        url = url[:-1].rstrip(_TRAILING)
    return url


def header_urls(headers: Headers) -> Iterator[str]:
    """URLs in those header fields that readers make clickable, or act on."""
    for name in HEADERS:
        for header in headers.all(name)[:10]:
            value = header.text
            if name.startswith("list-"):
                yield from (match[1] for match in _BRACKETED.finditer(value))
            elif ":" in value or "www." in value:
                yield from text_urls(value)


def collect(found: Iterable[Link | None]) -> tuple[tuple[Link, ...], bool]:
    """Each link once, at most `MAX_LINKS`; and whether there were more."""
    links: dict[tuple[str, str, str], Link] = {}
    for number, link in enumerate(found):
        if number >= MAX_SEEN:
            return tuple(links.values()), True
        if link is not None:
            key = (link.url, link.text, link.source)
            if key not in links:
                if len(links) >= MAX_LINKS:
                    return tuple(links.values()), True
                links[key] = link
    return tuple(links.values()), False
