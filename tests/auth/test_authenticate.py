"""Authenticate: what is said when answers are late, and that the pure part asks nobody."""

from __future__ import annotations

import subprocess
import sys

import pytest

from filterd.auth import authenticate, questions
from filterd.authentication import AuthResult
from filterd.facts import Facts, Iprev, SpfAnswer
from tests.auth.mails import PLAIN, mail

PASS, NONE, TEMPERROR = AuthResult.PASS, AuthResult.NONE, AuthResult.TEMPERROR


def test_late_answers_are_temporary_errors() -> None:
    auth = authenticate(mail(PLAIN), Facts(failed={"spf": "timeout", "iprev": "timeout"}))
    assert (auth.spf.result, auth.spf.reason, auth.spf.helo) == (TEMPERROR, "timeout", TEMPERROR)
    assert auth.iprev is not None
    assert (auth.iprev.result, auth.iprev.reason) == (TEMPERROR, "timeout")
    assert auth.dmarc.result is TEMPERROR


def test_answers_stand_under_their_identity() -> None:
    facts = Facts(
        spf=(SpfAnswer("mailfrom", "example.org", PASS, "mx", 1), SpfAnswer("helo", "mx.example.org", NONE)),
        iprev=Iprev(PASS, ("mx.example.org",)),
    )
    auth = authenticate(mail(PLAIN), facts)
    assert (auth.spf.result, auth.spf.domain, auth.spf.helo) == (PASS, "example.org", NONE)
    assert auth.iprev is not None
    assert auth.iprev.name == "mx.example.org"
    assert auth.domains == ("example.org",)


@pytest.mark.parametrize(
    ("sender", "helo", "asked"),
    [
        ("ann@example.org", "mx.example.org", [("mailfrom", "example.org"), ("helo", "mx.example.org")]),
        ("", "mx.example.org", [("helo", "mx.example.org")]),
        ("", "[192.0.2.1]", []),
        ("", "localhost", []),
        ("", None, []),
        ("ann", "mx", []),
        ("ann@[192.0.2.1]", None, []),
        ("@Example.ORG", None, [("mailfrom", "example.org")]),
        ("a@b@bücher.example", None, [("mailfrom", "xn--bcher-kva.example")]),
        ("a@" + "x" * 64 + ".org", None, []),
        ("a\r\n@example.org", "a b.c", [("mailfrom", "example.org")]),
    ],
)
def test_what_spf_is_asked(sender: str, helo: str | None, asked: list[tuple[str, str]]) -> None:
    found = questions(mail(PLAIN, sender=sender, helo=helo)).spf
    assert [(one.identity, one.domain) for one in found] == asked
    assert all(len(one.sender) < 400 and one.sender.isprintable() for one in found)


def test_a_sender_without_a_domain_is_none_even_if_its_helo_passes() -> None:
    facts = Facts(spf=(SpfAnswer("helo", "mx.example.org", PASS),))
    auth = authenticate(mail(PLAIN, sender="ann"), facts)
    assert (auth.spf.result, auth.spf.helo) == (NONE, PASS)


def test_the_pure_part_loads_no_network_library() -> None:
    code = (
        "import sys; import filterd.auth; "
        "print(sorted({'asyncio', 'dns', 'aiodns', 'pycares', 'spf', 'dkim.dnsplug'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
