"""Mailboxes, and every domain that a From field could show."""

from __future__ import annotations

import pytest

from filterd.mail import Message
from filterd.mail.address import parse_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.com", [("", "a@b.com")]),
        ('"Doe, J." <j@d.org>, k@e.org', [("Doe, J.", "j@d.org"), ("", "k@e.org")]),
        ("J. R. Doe <j@d.org>", [("J. R. Doe", "j@d.org")]),
        ("=?utf-8?q?J=C3=B6rg?= <j@d.org>", [("Jörg", "j@d.org")]),
        ("Team: a@b.org, C <c@d.org>;, e@f.org", [("", "a@b.org"), ("C", "c@d.org"), ("", "e@f.org")]),
        ("undisclosed-recipients:;", []),
        ("a@b.org (Ann (the (nested)) one)", [("", "a@b.org")]),
        ("(x) a (y) @ (z) b.org", [("", "a@b.org")]),
        ('"a b"@c.org', [("", '"a b"@c.org')]),
        ("<@x.org,@y.org:a@b.org>", [("", "a@b.org")]),
        ("A <a@b.org>, , <c@d.org>,", [("A", "a@b.org"), ("", "c@d.org")]),
        ('"open <a@b.org>', [('"open', "a@b.org")]),
        ("", []),
    ],
)
def test_mailboxes(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(box.name, box.address) for box in parse_addresses(text).mailboxes] == expected


def test_domains_are_a_labels() -> None:
    (box,) = parse_addresses("x <jörg@BÜCHER.example.>").mailboxes
    assert (box.local, box.domain) == ("jörg", "xn--bcher-kva.example")


def test_five_thousand_nested_comments() -> None:
    parsed = parse_addresses("(" * 5_000 + ")" * 5_000 + " a@b.org")
    assert [box.address for box in parsed.mailboxes] == ["a@b.org"]


@pytest.mark.parametrize(
    "text",
    [
        "Ann <ann@example.org>",
        "ann@example.org (Ann)",
        '"Ann, x" <ann@example.org>',
        '"ann@gmail.com via list" <ann@example.org>',
        "=?utf-8?q?Ann_via_info=40example=2Eorg?= <ann@example.org>",
        "ann@EXAMPLE.org, Bob <bob@example.org>",
        "ann@example.org <ann@example.org>",
    ],
)
def test_one_author_domain(text: str) -> None:
    assert Message(f"From: {text}\n\n".encode()).author_domains == ("example.org",)


@pytest.mark.parametrize(
    "block",
    [
        "From: a@bank.example\nFrom: x@evil.example",
        "From: x@evil.example\nFrom : a@bank.example",
        "From: a@bank.example, x@evil.example",
        "From: a@bank.example <x@evil.example>",
        "From: <a@bank.example> <x@evil.example>",
        "From: <x@evil.example>a@bank.example",
        "From: <a@bank.example>\\,<x@evil.example>",
        "From: a@bank.example(<x@evil.example>",
        "From: x@evil.example (a@bank.example)",
        "From: <@bank.example:x@evil.example>",
        "From: <@bank.example,@b.example:x@evil.example>",
        'From: "a@bank.example"@evil.example',
        'From: "a@bank.example" x@evil.example',
        "From: =?utf-8?q?=3Ca@bank.example=3E=2C?= <x@evil.example>",
        "From: =?utf-8?b?PGFAYmFuay5leGFtcGxlPg==?= <x@evil.example>",
        "From: x@evil.example\0, a@bank.example",
        "From: a@bank.example\0@evil.example",
        "From: group: a@bank.example; x@evil.example",
        "From: a@bank.example:x@evil.example",
        "From: a@bank.example; <x@evil.example>",
        "From: x@evil.example\nSubject: y\rFrom: a@bank.example",
        "From: x@evil.example\n\0From: a@bank.example",
        "From: x@evil.example\n\u00a0From: a@bank.example",
        "From: <a@bank.example\n <x@evil.example>",
        'From: "<a@bank.example>" <x@evil.example> <y@evil.example> a@bank.example',
    ],
)
def test_a_crafted_from_never_has_one_author_domain(block: str) -> None:
    domains = Message(block.encode() + b"\nTo: me@example.net\n\nhello").author_domains
    assert "evil.example" in domains
    assert len(domains) > 1, domains


@pytest.mark.parametrize("block", ["To: x@y.org", "From:", "From: <>", "From: MAILER-DAEMON", "From: Ann"])
def test_no_author_domain(block: str) -> None:
    assert Message(block.encode() + b"\n\n").author_domains == ()


@pytest.mark.parametrize("domain", ["exa mple..org", "a'(;b", "-x-.org", "x" * 300 + ".org"])
def test_what_is_no_domain_is_never_the_one_author_domain(domain: str) -> None:
    domains = Message(f"From: a@{domain}\n\n".encode()).author_domains
    assert len(domains) != 1 or domains == ("",)
