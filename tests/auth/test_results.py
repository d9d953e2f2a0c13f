"""Authentication-Results: ours is strict whatever the data, and whoever claims to be us is known."""

from __future__ import annotations

import authres
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.auth import authentication_results, claims_us
from filterd.authentication import (
    UNAUTHENTICATED,
    ArcResult,
    Authentication,
    AuthResult,
    DkimResult,
    DmarcPolicy,
    DmarcResult,
    IprevResult,
    SpfResult,
)

US = "mx.example.org"
PASS, FAIL = AuthResult.PASS, AuthResult.FAIL
FULL = Authentication(
    spf=SpfResult(PASS, "example.com", "mailfrom", "mx", AuthResult.NONE, "mail.example.com"),
    dkim=(
        DkimResult(PASS, "example.com", "s1", "@example.com", "rsa-sha256"),
        DkimResult(AuthResult.POLICY, "example.net", "s", "", "rsa-sha256", "l= leaves 3 bytes unsigned"),
    ),
    dmarc=DmarcResult(FAIL, DmarcPolicy.REJECT, "example.com", "example.com", "example.com"),
    arc=ArcResult(PASS, 1, ("example.com",)),
    iprev=IprevResult(PASS, "192.0.2.1", "mail.example.com"),
)


def test_what_is_written() -> None:
    assert authentication_results(FULL, US) == (
        "mx.example.org; "
        'spf=pass reason="mx" smtp.mailfrom=example.com; '
        "spf=none smtp.helo=mail.example.com; "
        "dkim=pass header.d=example.com header.s=s1 header.a=rsa-sha256 header.i=@example.com; "
        'dkim=policy reason="l= leaves 3 bytes unsigned" header.d=example.net header.s=s header.a=rsa-sha256; '
        "dmarc=fail policy.dmarc=reject header.from=example.com; "
        "arc=pass; "
        "iprev=pass policy.iprev=192.0.2.1"
    )


def test_another_parser_reads_it() -> None:
    parsed = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + authentication_results(FULL, US))
    assert parsed.authserv_id == US
    assert [(one.method, one.result) for one in parsed.results][:3] == [
        ("spf", "pass"),
        ("spf", "none"),
        ("dkim", "pass"),
    ]
    assert authentication_results(UNAUTHENTICATED, US) == f"{US}; spf=none; dmarc=none"


@given(st.text(), st.text(), st.text())
def test_no_data_breaks_out_of_its_value(domain: str, identity: str, reason: str) -> None:
    auth = Authentication(
        spf=SpfResult(FAIL, domain, "mailfrom", reason, FAIL, identity),
        dkim=(DkimResult(FAIL, domain, identity, identity, domain, reason),),
        dmarc=DmarcResult(FAIL, domain=domain, record_domain=domain, reason=reason),
        iprev=IprevResult(FAIL, identity, domain, reason),
    )
    value = authentication_results(auth, US)
    assert all(" " <= character <= "~" for character in value)
    parsed = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + value)
    assert {one.result for one in parsed.results} == {"fail"}


@pytest.mark.parametrize(
    "nasty", ['x" ; dkim=pass header.d=bank.example', "x;dmarc=pass", "a\r\nX-Spam: no", "x (", "x\\", "\0", "(;'"]
)
def test_no_forged_result_comes_in_by_a_value(nasty: str) -> None:
    value = authentication_results(Authentication(dkim=(DkimResult(FAIL, nasty, nasty, nasty, nasty, nasty),)), US)
    parsed = authres.AuthenticationResultsHeader.parse("Authentication-Results: " + value)
    assert [(one.method, one.result) for one in parsed.results] == [
        ("spf", "none"),
        ("dkim", "fail"),
        ("dmarc", "none"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        " mx.example.org; dkim=pass",
        "mx.example.org",
        "MX.Example.ORG; none",
        " mx.example.org.; none",
        " mx.example.org 1; none",
        " mx.example.org 1 (x); none",
        ' "mx.example.org"; none',
        ' "mx.exa\\mple.org"; none',
        " (comment) mx.example.org; none",
        " (a (nested) \\) comment)mx.example.org (x);none",
        "\r\n\tmx.example.org;\r\n\tdkim=pass",
        " mx . example . org; none",
        " mx.(c)example.org; none",
        " \0mx.example.org; none",
        " \u200bmx.example.org; none",
        " =?us-ascii?Q?mx.example.org?=; none",
        " ｍｘ.example.org; none",
        " mx。example。org; none",
        ' "mx.example.org; none',
        " mx.example.org/1; none",
        " mx.example.org=x; none",
    ],
)
def test_any_spelling_of_our_name_is_a_claim(value: str) -> None:
    assert claims_us(value, US)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        " mx2.example.org; none",
        " mx.example.org.evil.example; none",
        " evilmx.example.org; none",
        " example.org; none",
        " mx.example.com; dkim=pass header.d=mx.example.org",
        " mx.example.com (mx.example.org); none",
        " other; mx.example.org",
        "(" * 10_000,
        "\\" * 10_000,
    ],
)
def test_other_peoples_results_are_not_ours(value: str) -> None:
    assert not claims_us(value, US)


def test_our_name_may_be_in_another_script() -> None:
    assert claims_us(" xn--bcher-kva.example; none", "bücher.example")
    assert claims_us(" BÜCHER.example; none", "xn--bcher-kva.example")


@given(st.text(), st.text(min_size=1))
def test_any_text_is_survived(value: str, ours: str) -> None:
    assert claims_us(value, ours) in (True, False)
