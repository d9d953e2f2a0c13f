"""View: the templates and what they say of times, sizes and scores. Pure but for reading its own files."""

from __future__ import annotations

import datetime
import functools
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from filterd.mail.address import parse_addresses
from filterd.record import Record

_STEPS = ((86_400 * 365, "y"), (86_400 * 7, "w"), (86_400, "d"), (3600, "h"), (60, "min"))


@functools.cache
def environment() -> Environment:
    """The templates: everything is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=PackageLoader("filterd.frontends.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters |= {
        "ago": ago,
        "size": size,
        "points": points,
        "stamp": stamp,
        "iso": iso,
        "heat": heat,
        "who": who,
        "line": line,
    }
    made.globals["static"] = static
    return made


def ago(moment: datetime.datetime) -> str:
    """How long ago, in one unit: 3 h, 2 d."""
    seconds = (datetime.datetime.now(datetime.UTC) - moment).total_seconds()
    return next((f"{int(seconds // step)} {unit}" for step, unit in _STEPS if seconds >= step), "now")


def iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(moment: datetime.datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z").strip()


def size(count: int) -> str:
    """Bytes as people say them, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def points(hundredths: int) -> str:
    return f"{hundredths / 100:+.2f}"


def heat(score: float) -> str:
    """The class of a score's colour."""
    return "high" if score >= 15 else "middle" if score >= 8 else "low" if score >= 5 else "none"


def who(header: str) -> str:
    """The name that a From header shows, else its address, else the header."""
    found = parse_addresses(header).mailboxes
    return (found[0].name or found[0].address or header) if found else header


def line(text: str) -> str:
    """One line without characters that turn the direction of writing or hide."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


@functools.cache
def static(name: str) -> str:
    """The address of one of our files, with its content in the address, so that it may be kept for ever."""
    digest = hashlib.sha256((files(__package__) / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def reasons(record: Record | None, most: int = 2) -> list[str]:
    """Why, in words: what the heaviest findings mean."""
    if record is None:
        return []
    heaviest = sorted((one for one in record.verdict.findings if one.points > 0), key=lambda one: -one.points)
    return [one.about or one.name for one in heaviest[:most]]


def changes(record: Record) -> list[dict[str, Any]]:
    """What would have to change for the message to be delivered: single findings that tip the scales."""
    threshold = record.thresholds.quarantine
    if threshold is None or record.verdict.forced is not None or record.verdict.points < threshold:
        return []
    over = record.verdict.points - threshold
    return [{"finding": one, "left": record.verdict.points - one.points} for one in record.verdict.findings
            if one.points > over]  # fmt: skip
