"""Settings of the engine."""

from __future__ import annotations

import enum

from pydantic import Field

from filterd.settings import Duration, Settings, Size


class OnError(enum.StrEnum):
    DEFER = "defer"
    ACCEPT = "accept"
    QUARANTINE = "quarantine"


class EngineSettings(Settings):
    """What bounds the work on one message, and all of it."""

    on_error: OnError = Field(
        OnError.DEFER, description="What happens to a message that could not be judged through an outage of ours."
    )
    ask: Duration = Field(15.0, description="Seconds that all questions about one message may take together.")
    wait: Duration = Field(20.0, description="Seconds a message may wait for memory or a worker before it is deferred.")
    in_flight: Size = Field(
        300_000_000, description="Bytes of all messages in work at the same time; more wait, then are deferred."
    )
