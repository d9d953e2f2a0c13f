"""How long, and how much of it, the store keeps."""

from __future__ import annotations

import enum

from pydantic import Field

from filterd.settings import Duration, Settings, Size
from filterd.store.words import QuarantineClass

_DAY = 86400.0


class Keep(enum.StrEnum):
    """How much of a relayed message stays beside its record."""

    FINDINGS = "findings"
    HEADERS = "headers"
    MESSAGE = "message"


class ClassRetention(Settings):
    """What holds for one quarantine class where it differs."""

    age: Duration | None = Field(None, gt=0, description="Items older than this go; null: `retention.quarantine`.")
    count: int | None = Field(None, ge=0, description="At most so many items; the oldest go first.")
    size: Size | None = Field(None, description="At most so many bytes, as they are stored; the oldest items go first.")


class RetentionSettings(Settings):
    quarantine: Duration = Field(30 * _DAY, gt=0, description="How long quarantined mail is kept.")
    history: Duration = Field(90 * _DAY, gt=0, description="How long the record of a message is kept.")
    keep: Keep = Field(
        Keep.FINDINGS,
        description="What is kept of relayed mail: findings (and facts), headers (and the header block), "
        "message (and the whole message).",
    )
    message: Duration = Field(7 * _DAY, gt=0, description="With `keep: message`: how long the whole message is kept.")
    records: int | None = Field(None, ge=0, description="At most so many records in the history.")
    size: Size | None = Field(None, description="At most so many bytes of quarantined mail, as they are stored.")
    classes: dict[QuarantineClass, ClassRetention] = Field(
        {}, description="Exceptions by quarantine class: spam, virus, policy, undelivered, split, unjudged."
    )
    senders: Duration = Field(180 * _DAY, gt=0, description="How long a sender that no longer writes is remembered.")
    texts: Duration = Field(2 * _DAY, gt=0, description="How long a text is remembered, to know its near duplicates.")
    suggestions: Duration = Field(
        90 * _DAY, gt=0, description="How long it can be seen, reviewed and undone what people said about messages."
    )
    min_free: Size = Field(
        500_000_000,
        description="Under so many free bytes on the disk, mail is deferred instead of quarantined.",
    )

    def age(self, klass: QuarantineClass) -> float:
        """Seconds that an item of this class is kept."""
        own = self.classes.get(klass)
        return own.age if own and own.age is not None else self.quarantine
