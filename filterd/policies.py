"""Policies: for whom the site makes exceptions, and which. Settings, and who they cover. Pure.

In: what the configuration says, an envelope, a recipient. Out: the first policy that covers the recipient, the
thresholds that hold for him, and the terms under which a mail is judged for him. What follows from a verdict is
`filterd.policy`'s; how a verdict differs under a policy's terms is `filterd.judge`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from filterd.access import AccessList
from filterd.decision import Action, Tagging, Thresholds
from filterd.findings import Symbol, hundredths
from filterd.mail.domains import to_ascii
from filterd.mail.envelope import Direction, Envelope, Recipient
from filterd.mail.language import LANGUAGES
from filterd.settings import Settings

RULE_OFF = Symbol("RULE_OFF", 0.0, "This recipient's policy switches a rule off: what it weighed does not count.")
FOREIGN_LANGUAGE = Symbol("FOREIGN_LANGUAGE", 0.0, "Written in no language that this recipient's policy names.")

_FIELD = re.compile(r"X-[A-Za-z0-9-]{1,60}: [ -~]{0,200}")
_PATTERN = re.compile(r"[^\s\x00-\x1f]+")


class ThresholdSettings(Settings):
    """From which score on a message is tagged, quarantined, refused; null is never."""

    tag: float | None = Field(5.0, description="From this score on, delivered with X-Spam-Flag: YES.")
    quarantine: float | None = Field(8.0, description="From this score on, kept in the quarantine.")
    reject: float | None = Field(None, description="From this score on, refused with a 550; null is never.")

    @model_validator(mode="after")
    def _in_order(self) -> ThresholdSettings:
        given = [t for t in (self.tag, self.quarantine, self.reject) if t is not None]
        if given != sorted(given):
            raise ValueError("thresholds must rise from tag over quarantine to reject")
        return self

    @property
    def value(self) -> Thresholds:
        parts = (None if t is None else hundredths(t) for t in (self.tag, self.quarantine, self.reject))
        return Thresholds(*parts)


Step = float | Literal["site"] | None


class OwnThresholds(Settings):
    """The thresholds of a policy; `site` is what stands at the top level, null is never."""

    tag: Step = Field("site", description="As thresholds.tag; site: the same.")
    quarantine: Step = Field("site", description="As thresholds.quarantine; site: the same.")
    reject: Step = Field("site", description="As thresholds.reject; site: the same.")

    def over(self, site: ThresholdSettings) -> ThresholdSettings:
        """These, with the site's where it says so; raises ValueError when they are out of order."""
        own = {name: value for name, value in self if value != "site"}
        return ThresholdSettings.model_validate({**site.model_dump(), **own}) if own else site


Acted = Literal["accept", "tag", "quarantine", "reject", "discard"]


class ActionSettings(Settings):
    """What is done where the score, or DMARC, asks for one of these."""

    tag: Acted = Field("tag", description="Instead of tagging.")
    quarantine: Acted = Field("quarantine", description="Instead of quarantining, such as tag.")
    reject: Acted = Field("reject", description="Instead of refusing, such as quarantine or discard.")

    def instead(self, action: Action) -> Action:
        return Action(getattr(self, action.value, action.value))


class TaggingSettings(Settings):
    """What a tagged message gets beside X-Spam-Flag. Nothing by default."""

    subject: str = Field(
        "",
        max_length=60,
        description="Put before the Subject, such as `[SPAM]`. It breaks the sender's DKIM signature for whoever "
        "looks at it after us, and there is no way back for the reader; a header field does no harm.",
    )
    header: str = Field("", description="A header field of your own, such as `X-Junk: yes`. Its name starts with X-.")

    @field_validator("subject")
    @classmethod
    def _one_line(cls, subject: str) -> str:
        if not subject.isprintable():
            raise ValueError("the text before a Subject is one line")
        return subject.strip()

    @field_validator("header")
    @classmethod
    def _field(cls, header: str) -> str:
        if header and not _FIELD.fullmatch(header):
            raise ValueError("a header field is `X-Name: text`, in ASCII, at most 200 characters of text")
        return header

    @property
    def value(self) -> Tagging:
        return Tagging(self.subject, self.header)


def _pattern(text: str) -> str:
    """An address or a domain, perhaps with `*` and `?`, in comparable form; raises ValueError."""
    local, at, domain = text.lower().rpartition("@")
    domain = to_ascii(domain) or domain
    if not _PATTERN.fullmatch(text) or not domain or (at and not local):
        raise ValueError(f"{text!r} is neither an address nor a domain")
    return f"{local}{at}{domain}"


def _comparable(recipient: Recipient) -> str:
    local, at, domain = recipient.address.lower().rpartition("@")
    return f"{local}{at}{to_ascii(domain) or domain}"


Pattern = Annotated[str, AfterValidator(_pattern)]


