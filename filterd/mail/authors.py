"""Author domains: every domain that any reading of any From field could show to the recipient.

DMARC (RFC 9989) speaks about the one author domain. Programs disagree over crafted From fields, so it may
only pass where no reading gives another domain. In: `Headers` and the raw bytes. Out: the distinct domains,
lower-case A-labels, the likeliest first; "" among them stands for a reading that names no valid domain.
Linear, capped, never raises.
"""

from __future__ import annotations

import re

from filterd.mail.address import domain_of, parse_addresses
from filterd.mail.headers import Headers
from filterd.mail.words import decode_words

MAX_DOMAINS = 50
_MAX_FIELDS = 100

# What stands after any at sign, whatever is around it.
_AFTER_AT = re.compile(r"@([^\s\x00-\x20<>,;:()\"'\\@\[\]]{0,255})")
_AROUND = ".-_?=*!`\u2019\u201d"  # what may stand around a domain in running text
_HIDDEN_FROM = re.compile(rb"(?:^|[\r\n])[^\x21-\x7e\r\n]*from[^\x21-\x7e\r\n]*:([^\r\n]{0,2000})", re.IGNORECASE)
_STRUCTURE = re.compile(r"[<>,;:]")


def author_domains(raw: bytes, headers: Headers) -> tuple[str, ...]:
    """The domains of all readings; exactly one means that every reader sees the same."""
    domains: dict[str, None] = {}
    fields = headers.all("from")
    for field in fields[:_MAX_FIELDS]:
        _add(domains, field.raw_text)
        if b"\r" in field.value.replace(b"\r\n", b""):
            for piece in field.value.split(b"\r", _MAX_FIELDS):
                _add(domains, piece.decode("utf-8", "replace"))
    for text in _hidden(raw, headers):
        _add(domains, text)
        domains.setdefault("")
    if headers.truncated or len(fields) > _MAX_FIELDS:
        domains.setdefault("")
    return tuple(domains)[:MAX_DOMAINS]


def _add(domains: dict[str, None], text: str) -> None:
    """The domains of one From field: what the grammar says, and if it is not followed, whatever is there."""
    parsed = parse_addresses(text)
    for mailbox in parsed.mailboxes:
        if "@" in mailbox.address:
            domains.setdefault(mailbox.domain)
    odd = not parsed.regular or "\0" in text or any("@" in box.local for box in parsed.mailboxes)
    decoded = decode_words(text) if "=?" in text else text
    # Who decodes before parsing sees brackets and commas that the grammar does not.
    restructured = decoded != text and len(_STRUCTURE.findall(decoded)) > len(_STRUCTURE.findall(text))
    if odd or restructured or any("@" in comment for comment in parsed.comments):
        for reading in (decoded, text) if restructured else (decoded,):
            for match in _AFTER_AT.finditer(reading):
                if len(domains) >= MAX_DOMAINS:
                    return
                if name := match[1].strip(_AROUND):
                    domains.setdefault(domain_of(name))


def _hidden(raw: bytes, headers: Headers) -> list[str]:
    """From fields that only some readers see: in lines that are no field, or after a bare CR."""
    places = [raw[start:end] for start, end in headers.stray[:_MAX_FIELDS]]
    places += [field.value for field in headers if b"\r" in field.value and b"\r" in field.value.replace(b"\r\n", b"")]
    found = [match[1] for place in places[:_MAX_FIELDS] for match in _HIDDEN_FROM.finditer(place)]
    return [value.decode("utf-8", "replace") for value in found[:_MAX_FIELDS]]
