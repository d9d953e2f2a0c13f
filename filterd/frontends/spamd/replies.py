"""Replies of the spamd protocol, and of rspamd's old line protocol. Pure; nothing of a message can break a line."""

from __future__ import annotations

import enum
import re
import textwrap

from filterd.decision import Action
from filterd.findings import Finding
from filterd.frontends.advice import Advice, Desk, Original, marked_copy
from filterd.frontends.spamd.request import Request
from filterd.frontends.words import rspamd_action

REPORT_MOST = 8000  # Exim reads 32,599 bytes of an answer, and no more
_UNSAFE = re.compile(r"[^\x20-\x7e]")


class Exit(enum.IntEnum):
    """sysexits.h, in the words of the protocol."""

    EX_OK = 0
    EX_DATAERR = 65
    EX_UNAVAILABLE = 69
    EX_TEMPFAIL = 75
    EX_PROTOCOL = 76
    EX_NOPERM = 77


PONG = b"SPAMD/1.5 0 PONG\r\n"
RSPAMC_PONG = b"RSPAMD/1.3 0 EX_OK\r\nPONG\r\n"


def error(code: Exit, text: str, *, rspamc: bool = False) -> bytes:
    """A reply that is no verdict."""
    if code is Exit.EX_PROTOCOL:
        text = f"Bad header line: {text}"
    name = "RSPAMD/1.3" if rspamc else "SPAMD/1.0"
    return f"{name} {code.value} {code.name} {_safe(text)[:300]}\r\n".encode()


def told(did: str | None) -> bytes:
    """The reply to TELL: `DidSet` or `DidRemove`, or None when nothing changed."""
    return b"SPAMD/1.1 0 EX_OK\r\n" + (f"{did}: local\r\n".encode() if did else b"") + b"Content-length: 2\r\n\r\n\r\n"


def rendered(request: Request, advice: Advice, original: Original, desk: Desk) -> bytes:
    """The verdict, as this command and version want it. The spamd protocol has no word for "try again later"."""
    if advice.failed or (advice.decision.action is Action.DEFER and not request.rspamc):
        return error(Exit.EX_TEMPFAIL, advice.decision.text, rspamc=request.rspamc)
    if request.rspamc:
        return _rspamd(advice, rspamd_action(advice.decision.action, desk.quarantine))
    words = ("Yes", "No") if request.verb == "REPORT_IFSPAM" else ("True", "False")
    spam = f"Spam: {words[not advice.spam]} ; {_two(advice.points)} / {_two(advice.required)}\r\n"
    if request.verb == "CHECK":
        return f"SPAMD/1.1 0 EX_OK\r\n{spam}\r\n".encode()
    body = _body(request, advice, original, desk.site.hostname)
    length = f"Content-length: {len(body)}\r\n"
    if request.verb in ("PROCESS", "HEADERS"):
        if request.version < (1, 2):
            return b"SPAMD/1.0 0 EX_OK\r\n" + body
        if request.version < (1, 3):
            spam = ""
    elif request.version < (1, 3):
        length = ""
    return f"SPAMD/1.1 0 EX_OK\r\n{length}{spam}\r\n".encode() + body


def _body(request: Request, advice: Advice, original: Original, hostname: str) -> bytes:
    match request.verb:
        case "PROCESS":
            return marked_copy(advice, original)
        case "HEADERS":
            return marked_copy(advice, original.head)
        case "SYMBOLS":
            names = ",".join(sorted({finding.name for finding in advice.verdict.findings}))
            return names.encode() + (b"\r\n" if request.version < (1, 3) else b"")
        case "REPORT_IFSPAM" if not advice.spam:
            return b""
    return report(advice, hostname).encode()


def report(advice: Advice, hostname: str) -> str:
    """What was found, for a person, in SpamAssassin's form: it may end up in a header."""
    lines = [
        f"Spam detection software, running on the system {_safe(hostname)!r},",
        f"has {'' if advice.spam else 'NOT '}identified this incoming email as possible spam.",
        "",
        _safe(advice.decision.text),
        "",
        f"Content analysis details:   ({_two(advice.points)} points, {_two(advice.required)} required)",
        "",
        " pts rule name              description",
        "---- ---------------------- --------------------------------------------------",
    ]
    size = sum(map(len, lines))
    for finding in sorted(advice.verdict.findings, key=lambda one: -abs(one.points)):
        rows = _finding(finding)
        size += sum(len(row) + 1 for row in rows)
        if size > REPORT_MOST:
            lines.append("                            and more")
            break
        lines += rows
    return "\n".join(lines) + "\n"


def _finding(finding: Finding) -> list[str]:
    head = f"{finding.score:4.1f} {finding.name:<22} "
    about = _safe(f"{finding.about} [{finding.detail[:200]}]" if finding.detail else finding.about)
    return textwrap.wrap(about, 78, initial_indent=head, subsequent_indent=" " * 28) or [head.rstrip()]


def _rspamd(advice: Advice, action: str) -> bytes:
    """What Exim's src/spam.c reads with variant=rspamd: the metric, the action, then what becomes $spam_report."""
    thresholds = advice.thresholds
    lines = [
        "RSPAMD/1.3 0 EX_OK",
        f"Metric: default; {advice.spam}; {_two(advice.points)} / {_two(advice.required)} / "
        f"{_two(thresholds.reject or 0)}",
        f"Action: {action}",
    ]
    size = 0
    for finding in advice.verdict.findings:
        line = _safe(f"Symbol: {finding.name}({_two(finding.points)})[{finding.detail[:200]}]")
        size += len(line) + 2
        if size > REPORT_MOST:
            break
        lines.append(line)
    lines.append(_safe(f"Message-ID: {advice.record.outline.message_id[:200]}"))
    return "".join(f"{line}\r\n" for line in lines).encode()


def _two(points: int) -> str:
    return f"{points / 100:.2f}"


def _safe(text: str) -> str:
    return _UNSAFE.sub("?", text)
