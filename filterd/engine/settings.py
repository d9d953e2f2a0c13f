"""Settings of the engine."""

from __future__ import annotations

import enum

from pydantic import Field

from filterd.mail.envelope import Moment
from filterd.settings import Duration, Settings, Size


class OnError(enum.StrEnum):
    DEFER = "defer"
    ACCEPT = "accept"
    QUARANTINE = "quarantine"


class WorkLimits(Settings):
    """What bounds the work on one message, and all of it."""

    ask: Duration = Field(15.0, description="How long all questions about one message may take together.")
    wait: Duration = Field(
        20.0, description="How long a message may wait for memory or a worker before it is deferred."
    )
    in_flight: Size = Field(
        300_000_000,
        description="Bytes of all messages in work at the same time; more wait, then are deferred.",
    )


class EngineSettings(WorkLimits):
    """The bounds, what happens when they are not enough, and when mail is first refused."""

    refuse_at: Moment = Field(
        Moment.RCPT,
        description="The earliest step at which `access`, and block lists that may, refuse: connect, mail, rcpt, or "
        "data: the whole message. Before rcpt only entries for everybody count, and mail to postmaster is refused too. "
        "See docs/access.md.",
    )

    on_error: OnError = Field(
        OnError.DEFER, description="What happens to a message that an outage of ours kept from being judged."
    )
