"""One message as JSON and as text: what was found, what was concluded, what is done. Pure.

The JSON is the contract of `filterd scan --json`: its keys keep their meaning. Scores are hundredths
written as decimals, so the score is the sum of the findings' scores to the last printed digit. Action, score,
thresholds and findings are those of the recipient with the strictest decision; `recipients` has everybody's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from filterd.auth import authentication_results
from filterd.authentication import Authentication
from filterd.decision import Action, Decision, Thresholds
from filterd.findings import Finding
from filterd.record import Record


def is_spam(record: Record) -> bool:
    """Over the tag threshold, or treated as worse than mail that is simply delivered."""
    decision = record.strictest
    if decision is None:
        return False
    action = decision.would or decision.action
    return action not in (Action.ACCEPT, Action.DEFER) or record.verdict_of(decision).points >= decision.tag_at


def as_json(path: str, record: Record, hostname: str, *, explain: bool = False) -> dict[str, Any]:
    """The object of one message."""
    decision = record.strictest
    outline, verdict = record.outline, record.verdict_of(decision)
    found = {
        "path": path,
        "id": record.id,
        "message_id": outline.message_id,
        "action": decision.action.value if decision else None,
        "reason": decision.reason.value if decision else None,
        "text": decision.text if decision else "",
        "score": verdict.points / 100,
        "probability": verdict.probability,
        "thresholds": _thresholds(record.thresholds_of(decision)),
        "policy": decision.policy if decision else "",
        "findings": [_finding(one) for one in verdict.findings],
        "recipients": [_recipient(record, one) for one in record.decisions],
        "auth": _auth(record.auth),
        "authentication_results": authentication_results(record.auth, hostname),
        "urls": list(outline.urls),
        "attachments": [
            {
                "name": one.name,
                "type": one.type,
                "size": one.size,
                "path": list(one.path),
                "flags": list(one.flags),
            }
            for one in outline.attachments
        ],
        "defects": list(outline.defects),
        "ambiguous": outline.ambiguous,
        "model": record.generation.model,
        "ruleset": record.generation.ruleset,
        "milliseconds": round(sum(record.milliseconds.values()), 1),
    }
    if decision and decision.would:
        found["would"] = decision.would.value
    if record.error:
        found["error"] = record.error
    if explain:
        found |= _explained(record)
    return found


def _thresholds(thresholds: Thresholds) -> dict[str, float | None]:
    named = {"tag": thresholds.tag, "quarantine": thresholds.quarantine, "reject": thresholds.reject}
    return {name: None if points is None else points / 100 for name, points in named.items()}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "score": finding.score,
        "about": finding.about,
        "detail": finding.detail,
        "source": finding.source,
    }


def _recipient(record: Record, decision: Decision) -> dict[str, Any]:
    """One recipient's decision. Its findings are those that his policy adds to, or takes from, the mail's own."""
    verdict = record.verdict_of(decision)
    return {
        "recipient": decision.recipient,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "text": decision.text,
        "would": decision.would.value if decision.would else None,
        "policy": decision.policy,
        "score": verdict.points / 100,
        "thresholds": _thresholds(record.thresholds_of(decision)),
        "findings": [_finding(one) for one in verdict.findings[len(record.verdict.findings) :]],
    }


def _auth(auth: Authentication) -> dict[str, Any]:
    return {
        "spf": {
            "result": auth.spf.result.value,
            "domain": auth.spf.domain,
            "reason": auth.spf.reason or None,
        },
        "dkim": [
            {"result": one.result.value, "domain": one.domain, "selector": one.selector, "reason": one.reason}
            for one in auth.dkim
        ],
        "dmarc": {
            "result": auth.dmarc.result.value,
            "policy": auth.dmarc.policy.value,
            "domain": auth.dmarc.domain,
            "org_domain": auth.dmarc.org_domain,
            "reason": auth.dmarc.reason or None,
        },
        "arc": None if auth.arc is None else {"result": auth.arc.result.value, "reason": auth.arc.reason or None},
        "iprev": None if auth.iprev is None else {"result": auth.iprev.result.value, "name": auth.iprev.name or None},
    }


def _explained(record: Record) -> dict[str, Any]:
    origin = record.origin
    return {
        "evidence": [{"token": one.token, "score": one.points / 100} for one in record.opinion.evidence],
        "origin": {
            "address": origin.address,
            "name": origin.name,
            "helo": origin.helo,
            "source": origin.source.value,
        },
        "stages": record.milliseconds,
    }


def as_text(path: str, record: Record, *, explain: bool = False) -> Iterator[str]:
    """One line; with `explain` everything that led to it, a line for each."""
    decision = record.strictest
    verdict = record.verdict_of(decision)
    action = decision.action.value if decision else "none"
    names = ", ".join(one.name for one in sorted(verdict.findings, key=lambda one: -abs(one.points))[:6])
    yield f"{path}: {action} {verdict.points / 100:.2f} {names}".rstrip()
    if not explain or decision is None:
        return
    probability = verdict.probability
    yield f"  {decision.text}"
    if decision.policy:
        yield f"  under the policy {decision.policy}"
    yield f"  the model says {'nothing' if probability is None else f'{probability:.3f}'}"
    for finding in sorted(verdict.findings, key=lambda one: -one.points):
        detail = f" ({finding.detail})" if finding.detail else ""
        yield f"  {finding.score:+7.2f} {finding.name}: {finding.about}{detail} [{finding.source}]"
    for evidence in record.opinion.evidence:
        yield f"  {evidence.points / 100:+7.2f} of the model: {evidence.token}"
    for one in record.decisions if len(record.decisions) > 1 else ():
        yield f"  for {one.recipient}: {one.action.value} {record.verdict_of(one).points / 100:.2f}, {one.text}"
    yield from _senders(record)
    for attachment in record.outline.attachments:
        name = "/".join(attachment.path) or attachment.name
        yield f"  attachment {name} ({attachment.type}, {attachment.size} bytes)"
    if record.outline.defects:
        yield f"  defects: {', '.join(record.outline.defects)}"
    if record.error:
        yield f"  error: {record.error}"


def _senders(record: Record) -> Iterator[str]:
    auth, origin = record.auth, record.origin
    yield f"  from {origin.address or 'an unknown host'} ({origin.source.value})"
    yield f"  spf {auth.spf.result.value} {auth.spf.domain} {auth.spf.reason}".rstrip()
    for one in auth.dkim:
        yield f"  dkim {one.result.value} {one.domain} {one.reason or ''}".rstrip()
    yield f"  dmarc {auth.dmarc.result.value} {auth.dmarc.domain} {auth.dmarc.reason}".rstrip()
