"""Fields that hosts on the way added: how many hops there were, and which are verdicts of other filters."""

from __future__ import annotations

from filterd.mail.headers import Header, Headers


def hops(headers: Headers) -> int:
    """How many Received fields there are (RFC 5321 section 6.3 counts them to find loops)."""
    return headers.total.get("received", 0)


def foreign_verdicts(headers: Headers) -> tuple[Header, ...]:
    """All fields `X-Spam-*`, `X-Filterd-*`, `X-Quarantine-*`, `X-Spamd-*`, with their exact spans.

    An earlier filter wrote them, or a forger: they have no effect and are taken away from every copy.
    """
    return tuple(headers.foreign)
