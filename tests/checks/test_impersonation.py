"""Who poses as whom: people, our domains, partners, brands; and who only looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from filterd.authentication import (
    UNAUTHENTICATED,
    ArcResult,
    Authentication,
    AuthResult,
    DkimResult,
    DmarcResult,
    SpfResult,
)
from filterd.checks.impersonation import ProtectSettings, impersonation
from filterd.checks.likeness import Lookalikes, mixes_scripts, protect, skeleton
from filterd.engine.loading import shipped_list
from filterd.facts import NOTHING
from filterd.mail import Direction
from tests.auth.mails import mail

SETTINGS = ProtectSettings.model_validate(
    {
        "people": [{"name": "Anna Müller", "addresses": ["anna@example.org", "anna.mueller@gmail.com"]}],
        "partners": ["northgate-traders.com"],
        "brands": [{"name": "Example Bank", "domains": ["examplebank.com"]}],
        "known": ["example-org.net"],
    }
)
CHECK = impersonation(SETTINGS, ("example.org", "wintermute.de"), shipped_list("brand_domains"))
SIGNED = Authentication(dkim=(DkimResult(AuthResult.PASS, "lists.stranger.net"),))


def found(headers: str, body: str = "Hello.", auth: Authentication = UNAUTHENTICATED, **named: Any) -> set[str]:
    raw = (headers.strip() + "\n\n" + body).replace("\n", "\r\n").encode()
    named.setdefault("sender", "")
    return {finding.name for finding in CHECK(mail(raw, **named), NOTHING, auth)}


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ("From: Anna Müller <anna@example.org>", {"OWN_DOMAIN_FORGED"}),
        ("From: Anna Mueller <x@stranger.net>", set()),  # written otherwise: no claim can be proven
        ("From: Anna Muller <ceo@stranger.net>", {"POSES_AS_PERSON"}),
        ('From: "Müller, Anna" <ceo@stranger.net>', {"POSES_AS_PERSON"}),
        ("From: ANNA MÜLLER (CEO) <ceo@gmail.com>", {"POSES_AS_PERSON"}),
        ("From: Anna M\u0443ller <x@stranger.net>", {"FROM_NAME_MIXED_SCRIPTS"}),
        ("From: \u0410nn\u0430 M\u00fcller <x@stranger.net>", {"POSES_AS_PERSON", "FROM_NAME_MIXED_SCRIPTS"}),
        ("From: Anna Müller <anna.mueller@gmail.com>", set()),
        ("From: Hannah Müller <hannah@stranger.net>", set()),
        ("From: Anna Müller via Calendar <calendar@google.com>\nReply-To: anna@example.org", set()),
        ("From: Anna Müller <eve@stranger.net>\nReply-To: eve@stranger.net", {"POSES_AS_PERSON"}),
        ("From: Example Bank <info@stranger.net>", {"POSES_AS_BRAND"}),
        ("From: Example Bank <info@mail.examplebank.com>", set()),
    ],
)
def test_names(headers: str, names: set[str]) -> None:
    assert found(headers) == names


def test_a_list_that_a_domain_vouches_for_weighs_less() -> None:
    headers = "From: Anna Müller <devel@lists.stranger.net>\nList-Id: <devel.lists.stranger.net>"
    assert found(headers) == {"POSES_AS_PERSON"}
    assert found(headers, auth=SIGNED) == {"POSES_AS_PERSON_ON_LIST"}


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("wintermute.de", None),
        ("mail.wintermute.de", None),
        ("wintermute.com", "LOOKALIKE_OTHER_ENDING"),
        ("winterrnute.de", "LOOKALIKE_OF_US"),
        ("vvintermute.de", "LOOKALIKE_OF_US"),
        ("w1ntermute.com", "LOOKALIKE_OF_US"),
        ("w\u00edntermute.de", "LOOKALIKE_OF_US"),
        ("wintermut\u0435.de", "LOOKALIKE_OF_US"),
        ("wintermutee.de", "LOOKALIKE_OF_US"),
        ("wintremute.de", "LOOKALIKE_OF_US"),
        ("wintermute-support.com", "LOOKALIKE_OF_US"),
        ("secure-wintermute.net", "LOOKALIKE_OF_US"),
        ("wintermutesupport.com", "LOOKALIKE_OF_US"),
        ("wintermute.de.evil.test", "LOOKALIKE_OF_US"),
        ("winter.de", None),
        ("wintermute-fans.de", None),
        ("northgate-trader.com", "LOOKALIKE_OF_US"),
        ("example-org.net", None),
        ("paypa1.com", "LOOKALIKE_OF_BRAND"),
        ("paypal.com", None),
        ("paypal-verify.net", "LOOKALIKE_OF_BRAND"),
        ("payroll.com", None),
        ("gmail.com", None),
        ("amazing.com", None),
    ],
)
@pytest.mark.parametrize("where", ["From", "Reply-To", "envelope"])
def test_domains(domain: str, name: str | None, where: str) -> None:
    headers = f"From: jo@{domain}" if where == "From" else "From: jo@stranger.net"
    if where == "Reply-To":
        headers += f"\nReply-To: jo@{domain}"
    names = found(headers, sender=f"jo@{domain}" if where == "envelope" and domain.isascii() else "")
    if where == "envelope" and not domain.isascii():
        return
    looks = {one for one in names if one.startswith("LOOKALIKE")}
    assert looks == ({name} if name else set())


def test_links() -> None:
    for link, name in [
        ("https://www.wintermut3.com/", "LINK_LOOKALIKE"),
        ("https://login.paypal.com.evil.test/x", "LINK_LOOKALIKE"),
        ("https://www.wintermute.com/", None),  # another ending alone is no lie in a link
        ("https://www.paypal.com/", None),
        ("https://p\u0430ypal.com/", "LINK_LOOKALIKE"),
    ]:
        names = found("From: jo@stranger.net", f"See {link} now")
        assert ("LINK_LOOKALIKE" in names) == (name is not None), link
    assert "DOMAIN_MIXED_SCRIPTS" in found("From: jo@stranger.net", "See https://p\u0430ypal.com/ now")


OWN = "From: jo@example.org"
SPF = SpfResult(AuthResult.PASS, "example.org")


@pytest.mark.parametrize(
    ("headers", "auth", "forged"),
    [
        (OWN, Authentication(), True),
        (OWN, Authentication(spf=SpfResult(AuthResult.PASS, "stranger.net")), True),
        (OWN, Authentication(spf=SPF), False),
        (OWN, Authentication(dkim=(DkimResult(AuthResult.PASS, "mail.example.org"),)), False),
        (OWN, Authentication(dmarc=DmarcResult(AuthResult.PASS)), False),
        (OWN, Authentication(dmarc=DmarcResult(AuthResult.TEMPERROR)), False),
        (OWN, Authentication(spf=SpfResult(AuthResult.TEMPERROR)), False),
        (OWN, Authentication(arc=ArcResult(AuthResult.PASS)), False),
        (OWN + "\nList-Id: <x.lists.stranger.net>", Authentication(), True),
        (OWN + "\nList-Id: <x.lists.stranger.net>", SIGNED, False),
        ("From: jo@evilexample.org", Authentication(), False),
        ("From: jo@example.org.evil.test", Authentication(), False),
        ("From: x@stranger.net\nFrom: jo@example.org", Authentication(), True),
    ],
)
def test_our_own_domain_from_outside(headers: str, auth: Authentication, forged: bool) -> None:
    assert ("OWN_DOMAIN_FORGED" in found(headers, auth=auth)) == forged


def test_our_own_users_are_left_alone() -> None:
    assert found("From: Anna Müller <x@stranger.net>", direction=Direction.OUTBOUND) == set()
    assert found(OWN, address=None) == set()  # the client is not known: nothing can be said


def test_hostile_names_and_domains_take_no_time() -> None:
    headers = (
        "From: " + "Anna " * 20_000 + "<a@b.c>\nReply-To: " + ", ".join(f"a@{'-' * 60}.x{n}.y" for n in range(500))
    )
    body = "\n".join(f"https://{'a.' * 60}h{n}.{'wintermute-' * 5}{n}.de/" for n in range(2_000))
    found(headers, body)


def test_skeletons() -> None:
    assert skeleton("раураl") == skeleton("paypal")
    assert skeleton("rnicrosoft") == skeleton("microsoft")
    assert mixes_scripts("p\u0430ypal")
    assert not mixes_scripts("Привет")
    assert not mixes_scripts("Müller")


def test_nothing_protected_finds_nothing() -> None:
    assert Lookalikes({}).of("paypa1.com") is None
    assert Lookalikes(protect(own=["ab.de"])).of("ab-secure.com") is None  # too short to be told from chance


@pytest.mark.parametrize(
    "settings",
    [
        {"people": [{"name": "Anna", "addresses": ["a@b.c"]}]},
        {"people": [{"name": "Anna M", "addresses": []}]},
        {"partners": ["not a domain"]},
        {"brands": [{"name": "X", "domains": ["x.org"]}]},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProtectSettings.model_validate(settings)
