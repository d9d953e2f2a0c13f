"""The fields of a mail as a whole: texts, times, sizes, the envelope and client, who vouches for it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from filterd.authentication import AuthResult, DmarcPolicy
from filterd.mail.defects import Defect
from filterd.mail.domains import registrable
from filterd.mail.envelope import Direction, Source, domain_of
from filterd.ruleset.fields import Field, Kind
from filterd.ruleset.normal import normal
from filterd.ruleset.view import MAX_TEXT, View

_RESULTS = tuple(str(result) for result in AuthResult)


def _seconds(delta: timedelta | None) -> float | None:
    return None if delta is None else delta.total_seconds()


def _lead(view: View) -> timedelta | None:
    sent = view.message.date
    return None if sent is None else sent - view.envelope.received_at


def _ahead(view: View) -> float | None:
    return _seconds(_lead(view))


def _age(view: View) -> float | None:
    lead = _seconds(_lead(view))
    return None if lead is None else -lead


def _registrable(hosts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for host in hosts if host and (name := registrable(host))))


FIELDS: tuple[Field, ...] = (
    Field(
        "subject",
        Kind.STRING,
        "The subject, decoded.",
        "{regex: '(?i)^re:'}",
        lambda view: view.message.subject or None,
    ),
    Field(
        "content",
        Kind.TEXT,
        "Subject and visible text for phrases: white space is one space, invisible characters are gone, "
        "fancy letters are plain ones.",
        "{contains: act now}",
        normal,
    ),
    Field(
        "text",
        Kind.TEXT,
        "The visible text, as it stands.",
        "{regex: '(?m)^-- $'}",
        lambda view: view.message.text or None,
    ),
    Field(
        "hidden",
        Kind.TEXT,
        "Text of the HTML that a reader does not see.",
        "{length: {above: 500}}",
        lambda view: view.message.hidden_text or None,
    ),
    Field(
        "language",
        Kind.STRING,
        "The languages that the visible text is clearly in, as en or de; none when it is short or not clear.",
        "{equals: [ru, uk]}",
        lambda view: view.message.languages,
    ),
    Field(
        "text.length",
        Kind.NUMBER,
        "Characters of visible text.",
        "{below: 200}",
        lambda view: len(view.message.text),
    ),
    Field(
        "hidden.length",
        Kind.NUMBER,
        "Characters of hidden text.",
        "{above: 1500}",
        lambda view: len(view.message.hidden_text),
    ),
    Field(
        "body",
        Kind.TEXT,
        "The body as it came, undecoded, a character a byte.",
        "{contains: 'begin 644'}",
        lambda view: bytes(view.message.body[:MAX_TEXT]).decode("latin-1") or None,
    ),
    Field(
        "headers",
        Kind.STRING,
        "Every header line, `Name: value`, decoded.",
        "{regex: '(?i)^x-php'}",
        lambda view: tuple(f"{one.name}: {one.text}" for one in view.message.headers),
    ),
    Field(
        "header_names",
        Kind.STRING,
        "The names of all header fields, as they are spelt.",
        "{regex: '^[A-Z-]+$', count: {above: 3}}",
        lambda view: tuple(one.name for one in view.message.headers),
    ),
    Field(
        "message_id",
        Kind.STRING,
        "The Message-ID, with its angle brackets when it has them.",
        "{regex: '@localhost'}",
        lambda view: view.message.message_id or None,
    ),
    Field("date.ahead", Kind.DURATION, "How long after its arrival the message is dated.", "{above: 6h}", _ahead),
    Field("date.age", Kind.DURATION, "How long before its arrival it is dated.", "{above: 4d}", _age),
    Field("size", Kind.SIZE, "The whole message.", "{below: 2kB}", lambda view: len(view.message.raw)),
    Field(
        "defects",
        Kind.STRING,
        "What is broken about its structure.",
        "duplicate-boundary",
        lambda view: view.message.defects,
        choices=tuple(str(one) for one in Defect),
        many=True,
    ),
    Field(
        "ambiguous",
        Kind.FLAG,
        "Mail programs may read it in different ways.",
        "true",
        lambda view: view.message.ambiguous,
    ),
    Field(
        "author.domain",
        Kind.DOMAIN,
        "The domains that DMARC may be about, from every From header.",
        "{count: {above: 1}}",
        lambda view: view.message.author_domains,
    ),
    Field(
        "author.registrable",
        Kind.DOMAIN,
        "Their registrable domains.",
        "{in: [example.org]}",
        lambda view: _registrable(view.message.author_domains),
    ),
    Field(
        "link.count",
        Kind.NUMBER,
        "How many links there are.",
        "{above: 20}",
        lambda view: len(view.message.links),
    ),
    Field(
        "received.count",
        Kind.NUMBER,
        "How many Received lines there are.",
        "{at_most: 1}",
        lambda view: len(view.message.received),
    ),
    Field(
        "mail_from.address",
        Kind.ADDRESS,
        "The envelope sender; none when it is null.",
        "{exists: false}",
        lambda view: view.envelope.sender or None,
    ),
    Field(
        "mail_from.domain",
        Kind.DOMAIN,
        "Its domain.",
        "{in: freemail}",
        lambda view: domain_of(view.envelope.sender) or None,
    ),
    Field(
        "mail_from.registrable",
        Kind.DOMAIN,
        "Its registrable domain.",
        "{not: {same_as: author.registrable}}",
        lambda view: _registrable([domain_of(view.envelope.sender)]),
    ),
    Field(
        "rcpt.address",
        Kind.ADDRESS,
        "The envelope recipients.",
        "{equals: info@example.org}",
        lambda view: tuple(one.address for one in view.envelope.recipients),
    ),
    Field(
        "rcpt.domain",
        Kind.DOMAIN,
        "Their domains.",
        "{in: [example.org]}",
        lambda view: tuple(one.domain for one in view.envelope.recipients if one.domain),
    ),
    Field(
        "client.address",
        Kind.IP,
        "The host that handed the mail to our side.",
        "{in: [192.0.2.0/24]}",
        lambda view: view.mail.origin.address or None,
    ),
    Field(
        "client.name",
        Kind.DOMAIN,
        "Its verified reverse name.",
        "{regex: '(?i)dyn|dsl|pool'}",
        lambda view: view.mail.origin.name or None,
    ),
    Field(
        "client.helo",
        Kind.STRING,
        "What it called itself in HELO.",
        "{regex: '^\\[?[0-9.]+\\]?$'}",
        lambda view: view.mail.origin.helo or None,
    ),
    Field(
        "client.source",
        Kind.STRING,
        "How it was found.",
        "received",
        lambda view: str(view.mail.origin.source),
        choices=tuple(str(one) for one in Source),
    ),
    Field(
        "direction",
        Kind.STRING,
        "inbound, outbound or internal.",
        "outbound",
        lambda view: str(view.envelope.direction),
        choices=tuple(str(one) for one in Direction),
    ),
    Field(
        "listener",
        Kind.STRING,
        "The listener it came through.",
        "{glob: 'smtp *'}",
        lambda view: view.envelope.listener or None,
    ),
    Field(
        "user",
        Kind.STRING,
        "The authenticated user.",
        "{exists: true}",
        lambda view: view.envelope.user or None,
    ),
    Field(
        "tls",
        Kind.STRING,
        "Protocol and cipher of the client's connection.",
        "{exists: false}",
        lambda view: view.envelope.tls or None,
    ),
    Field(
        "protocol",
        Kind.STRING,
        "SMTP, ESMTP, ESMTPS, ...",
        "smtp",
        lambda view: view.envelope.protocol or None,
    ),
    Field(
        "parameters",
        Kind.STRING,
        "The ESMTP parameters of MAIL FROM.",
        "SMTPUTF8",
        lambda view: view.envelope.sender_parameters,
    ),
    Field(
        "spf",
        Kind.STRING,
        "The SPF result.",
        "fail",
        lambda view: str(view.auth.spf.result),
        choices=_RESULTS,
    ),
    Field(
        "spf.domain",
        Kind.DOMAIN,
        "The domain that SPF was about.",
        "{in: [example.com]}",
        lambda view: view.auth.spf.domain or None,
    ),
    Field(
        "spf.helo",
        Kind.STRING,
        "The SPF result of the HELO name.",
        "fail",
        lambda view: str(view.auth.spf.helo),
        choices=_RESULTS,
    ),
    Field(
        "dmarc",
        Kind.STRING,
        "The DMARC result (RFC 9989).",
        "fail",
        lambda view: str(view.auth.dmarc.result),
        choices=_RESULTS,
    ),
    Field(
        "dmarc.policy",
        Kind.STRING,
        "What the author domain asks for mail that fails.",
        "[quarantine, reject]",
        lambda view: str(view.auth.dmarc.policy),
        choices=tuple(str(one) for one in DmarcPolicy),
    ),
    Field(
        "dmarc.domain",
        Kind.DOMAIN,
        "The author domain that DMARC was about.",
        "{in: [example.com]}",
        lambda view: view.auth.dmarc.domain or None,
    ),
    Field(
        "dmarc.aligned",
        Kind.FLAG,
        "SPF or DKIM passed for the author domain.",
        "false",
        lambda view: view.auth.dmarc.spf_aligned or view.auth.dmarc.dkim_aligned,
    ),
    Field(
        "arc",
        Kind.STRING,
        "The ARC chain's result.",
        "pass",
        lambda view: str(view.auth.arc.result) if view.auth.arc else None,
        choices=_RESULTS,
    ),
    Field(
        "iprev",
        Kind.STRING,
        "Reverse DNS of the client, confirmed forward.",
        "fail",
        lambda view: str(view.auth.iprev.result) if view.auth.iprev else None,
        choices=_RESULTS,
    ),
    Field(
        "vouched.domain",
        Kind.DOMAIN,
        "The domains with a passing DKIM signature or SPF.",
        "{in: [example.com]}",
        lambda view: view.auth.domains,
    ),
    Field(
        "time.hour",
        Kind.NUMBER,
        "The hour of arrival, UTC.",
        "{at_least: 22}",
        lambda view: view.envelope.received_at.hour,
        most=23,
    ),
    Field(
        "time.weekday",
        Kind.NUMBER,
        "The day of arrival, 1 (Monday) to 7.",
        "{at_least: 6}",
        lambda view: view.envelope.received_at.isoweekday(),
        least=1,
        most=7,
    ),
    Field(
        "probability",
        Kind.NUMBER,
        "The learnt probability of spam, 0 to 1; none without a model.",
        "{above: 0.99}",
        lambda view: view.probability,
        most=1,
    ),
)
