"""Domain names: the whole public suffix test list, A-labels, and what lies under what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from filterd.mail.domains import is_under, registrable, to_ascii, to_unicode

PAIRS = json.loads((Path(__file__).parents[1] / "data" / "psl.json").read_text("utf-8"))


@pytest.mark.parametrize(("host", "expected"), PAIRS)
def test_public_suffix_list(host: str | None, expected: str | None) -> None:
    assert registrable(host) == expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("Example.ORG.", "example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER。example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.example.org", "_dmarc.example.org"),
        ("i❤.example", "xn--i-7iq.example"),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a b.example", None),
        ("-a.example", None),
        ("a\0.example", None),
        ("a" * 64 + ".example", None),
        ("a." * 127 + "a", None),
        ("ü" * 10_000, None),
    ],
)
def test_to_ascii(domain: str, expected: str | None) -> None:
    assert to_ascii(domain) == expected


def test_to_unicode_leaves_alone_what_it_cannot_decode() -> None:
    assert to_unicode("xn--bcher-kva.xn--zzzzzz.example") == "bücher.xn--zzzzzz.example"


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]", "2001:db8::1", "a" * 1_000, "..", "x y"])
def test_nobody_can_register_that(host: str) -> None:
    assert registrable(host) is None


@pytest.mark.parametrize(
    ("host", "domain", "under"),
    [
        ("good.com", "good.com", True),
        ("www.GOOD.com.", "good.com", True),
        ("evilgood.com", "good.com", False),
        ("good.com.evil", "good.com", False),
        ("good.com", "www.good.com", False),
        ("good.com", "", False),
    ],
)
def test_is_under(host: str, domain: str, under: bool) -> None:
    assert is_under(host, domain) is under
