"""What must be asked of the world so that a mail can be authenticated. Pure; capped however hostile the
mail is.

The questions are a superset: all of the tree walk's names at once, although the walk may stop half-way, so
that one round of asking is enough. Mail that we send (outbound: from an authenticated user or an internal
network) is not checked against SPF, iprev and DMARC: its client is our own user, not a mail server that
speaks for a domain.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from filterd.auth import arc, dkim, dmarc
from filterd.auth.hearsay import heard
from filterd.auth.signature import Problem, names, read_tags
from filterd.facts import Questions, SpfQuestion
from filterd.mail import Direction, Mail
from filterd.mail.domains import is_ip, to_ascii

MAX_SIGNATURES = 10
_MAX_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def incoming(mail: Mail) -> bool:
    """Whether the client speaks for the sender's domain."""
    return mail.envelope.direction is Direction.INBOUND and mail.envelope.user is None


def questions(mail: Mail, max_signatures: int = MAX_SIGNATURES, believed: Collection[str] = ()) -> Questions:
    """All that authentication wants to know about `mail`. `believed`: authserv-ids of our relays."""
    signatures = dkim.signatures(mail, max_signatures)
    txt = [name for header in signatures if (name := dkim.key_name(header))]
    txt += arc.key_names(mail)
    if not incoming(mail):
        return Questions(origin=mail.origin, txt=_unique(txt))
    spf = spf_questions(mail)
    authors = mail.message.author_domains
    exists: tuple[str, ...] = ()
    if len(authors) == 1:
        signers = [names(tags)[0] for tags in map(read_tags, signatures) if not isinstance(tags, Problem)]
        top = authors[0].rpartition(".")[2]
        said = (*signers, *(one.domain for one in spf[:1]), *heard(mail, believed).domains)
        others = [one for one in said if one.rpartition(".")[2] == top]
        for domain in _unique((authors[0], *others)):
            txt += map(dmarc.record_name, dmarc.walk_names(domain))
        exists = authors
    return Questions(
        origin=mail.origin,
        spf=spf,
        txt=_unique(txt),
        exists=exists,
        reverse=mail.origin.address or "",
    )


def spf_questions(mail: Mail) -> tuple[SpfQuestion, ...]:
    """MAIL FROM, or postmaster@HELO for the null sender (RFC 7208 section 2.4), and HELO (section 2.3)."""
    if not mail.origin.known:
        return ()
    found = []
    helo = _domain(mail.origin.helo or "")
    local, _, domain = mail.envelope.sender.rpartition("@")
    if domain := _domain(domain):
        local = _CONTROL.sub("", local)[:_MAX_LOCAL] or "postmaster"  # section 4.3
        found.append(SpfQuestion("mailfrom", domain, f"{local}@{domain}"))
    if helo:
        found.append(SpfQuestion("helo", helo, f"postmaster@{helo}"))
    return tuple(found)


def _domain(text: str) -> str:
    """A fully qualified name in A-labels, or "" (section 4.3)."""
    name = to_ascii(text)
    return name if name and "." in name and not is_ip(name) else ""


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
