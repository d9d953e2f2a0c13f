"""Marking: the headers that a delivered copy gains and loses. Pure.

In: the record so far (verdict, authentication, decisions) and what inspection said must go. Out: `Edits`, and the
bytes of a copy with its edits made. The body is never touched; a header value never carries a CR or LF from data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from email.header import Header

from filterd.auth import authentication_results
from filterd.decision import Action, Copy, Decision, Edits, HeaderLine, HeaderSpan, Reason, Subject, Tagging
from filterd.mail.envelope import Direction
from filterd.mail.words import decode_words
from filterd.policies import RULE_OFF
from filterd.record import Record

LEVEL = 50  # the most stars of X-Spam-Level
LINE = 76
_UNSAFE = re.compile(r"[^\x20-\x7e\t]")
_NO_SUBJECT = Subject()


def copies(
    record: Record,
    decisions: Sequence[Decision],
    strip: Sequence[HeaderSpan],
    hostname: str,
    subject: Subject = _NO_SUBJECT,
) -> tuple[Copy, ...]:
    """The copies that the decisions make: recipients whose copy is identical are one group."""
    groups: dict[tuple[Action, Edits], list[int]] = {}
    for position, decision in enumerate(decisions):
        edited = marked(record, decision, strip, hostname, subject) if decision.action.delivers else Edits()
        groups.setdefault((decision.action, edited), []).append(position)
    return tuple(Copy(tuple(positions), action, edits) for (action, edits), positions in groups.items())


def marked(
    record: Record,
    decision: Decision,
    strip: Sequence[HeaderSpan],
    hostname: str,
    subject: Subject = _NO_SUBJECT,
) -> Edits:
    """How a message is marked that this decision is about. `subject` is what it has."""
    edits = Edits(tuple(_added(record, decision, hostname)), tuple(strip))
    return tagged(edits, decision.tagging, subject) if decision.action is Action.TAG else edits


def tagged(edits: Edits, tagging: Tagging, subject: Subject) -> Edits:
    """The same, with what the site wants to see on tagged mail."""
    added, removed = list(edits.prepend), list(edits.remove)
    if tagging.header:
        name, _, value = tagging.header.partition(":")
        added.append(HeaderLine(name, value.strip()))
    if tagging.subject and not decode_words(subject.text).strip().startswith(tagging.subject):
        added.append(HeaderLine("Subject", _encoded(f"{tagging.subject} {subject.text.strip()}".strip())))
        removed = sorted([*removed, *subject.spans], key=lambda span: span.start)
    return Edits(tuple(added), tuple(removed))


def withheld(record: Record, strip: Sequence[HeaderSpan], hostname: str) -> Edits:
    """How a held message is changed when it is released: forged verdicts go, who vouches for it is said by us."""
    added = [HeaderLine("X-Filterd-Id", record.id)]
    if record.envelope.direction is Direction.INBOUND and not record.error:
        added.append(HeaderLine("Authentication-Results", authentication_results(record.auth, hostname)))
    return Edits(tuple(added), tuple(strip))


def is_spam(record: Record, decision: Decision) -> bool:
    """Is it marked as spam: over the tag threshold, or treated as spam whatever its score?"""
    treated = decision.action not in (Action.ACCEPT, Action.DEFER)
    return treated or record.verdict_of(decision).points >= decision.tag_at


def render(edits: Edits, raw: bytes | memoryview) -> list[bytes | memoryview]:
    """The bytes of a copy: the added headers, then the message without the spans that are taken away."""
    view = memoryview(raw)
    pieces: list[bytes | memoryview] = [fold(line) for line in edits.prepend]
    start = 0
    for span in edits.remove:
        if span.start > start:
            pieces.append(view[start : span.start])
        start = span.end
    pieces.append(view[start:])
    return pieces


def fold(line: HeaderLine) -> bytes:
    """A header field in wire form, folded at white space before column 78 where it can be (RFC 5322 section 2.2.3)."""
    text = _UNSAFE.sub("?", line.value)
    rows = [f"{line.name}:"]
    for word in text.split():
        if len(rows[-1]) + 1 + len(word) <= LINE or rows[-1].endswith(":"):
            rows[-1] += f" {word}"
        else:
            rows.append(f"\t{word}")
    return ("\r\n".join(rows) + "\r\n").encode("ascii")


def spam_status(record: Record, decision: Decision) -> str:
    """The value of X-Spam-Status, as SpamAssassin's users know it."""
    verdict = record.verdict_of(decision)
    off = {RULE_OFF.name, *(finding.detail for finding in verdict.findings if finding.name == RULE_OFF.name)}
    names = sorted({finding.name for finding in verdict.findings} - off)
    yes = "Yes" if is_spam(record, decision) else "No"
    score, required = verdict.points / 100, decision.tag_at / 100
    return f"{yes}, score={score:.2f} required={required:.2f} tests={_list(names) or 'none'}"


def _added(record: Record, decision: Decision, hostname: str) -> Iterable[HeaderLine]:
    envelope = record.envelope
    yield HeaderLine("X-Filterd-Id", record.id)
    if decision.reason in (Reason.ERROR, Reason.BYPASS):
        yield HeaderLine("X-Filterd-Bypass", decision.reason.value)
    if record.error or decision.reason is Reason.RELEASED:
        return
    spam = is_spam(record, decision)
    if envelope.direction is Direction.INBOUND:
        yield HeaderLine("Authentication-Results", authentication_results(record.auth, hostname))
    elif not spam:
        return  # what we found in our own users' mail is not for the world to read
    if spam:
        yield HeaderLine("X-Spam-Flag", "YES")
    points = record.verdict_of(decision).points
    yield HeaderLine("X-Spam-Score", f"{points / 100:.2f}")
    if (stars := min(points // 100, LEVEL)) > 0:
        yield HeaderLine("X-Spam-Level", "*" * stars)
    yield HeaderLine("X-Spam-Status", spam_status(record, decision))


def _encoded(text: str) -> str:
    """A header's text in ASCII: encoded words (RFC 2047) where it is not."""
    if text.isascii():
        return text
    return (
        Header(decode_words(text), "utf-8", maxlinelen=LINE - len("Subject: ")).encode(linesep="\n").replace("\n", "")
    )


def _list(names: Sequence[str]) -> str:
    """Names joined by commas, with a space now and then where the line may fold."""
    rows: list[str] = []
    for name in names:
        if rows and len(rows[-1]) + len(name) < LINE - 10:
            rows[-1] += f",{name}"
        else:
            rows.append(name)
    return ", ".join(rows)
