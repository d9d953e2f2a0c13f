"""The `rules` section of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from filterd.settings import Settings


def _hundredths(score: float) -> float:
    if abs(score * 100 - round(score * 100)) > 1e-6:
        raise ValueError("a score has at most two decimals")
    return score


Score = Annotated[float, Field(ge=-100, le=100), AfterValidator(_hundredths)]


class RulesSettings(Settings):
    """Which rules there are, and what each weighs."""

    paths: tuple[Path, ...] = Field(
        default=(),
        description="Folders of your own rules: *.yaml files, and lists/*.txt. They lie over the shipped "
        "rules in this order; a rule of the same name replaces the earlier one. A missing "
        "folder is empty.",
    )
    disable: tuple[str, ...] = Field(
        default=(),
        description="Names of rules and checks that are not to count at all.",
        examples=[["REPLYTO_FREEMAIL"]],
    )
    scores: dict[str, Score] = Field(
        default_factory=dict,
        description="Scores for rules and checks, by name; 0 keeps the finding on record, without points.",
        examples=[{"DATE_MISSING": 0.5}],
    )
    shipped: bool = Field(default=True, description="Whether the rules that come with filterd are used.")
