"""What one person, one campaign and the disk may weigh in learning."""

from __future__ import annotations

from pydantic import Field

from filterd.settings import Settings, Size


class LearningLimits(Settings):
    per_reporter: int = Field(
        200, ge=1, description="Labels that one person may give in a day. The postmaster's own have no bound."
    )
    per_campaign: int = Field(
        50, ge=1, description="Labels that nearly equal messages may give; more of the same teach nothing."
    )
    messages: Size = Field(
        200_000_000, description="Bytes of labelled messages that are kept, compressed; 0 keeps none."
    )
    labels: int = Field(
        50_000, ge=1_000, description="The newest labels that the model is made from; each takes 10 kB of memory."
    )
