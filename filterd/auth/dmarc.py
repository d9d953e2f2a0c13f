"""DMARC (RFC 9989): does someone who may speak for the author's domain vouch for this mail?

In: the author domains, the SPF and DKIM results, and Facts with the TXT records of the tree walk. Out: a
DmarcResult. Pure; never raises. The organizational domain comes from the tree walk alone, never from a
public suffix list.

`policy` is what the domain owner asks to be done with this mail if it fails, t=y taken into account (one
step milder, section 4.7). Where the RFC leaves a choice:

- Not exactly one author domain: no DMARC (section 5.3.1 allows that), so a second From field can't borrow a
pass.
- A record without p= counts as p=none (section 4.7). One with an invalid p=, sp= or np= does so only if it
has a reporting address; else it is no record for policy (section 4.10.1), but it still marks its place in
the tree.
- An aligned pass that is certain is a pass, even if another name could not be asked. Otherwise, if an
answer that is missing could have changed the result, it is temperror: neither pass nor fail (section
5.3.6).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from filterd.authentication import AuthResult, DkimResult, DmarcPolicy, DmarcResult, SpfResult
from filterd.facts import DnsStatus, Facts
from filterd.mail.domains import is_under

_LABELS_AFTER_FIRST = 7  # section 4.10 step 4: at most eight queries
_MAX_RECORD = 8_192
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)")  # section 4.8: first, its value in just these letters
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^,!\s]+(?:![0-9]+[kmgt]?)?", re.IGNORECASE)
_MILDER = {DmarcPolicy.REJECT: DmarcPolicy.QUARANTINE}


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC policy record."""

    policy: DmarcPolicy | None  # None: not usable as a policy
    subdomains: DmarcPolicy | None = None  # sp=
    missing: DmarcPolicy | None = None  # np=
    psd: str = "u"
    strict_dkim: bool = False
    strict_spf: bool = False
    testing: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """What the tree walk from one domain found, the longest name first."""

    start: str
    found: tuple[tuple[str, Record], ...]
    broken: bool  # a name on the way could not be asked

    @property
    def own(self) -> Record | None:
        return self.at(self.start)

    def at(self, domain: str) -> Record | None:
        return next((record for name, record in self.found if name == domain), None)

    @property
    def psd(self) -> str | None:
        """The public suffix domain above, if a record says that there is one."""
        return next((name for name, record in self.found if record.psd == "y" and name != self.start), None)

    @property
    def organization(self) -> str | None:
        """The organizational domain (section 4.10.2); None when it can't be known."""
        if self.broken:
            return None
        for name, record in self.found:
            if record.psd == "n":
                return name
            if record.psd == "y" and name != self.start:
                return ".".join(self.start.split(".")[-(name.count(".") + 2) :])
        return self.found[-1][0] if self.found else self.start


def walk_names(domain: str) -> list[str]:
    """The domains whose records a walk from `domain` may need, in order (section 4.10)."""
    labels = domain.split(".")
    rest = labels[1:][-_LABELS_AFTER_FIRST:]
    return [domain, *(".".join(rest[start:]) for start in range(len(rest)))]


def record_name(domain: str) -> str:
    return f"_dmarc.{domain}"


def parse_record(text: bytes) -> Record | None:
    """A policy record; None when it is not one: v= must come first and match precisely (section 4.7)."""
    line = text.decode("latin-1")
    if len(line) > _MAX_RECORD or not _VERSION.match(line):
        return None
    tags: dict[str, str] = {}
    for part in line.split(";")[1:]:  # syntax errors are ignored, and so are unknown tags
        tag, _, value = part.partition("=")
        tags.setdefault(tag.strip(" \t").lower(), value.strip(" \t"))
    policies = {tag: _policy(tags[tag]) for tag in ("p", "sp", "np") if tag in tags}
    policy: DmarcPolicy | None = policies.get("p", DmarcPolicy.NONE)
    subdomains, missing = policies.get("sp"), policies.get("np")
    if None in policies.values():
        policy = DmarcPolicy.NONE if any(map(_URI.fullmatch, _uris(tags.get("rua", "")))) else None
        subdomains = missing = None
    psd = tags.get("psd", "u").lower()
    return Record(
        policy,
        subdomains,
        missing,
        psd if psd in ("y", "n") else "u",
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        tags.get("t", "n").lower() == "y",
    )


