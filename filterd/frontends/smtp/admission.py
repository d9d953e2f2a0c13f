"""Admission: who may connect. And Failures: who may go on trying passwords.

Counts only; time comes as an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address

from filterd.frontends.smtp import replies
from filterd.frontends.smtp.settings import SmtpLimits
from filterd.reply import Reply

_MINUTE = 60.0
_TEN_MINUTES = 600.0


class Admission:
    """Connections by address, now and in this minute."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._recent: Counter[str] = Counter()
        self._minute = 0.0

    def enter(self, address: str | None, limits: SmtpLimits, now: float) -> Reply | None:
        """None: it is in, and must `leave` when it closes. Else why not. Do not ask about trusted peers."""
        if now - self._minute >= _MINUTE:
            self._recent.clear()
            self._minute = now
        key = group(address)
        self._recent[key] += 1
        if self._recent[key] > limits.connection_rate:
            return replies.TOO_FAST
        if self._open[key] >= limits.connections_per_address:
            return replies.TOO_MANY_FROM_YOU
        self._open[key] += 1
        return None

    def leave(self, address: str | None) -> None:
        key = group(address)
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]


class Failures:
    """Failed logins by address, in these ten minutes."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._since = 0.0

    def note(self, address: str | None, now: float) -> None:
        self._forget(now)
        self._counts[group(address)] += 1

    def too_many(self, address: str | None, limits: SmtpLimits, now: float) -> bool:
        self._forget(now)
        return self._counts[group(address)] >= limits.failed_logins_per_address

    def _forget(self, now: float) -> None:
        if now - self._since >= _TEN_MINUTES:
            self._counts.clear()
            self._since = now


def group(address: str | None) -> str:
    """What counts as one address: an IPv4 address, an IPv6 /64."""
    if address is None or ":" not in address:
        return address or ""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None:
        return ip.exploded[:19]
    return str(getattr(ip, "ipv4_mapped", ip))
