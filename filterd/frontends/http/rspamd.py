"""rspamd's HTTP protocol: request headers to `Asked`, a message from a body, an `Advice` to a reply. Pure.

https://docs.rspamd.com/developers/protocol; the replies hold what rspamd 3 sends, and `filterd` with our own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import zstandard

from filterd.decision import HeaderLine, HeaderSpan, Reason
from filterd.findings import Finding
from filterd.frontends.advice import Advice, Asked, address_of, ip_of, said
from filterd.frontends.http.answer import Head, Refused
from filterd.frontends.words import QuarantineAs, rspamd_action
from filterd.printable import printable

# Addresses between commas that are not quoted, as in rspamd's protocol.c; a quote that never ends holds all the rest.
_LISTED = re.compile(rb'(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[^,"])++')
_ELSEWHERE = ("file", "path", "shm")  # rspamd reads messages from places that the client names; we do not


def asked(head: Head) -> Asked:
    """What the request's headers say of the envelope."""
    sender = head.first("from")
    listed = (one for name in ("rcpt", "recipients") for value in head.all(name) for one in _LISTED.findall(value))
    recipients = tuple(filter(None, map(address_of, listed)))
    delivered_to = address_of(head.first("deliver-to"))
    tls = tuple(filter(None, (said(head.first("tls-version")), said(head.first("tls-cipher")))))
    name = said(head.first("hostname"))
    return Asked(
        sender=address_of(sender) if sender else None,
        recipients=recipients or ((delivered_to,) if delivered_to else ()),
        address=ip_of(head.first("ip")),
        name=name if name != "unknown" else None,
        helo=said(head.first("helo")),
        user=said(head.first("user")),
        queue_id=said(head.first("queue-id")),
        tls=" ".join(tls) or None,
    )


def packed(head: Head) -> str:
    """How the body is packed; "" when it is not."""
    packing = (said(head.first("compression")) or said(head.first("content-encoding")) or "").lower()
    return "" if packing == "identity" else packing


def message(head: Head, body: bytes, most: int) -> bytes:
    """The message that a request carries; raises Refused when it carries none that can be read."""
    packing = packed(head)
    if packing == "zstd":
        body = _unpacked(body, most)
    elif packing:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"no compression but zstd is understood: {packing[:40]}")
    if not body:
        elsewhere = next((name for name in _ELSEWHERE if head.first(name)), None)
        why = "no message in the request"
        raise Refused(
            HTTPStatus.BAD_REQUEST, f"{why}; nothing is read from the {elsewhere} header" if elsewhere else why
        )
    return body


def verdict(advice: Advice, head: Head, quarantine: QuarantineAs) -> dict[str, Any]:
    """The reply to /checkv2."""
    record, decision = advice.record, advice.decision
    extended = head.first("url-format") == b"extended"
    return {
        "is_skipped": decision.reason is Reason.BYPASS,
        "score": advice.points / 100,
        "required_score": advice.required / 100,
        "action": rspamd_action(decision.action, quarantine),
        "thresholds": {
            word: points / 100
            for word, points in (
                ("reject", advice.thresholds.reject),
                ("quarantine", advice.thresholds.quarantine),
                ("add header", advice.thresholds.tag),
            )
            if points is not None
        },
        "symbols": symbols(advice.verdict.findings),
        "messages": {"smtp_message": decision.reply} if decision.reply else {},
        "message-id": record.outline.message_id.strip().strip("<>") or "undef",
        **({"queue-id": record.envelope.queue_id} if record.envelope.queue_id else {}),
        "urls": _urls(record.outline.urls, extended),
        "emails": _emails(record.outline.urls),
        "time_real": round(sum(record.milliseconds.values()) / 1000, 6),
        "milter": _milter(advice),
        "filterd": {
            "id": record.id,
            "action": decision.action.value,
            "reason": decision.reason.value,
            "text": decision.text,
            "would": decision.would.value if decision.would else None,
            "probability": record.verdict.probability,
        },
    }


def old_verdict(reply: dict[str, Any], *, spam: bool) -> dict[str, Any]:
    """The same as the reply to /check, as rspamd sent it before its version 1.6: the symbols stand in the metric."""
    metric = {name: reply[name] for name in ("is_skipped", "score", "required_score", "action")}
    rest = {name: value for name, value in reply.items() if name not in metric and name != "symbols"}
    return {"default": {"is_spam": spam, **metric, **reply["symbols"]}, **rest}


def symbols(findings: Iterable[Finding]) -> dict[str, dict[str, Any]]:
    """Findings by name; those of one name are one symbol, whose score is their sum."""
    found: dict[str, dict[str, Any]] = {}
    points: dict[str, int] = {}
    for one in findings:
        points[one.name] = points.get(one.name, 0) + one.points
        symbol = found.setdefault(one.name, {"name": one.name, "score": 0.0, "metric_score": 0.0})
        symbol["score"] = symbol["metric_score"] = points[one.name] / 100
        if one.about:
            symbol["description"] = one.about
        if one.detail:
            symbol.setdefault("options", []).append(one.detail)
    return found


def _milter(advice: Advice) -> dict[str, Any]:
    """How a mail server should mark the message: fields to add at the top, fields to take away."""
    add: dict[str, Any] = {}
    for line in advice.edits.prepend:
        add[line.name] = [*add.get(line.name, ()), _field(line)]
    return {
        "add_headers": {name: fields[0] if len(fields) == 1 else fields for name, fields in add.items()},
        "remove_headers": _removed(advice.edits.remove),
    }


def _field(line: HeaderLine) -> dict[str, Any]:
    return {"value": printable(line.value), "order": 0}


def _removed(spans: Sequence[HeaderSpan]) -> dict[str, int | list[int]]:
    """By name: 0 for all of that name; else which, from the last to the first, so that none moves another.

    Only of Authentication-Results do some stay: those of other hosts.
    """
    which: dict[str, list[int]] = {}
    for span in spans:
        which.setdefault(span.name, []).insert(0, span.occurrence)
    return {
        name: 0 if name.lower() != "authentication-results" else found[0] if len(found) == 1 else found
        for name, found in which.items()
    }


def _urls(urls: Iterable[str], extended: bool) -> list[Any]:
    """Host names; on request with their URLs."""
    found: dict[Any, Any] = {}
    for url in urls:
        host = _host(url)
        if host:
            found.setdefault(url if extended else host, {"url": url, "host": host} if extended else host)
    return list(found.values())


def _emails(urls: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(url[7:].partition("?")[0] for url in urls if url[:7].lower() == "mailto:"))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _unpacked(body: bytes, most: int) -> bytes:
    """One whole frame: what was cut off on its way is not judged as if it were all."""
    try:
        if zstandard.frame_content_size(body) > most:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        unpacking = zstandard.ZstdDecompressor(max_window_size=1 << 25)
        return unpacking.decompress(body, max_output_size=most, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"no zstd frame of at most {most} bytes: {error}") from error
