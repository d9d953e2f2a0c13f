"""The fields of things that a mail has several of: mailboxes, links, attachments, parts, hops, signatures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from filterd.authentication import AuthResult
from filterd.facts import Seen
from filterd.mail.domains import registrable
from filterd.ruleset.fields import Element, Field, Kind, element
from filterd.ruleset.view import View

_RESULTS = tuple(str(result) for result in AuthResult)
_CONTENT_BYTES = 65_536  # of each part's decoded content
_MAX_PART_BYTES = 1_000_000  # of all parts together


def _contents(view: View) -> Sequence[Any]:
    """Parts that hold something themselves, while their content fits the bound."""
    room, kept = _MAX_PART_BYTES, []
    for part in view.message.parts:
        if part.type.startswith("multipart/"):
            continue
        room -= min(len(part.raw), _CONTENT_BYTES)
        if room < 0:
            break
        kept.append(part)
    return kept


def _extension(name: str) -> str | None:
    stem, dot, last = name.rstrip(". ").rpartition(".")
    return last.lower() if dot and stem else None


def _top(host: str) -> str | None:
    return host.rstrip(".").rpartition(".")[2] or None


_REMEMBERED = {"d": "domain", "a": "address", "w": "written", "n": "network"}


@dataclass(frozen=True, slots=True)
class _Remembered:
    """Something of the sender that the memory knows."""

    what: str
    whom: str
    seen: Seen
    now: float  # seconds since 1970

    def since(self) -> float:
        return max(0.0, self.now - self.seen.first)


def _remembered(view: View) -> Sequence[_Remembered]:
    """What is remembered of the client's network, and of the author where his domain vouches for the mail."""
    now = view.envelope.received_at.timestamp()
    vouched = {registrable(domain) for domain in view.auth.domains}
    found = []
    for key, seen in (view.facts.senders or {}).items():
        kind, _, whom = key.partition(":")
        what = _REMEMBERED.get(kind)
        if what == "network" or (what and registrable(whom.rpartition("@")[2]) in vouched):
            found.append(_Remembered(what, whom, seen, now))
    return found


_mailbox = (
    Field("name", Kind.STRING, "The display name, decoded.", "{words: brands}", lambda box: box.name or None),
    Field("address", Kind.ADDRESS, "The address.", "{equals: ceo@example.org}", lambda box: box.address or None),
    Field(
        "local",
        Kind.STRING,
        "The part before the @.",
        "{regex: '^[a-z]{2}[0-9]{6}$'}",
        lambda box: box.local or None,
    ),
    Field("domain", Kind.DOMAIN, "The domain, A-labels.", "{in: freemail}", lambda box: box.domain or None),
    Field(
        "registrable",
        Kind.DOMAIN,
        "The registrable domain (example.co.uk), by the public suffix list.",
        "{not: {same_as: author.registrable}}",
        lambda box: registrable(box.domain) if box.domain else None,
    ),
)

