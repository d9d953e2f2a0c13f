"""Watch: whose turn it is in a session, since when, and whether that is too long.

Times come as arguments, in seconds of a monotonic clock.
"""

from __future__ import annotations

import enum

from filterd.frontends.smtp.settings import SmtpLimits

_PATIENCE = 5.0  # seconds of silence within a transaction that are nothing unusual


class Stage(enum.Enum):
    COMMAND = enum.auto()  # it is the client's turn
    DATA = enum.auto()
    WORK = enum.auto()  # it is ours
    CLOSING = enum.auto()


class Late(enum.Enum):
    """What takes too long."""

    COMMAND = enum.auto()
    LINE = enum.auto()
    DATA = enum.auto()
    WORK = enum.auto()


class Watch:
    """Of one session."""

    __slots__ = ("_measured", "line_since", "since", "stage")

    def __init__(self) -> None:
        self.stage = Stage.WORK
        self.since = 0.0  # when the stage began
        self.line_since: float | None = None  # when the line began that has not ended
        self._measured = (0.0, 0)  # when the data's rate was measured last, and what had come by then

    def enter(self, stage: Stage, now: float) -> None:
        self.stage = stage
        self.since = now

    def measure(self, now: float, received: int) -> None:
        """The rate of the data counts from here."""
        self._measured = now, received

    def late(self, now: float, limits: SmtpLimits, received: int) -> Late | None:
        """`received`: octets of the data so far."""
        spent = now - self.since
        match self.stage:
            case Stage.COMMAND:
                if self.line_since is not None and now - self.line_since > limits.line_timeout:
                    return Late.LINE
                return Late.COMMAND if spent > limits.command_timeout else None
            case Stage.DATA:
                return Late.DATA if spent > limits.data_timeout or self._below_rate(now, limits, received) else None
            case Stage.WORK:
                return Late.WORK if spent > limits.command_timeout else None
        return None

    def wasted(self, now: float, limits: SmtpLimits, received: int, *, within_mail: bool) -> float:
        """For how many seconds the session has been of no use to anybody; 0 when it is of use."""
        spent = now - self.since
        if self.stage is Stage.COMMAND:
            return 0.0 if within_mail and spent <= _PATIENCE else spent
        if self.stage is Stage.DATA and spent > _PATIENCE and received < limits.data_rate * spent:
            return spent
        return 0.0

    def _below_rate(self, now: float, limits: SmtpLimits, received: int) -> bool:
        since, before = self._measured
        if now - since < limits.data_window:
            return False
        self.measure(now, received)
        return received - before < limits.data_rate * (now - since)
