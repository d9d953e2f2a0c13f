"""View: the templates and what they say of times, sizes and scores. Pure but for reading its own files."""

from __future__ import annotations

import datetime
import functools
import hashlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from filterd.decision import Reason, summary
from filterd.findings import Finding
from filterd.frontends.web.language import Catalogue
from filterd.mail.address import parse_addresses
from filterd.record import Record, Verdict
from filterd.store import QuarantineItem

_DECEIVE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_JOINERS = "\u200c\u200d"
MODEL_SAYS = "LEARNT_SPAM"
_STEPS = ((86_400 * 365, "y"), (86_400 * 7, "w"), (86_400, "d"), (3600, "h"), (60, "min"))


_BECAUSE = {
    Reason.SPAM_SCORE.value: "It looks like spam: its score is %(score)s.",
    Reason.RULE.value: "A rule of the postmaster asks for it.",
    Reason.POLICY.value: "Mail from there, or of this kind, is not let through.",
    Reason.DMARC.value: "The domain that it names as its sender says that it is not from there.",
    Reason.SPLIT.value: "Not all recipients want it alike.",
    Reason.AFTER_QUEUE.value: "It would have been refused, but could not be any more.",
    Reason.UNJUDGED.value: "It could not be read, and so was not judged.",
    Reason.UNDELIVERED.value: "The mail server did not take it.",
}


@functools.cache
def environment() -> Environment:
    """The templates: everything is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=PackageLoader("filterd.frontends.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
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
    made.globals |= {"static": static, "because": because}
    return made


def shown(value: object) -> object:
    """What a template prints: text without characters that hide or turn the direction of what is around them."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else _DECEIVE.sub("\ufffd", value)


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
    """One line. What joins letters of Persian and Hindi, and parts of one emoji, is not printable and stays."""
    return "".join(char if char.isprintable() or char in _JOINERS else "\ufffd" for char in text)


@functools.cache
def static(name: str) -> str:
    """The address of one of our files, with its content in the address, so that it may be kept for ever."""
    digest = hashlib.sha256((files(__package__) / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def because(item: QuarantineItem, say: Catalogue) -> str:
    """Why a message is held, in the reader's language; in English more precisely."""
    text = _BECAUSE.get(item.reason)
    return item.text if say.code == "en" or text is None else say.say(text, score=f"{item.score:.2f}")


def reasons(record: Record | None, most: int = 2) -> list[str]:
    """Why, in words: what the heaviest findings mean."""
    if record is None:
        return []
    found = (one for one in record.verdict.findings if one.points > 0)
    heaviest = sorted(found, key=lambda one: (one.name == MODEL_SAYS, -one.points))  # words say more than the model
    return [one.about or one.name for one in heaviest[:most]]


@dataclass(frozen=True, slots=True)
class Case:
    """Why mail became what it became, and what would have to be otherwise for it to be delivered."""

    verdict: Verdict
    threshold: int | None = None  # from which score on it was kept back; None where something else decided
    alone: tuple[Finding, ...] = ()  # without any one of which it would have been delivered
    together: tuple[Finding, ...] = ()  # where there is none: without all of which


def case(record: Record, recipients: Sequence[str]) -> Case:
    """The case of these recipients of a message, the strictest decision first."""
    decision = summary([one for one in record.decisions if one.recipient in recipients])
    verdict, limit = record.verdict_of(decision), record.thresholds_of(decision).quarantine
    if decision is None or decision.reason is not Reason.SPAM_SCORE or limit is None or verdict.forced is not None:
        return Case(verdict)
    over = verdict.points - limit
    if over < 0:
        return Case(verdict, limit)
    heaviest = sorted((one for one in verdict.findings if one.points > 0), key=lambda one: -one.points)
    alone = tuple(one for one in heaviest if one.points > over)
    sums = itertools.accumulate(one.points for one in heaviest)
    enough = next((count for count, points in enumerate(sums, 1) if points > over), 0)
    return Case(verdict, limit, alone, () if alone else tuple(heaviest[:enough]))