ELEMENTS: tuple[Element, ...] = (
    element("from", "A mailbox of the From header.", lambda view: view.message.from_, *_mailbox),
    element("sender", "A mailbox of the Sender header.", lambda view: view.message.sender, *_mailbox),
    element("reply_to", "A mailbox of the Reply-To header.", lambda view: view.message.reply_to, *_mailbox),
    element("to", "A mailbox of the To header.", lambda view: view.message.to, *_mailbox),
    element("cc", "A mailbox of the Cc header.", lambda view: view.message.cc, *_mailbox),
    element(
        "link",
        "A link in text, HTML or a header.",
        lambda view: view.message.links,
        Field("url", Kind.STRING, "The whole link.", "{length: {above: 500}}", lambda link: link.url),
        Field("scheme", Kind.STRING, "http, https, mailto, ...", "javascript", lambda link: link.scheme or None),
        Field(
            "host",
            Kind.DOMAIN,
            "The host name or address, A-labels.",
            "{in: shorteners}",
            lambda link: link.host or None,
        ),
        Field(
            "domain",
            Kind.DOMAIN,
            "The registrable domain of the host.",
            "{not: {same_as: from.registrable}}",
            lambda link: link.domain or None,
        ),
        Field(
            "top",
            Kind.STRING,
            "The last label of the host.",
            "{in: [zip, mov]}",
            lambda link: _top(link.host),
        ),
        Field(
            "text",
            Kind.STRING,
            "The text that the reader clicks on.",
            "{regex: '(?i)^https?://'}",
            lambda link: link.text or None,
        ),
        Field(
            "source",
            Kind.STRING,
            "Where it stands.",
            "header",
            lambda link: link.source,
            choices=("text", "html", "header"),
        ),
        Field(
            "user",
            Kind.STRING,
            "What stands before an @ in front of the host.",
            "{exists: true}",
            lambda link: link.user or None,
        ),
        Field("port", Kind.STRING, "The port, when it is written.", "'8080'", lambda link: link.port or None),
        Field(
            "flags",
            Kind.STRING,
            "What is odd about it: ip, userinfo, idn, ...",
            "ip",
            lambda link: link.flags,
        ),
    ),
    element(
        "attachment",
        "An attachment, also one inside an archive.",
        lambda view: view.message.attachments,
        Field(
            "name",
            Kind.STRING,
            "The file name, the worst of what readers might show.",
            "{glob: '*.pdf.*'}",
            lambda one: one.name or None,
        ),
        Field(
            "extension",
            Kind.STRING,
            "What follows the last dot of the name, lower case.",
            "{in: executables}",
            lambda one: _extension(one.name or ""),
        ),
        Field(
            "declared",
            Kind.STRING,
            "The type that the message gives it.",
            "{glob: 'image/*'}",
            lambda one: one.declared or None,
        ),
        Field(
            "type",
            Kind.STRING,
            "The type that its content shows.",
            "application/zip",
            lambda one: one.type or None,
        ),
        Field("size", Kind.SIZE, "Its size, decoded.", "{below: 200kB}", lambda one: one.size),
        Field(
            "flags",
            Kind.STRING,
            "What was noticed about it: encrypted, macro, ...",
            "encrypted",
            lambda one: one.flags,
        ),
        Field(
            "path",
            Kind.STRING,
            "The archives around it, the outer one first, and its own name.",
            "{glob: '*.iso'}",
            lambda one: one.path,
        ),
        Field("digest", Kind.STRING, "SHA-256 of its content, hex.", "{in: known_bad}", lambda one: one.digest),
    ),
    element(
        "part",
        "A MIME part that is not itself a container.",
        _contents,
        Field("type", Kind.STRING, "Its declared type, lower case.", "text/html", lambda part: part.type),
        Field(
            "charset",
            Kind.STRING,
            "Its declared charset.",
            "{regex: '(?i)^utf-?7$'}",
            lambda part: part.charset or None,
        ),
        Field("encoding", Kind.STRING, "Its transfer encoding.", "base64", lambda part: part.encoding or None),
        Field(
            "disposition",
            Kind.STRING,
            "inline or attachment.",
            "attachment",
            lambda part: part.disposition or None,
        ),
        Field("name", Kind.STRING, "Its file name.", "{glob: '*.html'}", lambda part: part.name or None),
        Field("size", Kind.SIZE, "Its size as it came, encoded.", "{above: 1MB}", lambda part: len(part.raw)),
        Field(
            "content",
            Kind.STRING,
            "The first 64 kB of its decoded content, a character a byte.",
            "{regex: '^%PDF-'}",
            lambda part: bytes(part.content[:_CONTENT_BYTES]).decode("latin-1"),
        ),
    ),
    element(
        "html",
        "An HTML part.",
        lambda view: view.message.html,
        Field("title", Kind.STRING, "Its title.", "{contains: sign in}", lambda one: one.title or None),
        Field(
            "flags",
            Kind.STRING,
            "What it holds: form, script, meta-refresh, ...",
            "form",
            lambda one: one.flags,
        ),
        Field(
            "hidden_by",
            Kind.STRING,
            "How it hides text: display, font-size, colour, ...",
            "font-size",
            lambda one: one.hidden_by,
        ),
        Field(
            "images",
            Kind.NUMBER,
            "How many images.",
            "{at_least: 1}",
            lambda one: one.counts.get("img", 0),
        ),
        Field(
            "zero_width",
            Kind.NUMBER,
            "How many characters without width stand in its text.",
            "{above: 20}",
            lambda one: one.counts.get("zero-width", 0),
        ),
        Field("length", Kind.NUMBER, "Characters that a reader sees.", "{below: 50}", lambda one: len(one.text)),
    ),
    element(
        "received",
        "A Received line, the newest first.",
        lambda view: view.message.received,
        Field("by", Kind.DOMAIN, "The host that wrote it.", "mx.example.org", lambda hop: hop.by_host or None),
        Field(
            "helo",
            Kind.STRING,
            "What the client called itself.",
            "{regex: '^[0-9.]+$'}",
            lambda hop: hop.from_helo or None,
        ),
        Field(
            "name",
            Kind.DOMAIN,
            "The client's verified name.",
            "{in: [example.net]}",
            lambda hop: hop.from_name or None,
        ),
        Field(
            "address",
            Kind.IP,
            "The client's address.",
            "{in: [192.0.2.0/24]}",
            lambda hop: hop.from_address or None,
        ),
        Field(
            "protocol",
            Kind.STRING,
            "The protocol: ESMTPS, HTTP, ...",
            "http",
            lambda hop: hop.with_protocol or None,
        ),
    ),
    element(
        "dkim",
        "A DKIM signature (RFC 6376).",
        lambda view: view.auth.dkim,
        Field(
            "result",
            Kind.STRING,
            "What verifying it gave.",
            "fail",
            lambda one: str(one.result),
            choices=_RESULTS,
        ),
        Field(
            "domain",
            Kind.DOMAIN,
            "The signing domain.",
            "{in: [example.com]}",
            lambda one: one.domain or None,
        ),
        Field("selector", Kind.STRING, "The selector.", "default", lambda one: one.selector or None),
        Field("algorithm", Kind.STRING, "The algorithm.", "rsa-sha1", lambda one: one.algorithm or None),
        Field(
            "reason",
            Kind.STRING,
            "Why it is not a plain pass.",
            "{contains: expired}",
            lambda one: one.reason or None,
        ),
        Field("testing", Kind.FLAG, "The key says that it is being tested.", "true", lambda one: one.testing),
        Field(
            "key_bits",
            Kind.NUMBER,
            "The size of an RSA key.",
            "{below: 1024}",
            lambda one: one.key_bits or None,
        ),
    ),
    element(
        "listing",
        "An answer of a block or allow list that was asked.",
        lambda view: [one for one in view.facts.listings if not one.unknown and one.codes],
        Field("list", Kind.STRING, "The list's name in the configuration.", "zen", lambda one: one.list),
        Field("item", Kind.STRING, "What was asked about.", "{regex: '^192\\.'}", lambda one: one.item),
        Field("codes", Kind.STRING, "The answer's addresses.", "127.0.0.2", lambda one: one.codes),
        Field("text", Kind.STRING, "The list's own text.", "{contains: snowshoe}", lambda one: one.text or None),
    ),
    element(
        "remembered",
        "What is remembered of the author, whose domain must vouch for the mail, or of the client's network.",
        _remembered,
        Field(
            "what",
            Kind.STRING,
            "domain and address are the author's, written is an address that our users wrote to, network the client's.",
            "domain",
            lambda one: one.what,
            choices=tuple(_REMEMBERED.values()),
        ),
        Field("whom", Kind.STRING, "The domain, address or network.", "example.com", lambda one: one.whom),
        Field("seen", Kind.NUMBER, "How many mails it was seen with.", "{above: 20}", lambda one: one.seen.seen),
        Field("good", Kind.NUMBER, "How much of it was wanted; it fades.", "{above: 5}", lambda one: one.seen.good),
        Field("bad", Kind.NUMBER, "How much of it was not; it fades.", "{above: 2}", lambda one: one.seen.bad),
        Field("since", Kind.DURATION, "How long ago it was first seen.", "{below: 1d}", _Remembered.since),
    ),
)