class PolicySettings(Settings):
    """Exceptions for some mail. A policy covers a recipient when every condition that it gives holds; of several
    values in one condition, one is enough. The first policy that covers decides, and no other is looked at."""

    name: str = Field(min_length=1, max_length=100, description="Shown in the record as the policy that applied.")
    recipients: tuple[Pattern, ...] = Field(
        (), description="Addresses this policy is for; `*` and `?` as in file names. Empty: all."
    )
    domains: tuple[Pattern, ...] = Field(
        (), description="Recipient domains this policy is for, as example.org or *.example.org. Empty: all."
    )
    groups: tuple[str, ...] = Field((), description="Names of `groups` that this policy is for. Empty: all.")
    direction: Direction | None = Field(None, description="inbound, outbound or internal; null is all.")
    listener: str | None = Field(None, description="The listener's address, as in its `listen`; null is all.")
    thresholds: OwnThresholds = Field(OwnThresholds(), description="Other thresholds; those left out are the site's.")
    action: Acted | None = Field(
        None,
        description="accept, tag, quarantine, reject or discard, whatever the score. A rule that forces an action, and "
        "an entry of `access`, go before it.",
    )
    actions: ActionSettings = Field(ActionSettings(), description="What is done instead, such as quarantine: tag.")
    rules_off: tuple[str, ...] = Field(
        (), description="Rules and checks that weigh nothing here, and force nothing; other rules still see them."
    )
    languages: tuple[str, ...] = Field(
        (),
        description="Languages that are read here, as en or de. Mail that is clearly in others gets `foreign` points; "
        "short mail, and mail that is partly in one of these, gets none. Empty: all.",
    )
    foreign: float = Field(3.0, ge=0, le=100, description="What mail in none of `languages` is worth.")
    tagging: TaggingSettings | None = Field(None, description="As `tagging` at the top level; null: the same.")
    enforce: bool | None = Field(None, description="false: score, record and add headers, but deliver everything.")

    @field_validator("domains")
    @classmethod
    def _domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        if address := next((one for one in domains if "@" in one), None):
            raise ValueError(f"{address!r} is an address; it belongs under recipients")
        return domains

    @field_validator("languages")
    @classmethod
    def _languages(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        for one in languages:
            if one.lower() not in LANGUAGES:
                raise ValueError(f"{one!r} is not a language that is recognised; known are {', '.join(LANGUAGES)}")
        return tuple(one.lower() for one in languages)


Groups = dict[str, tuple[Pattern, ...]]


class Policies(Settings):
    """Everything of the site that a decision depends on."""

    thresholds: ThresholdSettings = ThresholdSettings()
    policies: tuple[PolicySettings, ...] = ()
    groups: Groups = {}
    tagging: TaggingSettings = TaggingSettings()
    enforce: bool = True
    access: tuple[str, ...] = ()  # lines of `filterd.access`
    shared: frozenset[str] = frozenset()  # domains where strangers have addresses beside each other

    @cached_property
    def access_list(self) -> AccessList:
        return AccessList(self.access, self.shared)

    @property
    def judged(self) -> Policies:
        """What judging depends on: without what only a decision asks."""
        return self.model_copy(update={"access": (), "shared": frozenset()})

    @property
    def read_languages(self) -> bool:
        """Does any policy ask which language a mail is in?"""
        return any(policy.languages for policy in self.policies)

    @property
    def write_subjects(self) -> bool:
        """Is a text put before the Subject of any mail?"""
        return any(one.subject for one in (self.tagging, *(policy.tagging for policy in self.policies)) if one)

    def covering(self, envelope: Envelope, recipient: Recipient) -> PolicySettings | None:
        """The first policy that covers `recipient`; None when the site's defaults apply."""
        return next((one for one in self.policies if self._covers(one, envelope, recipient)), None)

    def touching(self, envelope: Envelope) -> Iterator[PolicySettings]:
        """The policies that cover some recipient, each once."""
        if self.policies:
            found = (self.covering(envelope, recipient) for recipient in envelope.recipients)
            yield from {policy.name: policy for policy in found if policy is not None}.values()

    def thresholds_of(self, policy: PolicySettings | None) -> Thresholds:
        """The thresholds under that policy."""
        return (self.thresholds if policy is None else policy.thresholds.over(self.thresholds)).value

    def tagging_of(self, policy: PolicySettings | None) -> Tagging:
        """What tagged mail gets under that policy."""
        own = policy.tagging if policy else None
        return (own or self.tagging).value

    def _covers(self, policy: PolicySettings, envelope: Envelope, recipient: Recipient) -> bool:
        if policy.direction is not None and policy.direction is not envelope.direction:
            return False
        if policy.listener is not None and not is_listener(policy.listener, envelope.listener):
            return False
        conditions = conditions_of(policy, self.groups)
        return not conditions or all(_fits(_comparable(recipient), patterns) for patterns in conditions)


def conditions_of(policy: PolicySettings, groups: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """What a policy asks of a recipient: of each of these, one pattern fits."""
    members = tuple(pattern for name in policy.groups for pattern in groups.get(name, ()))
    given = ((policy.recipients, policy.recipients), (policy.domains, policy.domains), (policy.groups, members))
    return [patterns for asked, patterns in given if asked]


def _fits(address: str, patterns: Iterable[str]) -> bool:
    domain = address.rpartition("@")[2] if "@" in address else ""
    return any(fnmatchcase(address if "@" in one else domain, one) for one in patterns)


def is_listener(wanted: str, name: str) -> bool:
    """Is that the listener of this name, such as `smtp 127.0.0.1:10025`? By its address, its protocol, or both."""
    protocol, _, address = name.partition(" ")
    return wanted in (name, protocol, address)
