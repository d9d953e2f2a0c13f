"""DKIM (RFC 6376, 8301, 8463, 8616): each signature of a message judged, with the reason why it is not a
plain pass.

In: a Mail, and Facts with the keys. Out: one DkimResult for each signature, top first, up to a limit; past
that one result says how many were not looked at. Pure; the only clock is the envelope's. Never raises.

The words are RFC 8601's, section 2.7.1. Where RFC 6376 leaves a choice:

- A test key (t=y) is `policy`: its mail must be treated as if it were not signed (section 3.6.1), so it can
never be a pass that DMARC builds on, and never a fail either.
- l= with text after it is `policy`: the signer vouches for a part of the body, and a reader sees it all
(section 8.2). With l= for the whole body it is a plain pass; with l= for more than the body a permerror
(section 3.5).
- A key under 1024 bits is `policy`: it verifies, but RFC 8301 forbids to believe it.
- An expired signature is `fail`, a From field that is not signed while another is, too.
"""

from __future__ import annotations

from filterd.auth.canonical import SignedMessage
from filterd.auth.keys import Key
from filterd.auth.signature import (
    MIN_BITS,
    Problem,
    Signature,
    check_body,
    check_header,
    find_key,
    names,
    number,
    permanent,
    read_signature,
    read_tags,
)
from filterd.authentication import AuthResult, DkimResult
from filterd.facts import Facts
from filterd.mail import Mail
from filterd.mail.domains import is_under, to_ascii
from filterd.mail.headers import Header

_NEEDED = "v a b bh d h s"
_FUTURE = 36_000  # seconds that a signer's clock may be ahead


def signatures(mail: Mail, limit: int) -> tuple[Header, ...]:
    """The signature fields that are looked at."""
    return mail.message.headers.all("DKIM-Signature")[:limit]


def key_name(header: Header) -> str | None:
    """Where the key of a signature is published; None when it names no place."""
    tags = read_tags(header)
    if isinstance(tags, Problem):
        return None
    domain, selector = names(tags)
    return f"{selector}._domainkey.{domain}" if domain and selector else None


def verify(mail: Mail, facts: Facts, message: SignedMessage, limit: int) -> tuple[DkimResult, ...]:
    """Judge the signatures of a mail."""
    now = int(mail.envelope.received_at.timestamp())
    results = [_judge(header, mail, facts, message, now) for header in signatures(mail, limit)]
    if (unseen := len(mail.message.headers.all("DKIM-Signature")) - len(results)) > 0:
        results.append(DkimResult(AuthResult.POLICY, "", reason=f"{unseen} more signatures not looked at"))
    return tuple(results)


def _judge(header: Header, mail: Mail, facts: Facts, message: SignedMessage, now: int) -> DkimResult:
    tags = read_tags(header)
    if isinstance(tags, Problem):
        return DkimResult(tags.result, "", reason=tags.reason)
    domain, selector = names(tags)
    identity = tags.get(b"i", b"").decode("utf-8", "replace")
    algorithm = tags.get(b"a", b"").decode("latin-1")

    def result(problem: Problem | None, key: Key | None = None) -> DkimResult:
        return DkimResult(
            problem.result if problem else AuthResult.PASS,
            domain,
            selector,
            identity,
            algorithm,
            problem.reason if problem else None,
            key.testing if key else False,
            key.bits if key else 0,
        )

    signature = read_signature(header, tags, _NEEDED)
    if isinstance(signature, Problem):
        return result(signature)
    if problem := _check_form(signature, identity, now):
        return result(problem)
    key = find_key(signature, facts)
    if isinstance(key, Problem):
        return result(key)
    problem = _check(signature, key, identity, message, now)
    if key.testing:
        state = f"would be {problem.result.value}: {problem.reason}" if problem else "verifies"
        problem = Problem(AuthResult.POLICY, f"test key (t=y); {state}")
    return result(problem, key)


def _check_form(signature: Signature, identity: str, now: int) -> Problem | None:
    """What can be said without a key (RFC 6376 section 6.1.1)."""
    tags = signature.tags
    if tags[b"v"] != b"1":
        return permanent("unknown version")
    if identity and not is_under(_domain(identity), signature.domain):
        return permanent("i= is outside d=")
    if "from" not in signature.signed:
        return permanent("From not signed")
    if tags.get(b"q", b"dns/txt").lower() != b"dns/txt":
        return permanent("unknown query method")
    signed_at, expires, length = number(tags.get(b"t")), number(tags.get(b"x")), number(tags.get(b"l"))
    if -1 in (signed_at, expires, length):
        return permanent("t=, x= or l= is not a number")
    if signed_at is not None and expires is not None and expires < signed_at:
        return permanent("expires before it was signed")
    if signed_at is not None and signed_at > now + _FUTURE:
        return permanent("signed in the future")
    return None


def _domain(identity: str) -> str:
    return to_ascii(identity.rpartition("@")[2]) or ""


def _check(signature: Signature, key: Key, identity: str, message: SignedMessage, now: int) -> Problem | None:
    """Whether it verifies, and if it does, whether it is to be believed."""
    if key.strict and identity and _domain(identity) != signature.domain:
        return permanent("i= is not d=, as the key demands (t=s)")
    expires, length = number(signature.tags.get(b"x")), number(signature.tags.get(b"l"))
    if expires is not None and now > expires:
        return Problem(AuthResult.FAIL, "signature expired")
    unsigned = 0 if length is None else message.body_length(signature.body_algorithm) - length
    if unsigned < 0:
        return permanent("l= is longer than the body")
    if problem := check_body(signature, message, length):
        return problem
    fields = message.select(signature.signed)
    if problem := check_header(signature, key, message, fields):
        return problem
    if not message.has_every_from(fields):
        return Problem(AuthResult.FAIL, "a From field is not signed")
    if key.kind == "rsa" and key.bits < MIN_BITS:
        return Problem(AuthResult.POLICY, f"key of {key.bits} bits")
    if unsigned:
        return Problem(AuthResult.POLICY, f"l= leaves {unsigned} bytes of the body unsigned")
    return None
