"""Facets: everything that a row is exactly looked up by, as tokens of one inverted index. Pure.

A B-tree for each searchable column would dirty a page at a random place for each of them and each message; an inverted
index takes them all in one append. A token is a kind and a folded value, percent-encoded so that no value can hold a
separator: "f:pills", "t:ann@example.org".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from filterd.decision import Action, Decision
from filterd.mail.envelope import domain_of
from filterd.record import Record
from filterd.store.text import ADDRESS, fold

TOKEN_CHARACTERS = "_.-~@:+=/%"  # besides letters and digits
_SAFE = "@:+=/"


class Facet(enum.StrEnum):
    """What a token is of. The letters are in every stored row: they do not change."""

    FINDING = "f"
    SENDER = "s"
    SENDER_DOMAIN = "sd"
    RECIPIENT = "t"
    RECIPIENT_DOMAIN = "td"
    CLIENT = "c"
    MESSAGE_ID = "m"
    QUEUE_ID = "q"
    RECORD = "i"
    RULESET = "r"
    MODEL = "o"
    ACTION = "a"
    REASON = "e"
    DIRECTION = "d"
    LISTENER = "l"
    CLASS = "k"
    CAMPAIGN = "n"


PRECISE = frozenset({Facet.SENDER, Facet.RECIPIENT, Facet.CLIENT, Facet.MESSAGE_ID, Facet.QUEUE_ID, Facet.RECORD})


def token(kind: Facet, value: str) -> str:
    return f"{kind}:{quote(fold(value[:ADDRESS]), safe=_SAFE, errors='replace')}"


def joined(pairs: Iterable[tuple[Facet, str]]) -> str:
    """The tokens of a row, each once; empty values have none."""
    return " ".join(dict.fromkeys(token(kind, value) for kind, value in pairs if value))


def of_message(record: Record) -> list[tuple[Facet, str]]:
    """What a record and its items share."""
    sender = record.envelope.sender
    return [
        *((Facet.FINDING, name) for name in record.verdict.names),
        (Facet.SENDER, sender),
        (Facet.SENDER_DOMAIN, domain_of(sender)),
        (Facet.CLIENT, record.origin.address or ""),
        (Facet.MESSAGE_ID, record.outline.message_id),
        (Facet.RULESET, record.generation.ruleset),
        (Facet.MODEL, record.opinion.model or record.generation.model),
        (Facet.LISTENER, record.envelope.listener),
        (Facet.DIRECTION, record.envelope.direction),
    ]


def of_record(record: Record, decision: Decision | None) -> str:
    """The tokens of a row of the history."""
    recipients = [one.address for one in record.envelope.recipients]
    return joined(
        [
            *of_message(record),
            *_of_recipients(recipients),
            (Facet.QUEUE_ID, record.envelope.queue_id or ""),
            (Facet.ACTION, decision.action if decision else Action.ACCEPT),
            (Facet.REASON, decision.reason if decision else ""),
            (Facet.CAMPAIGN, _campaign(record)),
        ]
    )


def of_item(record: Record, recipient: str, klass: str) -> str:
    """The tokens of a row of the quarantine. What changes later (its state) is not among them."""
    return joined(
        [
            *of_message(record),
            *_of_recipients([recipient]),
            (Facet.RECORD, record.id),
            (Facet.CLASS, klass),
        ]
    )


def address(address_kind: Facet, domain_kind: Facet, value: str) -> tuple[Facet, str]:
    """What a person means by "ann@example.org", "<ann@example.org>", "@example.org" or "example.org"."""
    value = value.strip().removeprefix("<").removesuffix(">")
    if "@" not in value:
        return domain_kind, value
    return (domain_kind, value[1:]) if value.startswith("@") else (address_kind, value)


def _campaign(record: Record) -> str:
    """The id of the first record that is known with nearly the same text; "" for too little text."""
    near = record.facts.near
    return (near.record or record.id) if near is not None and near.bands else ""


def _of_recipients(recipients: Sequence[str]) -> Iterable[tuple[Facet, str]]:
    for one in recipients:
        yield Facet.RECIPIENT, one
        yield Facet.RECIPIENT_DOMAIN, domain_of(one)
