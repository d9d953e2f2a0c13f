"""What one person, one campaign and the disk may weigh in learning, and whose word waits for a reviewer."""

from __future__ import annotations

import enum
from typing import Annotated, Literal

from pydantic import Field

from filterd.settings import Settings, Size
from filterd.store import Way


class Mode(enum.StrEnum):
    """What becomes of somebody's word about a message."""

    QUEUE = "queue"  # it waits for a reviewer
    AT_ONCE = "at-once"  # it is learnt; a reviewer sees it, and can undo it
    NEVER = "never"  # it teaches nothing


class ReviewSettings(Settings):
    release: Mode = Field(Mode.QUEUE, description="A held message was released, which is to say that it is ham.")
    deny: Mode = Field(Mode.QUEUE, description="The sender of a message was blocked, which is to say that it is spam.")
    button: Mode = Field(Mode.AT_ONCE, description="Spam or Not spam was pressed; a manager's always counts at once.")
    report: Mode = Field(Mode.AT_ONCE, description="It was sent to one of `learn.addresses`.")
    imap: Mode = Field(Mode.AT_ONCE, description="It was moved into or out of a Junk folder of `learn.imap`.")
    door: Mode = Field(Mode.AT_ONCE, description="A mail server or a client said so over spamd or HTTP.")
    doubtful: Mode = Field(
        Mode.AT_ONCE,
        description="What contradicts a confident model, whichever way it came: `queue` makes it wait. "
        "It is marked for a look in any case.",
    )
    waiting: int = Field(10_000, ge=1, description="So many may wait for a reviewer; more are refused.")

    def mode(self, way: Way, *, doubtful: bool) -> Mode:
        """What becomes of a word that came this way: the more careful of the two that apply."""
        modes = {Mode(getattr(self, way.value)), self.doubtful if doubtful else Mode.AT_ONCE}
        return next(mode for mode in (Mode.NEVER, Mode.QUEUE, Mode.AT_ONCE) if mode in modes)


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
    per_user: bool = Field(
        False,
        description="What somebody said of mail to himself also counts, for him alone, for mail that is like it.",
    )
    per_user_points: float = Field(
        7.0,
        ge=0.5,
        le=7.9,
        description="With `per_user`: points that his own words may add; the shipped threshold of the quarantine is 8. "
        "They take off at most 3.",
    )
    from_verdicts: bool = Field(
        False,
        description="Learn from verdicts of filterd's own, where rules and authentication leave no doubt. Who wants to "
        "poison a filter aims at this; see docs/learning.md.",
    )
    verdicts_per_day: int = Field(100, ge=1, description="With `from_verdicts`: so many in a day, of both classes.")
    review: ReviewSettings = Field(
        ReviewSettings(),
        description="Whose word waits for a reviewer: `queue`, `at-once` (and can be undone), or `never`.",
    )

    @property
    def fixed_base(self) -> float | None:
        """The base model's weight, when it was fixed."""
        return None if self.base_weight == "auto" else float(self.base_weight)
