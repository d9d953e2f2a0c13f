"""Does the mail pose as somebody whom the site knows: its own people, its domains, its partners, a brand? Pure.

In: `ProtectSettings`, our domains, and the shipped brands' domains. Out: a check. Mail of our own users is left alone;
so are lists and calendars that write for somebody, where an answer reaches the person himself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field, field_validator

from filterd.authentication import Authentication, AuthResult
from filterd.checks.likeness import Likeness, Lookalikes, mixes_scripts, preload, protect, skeleton
from filterd.facts import Facts
from filterd.findings import Check, Finding, Symbol, check
from filterd.mail import Direction, Mail
from filterd.mail.address import Mailbox
from filterd.mail.domains import is_under, to_ascii, to_unicode
from filterd.mail.envelope import domain_of
from filterd.settings import Settings

PERSON = Symbol(
    "POSES_AS_PERSON", 3.5, "The name shown for the sender is that of a protected person, the address is not."
)
PERSON_LIST = Symbol(
    "POSES_AS_PERSON_ON_LIST", 1.0, "A list writes in the name of a protected person, and not in his address."
)
BRAND = Symbol(
    "POSES_AS_BRAND", 2.5, "The sender calls himself by a protected name, but writes from none of its domains."
)
OURS = Symbol("LOOKALIKE_OF_US", 3.5, "A sender's domain looks like one of ours or of a partner, and is not.")
ENDING = Symbol("LOOKALIKE_OTHER_ENDING", 1.0, "A sender's domain is one of ours or of a partner with another ending.")
OF_BRAND = Symbol("LOOKALIKE_OF_BRAND", 2.5, "A sender's domain looks like that of a much imitated name, and is not.")
LINK = Symbol(
    "LINK_LOOKALIKE", 2.5, "A link leads to a domain that looks like ours, a partner's or a brand's, and is not."
)
HOMOGRAPH = Symbol("DOMAIN_MIXED_SCRIPTS", 2.5, "A sender's or link's domain mixes alphabets whose letters look alike.")
NAME_SCRIPTS = Symbol(
    "FROM_NAME_MIXED_SCRIPTS", 2.0, "A word of the sender's name mixes alphabets whose letters look alike."
)
OWN_FORGED = Symbol(
    "OWN_DOMAIN_FORGED", 2.0, "It comes from outside in the name of our own domain, and nobody vouches for it."
)
SYMBOLS = (PERSON, PERSON_LIST, BRAND, OURS, ENDING, OF_BRAND, LINK, HOMOGRAPH, NAME_SCRIPTS, OWN_FORGED)

MAX_LINKS = 100  # distinct hosts that are compared
_WORD = re.compile(r"[^\W\d_]+")
_UNSURE = frozenset({AuthResult.TEMPERROR})


class Person(Settings):
    """Somebody in whose name fraud is written."""

    name: str = Field(min_length=3, description="The name as mail clients show it; at least two words.")
    addresses: tuple[str, ...] = Field(min_length=1, description="All addresses that the person writes from.")

    @field_validator("name")
    @classmethod
    def _two_words(cls, name: str) -> str:
        if len(words(name)) < 2:
            raise ValueError("a name of one word would be found in other people's mail")
        return name


class Brand(Settings):
    """A name that others like to borrow."""

    name: str = Field(min_length=3, description="As it stands in From, such as Example Bank.")
    domains: tuple[str, ...] = Field(min_length=1, description="The domains that it writes from.")

    @field_validator("domains")
    @classmethod
    def _domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(domains)


class ProtectSettings(Settings):
    """Who is imitated. Our own `domains`, and the shipped brands, are protected without being named here."""

    people: tuple[Person, ...] = Field((), description="People in whose name fraud is written: directors, accountants.")
    partners: tuple[str, ...] = Field((), description="Domains of those whom we pay, and who pay us.")
    brands: tuple[Brand, ...] = Field((), description="Names beyond the shipped ones that are imitated to our users.")
    known: tuple[str, ...] = Field((), description="Domains that look like a protected one and are honest.")

    @field_validator("partners", "known")
    @classmethod
    def _domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(domains)


def _checked(domains: Iterable[str]) -> tuple[str, ...]:
    found = []
    for domain in domains:
        name = to_ascii(domain)
        if name is None or "." not in name:
            raise ValueError(f"{domain!r} is not a domain")
        found.append(name)
    return tuple(found)


def impersonation(settings: ProtectSettings, domains: Sequence[str], brands: Sequence[str]) -> Check:
    """The check. `brands`: the domains of the shipped brands."""
    preload()
    watch = _Watch(settings, domains, brands)

    @check(*SYMBOLS)
    def impersonated(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
        """Compares senders and links with those whom the site protects."""
        if mail.envelope.direction is not Direction.INBOUND or mail.envelope.user is not None:
            return
        yield from watch.names(mail, auth)
        yield from watch.domains(mail, auth)
        yield from watch.links(mail)

    return impersonated


class _Watch:
    """Everything protected, made ready."""

    def __init__(self, settings: ProtectSettings, domains: Sequence[str], brands: Sequence[str]) -> None:
        self._ours = tuple(domains)
        self._people = [
            (_folded(one.name), frozenset(address.lower() for address in one.addresses)) for one in settings.people
        ]
        self._brands = [(_folded(one.name), one.domains) for one in settings.brands]
        named = [domain for one in settings.brands for domain in one.domains]
        kinds = protect(own=domains, known=settings.known, partner=settings.partners, brand=(*named, *brands))
        self._lookalikes = Lookalikes(kinds)

    def names(self, mail: Mail, auth: Authentication) -> Iterator[Finding]:
        """What the sender calls himself."""
        for author in mail.message.from_[:3]:
            shown = f"{author.name} <{author.address}>"[:150]
            if mixed := next((word for word in _WORD.findall(author.name[:200]) if mixes_scripts(word)), None):
                yield NAME_SCRIPTS.found(f"{mixed} in {shown}")
            folded = _folded(author.name) if self._people or self._brands else frozenset()
            for name, addresses in self._people:
                if name <= folded and not _is_person(mail, author, addresses):
                    yield (PERSON_LIST if _by_list(mail, auth) else PERSON).found(shown)
                    break
            for name, own in self._brands:
                if name <= folded and not any(is_under(author.domain, domain) for domain in own):
                    yield BRAND.found(shown)
                    break

    def domains(self, mail: Mail, auth: Authentication) -> Iterator[Finding]:
        """Where the sender says that he is."""
        message = mail.message
        senders = [box.domain for box in (*message.from_[:3], *message.reply_to[:3])]
        hosts = [host for host in dict.fromkeys((*senders, domain_of(mail.envelope.sender))) if host]
        likeness = next(((host, found) for host in hosts if (found := self._lookalikes.of(host))), None)
        if likeness and (symbol := _symbol(likeness[1])):
            yield symbol.found(_shown(*likeness))
        if mixed := next((host for host in hosts if _mixed(host)), None):
            yield HOMOGRAPH.found(f"{mixed}, shown as {to_unicode(mixed)}")
        if self._ours and (own := self._forged(mail, auth)):
            yield OWN_FORGED.found(own)

    def links(self, mail: Mail) -> Iterator[Finding]:
        """Where links lead."""
        web = (link.host for link in mail.message.links if link.host and link.scheme in ("http", "https"))
        hosts = list(dict.fromkeys(web))[:MAX_LINKS]
        likeness = next(((host, found) for host in hosts if (found := self._lookalikes.of(host))), None)
        if likeness and likeness[1].kind != "known" and likeness[1].how != "ending":
            yield LINK.found(_shown(*likeness))
        if mixed := next((host for host in hosts if _mixed(host)), None):
            yield HOMOGRAPH.found(f"a link to {mixed}, shown as {to_unicode(mixed)}")

    def _forged(self, mail: Mail, auth: Authentication) -> str:
        """Our domain that the sender claims without anybody's word for it; "" when all is well or not known."""
        if not mail.origin.known or auth.dmarc.result in (AuthResult.PASS, *_UNSURE):
            return ""
        if auth.spf.result in _UNSURE or any(one.result in _UNSURE for one in auth.dkim) or _by_list(mail, auth):
            return ""
        claimed = [own for own in self._ours for host in mail.message.author_domains if is_under(host, own)]
        vouched = any(is_under(domain, own) for domain in auth.domains for own in claimed)
        return "" if vouched or not claimed else f"From {claimed[0]}, by {mail.origin.address}"


