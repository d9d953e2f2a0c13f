"""A date-time of a header field (RFC 5322 section 3.3, with the obsolete forms of section 4.3), leniently.

In: text such as `Tue, 1 Jul 2003 10:52:37 +0200 (CEST)`. Out: an aware datetime, or None. Never raises.
"""

from __future__ import annotations

import datetime
import re

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_DATE = re.compile(
    r"(?:[a-z]{2,9}\.?,?\s{0,9})?(\d{1,2})[\s-]{1,9}([a-z]{3})[a-z]{0,6}[\s-]{1,9}(\d{2,4}),?\s{1,9}"
    r"(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:\.\d{1,9})?)?\s{0,9}(?:([+-])(\d{2}):?(\d{2})|([a-z]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
# `Tue Jul  1 10:52:37 2003`, as asctime(3) writes it.
_ASCTIME = re.compile(
    r"[a-z]{3,9},?\s{1,9}([a-z]{3})[a-z]{0,6}\s{1,9}(\d{1,2}),?\s{1,9}(\d{2}):(\d{2})(?::(\d{2}))?\s{1,9}"
    r"(?:([a-z]{1,5})\s{1,9})?(\d{4})(?:\s{1,9}([+-]\d{4}))?",
    re.IGNORECASE | re.ASCII,
)
_ISO = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d{1,9})?\s?(?:([+-])(\d{2}):?(\d{2})|Z)?"
)
_ZONES = {
    "ut": 0,
    "utc": 0,
    "gmt": 0,
    "z": 0,
    "est": -5,
    "edt": -4,
    "cst": -6,
    "cdt": -5,
    "mst": -7,
    "mdt": -6,
    "pst": -8,
    "pdt": -7,
    "cet": 1,
    "cest": 2,
    "met": 1,
    "mest": 2,
    "bst": 1,
    "eet": 2,
    "eest": 3,
    "msk": 3,
    "jst": 9,
}
_MAX = 200


def parse_date(text: str) -> datetime.datetime | None:
    """The moment that `text` names; UTC without a zone or with an unknown one (RFC 5322 section 4.3)."""
    text = text[:_MAX].strip()
    if match := _DATE.match(text):
        day, month, year, hour, minute, second, sign, hours, minutes, zone = match.groups()
        offset = _offset(sign, hours, minutes) if sign else _ZONES.get((zone or "").lower(), 0) * 60
        return _moment(year, _month(month), day, hour, minute, second, offset)
    if match := _ASCTIME.match(text):
        month, day, hour, minute, second, zone, year, shift = match.groups()
        offset = _ZONES.get((zone or "").lower(), 0) * 60
        if shift:
            offset = _offset(shift[0], shift[1:3], shift[3:5])
        return _moment(year, _month(month), day, hour, minute, second, offset)
    if match := _ISO.match(text):
        year, month, day, hour, minute, second, sign, hours, minutes = match.groups()
        return _moment(year, int(month), day, hour, minute, second, _offset(sign, hours, minutes) if sign else 0)
    return None


def _month(name: str) -> int | None:
    at = _MONTHS.find(name.lower())
    return None if at < 0 or at % 3 else at // 3 + 1


def _offset(sign: str, hours: str, minutes: str) -> int:
    return (int(hours) * 60 + int(minutes)) * (-1 if sign == "-" else 1)


def _moment(
    year: str, month: int | None, day: str, hour: str, minute: str, second: str | None, offset: int
) -> datetime.datetime | None:
    whole = int(year)
    if len(year) < 4:  # RFC 5322 section 4.3
        whole += 2000 if whole < 50 and len(year) == 2 else 1900
    if month is None:
        return None
    try:
        zone = datetime.timezone(datetime.timedelta(minutes=offset))
        moment = datetime.datetime(
            whole, month, int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=zone
        )
        moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None
    return moment
