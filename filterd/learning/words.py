"""The words of learning: what is asked, and what became of it."""

from __future__ import annotations

import enum

from filterd.store import Way
from filterd.told import Told
from filterd.value import Value


class LearningError(Told):
    """It was not done; the text says why, in a sentence."""


LEFT_OUT = "{} labels of an earlier release are not in the model, for their messages are not kept any more"
SAY_AGAIN = "Teach what you still have of them again: filterd learn, or filterd train."


class Klass(enum.StrEnum):
    """What a message is said to be."""

    SPAM = "spam"
    HAM = "ham"
    FORGET = "forget"


class Review(enum.StrEnum):
    """What a reviewer says to suggestions."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNDO = "undo"  # of what was accepted, or rejected


class Request(Value, kw_only=True):
    """What the one process that learns is asked: a message with its class, a review, or a version to take over."""

    klass: Klass | None = None
    raw: bytes = b""
    reporter: str = ""
    by: str = ""
    way: Way | None = None  # None: the postmaster's own word, which is learnt as it is
    trusted: bool = False  # of a person whose word needs no review
    address: str = ""  # whose mail it is
    record: str = ""
    item: str = ""
    report: bool = False  # `raw` is a mail to a report address, and what it carries is learnt
    sender: str = ""  # the envelope sender of a report
    verdict: bool = False  # of our own: bounded, and nothing beside anybody's word. Without `raw`: all of them
    review: Review | None = None
    ids: tuple[str, ...] = ()  # the suggestions that are reviewed
    text: str = ""  # the reviewer's note
    use: str = ""  # id of a version


class Result(Value, kw_only=True):
    """What became of a request."""

    counted: bool = False  # false when it was so already, or there was nothing to forget
    moved: bool = False  # it had the other class before
    doubtful: bool = False  # it contradicts a confident model: a person should look
    queued: bool = False  # it waits for a reviewer
    suggestion: str = ""  # the id under which a reviewer finds it
    why: str = ""  # a sentence, where it was refused
    refused: bool = False
    told: str = ""  # of a report: a sentence about what it carried
    done: tuple[str, ...] = ()  # of a review: the suggestions that are so now
    failed: tuple[tuple[str, str], ...] = ()  # ... and why the others are not
    ham: int = 0  # labels there are now
    spam: int = 0
    milliseconds: float = 0.0
