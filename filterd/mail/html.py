"""One HTML part: the text a reader sees, the text hidden from them, the links, and what else is in it.

In: the characters of the part. Out: an `HtmlDocument`. Lexbor builds the tree behind a linear `prescan`;
elements that hide their text are taken out of it, and what is left is what is seen. Nothing is fetched or
run. Never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin

from msgspec import field
from selectolax.lexbor import LexborHTMLParser, LexborNode

from filterd.mail.links import MAX_ANCHOR, MAX_LINKS, Link, make_link
from filterd.mail.prescan import prescan
from filterd.mail.visibility import WHITE, Colour, alike, colour, declarations, hidden_by, is_transparent
from filterd.value import Value

MAX_ANCESTORS = 64
MAX_STYLED = 5_000  # elements whose style is looked at
_MAX_SHEET = 65_536
_MAX_RULES = 100

# A line starts before these, so that words of different blocks do not run together.
_BLOCK = re.compile(
    r"<(?=/?(?:p|div|br|tr|td|th|li|ul|ol|dl|dt|dd|h[1-6]|table|tbody|hr|blockquote|pre|center|section|article|header|"
    r"footer|form|option|button|title|address|figure|caption)[\s/>])",
    re.IGNORECASE,
)
_ZERO_WIDTH = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_REFRESH = re.compile(r"url\s{0,9}=\s{0,9}['\"]?([^'\">]+)", re.IGNORECASE)
_RULE = re.compile(r"[{}]")
_SELECTOR = re.compile(r"\s*+(?:[a-z0-9]{1,10})?[.#][a-z_][\w-]{0,60}\s*+", re.IGNORECASE | re.ASCII)
_STYLED = "[style],[hidden],[bgcolor],font[color],font[size]"
_LINKED = {
    "a": "href",
    "area": "href",
    "form": "action",
    "img": "src",
    "iframe": "src",
    "frame": "src",
    "embed": "src",
    "object": "data",
    "link": "href",
    "button": "formaction",
    "script": "src",
}
_ACTIVE = ("form", "iframe", "base", "script", "object", "embed", "svg")
_COUNTED = (*_ACTIVE, "a", "img", "input", "table", "style", "meta", "title")
_UNSEEN = ["script", "style", "template", "title", "noembed", "noframes"]
_SELECT = ",".join(f"{tag}[{attribute}]" for tag, attribute in _LINKED.items())


class HtmlDocument(Value):
    """What is in one HTML part."""

    text: str = ""  # what a reader sees
    hidden: str = ""  # what is there and not seen
    links: tuple[Link, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)  # elements by name; "zero-width" characters
    flags: tuple[str, ...] = ()  # "form", "iframe", "base", "meta-refresh", "hidden-text", ...
    hidden_by: tuple[str, ...] = ()  # "display", "visibility", "font-size", "colour", "opacity", "size", ...
    title: str = ""
    cut: bool = False  # larger than what is read


def read_html(html: str) -> HtmlDocument:
    """Read one HTML part."""
    markup, cut = prescan(html)
    tree = LexborHTMLParser(_BLOCK.sub("\n<", markup))
    root = tree.root
    if root is None:
        return HtmlDocument(cut=cut)
    lowered = markup.lower()
    counts = {name: len(tree.tags(name)) for name in _COUNTED if "<" + name in lowered}
    title = _text_of(tree, "title") if counts.pop("title", 0) else ""
    sheet = _text_of(tree, "style")[:_MAX_SHEET] if "style" in counts else ""
    links = tuple(_links(tree))
    refresh = "meta" in counts and next(_refreshes(tree), None) is not None
    tree.strip_tags(_UNSEEN)
    hidden, ways = _take_hidden(tree, sheet)
    text, zero_width = _tidy(root.text())
    if zero_width:
        counts["zero-width"] = zero_width
    present = {"meta-refresh": refresh, "hidden-text": hidden, "zero-width": zero_width}
    flags = [name for name in _ACTIVE if counts.get(name)] + [name for name in present if present[name]]
    return HtmlDocument(text, hidden, links, counts, tuple(flags), ways, _tidy(title)[0], cut)


def _text_of(tree: LexborHTMLParser, tag: str) -> str:
    """The text of the first elements of that name."""
    return "\n".join(node.text() for node in tree.tags(tag)[:20])


def _tidy(text: str) -> tuple[str, int]:
    """Runs of white space as one, zero-width characters taken out and counted."""
    count = 0
    if not text.isascii():
        text, count = _ZERO_WIDTH.subn("", text)
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return "\n".join([line for line in lines if line]), count


def _links(tree: LexborHTMLParser) -> Iterator[Link]:
    """Links in document order; relative ones by the base element (HTML section 4.2.3), if it has a host."""
    base_node = tree.css_first("base[href]")
    base = (base_node.attributes.get("href") or "") if base_node is not None else ""
    for number, node in enumerate(tree.css(_SELECT)):
        if number >= MAX_LINKS:
            return
        tag = node.tag or ""
        url = (node.attributes.get(_LINKED[tag]) or "").strip()
        if not url or url[0] == "#":
            continue
        text = _tidy(node.text()[: 4 * MAX_ANCHOR])[0] if tag in ("a", "button") else ""
        link = make_link(_absolute(url, base), "html", text, () if tag == "a" else (tag,))
        if link is not None:
            yield link
    for url in _refreshes(tree):
        link = make_link(_absolute(url, base), "html", "", ("meta",))
        if link is not None:
            yield link


def _absolute(url: str, base: str) -> str:
    if url.startswith(("//", "\\\\", "/\\")):
        return "http:" + url
    if base and ":" not in url[:20]:
        try:
            return urljoin(base[:2_048], url[:2_048])
        except ValueError:
            return url
    return url


def _refreshes(tree: LexborHTMLParser) -> Iterator[str]:
    for node in tree.css("meta[http-equiv]")[:20]:
        attributes = node.attributes
        if (attributes.get("http-equiv") or "").strip().lower() == "refresh":
            match = _REFRESH.search(attributes.get("content") or "")
            if match:
                yield match[1]


def _take_hidden(tree: LexborHTMLParser, sheet: str) -> tuple[str, tuple[str, ...]]:
    """Take the elements out that hide their text; what they held, and the ways they hid it."""
    found: dict[int, tuple[LexborNode, str]] = {}
    selectors = list(dict.fromkeys(_hiding_selectors(sheet)))[:_MAX_RULES]
    for node in tree.css(",".join(selectors))[:MAX_STYLED] if selectors else ():
        found[node.mem_id] = (node, "sheet")
    page: dict[int, Colour] = {}
    for node in tree.css(_STYLED)[:MAX_STYLED]:
        way = _way(node, page)
        if way:
            found.setdefault(node.mem_id, (node, way))
    known: dict[int, bool] = {}
    outermost = [(node, way) for node, way in found.values() if not _inside(node, found, known)]
    found.clear()
    texts: list[str] = []
    ways: dict[str, None] = {}
    for node, way in outermost:
        if node.tag in ("html", "body"):
            continue
        text = _tidy(node.text())[0]
        if text:
            texts.append(text)
            ways[way] = None
        node.decompose()
    return "\n".join(texts), tuple(ways)


def _inside(node: LexborNode, found: dict[int, tuple[LexborNode, str]], known: dict[int, bool]) -> bool:
    """Does the element lie in another of those found? Each ancestor is walked over once (`known`)."""
    path: list[int] = []
    parent = node.parent
    inside = False
    while parent is not None:
        key = parent.mem_id
        inside = key in found or known.get(key, False)
        if inside or key in known:
            break
        path.append(key)
        parent = parent.parent
    known.update(dict.fromkeys(path, inside))
    return inside


def _way(node: LexborNode, page: dict[int, Colour]) -> str | None:
    """How this element hides its text; None when it does not. Backgrounds met are remembered in `page`."""
    attributes = node.attributes
    if "hidden" in attributes:
        return "attribute"
    written = attributes.get("style") or ""
    style = declarations(written) if written else {}
    background = colour(style.get("background-color") or style.get("background") or attributes.get("bgcolor"))
    if background is not None:
        page[node.mem_id] = background
    way = hidden_by(style) if style else None
    if way or not ("color" in style or "color" in attributes):
        return way
    written = style.get("color") or attributes.get("color") or ""
    if is_transparent(written):
        return "colour"
    ink = colour(written)
    return "colour" if ink is not None and alike(ink, _ground(node, page)) else None


def _ground(node: LexborNode, page: dict[int, Colour]) -> Colour:
    """The background that an element stands on: the nearest one set, else white."""
    current: LexborNode | None = node
    for _ in range(MAX_ANCESTORS):
        if current is None:
            break
        found = page.get(current.mem_id)
        if found is not None:
            return found
        current = current.parent
    return WHITE


def _hiding_selectors(sheet: str) -> Iterator[str]:
    """Simple class and id selectors that a style sheet hides for every reader: outside any @media."""
    depth, start, selector = 0, 0, ""
    for brace in _RULE.finditer(sheet):
        if brace[0] == "{":
            if depth == 0:
                selector = sheet[start : brace.start()].rpartition(";")[2]
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0 and "@" not in selector and hidden_by(declarations(sheet[start : brace.start()])):
                yield from (name.strip() for name in selector.split(",")[:20] if _SELECTOR.fullmatch(name))
        start = brace.end()
