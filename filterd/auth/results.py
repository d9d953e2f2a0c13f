"""The Authentication-Results field (RFC 8601): writing ours strictly, and knowing forged ones that claim to
be ours.

What is written is one line of printable ASCII with blanks where it may be folded: nothing that came with
the mail can bring a CR, a LF, or a syntax of its own, for what is not a plain value is a quoted string.
"""

from __future__ import annotations

import re

from filterd.authentication import Authentication, AuthResult, DkimResult
from filterd.mail.domains import to_ascii
from filterd.mail.words import decode_words

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-_+]*|[A-Za-z0-9.\-_+]*@[A-Za-z0-9][A-Za-z0-9.\-_]*")
_MAX_VALUE = 255
_CLAIM = 2_000  # characters of a field that can still hold its authserv-id
_NO_QUOTES = str.maketrans("", "", '"\\\\')
_UNSEEN = re.compile(r"[\x00-\x20\x7f\xa0\xad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]+")


def authentication_results(auth: Authentication, authserv_id: str) -> str:
    """The value of the field, in one line (RFC 8601 section 2.2)."""
    found = [*_spf(auth), *map(_dkim, auth.dkim), *_others(auth)]
    return "; ".join((_value(authserv_id), *(found or ["none"])))


def _spf(auth: Authentication) -> list[str]:
    spf = auth.spf
    found = []
    if spf.identity == "mailfrom" and (spf.domain or spf.helo is AuthResult.NONE):
        found.append(_clause("spf", spf.result, spf.reason, ("smtp.mailfrom", spf.domain)))
    if spf.helo_domain:
        reason = spf.reason if spf.identity == "helo" else ""
        found.append(_clause("spf", spf.helo, reason, ("smtp.helo", spf.helo_domain)))
    return found


def _dkim(one: DkimResult) -> str:
    return _clause(
        "dkim",
        one.result,
        one.reason or "",
        ("header.d", one.domain),
        ("header.s", one.selector),
        ("header.a", one.algorithm),
        ("header.i", one.identity),
    )


def _others(auth: Authentication) -> list[str]:
    dmarc, arc, iprev = auth.dmarc, auth.arc, auth.iprev
    policy = dmarc.policy.value if dmarc.record_domain else ""
    found = [_clause("dmarc", dmarc.result, dmarc.reason, ("policy.dmarc", policy), ("header.from", dmarc.domain))]
    if arc is not None and arc.result is not AuthResult.TEMPERROR:  # not among the words of RFC 8617 section 10.1
        found.append(_clause("arc", arc.result, arc.reason))
    if iprev is not None:
        found.append(_clause("iprev", iprev.result, iprev.reason, ("policy.iprev", iprev.address)))
    return found


def _clause(method: str, result: AuthResult, reason: str, *properties: tuple[str, str]) -> str:
    words = [f"{method}={result.value}"]
    if reason:
        words.append(f"reason={_quoted(reason)}")
    words += [f"{name}={_value(value)}" for name, value in properties if value]
    return " ".join(words)


def _value(text: str) -> str:
    return text if len(text) <= _MAX_VALUE and _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    """A quoted string (RFC 5322 section 3.2.4) of printable ASCII."""
    printable = "".join(c if " " <= c <= "~" else "?" for c in text[:_MAX_VALUE])
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def claims_us(value: str, authserv_id: str) -> bool:
    """Whether an Authentication-Results field gives `authserv_id` as its author, in any spelling.

    Comments, quotes, case, white space, a version after it, a final dot, encoded words and letters of
    another script are seen through; where a field can be read in several ways, one that is ours is enough.
    """
    ours = _normal(authserv_id)
    head = value[:_CLAIM]
    for text in (head, decode_words(head)):
        for bare in (without_comments(text), text):
            if ours in _readings(bare):
                return True
    return False


def _readings(text: str) -> set[str]:
    """The names that the start of a field may be taken for."""
    words = [word for word in _UNSEEN.split(text.translate(_NO_QUOTES).partition(";")[0]) if word]
    joined = "".join(words)
    found = {*words[:1], joined, joined.rstrip("0123456789"), *re.split("[/=]", joined)[:1]}
    return {_normal(one) for one in found}


def _normal(name: str) -> str:
    name = name.strip().rstrip(".")
    return to_ascii(name) or name.lower()


def without_comments(text: str) -> str:
    """`text` with comments (RFC 5322 section 3.2.2), which nest, as blanks; quoted strings are left alone."""
    kept, depth, quoted, escaped = [], 0, False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif quoted:
            quoted = character != '"'
        elif character == '"' and not depth:
            quoted = True
        elif character == "(":
            depth += 1
            kept.append(" ")
            continue
        elif character == ")" and depth:
            depth -= 1
            continue
        if not depth:
            kept.append(character)
    return "".join(kept)
