"""A linear look at HTML before the parser sees it: every HTML parser has inputs that are quadratic.

In: the characters of an HTML part. Out: the same, cut so that no document, tag, attribute list or nesting
is larger than what the parser reads in milliseconds; and whether anything was cut. Text is never cut before
markup is.
"""

from __future__ import annotations

import re
from collections import Counter

from filterd.mail.filenames import words

MAX_DOCUMENT = 512_000  # characters
MAX_TAGS = 20_000
MAX_TAG = 8_192  # characters of one tag
MAX_ATTRIBUTES = 200  # of one tag, counted by its white space and `=`
MAX_DEPTH = 512

_SMALL = 16_384
_FEW_TAGS = 200
_TAG = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9:-]{0,30})|!--)")
_SPACE = re.compile(r"[\s/=]+")
_VOID = words("area base br col embed hr img input link meta param source track wbr")
# Elements that end where the next of their kind begins (HTML section 13.2.6), and what keeps them apart.
_SIBLINGS = {
    "p": "p",
    "li": "li",
    "a": "a",
    "tr": "tr",
    "td": "td",
    "th": "td",
    "dt": "dd",
    "dd": "dd",
    "option": "option",
}
_BARRIERS = frozenset({"table", "ul", "ol", "dl", "select", "object", "button", "template"})
_REACH = 32  # open elements looked back at for such a sibling


def prescan(html: str) -> tuple[str, bool]:
    """`html`, safe to parse, and whether something was taken away."""
    if len(html) <= _SMALL and html.count("<") <= _FEW_TAGS:
        return html, False
    cut = len(html) > MAX_DOCUMENT
    return _Scan(html[:MAX_DOCUMENT]).run(cut)


class _Scan:
    def __init__(self, html: str) -> None:
        self.html = html
        self.open: list[str] = []  # names of open elements
        self.count: Counter[str] = Counter()  # the same as a bag
        self.out: list[str] = []
        self.kept = 0  # html up to here is in `out`

    def run(self, cut: bool) -> tuple[str, bool]:
        html, position, tags = self.html, 0, 0
        while True:
            match = _TAG.search(html, position)
            if match is None:
                break
            if match[2] is None:
                position = html.find("-->", match.end()) + 3
                if position < 3:
                    break
                continue
            tags += 1
            if tags > MAX_TAGS:
                self.out.append(html[self.kept : match.start()])
                return "".join(self.out), True
            end = html.find(">", match.end(), match.start() + MAX_TAG)
            if end < 0:
                # No such tag ends in time: it is text to a reader, or an attack.
                self._drop(match.start(), match.end())
                cut, position = True, match.end()
                continue
            end += 1
            position = end
            if self._too_deep(match, html[end - 2 : end - 1] == "/") or (
                end - match.end() > MAX_ATTRIBUTES and self._too_rich(match.end(), end)
            ):
                self._drop(match.start(), end)
                cut = True
        self.out.append(html[self.kept :])
        return "".join(self.out), cut

    def _drop(self, start: int, end: int) -> None:
        self.out.append(self.html[self.kept : start])
        self.out.append(" ")
        self.kept = end

    def _too_rich(self, start: int, end: int) -> bool:
        return len(_SPACE.findall(self.html, start, end)) > 2 * MAX_ATTRIBUTES

    def _too_deep(self, match: re.Match[str], empty: bool) -> bool:
        """Follow one tag; is it the start of an element that lies too deep?"""
        name = match[2].lower()
        if name in _VOID or empty:
            return False
        if not match[1]:
            if name in _SIBLINGS:
                self._end_sibling(name)
            if len(self.open) >= MAX_DEPTH:
                return True
            self.open.append(name)
            self.count[name] += 1
        elif self.count[name]:
            while self.open:
                last = self.open.pop()
                self.count[last] -= 1
                if last == name:
                    break
        return False

    def _end_sibling(self, name: str) -> None:
        """A start tag that also ends the element of its kind before it."""
        kind = _SIBLINGS[name]
        for index in range(len(self.open) - 1, max(-1, len(self.open) - 1 - _REACH), -1):
            other = self.open[index]
            if other in _BARRIERS:
                return
            if _SIBLINGS.get(other) == kind:
                self.count.subtract(self.open[index:])
                del self.open[index:]
                return
