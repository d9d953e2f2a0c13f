"""The log: lines on stderr, key=value or JSON, and one canonical line for each message.

Whatever a stranger put into a value is escaped, so that one event is one line and no line drives a
terminal. Logging never raises.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog

from filterd.config.model import LogFormat, LogSettings
from filterd.printable import printable
from filterd.record import Record

RECIPIENTS = 10  # named in a line; of more, the number
_BARE = re.compile(r"[\w.@<>:/+,%*~^|()\[\]{}!?&;#$-]+", re.ASCII)

log = structlog.get_logger("filterd")


def set_up(settings: LogSettings) -> None:
    """Send everything that is logged, by us and by libraries, to stderr in one form."""
    level = getattr(logging, settings.level.value.upper())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            as_json if settings.format is LogFormat.JSON else as_text,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(_Stderr()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_FromLibraries()], force=True)


class _Stderr:
    """stderr, where a line that cannot be written is lost: a full disk or a closed pipe must not stop mail."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


class _FromLibraries(logging.Handler):
    """What libraries log through the standard module, as one of our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        why = None if error is None else f"{type(error).__name__}: {error}"
        log.log(record.levelno, "library", logger=record.name, said=text, why=why)


def as_text(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """`timestamp level event key=value ...`"""
    head = f"{event.pop('timestamp')} {event.pop('level')} {printable(str(event.pop('event')))}"
    return " ".join((head, *(f"{key}={_value(value)}" for key, value in event.items() if value is not None)))


def as_json(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """One object, with what is not ASCII escaped."""
    return json.dumps({key: value for key, value in event.items() if value is not None}, default=str)


def _value(value: Any) -> str:
    text = printable(_plain(value))
    return text if _BARE.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: Any) -> str:
    match value:
        case float():
            return f"{value:.2f}"
        case list() | tuple():
            return ",".join(map(_plain, value))
        case dict():
            return ",".join(f"{key}:{_plain(inside)}" for key, inside in value.items())
    return str(value)


def message_line(record: Record) -> dict[str, Any]:
    """The canonical line of one message: its fields, in order."""
    envelope, outline = record.envelope, record.outline
    decision = record.strictest
    verdict = record.verdict_of(decision)
    recipients = [one.address for one in envelope.recipients[:RECIPIENTS]]
    more = len(envelope.recipients) - len(recipients)
    actions = {one.action for one in record.decisions}
    return {
        "id": record.id,
        "queue_id": envelope.queue_id,
        "message_id": outline.message_id,
        "listener": envelope.listener,
        "client": record.origin.address or "unknown",
        "helo": record.origin.helo,
        "user": envelope.user,
        "direction": envelope.direction.value,
        "from": f"<{envelope.sender}>",
        "to": recipients,
        "more_recipients": more or None,
        "subject": outline.subject,
        "action": decision.action.value if decision else "none",
        "reason": decision.reason.value if decision else "none",
        "would": decision.would.value if decision and decision.would else None,
        "actions": _by_recipient(record) if len(actions) > 1 else None,
        "score": verdict.points / 100,
        "probability": record.verdict.probability,
        "findings": [finding.name for finding in verdict.findings],
        "spf": record.auth.spf.result.value,
        "dkim": [one.result.value for one in record.auth.dkim] or ["none"],
        "dmarc": record.auth.dmarc.result.value,
        "fate": sorted({one.fate for one in record.deliveries}) or None,
        "reply": next((one.reply for one in record.deliveries if one.reply), None),
        "model": record.generation.model,
        "ruleset": record.generation.ruleset,
        "config": record.generation.config,
        "size": outline.size,
        "ms": {stage: round(value, 2) for stage, value in record.milliseconds.items()},
        "error": record.error or None,
    }


def _by_recipient(record: Record) -> list[str]:
    return [f"{one.recipient}={one.action.value}" for one in record.decisions[:RECIPIENTS]]
