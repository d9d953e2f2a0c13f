"""What crosses the socket between the mail process and a worker.

A frame is a head (payload length, kind, job) and a payload. Payloads are packed values; raw mail travels as it is.
The worker's answers are read as hostile bytes: length-capped, and checked against the value's declaration.
"""

from __future__ import annotations

import enum
import struct

from filterd.judge import Inspection, Judgement
from filterd.value import Value

HEAD = struct.Struct(">IBQ")
ANSWER_LIMIT = 4_000_000  # bytes of one answer


class Kind(enum.IntEnum):
    SETUP = 1  # Setup -> READY or FAILED
    INSPECT = 2  # length-prefixed Envelope, then the raw message -> INSPECTED
    JUDGE = 3  # Facts -> JUDGED; the mail is forgotten
    FORGET = 4  # the mail is given up; no answer
    READY = 11
    INSPECTED = 12
    JUDGED = 13
    FAILED = 14


class Setup(Value, kw_only=True):
    """What a worker needs to become one of a generation. Paths are read before the door closes."""

    hostname: str
    relays: tuple[str, ...] = ()
    believed: tuple[str, ...] = ()  # authserv-ids of these relays
    rules: bytes = b"{}"  # RulesSettings as JSON
    model: bytes = b"{}"  # ModelSettings as JSON
    site: bytes = b"{}"  # SiteSettings as JSON
    dmarc: bytes = b"{}"  # DmarcSettings as JSON
    policies: bytes = b"{}"  # Policies.judged as JSON
    learnt: str = ""  # the state folder, whose site model is mapped; empty: none
    taught: float = 0.0  # points that a recipient's own words may move; 0: nobody asks what he taught
    tag_at: int = 500
    quarantine_at: int = 800
    memory: int = 1_500_000_000  # bytes of address space beyond what the loaded worker has
    seconds: float = 20.0  # CPU time for one step of one message


class Ready(Value, kw_only=True):
    ruleset: str
    model: str
    rules: int = 0
    warnings: tuple[str, ...] = ()


class Inspected(Value, kw_only=True):
    inspection: Inspection
    seconds: float


class Judged(Value, kw_only=True):
    judgement: Judgement
    seconds: dict[str, float]  # CPU time by stage


class Failed(Value):
    stage: str
    error: str