def words(name: str) -> frozenset[str]:
    """The words of a name, two letters at least, without accents."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name[:200]) if not unicodedata.combining(c))
    return frozenset(word.casefold() for word in _WORD.findall(plain) if len(word) > 1)


def _folded(name: str) -> frozenset[str]:
    return frozenset(skeleton(word) for word in words(name))


def _is_person(mail: Mail, author: Mailbox, addresses: frozenset[str]) -> bool:
    """Is it the person, or does whoever answers reach the person?"""
    if author.address.lower() in addresses:
        return True
    reply = [box.address.lower() for box in mail.message.reply_to]
    return (
        bool(reply)
        and all(address in addresses or address == author.address.lower() for address in reply)
        and any(address in addresses for address in reply)
    )


def _by_list(mail: Mail, auth: Authentication) -> bool:
    """Did a list hand it on, for whom a domain vouches?"""
    headers = mail.message.headers
    listed = any(headers.first(name) for name in ("List-Id", "List-Post", "X-BeenThere", "Mailing-List"))
    chained = auth.arc is not None and auth.arc.result is AuthResult.PASS
    return chained or (listed and bool(auth.domains))


def _symbol(likeness: Likeness) -> Symbol | None:
    if likeness.kind == "known":
        return None
    if likeness.kind == "brand":
        return None if likeness.how == "ending" else OF_BRAND
    return ENDING if likeness.how == "ending" else OURS


def _shown(host: str, likeness: Likeness) -> str:
    return f"{to_unicode(host)[:100]} looks like {likeness.domain} ({likeness.how})"


def _mixed(host: str) -> bool:
    return "xn--" in host and any(mixes_scripts(label) for label in to_unicode(host).split("."))
