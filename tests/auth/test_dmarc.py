"""DMARC by RFC 9989: the tree walk, the policy that applies, alignment, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.auth import authenticate, dmarc, questions
from filterd.authentication import AuthResult, DkimResult, DmarcPolicy, DmarcResult, SpfResult
from filterd.facts import DnsStatus, Facts
from filterd.mail import Direction
from tests.auth.mails import PLAIN, answered, ask, key_record, mail, sign

PASS, FAIL, NONE, TEMPERROR = AuthResult.PASS, AuthResult.FAIL, AuthResult.NONE, AuthResult.TEMPERROR
REJECT = "v=DMARC1; p=reject"


def evaluate(
    author: str | tuple[str, ...],
    records: dict[str, Any],
    *,
    spf: str = "",
    dkim: str = "",
    missing: bool = False,
    dkim_result: AuthResult = PASS,
) -> DmarcResult:
    """With passing SPF and DKIM for those domains; `records` are by domain, without `_dmarc.`."""
    facts = answered({f"_dmarc.{name}": record for name, record in records.items()})
    authors = (author,) if isinstance(author, str) else author
    status = DnsStatus.NXDOMAIN if missing else DnsStatus.OK
    facts = Facts(txt=facts.txt, exists=dict.fromkeys(authors, status))
    signatures = (DkimResult(dkim_result, dkim),) if dkim else ()
    return dmarc.evaluate(authors, SpfResult(PASS if spf else NONE, spf), signatures, facts)


def test_walk_of_a_long_name_is_the_rfcs_example() -> None:
    assert dmarc.walk_names("a.b.c.d.e.f.g.h.i.j.mail.example.com") == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]


@pytest.mark.parametrize(("labels", "queries"), [(1, 1), (2, 2), (7, 7), (8, 8), (9, 8), (60, 8)])
def test_a_walk_has_at_most_eight_names(labels: int, queries: int) -> None:
    assert len(dmarc.walk_names(".".join("abcdefgh"[n % 8] for n in range(labels)))) == queries


@pytest.mark.parametrize(
    ("records", "organization"),
    [
        ({"mail.example.com": REJECT, "example.com": REJECT}, "example.com"),  # section 4.10.2, first example
        ({"mail.example.com": f"{REJECT}; psd=n", "example.com": REJECT}, "mail.example.com"),  # second
        ({"com": f"{REJECT}; psd=y"}, "example.com"),  # third
        ({"a.mail.example.com": f"{REJECT}; psd=y", "example.com": REJECT}, "a.mail.example.com"),
        ({"a.mail.example.com": f"{REJECT}; psd=u", "com": f"{REJECT}; psd=y"}, "example.com"),
        ({"mail.example.com": f"{REJECT}; psd=y"}, "a.mail.example.com"),
        ({"mail.example.com": [REJECT, REJECT], "a.mail.example.com": REJECT}, "a.mail.example.com"),
        ({}, "a.mail.example.com"),
    ],
)
def test_the_organizational_domain(records: dict[str, Any], organization: str) -> None:
    facts = answered({f"_dmarc.{name}": record for name, record in records.items()})
    assert dmarc.walk("a.mail.example.com", facts).organization == organization


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1", DmarcPolicy.NONE),
        ("v=DMARC1;", DmarcPolicy.NONE),
        ("v = DMARC1 ; p = Reject ;", DmarcPolicy.REJECT),
        ("V=DMARC1; P=reject", DmarcPolicy.REJECT),
        ("v=DMARC1; p=quarantine; pct=0; rf=afrf; ri=1", DmarcPolicy.QUARANTINE),
        ("v=DMARC1; unknown=x; p=reject; ; =; junk", DmarcPolicy.REJECT),
        ("v=DMARC1; rua=mailto:a@b.example; p=reject", DmarcPolicy.REJECT),
        ("v=DMARC1; p=block", None),
        ("v=DMARC1; p=reject; sp=block", None),
        ("v=DMARC1; p=reject; np=", None),
        ("v=DMARC1; p=block; rua=mailto:a@b.example", DmarcPolicy.NONE),
        ("v=DMARC1; p=block; rua=nonsense", None),
    ],
)
def test_records(text: str, policy: DmarcPolicy | None) -> None:
    record = dmarc.parse_record(text.encode())
    assert record is not None
    assert record.policy is policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=dmarc1; p=reject",
        "v=DMARC11; p=none",
        "p=reject; v=DMARC1",
        " v=DMARC1",
        "v=DMARC1x",
        "V=DMARC1 p",
        "V=dmarc1; p=none",
        "v=spf1",
    ],
)
def test_what_is_no_record(text: str) -> None:
    assert dmarc.parse_record(text.encode()) is None


@pytest.mark.parametrize(
    ("author", "records", "missing", "policy"),
    [
        ("example.com", {"example.com": f"{REJECT}; sp=none; np=none"}, False, "reject"),
        ("a.example.com", {"example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"}, False, "quarantine"),
        ("a.example.com", {"example.com": "v=DMARC1; p=none; sp=quarantine; np=reject"}, True, "reject"),
        ("a.example.com", {"example.com": "v=DMARC1; p=none; sp=quarantine"}, True, "quarantine"),
        ("a.example.com", {"example.com": "v=DMARC1; p=quarantine; np=reject"}, False, "quarantine"),
        ("a.example.com", {"example.com": REJECT}, False, "reject"),
        ("a.example.com", {"a.example.com": "v=DMARC1; p=none", "example.com": REJECT}, False, "none"),
        ("a.b.example.com", {"b.example.com": "v=DMARC1; p=none", "example.com": REJECT}, False, "reject"),
        ("example.com", {"com": "v=DMARC1; p=reject; sp=quarantine; psd=y"}, False, "quarantine"),
        ("example.com", {"com": "v=DMARC1; p=reject; sp=quarantine; np=reject; psd=y"}, True, "reject"),
        ("a.example.com", {"com": f"{REJECT}; psd=y", "example.com": "v=DMARC1; p=none"}, False, "none"),
        ("example.com", {"example.com": f"{REJECT}; t=y"}, False, "quarantine"),
        ("example.com", {"example.com": "v=DMARC1; p=quarantine; t=y"}, False, "none"),
        ("example.com", {"example.com": "v=DMARC1; p=none; t=y"}, False, "none"),
        ("example.com", {"example.com": f"{REJECT}; pct=1"}, False, "reject"),
    ],
)
def test_the_policy_that_applies(author: str, records: dict[str, Any], missing: bool, policy: str) -> None:
    found = evaluate(author, records, missing=missing)
    assert (found.result, found.policy.value) == (FAIL, policy)


@pytest.mark.parametrize(
    ("author", "records"),
    [
        ("example.com", {}),
        ("example.com", {"example.com": [REJECT, "v=DMARC1; p=none"]}),
        ("example.com", {"example.com": "v=DMARC1; p=block"}),
        ("example.com", {"example.com": b"\xff\xfe\x00"}),
        ((), {"example.com": REJECT}),
        (("example.com", "example.net"), {"example.com": REJECT, "example.net": REJECT}),
    ],
)
def test_where_dmarc_does_not_apply(author: Any, records: dict[str, Any]) -> None:
    found = evaluate(author, records, spf="example.com", dkim="example.com")
    assert (found.result, found.policy) == (NONE, DmarcPolicy.NONE)


@pytest.mark.parametrize(
    ("author", "other", "tags", "aligned"),
    [
        ("example.com", "example.com", "adkim=s; aspf=s", True),
        ("example.com", "mail.example.com", "", True),
        ("example.com", "mail.example.com", "adkim=s; aspf=s", False),
        ("news.example.com", "foo.example.com", "", True),  # section 4.4, the table
        ("news.example.com", "foo.example.net", "", False),
        ("example.com", "evilexample.com", "", False),
        ("example.com", "example.com.evil.net", "", False),
        ("example.com", "com", "", False),
    ],
)
def test_alignment(author: str, other: str, tags: str, aligned: bool) -> None:
    records = {"example.com": f"{REJECT}; {tags}"}
    by_spf, by_dkim = evaluate(author, records, spf=other), evaluate(author, records, dkim=other)
    assert (by_spf.result, by_spf.spf_aligned, by_spf.dkim_aligned) == (
        PASS if aligned else FAIL,
        aligned,
        False,
    )
    assert (by_dkim.result, by_dkim.spf_aligned, by_dkim.dkim_aligned) == (
        PASS if aligned else FAIL,
        False,
        aligned,
    )


def test_psd_n_parts_what_the_parent_would_join() -> None:
    records = {"example.com": REJECT, "dept.example.com": f"{REJECT}; psd=n"}
    assert evaluate("example.com", records, dkim="dept.example.com").result is FAIL
    assert evaluate("a.dept.example.com", records, dkim="b.dept.example.com").result is PASS
    assert evaluate("a.dept.example.com", records, dkim="example.com").result is FAIL


def test_the_public_suffix_list_plays_no_part() -> None:
    """co.uk is a public suffix, but nobody says so in the DNS; and blogspot.com is none here."""
    assert evaluate("a.example.co.uk", {"co.uk": REJECT}, dkim="b.other.co.uk").result is PASS
    assert evaluate("a.example.co.uk", {"co.uk": f"{REJECT}; psd=y"}, dkim="b.other.co.uk").result is FAIL


@pytest.mark.parametrize(
    ("records", "dkim", "result"),
    [
        ({"a.example.com": DnsStatus.TEMPERROR, "example.com": REJECT}, "a.example.com", TEMPERROR),
        ({"example.com": DnsStatus.TEMPERROR}, "a.example.com", TEMPERROR),
        ({"a.example.com": REJECT, "example.com": DnsStatus.TEMPERROR}, "a.example.com", PASS),
        ({"a.example.com": REJECT, "example.com": DnsStatus.TEMPERROR}, "b.example.com", TEMPERROR),
        ({"a.example.com": REJECT, "example.com": DnsStatus.TEMPERROR}, "b.example.net", FAIL),
        ({"a.example.com": f"{REJECT}; adkim=s", "example.com": DnsStatus.TEMPERROR}, "b.example.com", FAIL),
        ({"example.com": REJECT, "b.example.com": DnsStatus.TEMPERROR}, "b.example.com", TEMPERROR),
    ],
)
def test_what_could_not_be_asked(records: dict[str, Any], dkim: str, result: AuthResult) -> None:
    assert evaluate("a.example.com", records, dkim=dkim).result is result


def test_a_signature_that_could_not_be_checked_leaves_it_open() -> None:
    records = {"example.com": REJECT}
    assert evaluate("example.com", records, dkim="example.com", dkim_result=TEMPERROR).result is TEMPERROR
    assert evaluate("example.com", records, dkim="example.net", dkim_result=TEMPERROR).result is FAIL
    found = evaluate("example.com", records, dkim="example.com", dkim_result=TEMPERROR, spf="example.com")
    assert found.result is PASS


@pytest.mark.parametrize("word", [word for word in AuthResult if word not in (PASS, TEMPERROR)])
def test_only_a_pass_aligns(word: AuthResult) -> None:
    assert evaluate("example.com", {"example.com": REJECT}, dkim="example.com", dkim_result=word).result is FAIL


def test_over_real_dns() -> None:
    zone: dict[str, list[Any]] = {
        "_dmarc.example.org": [{"TXT": "v=DMARC1; p=none; np=reject; sp=quarantine"}],
        "example.org": [{"MX": [10, "mx.example.org"]}, {"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
        "s._domainkey.example.org": [{"TXT": key_record()}],
    }
    raw = PLAIN.replace(b"ann@example.org", b"ann@ghost.example.org")
    auth, server = ask(mail(raw, sender="x@other.example"), zone)
    assert (auth.dmarc.result, auth.dmarc.policy) == (FAIL, DmarcPolicy.REJECT)
    assert server.count("_dmarc.org", "TXT") == 1
    auth, _ = ask(mail(sign(PLAIN)), zone)
    assert (auth.dmarc.result, auth.dmarc.spf_aligned, auth.dmarc.dkim_aligned) == (PASS, True, True)
    assert (auth.dmarc.domain, auth.dmarc.org_domain, auth.dmarc.record_domain) == ("example.org",) * 3
    auth, _ = ask(mail(sign(PLAIN)), zone | {"_dmarc.example.org": ["SERVFAIL"]})
    assert auth.dmarc.result is TEMPERROR


def test_the_null_sender_is_vouched_for_by_its_helo() -> None:
    zone: dict[str, list[Any]] = {
        "_dmarc.example.org": [{"TXT": REJECT}],
        "mx.example.org": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    }
    auth, _ = ask(mail(PLAIN, sender=""), zone)
    assert (auth.spf.identity, auth.spf.domain, auth.spf.result) == ("helo", "mx.example.org", PASS)
    assert (auth.dmarc.result, auth.dmarc.spf_aligned) == (PASS, True)


def test_helo_alone_never_vouches_for_another_sender() -> None:
    zone: dict[str, list[Any]] = {
        "_dmarc.example.org": [{"TXT": REJECT}],
        "mx.example.org": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    }
    auth, _ = ask(mail(PLAIN, sender="x@evil.example"), zone)
    assert (auth.spf.helo, auth.spf.result, auth.dmarc.result) == (PASS, NONE, FAIL)


@pytest.mark.parametrize(
    "raw",
    [
        b"From: ann@evil.example\r\n" + PLAIN,
        PLAIN.replace(b"\r\nTo:", b"\r\nFrom: ann@evil.example\r\nTo:"),
        PLAIN.replace(b"\r\nTo:", b"\r\nfrom : ann@evil.example\r\nTo:"),
        PLAIN.replace(b"<ann@example.org>", b"<ann@example.org>, <x@evil.example>"),
        PLAIN.replace(b"Ann <ann@example.org>", b"ann@evil.example <ann@example.org>"),
        PLAIN.replace(b"<ann@example.org>", b"<ann@example.org\0.evil.example>"),
        PLAIN.replace(b"Ann <ann@example.org>", b"group: ann@example.org, x@evil.example;"),
        PLAIN.replace(b"Ann <ann@example.org>", b'"x@evil.example"@example.org'),
        PLAIN.replace(b"From: Ann <ann@example.org>\r\n", b""),
        PLAIN.replace(b"<ann@example.org>", b"<ann@evil.example>(<ann@example.org>)"),
        PLAIN.replace(b"<ann@example.org>", b"<@evil.example:ann@example.org>"),
    ],
)
def test_odd_from_fields_get_no_pass_for_a_domain_that_did_not_vouch(raw: bytes) -> None:
    """The attacker owns evil.example: SPF and DMARC pass there, and it signs."""
    zone: dict[str, list[Any]] = {
        "_dmarc.example.org": [{"TXT": REJECT}],
        "_dmarc.evil.example": [{"TXT": "v=DMARC1; p=none"}],
        "evil.example": [{"TXT": "v=spf1 +all"}],
        "s._domainkey.evil.example": [{"TXT": key_record()}],
    }
    signable = b"From:" in raw and b"from :" not in raw  # by dkimpy, that is
    signed = sign(raw, domain="evil.example", headers=["from"]) if signable else raw
    auth, _ = ask(mail(signed, sender="x@evil.example"), zone)
    assert auth.spf.result is PASS
    assert auth.dmarc.result is not PASS or auth.dmarc.domain == "evil.example"


def test_outgoing_mail_is_not_asked_about() -> None:
    one = mail(sign(PLAIN), direction=Direction.OUTBOUND)
    asked = questions(one)
    assert (asked.spf, asked.exists, asked.reverse) == ((), (), "")
    assert asked.txt == ("s._domainkey.example.org",)
    auth = authenticate(one, answered({"s._domainkey.example.org": key_record()}))
    assert (auth.spf.result, auth.dmarc.result, auth.iprev) == (NONE, NONE, None)
    assert auth.dkim[0].result is PASS


def test_an_unknown_origin_is_spf_none() -> None:
    one = mail(PLAIN, address=None)
    assert (questions(one).spf, questions(one).reverse) == ((), "")
    auth = authenticate(one, answered({}))
    assert (auth.spf.result, auth.iprev) == (NONE, None)


def test_questions_are_capped_however_long_the_names_are() -> None:
    deep = b".".join([b"x"] * 100) + b".example.org"
    raw = PLAIN.replace(b"@example.org", b"@" + deep)
    field = sign(PLAIN)
    field = field[: field.index(b"From:")]
    raw = b"".join(field.replace(b"d=example.org", b"d=d%d.%s" % (n, deep)) for n in range(50)) + raw
    assert len(questions(mail(raw)).txt) <= 10 + 12 * 8


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["v=DMARC1", "p=", "=", ";", "reject", "psd=y", " ", "np=none", "\0", "é", "rua=mailto:a@b"])
    )
)
def test_any_record_is_survived(pieces: list[str]) -> None:
    found = evaluate("example.com", {"example.com": "".join(pieces).encode()}, dkim="example.com")
    assert found.result in (PASS, NONE)