def _policy(value: str) -> DmarcPolicy | None:
    return next((policy for policy in DmarcPolicy if policy.value == value.lower()), None)


def _uris(value: str) -> list[str]:
    return [uri.strip() for uri in value.split(",")]


def walk(domain: str, facts: Facts) -> Walk:
    """Walk the tree from `domain` upwards, through answers that were fetched before."""
    found: list[tuple[str, Record]] = []
    broken = False
    for name in walk_names(domain):
        answer = facts.text(record_name(name))
        if answer.status is DnsStatus.TEMPERROR:
            broken = True
            continue
        records = [record for record in map(parse_record, answer.records) if record is not None]
        if len(records) != 1:  # several are all discarded (steps 2 and 6)
            continue
        found.append((name, records[0]))
        if records[0].psd != "u":
            break
    return Walk(domain, tuple(found), broken)


def evaluate(authors: tuple[str, ...], spf: SpfResult, dkim: tuple[DkimResult, ...], facts: Facts) -> DmarcResult:
    """The result for a mail whose From fields name `authors`, all readings of them together."""
    if len(authors) != 1:
        return DmarcResult(reason=f"{len(authors)} author domains" if authors else "no author domain")
    [author] = authors
    tree = walk(author, facts)
    place = _policy_place(tree)
    if place is None:
        if tree.broken:
            return DmarcResult(AuthResult.TEMPERROR, domain=author, reason="policy record not available")
        return DmarcResult(domain=author, reason="no policy record")
    record = tree.at(place)
    if record is None or record.policy is None:
        return DmarcResult(domain=author, record_domain=place, reason="invalid policy record")
    alignment = _Alignment(tree, facts)
    spf_word = alignment.of(spf.result, spf.domain, record.strict_spf)
    dkim_words = {alignment.of(one.result, one.domain, record.strict_dkim) for one in dkim}
    words = {spf_word, *dkim_words}
    result = next((word for word in (AuthResult.PASS, AuthResult.TEMPERROR) if word in words), AuthResult.FAIL)
    reasons = {AuthResult.PASS: "", AuthResult.TEMPERROR: "not all could be asked"}
    return DmarcResult(
        result,
        _applied(record, place, author, facts),
        author,
        tree.organization or "",
        place,
        spf_word is AuthResult.PASS,
        AuthResult.PASS in dkim_words,
        record.testing,
        reasons.get(result, "nobody aligned vouches for it"),
    )


def _policy_place(tree: Walk) -> str | None:
    """Where the record is that applies: at the author domain, its organization, or its public suffix."""
    if tree.own is not None or tree.broken:
        return tree.start if tree.own else None
    return next((name for name in (tree.organization, tree.psd) if name and tree.at(name)), None)


def _applied(record: Record, place: str, author: str, facts: Facts) -> DmarcPolicy:
    """What the domain owner asks for: p=, sp= or np=, milder by a step with t=y."""
    policy = record.policy or DmarcPolicy.NONE
    if place != author:
        absent = facts.exists.get(author) is DnsStatus.NXDOMAIN
        policy = (record.missing if absent else None) or record.subdomains or policy
    return _MILDER.get(policy, DmarcPolicy.NONE) if record.testing else policy


class _Alignment:
    """Who is aligned with the author domain (section 4.10.2)."""

    def __init__(self, author: Walk, facts: Facts) -> None:
        self._author = author
        self._facts = facts

    def of(self, result: AuthResult, domain: str, strict: bool) -> AuthResult:
        """PASS when an aligned domain vouches; TEMPERROR when that can't be known; else FAIL."""
        if result not in (AuthResult.PASS, AuthResult.TEMPERROR) or not domain:
            return AuthResult.FAIL
        aligned = self._aligned(domain, strict)
        if aligned is False:
            return AuthResult.FAIL
        return result if aligned else AuthResult.TEMPERROR

    def _aligned(self, domain: str, strict: bool) -> bool | None:
        """None when it can't be known."""
        if domain == self._author.start:
            return True
        organization = self._author.organization
        if strict or (organization is not None and not is_under(domain, organization)):
            return False
        if domain.rpartition(".")[2] != self._author.start.rpartition(".")[2]:
            return False
        theirs = walk(domain, self._facts).organization
        return None if theirs is None or organization is None else theirs == organization
