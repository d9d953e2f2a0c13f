"""What our own relays found: the Authentication-Results (RFC 8601) that they wrote, where ours cannot be had.

In: a Mail whose `relayed` says how far our relays wrote its header block, and the authserv-ids that are believed. Out:
a `Hearsay`, which amends our own results: SPF where the client is not known or the DNS did not answer, a signature
that no longer holds or is gone, and the DMARC pass that these made possible. It never makes a result worse, and never
amends a signature that holds and is not believed for its form. What was taken over says whose word it is.

Section 5: a field is believed only if a host that we trust added it. Only its place in the message proves that: a
field below the lowest Received line that a relay wrote may have come with the message, whatever name it bears. A
field that does not follow the grammar of section 2.2 is not read at all. Pure; linear; never raises.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from filterd.auth.results import without_comments
from filterd.authentication import AuthResult, DkimResult, DmarcResult, SpfResult
from filterd.mail import Mail
from filterd.mail.domains import to_ascii
from filterd.value import replace

MAX_FIELDS = 10
MAX_FIELD = 8_192  # characters
MAX_CLAUSES = 20  # of one field

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
_CLAUSE = re.compile(rf'(?:[^;"]++|{_QUOTED})*+')
_HEAD = re.compile(rf'({_QUOTED}|[^\s";=/]+)(?:\s+([0-9]+))?')
_PAIR = re.compile(rf'([A-Za-z][\w.-]*+)(?:\s*/\s*[0-9]+)?\s*=\s*({_QUOTED}|[^\s";]+)(?:\s+|\Z)')
_UNESCAPE = re.compile(r"\\(.)")
_VERSION = "1"
_BROKEN = frozenset({"body hash mismatch", "signature mismatch", "signature expired"})  # what happens on the way


@dataclass(frozen=True, slots=True)
class Clause:
    """One result, with its properties by name, in lower case."""

    by: str  # the authserv-id
    method: str
    result: AuthResult
    properties: dict[str, str]

    def domain(self, name: str) -> str:
        """The domain of a property that is a domain or a mail address, in A-labels; "" when there is none."""
        return to_ascii(self.properties.get(name, "").rpartition("@")[2].rstrip(".")) or ""

    @property
    def reason(self) -> str:
        return f"as {self.by} found"


@dataclass(frozen=True, slots=True)
class Hearsay:
    """What believed fields say, the topmost field first."""

    clauses: tuple[Clause, ...] = ()

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains that are said to have passed, and may be aligned with the author's."""
        said = [*(one.domain("smtp.mailfrom") for one in self._passed("spf")), *map(_signer, self._passed("dkim"))]
        return tuple(dict.fromkeys(domain for domain in said if domain))

    def spf(self, own: SpfResult, *, known: bool) -> SpfResult:
        """`own`, or what was found where the client was still known; `known`: we know it, too."""
        if own.result is not AuthResult.TEMPERROR and (known or own.result is not AuthResult.NONE):
            return own
        found = {name: one for one in reversed(self._of("spf")) for name in one.properties}
        helo = found.get("smtp.helo")
        identity, one = "mailfrom", found.get("smtp.mailfrom")
        if one is None:
            identity, one = "helo", helo
        if one is None:
            return own
        return SpfResult(
            one.result,
            one.domain(f"smtp.{identity}"),
            identity,
            one.reason,
            helo.result if helo else own.helo,
            helo.domain("smtp.helo") if helo else own.helo_domain,
        )

    def dkim(self, own: tuple[DkimResult, ...]) -> tuple[DkimResult, ...]:
        """`own`, with a pass in the place of a signature that broke on the way, or that is gone."""
        results = list(own)
        for clause in self._passed("dkim"):
            domain, selector = _signer(clause), clause.properties.get("header.s", "").lower()
            same = [at for at, one in enumerate(results)
                    if one.domain == domain and (not selector or one.selector == selector)]  # fmt: skip
            if not domain or not all(_doubted(results[at]) for at in same):
                continue
            if same:
                results[same[0]] = replace(results[same[0]], result=AuthResult.PASS, reason=clause.reason)
            else:
                results.append(DkimResult(AuthResult.PASS, domain, selector, reason=clause.reason))
        return tuple(results)

    def dmarc(self, own: DmarcResult) -> DmarcResult:
        """`own`, or the pass that was found for the same author domain."""
        if own.result not in (AuthResult.FAIL, AuthResult.TEMPERROR):
            return own
        for clause in self._passed("dmarc"):
            if clause.domain("header.from") == own.domain:
                return replace(own, result=AuthResult.PASS, reason=clause.reason)
        return own

    def _of(self, method: str) -> list[Clause]:
        return [one for one in self.clauses if one.method == method]

    def _passed(self, method: str) -> list[Clause]:
        return [one for one in self._of(method) if one.result is AuthResult.PASS]


NOTHING = Hearsay()


def heard(mail: Mail, believed: Collection[str]) -> Hearsay:
    """What the fields say that our relays added under one of the names `believed`."""
    if not believed or not mail.relayed:
        return NOTHING
    fields = [one for one in mail.message.headers.all("Authentication-Results")[:MAX_FIELDS] if one.end <= mail.relayed]
    return Hearsay(tuple(clause for one in fields for clause in parse_results(one.raw_text, believed)))


def parse_results(value: str, believed: Collection[str]) -> tuple[Clause, ...]:
    """The results in a field; none when it is not by one of `believed`, or does not follow the grammar."""
    head, *rest = _split(without_comments(value)) if len(value) <= MAX_FIELD else ("",)
    match = _HEAD.fullmatch(head)
    by = to_ascii(_plain(match[1])) if match and match[2] in (None, _VERSION) else None  # section 2.2: no other version
    if by is None or by not in believed:
        return ()
    clauses = [_pairs(text) for text in rest[:MAX_CLAUSES] if text.lower() not in ("", "none")]
    if not all(clauses):
        return ()
    words = {one.value for one in AuthResult}
    return tuple(
        Clause(by, method, AuthResult(result.lower()), dict(properties))
        for (method, result), *properties in clauses
        if result.lower() in words
    )


def _split(text: str) -> Iterator[str]:
    """What stands between semicolons, outside quoted strings."""
    at = 0
    while at <= len(text):
        match = _CLAUSE.match(text, at)
        end = match.end() if match else at
        if text[end : end + 1] not in ("", ";"):  # a quote that never closes
            yield '"'
            return
        yield text[at:end].strip()
        at = end + 1


def _pairs(text: str) -> list[tuple[str, str]]:
    """method=result and its properties (section 2.2), the names in lower case; empty when there is more than that."""
    found = []
    at = 0
    while at < len(text):
        match = _PAIR.match(text, at)
        if match is None:
            return []
        found.append((match[1].lower(), _plain(match[2])))
        at = match.end()
    return found


def _plain(value: str) -> str:
    return _UNESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _signer(clause: Clause) -> str:
    return clause.domain("header.d") or clause.domain("header.i")


def _doubted(one: DkimResult) -> bool:
    """Did we find it broken, or not find out?"""
    return one.result is AuthResult.TEMPERROR or (one.result is AuthResult.FAIL and one.reason in _BROKEN)
