"""Is the Date header there, readable, and near the time of arrival?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from filterd.authentication import Authentication
from filterd.facts import Facts
from filterd.findings import Finding, Symbol, check
from filterd.mail import Mail

MISSING = Symbol("DATE_MISSING", 1.0, "The message has no Date header.")
UNREADABLE = Symbol("DATE_UNREADABLE", 1.0, "The Date header is not a date.")
FUTURE = Symbol("DATE_IN_FUTURE", 1.5, "Dated more than six hours ahead of its arrival.")
PAST = Symbol("DATE_IN_PAST", 0.5, "Dated more than a week before its arrival.")

AHEAD = timedelta(hours=6)  # a wrong time zone is a clock, not a lie
BEHIND = timedelta(days=7)  # longer than any queue keeps trying (RFC 5321 section 4.5.4.1 says 4-5 days)


@check(MISSING, UNREADABLE, FUTURE, PAST)
def date(mail: Mail, facts: Facts, auth: Authentication) -> Iterator[Finding]:
    """Compares the Date header with the time of arrival."""
    header = mail.message.headers.first("Date")
    sent = mail.message.date
    if header is None:
        yield MISSING.found()
    elif sent is None:
        yield UNREADABLE.found(header.raw_text.strip()[:80])
    elif (lead := sent - mail.envelope.received_at) > AHEAD:
        yield FUTURE.found(_days(lead))
    elif -lead > BEHIND:
        yield PAST.found(_days(-lead))


def _days(span: timedelta) -> str:
    return f"{span.days} days {span.seconds // 3600} hours"
