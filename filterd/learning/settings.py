"""What one person, one campaign and the disk may weigh in learning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from filterd.settings import Settings, Size


class LearningLimits(Settings):
    base_weight: Annotated[float, Field(ge=0, le=1)] | Literal["auto"] = Field(
        "auto",
        description="How much the shipped model counts beside the site's own, 0 to 1; auto lets it fade with labels.",
    )
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

    @property
    def fixed_base(self) -> float | None:
        """The base model's weight, when it was fixed."""
        return None if self.base_weight == "auto" else float(self.base_weight)
