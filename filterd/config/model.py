"""Config: every setting of the service, composed from the settings that live beside their users.

Frozen. Made by `filterd.config.load_config` from a file, or by `embedded` from nothing.
"""

from __future__ import annotations

import enum
import os
import socket
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from filterd.frontends.settings import AnyListener
from filterd.policy import PolicySettings, ThresholdSettings
from filterd.settings import Duration, NetworkField, Networks, Settings


class NetworkSettings(Settings):
    internal: tuple[NetworkField, ...] = Field(
        (), description="Our own machines. Mail from them is outbound, as is mail of authenticated users."
    )
    relays: tuple[NetworkField, ...] = Field(
        (), description="Hosts that hand mail on to us and whose Received lines we believe."
    )

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
    relay: str | None = Field(
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


class OnError(enum.StrEnum):
    DEFER = "defer"
    ACCEPT = "accept"
    QUARANTINE = "quarantine"


def _hostname() -> str:
    return socket.gethostname()


class Config(Settings):
    """All of it. `docs/configuration.md` is made from these descriptions."""

    hostname: str = Field(
        default_factory=_hostname,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        description="Our name in the banner, in Received and in Authentication-Results. "
        "Without it: the name of the machine.",
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
    release: ReleaseSettings = Field(ReleaseSettings(), description="Mail that leaves the quarantine.")
    tls: TlsSettings = Field(
        TlsSettings(), description="STARTTLS on smtp listeners, and TLS on web listeners."
    )
    thresholds: ThresholdSettings = Field(ThresholdSettings(), description="What a score leads to.")
    enforce: bool = Field(
        True, description="false: score and record as it would have been, add headers, deliver everything."
    )
    policies: tuple[PolicySettings, ...] = Field(
        (),
        description="Exceptions by recipient, domain, direction or listener; the first that covers applies.",
    )
    workers: int | None = Field(None, ge=1, le=1024, description="Worker processes; null: one per core.")
    deadline: Duration = Field(
        90.0, gt=0, description="From the end of the data to our reply. Postfix gives up after 100 s."
    )
    on_error: OnError = Field(OnError.DEFER, description="What happens to mail during an outage of ours.")
    log: LogSettings = Field(LogSettings(), description="The log goes to stderr, one line for each message.")

    @field_validator("state", "database", mode="before")
    @classmethod
    def _not_empty(cls, value: Any) -> Any:
        if value == "":
            raise ValueError("cannot be empty")
        return value

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.state / 'filterd.db'}"

    @property
    def worker_count(self) -> int:
        return self.workers or len(os.sched_getaffinity(0))
