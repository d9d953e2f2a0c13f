"""Preview: a message as text and as tame HTML. Pure.

Whatever the message says, its HTML comes out without scripts, styles, forms, frames, pictures, links and anything
else that loads or acts; it is then shown in a sandbox that would allow none of it. Only the first `READ` bytes of
a message are read.
"""

from __future__ import annotations

from html import escape

import nh3

from filterd.frontends.web.view import static
from filterd.mail import Message

READ = 2_000_000
TEXT = 200_000  # characters that are shown

_TAGS = {
    *("p", "div", "span", "br", "hr", "b", "i", "u", "s", "em", "strong", "small", "sub", "sup", "code", "pre"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "center"),
    *("table", "thead", "tbody", "tfoot", "tr", "td", "th", "caption", "a", "abbr", "cite", "q", "address"),
}
_ATTRIBUTES = {"td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}}
_GONE = {"script", "style", "title", "noscript", "template", "object", "svg", "math", "head"}


def read(raw: bytes) -> Message:
    """The message, or what its first bytes make of it."""
    return Message(raw[:READ])


def text(message: Message) -> str:
    """What a reader sees, as plain text."""
    return message.text[:TEXT]


def has_html(message: Message) -> bool:
    return any(part.type == "text/html" for part in message.parts)


def html(message: Message) -> str:
    """The HTML parts, tamed; a whole document."""
    parts = [part.text or "" for part in message.parts if part.type == "text/html" and not part.alternative]
    return document("<hr>".join(tame(part[:TEXT]) for part in parts))


def tame(markup: str) -> str:
    """Markup that shows text and tables, and does nothing."""
    return nh3.clean(
        markup,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        clean_content_tags=_GONE,
        url_schemes=set(),
        link_rel=None,
    )


def document(body: str) -> str:
    style = escape(static("preview.css"))
    return f'<!doctype html><meta charset="utf-8"><title></title><link rel="stylesheet" href="{style}"><body>{body}'


def source(raw: bytes) -> str:
    """The bytes as a page shows them: what is not UTF-8 as replacement characters."""
    return raw[:READ].decode("utf-8", "replace")
