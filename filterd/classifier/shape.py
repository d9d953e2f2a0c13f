"""The shape of a message as tokens: its structure, its headers' form, its links and attachments.

In goes a Message; out come short ASCII strings such as `part:text/html` or `links:4`. What they say holds
at every site: no names of hosts, people, networks or lists, no dates, no languages or character sets, and
nothing about Received, To or delivery, which would tell one mailbox from another rather than spam from ham.
Pure; never raises.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from filterd.mail import Message

# Header fields whose presence says something anywhere. What lists, relays or filters add is not among them.
PORTABLE_HEADERS = (
    "disposition-notification-to",
    "importance",
    "organization",
    "reply-to",
    "user-agent",
    "x-mailer",
    "x-priority",
)

_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[a-z]{2,}", re.IGNORECASE)
_HOST = re.compile(r"(?:https?://)?(?:www\.)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)", re.IGNORECASE)
_REPLY = re.compile(r"(?:re|aw|sv|antw|fwd?|wg|tr|enc|rv|res)\s*(?:\[\d+\])?:", re.IGNORECASE)
_ELEMENTS = ("a", "form", "img", "table", "zero-width")
_LEAKS = frozenset({"bad-date", "mbox-from"})  # made by the collecting of a corpus as much as by its senders
_LATIN = (string.ascii_uppercase.encode(), string.ascii_lowercase.encode(), string.digits.encode())
_MOST = 50  # links, parts, attachments that are looked at


def shape(message: Message) -> list[str]:
    """Every token, each once."""
    return list(dict.fromkeys((*_structure(message), *_headers(message), *_subject(message), *_links(message))))


def step(count: int) -> int:
    """0, 1, 2, 4, 8, ...: the power of two at or below `count`, so that nearly equal counts share a token."""
    return 0 if count <= 0 else 1 << (count.bit_length() - 1)


def tenth(part: int, whole: int) -> int:
    """`part` of `whole` in tenths, rounded down; 0 of nothing."""
    return min(10 * part // whole, 10) if whole > 0 else 0


def unix(text: str, most: int) -> str:
    """The first `most` characters of `text`, its line ends LF, so that the wire and a mailbox give the same."""
    return text[: 2 * most].replace("\r\n", "\n")[:most]


def _structure(message: Message) -> Iterator[str]:
    parts = message.parts
    kinds = {part.type for part in parts if not part.children}
    yield f"top:{parts[0].type if parts else 'none'}"
    yield f"parts:{step(len(parts))}"
    yield f"depth:{max((part.depth for part in parts[:_MOST]), default=0)}"
    for part in parts[:_MOST]:
        yield f"part:{part.type}"
        if part.type.startswith("text/"):
            yield f"encoded:{part.type}:{part.encoding}"
    yield f"html:{'text/html' in kinds:d}:plain:{'text/plain' in kinds:d}"
    for attachment in message.attachments[:_MOST]:
        yield f"attached:{attachment.type}"
        yield f"attached-as:{attachment.name.rpartition('.')[2].lower()[:8]}"
        yield f"attached-size:{step(attachment.size)}"
        for flag in attachment.flags:
            yield f"attached-flag:{flag}"
    for defect in message.defects:
        if defect not in _LEAKS:
            yield f"defect:{defect}"
    yield from _amounts(message)
    yield from _html(message)


def _html(message: Message) -> Iterator[str]:
    for document in message.html[:_MOST]:
        for flag in document.flags:
            yield f"html:{flag}"
        for means in document.hidden_by:
            yield f"hidden-by:{means}"
        for element in _ELEMENTS:
            yield f"html-{element}:{step(document.counts.get(element, 0))}"


def _amounts(message: Message) -> Iterator[str]:
    text, hidden = message.text, message.hidden_text
    length = len(text) - text.count("\r")
    yield f"length:{step(length)}"
    yield f"hidden:{tenth(len(hidden), len(hidden) + length)}"
    sample = unix(text, 4096).encode("latin-1", "replace")
    capitals, small, digits = (len(sample) - len(sample.translate(None, of)) for of in _LATIN)
    yield f"capitals:{tenth(capitals, capitals + small)}"
    yield f"digits:{tenth(digits, len(sample))}"
    yield f"exclaims:{step(sample.count(b'!'))}"


def _headers(message: Message) -> Iterator[str]:
    present = {header.name.lower() for header in message.headers}
    for name in PORTABLE_HEADERS:
        if name in present:
            yield f"has:{name}"
    authors = set(message.author_domains)
    answer = {box.domain for box in message.reply_to}
    if answer:
        yield f"reply-to-elsewhere:{not answer & authors:d}"
    yield f"authors:{step(len(message.from_))}"
    for box in message.from_[:1]:
        yield f"author-name:{_form_of_name(box.name, box.address)}"
        yield f"author-digits:{step(sum(map(str.isdigit, box.local)))}"
    yield f"message-id:{_form_of_id(message.message_id, authors)}"


def _form_of_name(name: str, address: str) -> str:
    if not name.strip():
        return "none"
    if name.strip().lower() == address.lower():
        return "own-address"
    if _ADDRESS.search(name):
        return "other-address"
    return "capitals" if name.isupper() else "name"


def _form_of_id(message_id: str, authors: set[str]) -> str:
    if not message_id:
        return "none"
    domain = message_id.strip("<> ").rpartition("@")[2].lower()
    if any(domain == author or domain.endswith(f".{author}") for author in authors):
        return "own-domain"
    return "other-domain" if "." in domain else "no-domain"


def _subject(message: Message) -> Iterator[str]:
    subject = message.subject
    yield f"subject-length:{step(len(subject))}"
    yield f"subject-exclaims:{step(subject.count('!'))}"
    if subject.isupper():
        yield "subject-capitals"
    if _REPLY.match(subject.strip()) and not _answers(message):
        yield "subject-reply-to-nothing"


def _answers(message: Message) -> bool:
    return any(message.headers.first(name) for name in ("in-reply-to", "references"))


def _links(message: Message) -> Iterator[str]:
    links = [link for link in message.links[: 2 * _MOST] if link.source != "header"][:_MOST]
    authors = set(message.author_domains)
    yield f"links:{step(len(links))}"
    yield f"link-domains:{step(len({link.domain for link in links}))}"
    own = sum(any(link.host == author or link.host.endswith(f".{author}") for author in authors) for link in links)
    if links:
        yield f"links-of-author:{tenth(own, len(links))}"
    for link in links:
        yield f"link-scheme:{link.scheme[:8]}"
        for flag in link.flags:
            yield f"link-flag:{flag}"
        if link.scheme in ("http", "https"):
            yield from _web_link(link.url, link.host, link.text)


def _web_link(url: str, host: str, text: str) -> Iterator[str]:
    top = host.rpartition(".")[2]
    if len(top) > 2 and top.isalpha():  # two letters name a country
        yield f"link-top:{top[:16]}"
    yield f"link-labels:{host.count('.') + 1}"
    path, _, query = url.partition("//")[2].partition("/")[2].partition("?")
    yield f"link-path:{step(len(path))}"
    yield f"link-query:{step(len(query))}"
    _, dot, extension = path.rpartition(".")
    if dot and 1 < len(extension) <= 5 and extension.isalnum():
        yield f"link-to:{extension.lower()}"
    named = _HOST.fullmatch(text.strip()[:100])
    if named and not (host.endswith(named[1].lower()) or named[1].lower().endswith(host)):
        yield "link-names-another"
