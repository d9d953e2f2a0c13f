"""ARC (RFC 8617): is the chain of seals whole, and who made it?

In: a Mail, and Facts with the keys. Out: an ArcResult: none, pass, fail, or temperror when a key could not
be fetched; with the domains that sealed, from the first hop to the last. A chain says who handled the mail;
whether to believe them is policy. Pure; never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filterd.auth.canonical import SignedMessage
from filterd.auth.signature import (
    MIN_BITS,
    Problem,
    Signature,
    check_body,
    check_header,
    find_key,
    names,
    number,
    read_signature,
    read_tags,
)
from filterd.authentication import ArcResult, AuthResult
from filterd.facts import Facts
from filterd.mail import Mail
from filterd.mail.headers import Header

MAX_SETS = 50  # RFC 8617 section 4.2.1

_RESULTS, _MESSAGE, _SEAL = "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"
_ASIDE = re.compile(r'"(?:[^"\\]++|\\.)*+"|\([^()]*+\)')
_DMARC = re.compile(r";\s*dmarc\s*=\s*([a-z]+)", re.IGNORECASE)
_NEEDED_MESSAGE = "i a b bh d h s"
_NEEDED_SEAL = "i a b cv d s"
_RELAXED = {b"c": b"relaxed/relaxed"}  # what seals always are, and message signatures unless they say otherwise


@dataclass(frozen=True, slots=True)
class _Set:
    """What one hop added."""

    results: Header
    message: Header
    seal: Header
    message_tags: dict[bytes, bytes]
    seal_tags: dict[bytes, bytes]


def key_names(mail: Mail) -> tuple[str, ...]:
    """Where the keys of the chain are published: every seal's, and the last message signature's."""
    chain = _chain(mail)
    if isinstance(chain, str) or not chain:
        return ()
    wanted = [names(one.seal_tags) for one in chain] + [names(chain[-1].message_tags)]
    found = (f"{selector}._domainkey.{domain}" for domain, selector in wanted if domain and selector)
    return tuple(dict.fromkeys(found))


def verify(mail: Mail, facts: Facts, message: SignedMessage) -> ArcResult:
    """Validate the chain (RFC 8617 section 5.2)."""
    chain = _chain(mail)
    if isinstance(chain, str):
        return ArcResult(AuthResult.FAIL, reason=chain)
    if not chain:
        return ArcResult(AuthResult.NONE)
    sealers = tuple(names(one.seal_tags)[0] for one in chain)
    problem = _status(chain) or _check_message(chain[-1], facts, message)
    for count in range(len(chain), 0, -1):  # the newest seal first
        problem = problem or _check_seal(chain[:count], facts, message)
    if problem is None:
        return ArcResult(AuthResult.PASS, len(chain), sealers, dmarc=_said(chain[-1].results))
    temporary = problem.result is AuthResult.TEMPERROR
    result = AuthResult.TEMPERROR if temporary else AuthResult.FAIL
    return ArcResult(result, len(chain), sealers, problem.reason)


def _said(results: Header) -> AuthResult:
    """What an ARC-Authentication-Results field says of DMARC, outside comments and quoted strings."""
    words = {match[1].lower() for match in _DMARC.finditer(_ASIDE.sub(" ", results.raw_text))}
    return AuthResult(words.pop()) if len(words) == 1 and words <= set(AuthResult) else AuthResult.NONE


def _chain(mail: Mail) -> list[_Set] | str:
    """The sets in order of their instance; empty when there are none; or what is wrong with their form."""
    fields: dict[str, dict[int, tuple[Header, dict[bytes, bytes]]]] = {}
    for name in (_RESULTS, _MESSAGE, _SEAL):
        headers = mail.message.headers.all(name)
        if len(headers) > MAX_SETS:
            return "too many ARC sets"
        by_instance = fields[name] = {}
        for header in headers:
            tags = _tags(header, name)
            instance = number(tags.get(b"i")) if not isinstance(tags, Problem) else None
            if isinstance(tags, Problem) or instance is None or not 1 <= instance <= MAX_SETS:
                return f"{name} unreadable"
            if instance in by_instance:
                return f"two {name} fields of one instance"
            by_instance[instance] = header, tags
    seals = fields[_SEAL]
    expected = set(range(1, len(seals) + 1))
    if any(set(one) != expected for one in fields.values()):
        return "ARC sets not complete"
    return [
        _Set(fields[_RESULTS][n][0], fields[_MESSAGE][n][0], seals[n][0], fields[_MESSAGE][n][1], seals[n][1])
        for n in sorted(expected)
    ]


def _tags(header: Header, name: str) -> dict[bytes, bytes] | Problem:
    """The tags of a field; of ARC-Authentication-Results only i=, for the rest is no tag list."""
    if name != _RESULTS:
        return read_tags(header)
    tag, equals, value = header.value.partition(b";")[0].partition(b"=")
    return {b"i": value.strip()} if equals and tag.strip() == b"i" else {}


def _status(chain: list[_Set]) -> Problem | None:
    """What the seals themselves say (cv=): none in the first, pass in all others."""
    for position, one in enumerate(chain):
        status = one.seal_tags.get(b"cv", b"").lower()
        if status != (b"pass" if position else b"none"):
            text = status.decode("latin-1")[:20]
            return Problem(AuthResult.FAIL, f"seal {position + 1} says cv={text}")
    return None


def _check_message(last: _Set, facts: Facts, message: SignedMessage) -> Problem | None:
    """The newest ARC-Message-Signature must hold; older ones may have been broken on the way."""
    signature = read_signature(last.message, {**_RELAXED, **last.message_tags}, _NEEDED_MESSAGE)
    if isinstance(signature, Problem):
        return signature
    if "arc-seal" in signature.signed:
        return Problem(AuthResult.FAIL, "the message signature covers a seal")  # section 4.1.2
    fields = message.select(signature.signed)
    if "from" in signature.signed and not message.has_every_from(fields):
        return Problem(AuthResult.FAIL, "a From field is not signed")
    return check_body(signature, message) or _verify(signature, facts, message, fields)


def _check_seal(chain: list[_Set], facts: Facts, message: SignedMessage) -> Problem | None:
    """The seal of the last set covers all ARC fields up to its own (section 5.1.1)."""
    *earlier, last = chain
    if b"h" in last.seal_tags:
        return Problem(AuthResult.FAIL, "a seal with h=")  # section 4.1.3
    signature = read_signature(last.seal, {**last.seal_tags, **_RELAXED}, _NEEDED_SEAL)
    if isinstance(signature, Problem):
        return signature
    fields = [field for one in earlier for field in (one.results, one.message, one.seal)]
    return _verify(signature, facts, message, [*fields, last.results, last.message])


def _verify(signature: Signature, facts: Facts, message: SignedMessage, fields: list[Header]) -> Problem | None:
    key = find_key(signature, facts)
    if isinstance(key, Problem):
        return key
    if key.kind == "rsa" and key.bits < MIN_BITS:
        return Problem(AuthResult.FAIL, f"key of {key.bits} bits")
    return check_header(signature, key, message, fields)
