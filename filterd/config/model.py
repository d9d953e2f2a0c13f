"""Config: every setting of the service, composed from the settings that live beside their users.

Frozen. Made by `filterd.config.load_config` from a file, or by `embedded` from nothing.
"""

from __future__ import annotations

import enum
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from filterd.access import parse_entry
from filterd.checks.impersonation import ProtectSettings
from filterd.checks.lists import ListSettings
from filterd.checks.senders import SenderSettings
from filterd.checks.site import SiteSettings
from filterd.classifier import ModelSettings
from filterd.engine.loading import shipped_list
from filterd.engine.rates import RateSettings
from filterd.engine.settings import EngineSettings, OnError, WorkLimits
from filterd.frontends.reports import plain
from filterd.frontends.settings import AnyListener, RelayField
from filterd.frontends.smtp.settings import BareNewline, SmtpLimits
from filterd.frontends.web.settings import WebSettings
from filterd.learning.settings import LearningLimits
from filterd.mail.domains import to_ascii
from filterd.mail.envelope import Moment
from filterd.mailboxes import ImapSettings
from filterd.net import DnsSettings
from filterd.policies import Groups, Policies, PolicySettings, TaggingSettings, ThresholdSettings
from filterd.recipients import parse_recipient
from filterd.relay.settings import RelaySettings
from filterd.ruleset.settings import RulesSettings
from filterd.settings import Duration, NetworkField, Networks, Settings
from filterd.store.settings import RetentionSettings
from filterd.wishes import DmarcSettings, GreylistSettings


