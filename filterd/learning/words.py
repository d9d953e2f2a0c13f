"""The words of learning: what is asked, and what became of it."""

from __future__ import annotations

import enum

from filterd.told import Told
from filterd.value import Value


class LearningError(Told):
    """It was not done; the text says why, in a sentence."""


class Klass(enum.StrEnum):
    """What a message is said to be."""

    SPAM = "spam"
    HAM = "ham"
    FORGET = "forget"


class Request(Value, kw_only=True):
    """What the one process that learns is asked: a message with its class, or a version to take over."""

    klass: Klass | None = None
    raw: bytes = b""
    reporter: str = ""
    by: str = ""
    use: str = ""  # id of a version


class Result(Value, kw_only=True):
    """What became of a request."""

    counted: bool = False  # false when it was so already, or there was nothing to forget
    moved: bool = False  # it had the other class before
    doubtful: bool = False  # it contradicts a confident model: a person should look
    why: str = ""  # a sentence, where it was refused
    refused: bool = False
    ham: int = 0  # labels there are now
    spam: int = 0
    milliseconds: float = 0.0