class NetworkSettings(Settings):
    internal: tuple[NetworkField, ...] = Field(
        (), description="Our own machines. Mail from them is outbound, as is mail of authenticated users."
    )
    relays: tuple[NetworkField, ...] = Field(
        (), description="Hosts that hand mail on to us and whose Received lines we believe."
    )
    authserv_ids: tuple[str, ...] = Field(
        (),
        description="Names under which `relays` write Authentication-Results that we believe; see docs/senders.md.",
    )

    @field_validator("authserv_ids")
    @classmethod
    def _domains(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((one for one in names if to_ascii(one) is None), None):
            raise ValueError(f"{wrong!r} is not a domain name")
        return tuple(to_ascii(one) or one for one in names)

    @property
    def known_relays(self) -> Networks:
        return Networks(self.relays)

    @property
    def ours(self) -> Networks:
        return Networks(self.internal)


class TlsSettings(Settings):
    certificate: Path | None = Field(None, description="PEM file with the certificate chain; null: no TLS.")
    key: Path | None = Field(None, description="PEM file with the private key.")


class ReleaseSettings(Settings):
    relay: RelayField | None = Field(
        None, description="Where released mail goes; null: the relay of the first smtp listener."
    )


class LogFormat(enum.StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogSettings(Settings):
    format: LogFormat = Field(LogFormat.TEXT, description="text is key=value; json is one object a line.")
    level: LogLevel = Field(LogLevel.INFO, description="The least important lines that are written.")


class SiteRulesSettings(RulesSettings):
    """The rules; see docs/rules.md."""

    paths: tuple[Path, ...] = Field(
        (Path("/etc/filterd/rules.d"),),
        description="Folders of your own rules: *.yaml files, and lists/*.txt. They lie over the shipped "
        "rules in this order; a rule of the same name replaces the earlier one. A missing folder is empty.",
    )


class LearnSettings(LearningLimits):
    """What the site's own model learns from."""

    addresses: dict[str, Literal["spam", "ham"]] = Field(
        {},
        description="Report addresses, and what is reported there: `spam@example.org: spam`. Mail to them is taken "
        "from authenticated users and internal machines only, teaches what is attached to it, and ends here. "
        "See docs/learning.md.",
    )

    imap: tuple[ImapSettings, ...] = Field(
        (), description="Mailboxes that are followed: what their owners move into and out of Junk is learnt."
    )

    @field_validator("addresses")
    @classmethod
    def _plain(cls, addresses: dict[str, Literal["spam", "ham"]]) -> dict[str, Literal["spam", "ham"]]:
        for address in addresses:
            local, _, domain = address.rpartition("@")
            if not local or any(char.isspace() for char in address) or to_ascii(domain) is None:
                raise ValueError(f"{address!r} is not an address")
        return {plain(address): klass for address, klass in addresses.items()}


class Limits(SmtpLimits, WorkLimits):
    """Bounds on what clients and messages may cost."""


def _entry(line: str) -> str:
    """A line of the access list, if it is one; raises ValueError."""
    if line.partition("#")[0].strip():
        parse_entry(line)
    return line


def _recipient(line: str) -> str:
    """A line of the list of recipients, if it is one; raises ValueError."""
    parse_recipient(line)
    return line


def _lines(check: Callable[[str], str]) -> BeforeValidator:
    """The lines of a file for its name, each of them checked."""

    def lines(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        path = Path(value)
        if not path.is_absolute():
            raise ValueError(f"{value} is neither a list of entries nor the absolute name of a file")
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ValueError(f"{path} cannot be read: {why}") from error
        for number, line in enumerate(lines, 1):
            try:
                check(line)
            except ValueError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
        return lines

    return BeforeValidator(lines)


class Config(Settings):
    """All of it. `docs/configuration.md` is made from these descriptions."""

    hostname: Annotated[str, BeforeValidator(lambda name: name or socket.gethostname())] = Field(
        "",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        description="Our name in the banner, in Received and in Authentication-Results. "
        "Empty: the name of the machine.",
    )
    domains: tuple[str, ...] = Field(
        (),
        description="Our domains, as a list or as a file with one on each line. Required where untrusted "
        "peers can reach an smtp listener: mail for other domains is refused from them.",
    )
    networks: NetworkSettings = Field(NetworkSettings(), description="Which addresses are ours.")
    state: Path = Field(Path("/var/lib/filterd"), description="Folder of the database and the site's models.")
    database: str | None = Field(
        None,
        description="null: SQLite in `state`; or `postgresql+psycopg://user@host/name` for several nodes.",
    )
    listeners: tuple[AnyListener, ...] = Field((), description="The doors.")
    relay: RelaySettings = Field(RelaySettings(), description="How the next hops are spoken to.")
    release: ReleaseSettings = Field(ReleaseSettings(), description="Mail that leaves the quarantine.")
    tls: TlsSettings = Field(TlsSettings(), description="STARTTLS on smtp listeners, and TLS on web listeners.")
    dns: DnsSettings = Field(DnsSettings(), description="Where and how the DNS is asked.")
    lists: tuple[ListSettings, ...] = Field(
        (), description="Block and allow lists in the DNS; none is asked by default. See docs/lists.md."
    )
    senders: SenderSettings = Field(SenderSettings(), description="What is remembered of who wrote to us.")
    protect: ProtectSettings = Field(ProtectSettings(), description="Who is imitated to our users.")
    rates: tuple[RateSettings, ...] = Field(
        (), description="How much mail one address, network, sender, user or recipient may bring; none by default."
    )
    dmarc: DmarcSettings = Field(DmarcSettings(), description="What is done about mail that fails DMARC.")
    greylist: GreylistSettings = Field(GreylistSettings(), description="A second try is asked of suspicious strangers.")
    thresholds: ThresholdSettings = Field(ThresholdSettings(), description="What a score leads to.")
    enforce: bool = Field(
        True, description="false: score and record as it would have been, add headers, deliver everything."
    )
    tagging: TaggingSettings = Field(TaggingSettings(), description="What tagged mail gets beside X-Spam-Flag.")
    groups: Groups = Field(
        {},
        description="Named sets of recipients for policies: addresses and domains, where `*` and `?` are as in file "
        "names. `board: [ann@example.org, board.example.org]`.",
    )
    policies: tuple[PolicySettings, ...] = Field(
        (),
        description="Exceptions by recipient, domain, group, direction or listener; the first that covers applies. "
        "See docs/policies.md.",
    )
    recipients: Annotated[tuple[Annotated[str, AfterValidator(_recipient)], ...], _lines(_recipient)] = Field(
        (),
        description="Who can be written to, where the next hop does not say: a list of addresses, or the absolute name "
        "of a file with one on each line. `@example.org` is everybody there; a domain that the list does not name is "
        "not checked. Others are refused at RCPT with 550 5.1.1 by smtp listeners before the queue.",
    )
    access: Annotated[tuple[Annotated[str, AfterValidator(_entry)], ...], _lines(_entry)] = Field(
        (),
        description="Whose mail always passes and whose is always refused: a list of entries, or the absolute name of "
        "a file with one on each line. `allow news@shop.example for ann@example.org until 2026-12-31`, "
        "`deny bad.example`. See docs/access.md.",
    )
    rules: SiteRulesSettings = Field(SiteRulesSettings(), description="Which rules there are, and what they weigh.")
    model: ModelSettings = Field(ModelSettings(), description="The trained classifier.")
    learn: LearnSettings = Field(LearnSettings(), description="What the site's own model learns from.")
    workers: int | None = Field(None, ge=1, le=1024, description="Worker processes; null: one per core.")
    limits: Limits = Field(Limits(), description="Bounds on what clients and messages may cost.")
    bare_newline: BareNewline = Field(
        BareNewline.NORMALIZE, description="A bare CR or LF in a message: `normalize` to CRLF, or `reject`."
    )
    deadline: Duration = Field(
        90.0, gt=0, description="From the end of the data to our reply. Postfix gives up after 100 s."
    )
    on_error: OnError = Field(OnError.DEFER, description="What happens to mail during an outage of ours.")
    refuse_at: Moment = Field(Moment.RCPT, description=EngineSettings.model_fields["refuse_at"].description)
    web: WebSettings = Field(WebSettings(), description="The quarantine pages.")
    retention: RetentionSettings = Field(RetentionSettings(), description="How long what is kept.")
    log: LogSettings = Field(LogSettings(), description="The log goes to stderr, one line for each message.")

    @field_validator("domains")
    @classmethod
    def _domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        wrong = next((domain for domain in domains if to_ascii(domain) is None), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is not a domain")
        return tuple(to_ascii(domain) or domain for domain in domains)

    @field_validator("lists")
    @classmethod
    def _lists(cls, lists: tuple[ListSettings, ...]) -> tuple[ListSettings, ...]:
        names = [one.symbol.name for one in lists]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two lists make the symbol {twice}")
        return lists

    @field_validator("state", "database", mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("cannot be empty")
        return value

    @property
    def store(self) -> str | Path:
        """Where the store is: a database URL, or the state folder."""
        return self.database or self.state

    @property
    def site(self) -> SiteSettings:
        """What the checks must know of the site."""
        return SiteSettings(domains=self.domains, lists=self.lists, protect=self.protect, senders=self.senders)

    @property
    def all_policies(self) -> Policies:
        """Everything that a decision depends on."""
        return Policies(
            thresholds=self.thresholds,
            policies=self.policies,
            groups=self.groups,
            tagging=self.tagging,
            enforce=self.enforce,
            access=self.access,
            shared=frozenset(shipped_list("freemail")),
        )

    @property
    def engine(self) -> EngineSettings:
        bounds = {name: getattr(self.limits, name) for name in WorkLimits.model_fields}
        return EngineSettings(**bounds, on_error=self.on_error, refuse_at=self.refuse_at)
