"""DKIM: vectors over real DNS packets, dkimpy as the oracle, and each trick of HAZARDS with the word it deserves."""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.auth import authenticate, questions
from filterd.authentication import AuthResult, DkimResult
from filterd.facts import DnsStatus, Facts
from filterd.mail.message import Message
from tests.auth.mails import NOW, PLAIN, answered, ask, key_record, mail, results, rsa_key, sign
from tests.nameserver import Zone

DATA = Path(__file__).parents[1] / "data" / "dkim"
KEY = {"s._domainkey.example.org": key_record()}
VECTORS_AT = datetime.datetime.fromtimestamp(1667843664, datetime.UTC)  # some of them have expired since
PASS, FAIL, POLICY, PERMERROR, TEMPERROR = (
    AuthResult.PASS,
    AuthResult.FAIL,
    AuthResult.POLICY,
    AuthResult.PERMERROR,
    AuthResult.TEMPERROR,
)


def judge(raw: bytes, records: dict[str, Any] = KEY, **named: Any) -> DkimResult:
    [result] = authenticate(mail(raw, **named), answered(records)).dkim
    return result


def vector(path: Path) -> tuple[Zone, bytes]:
    """A file of DNS records, a blank line, and a message; the RFC's example has its records in 001.txt."""
    records, raw = path, path
    if path.suffix == ".msg":
        records = path.with_name("001.txt")
    head, _, body = records.read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    zone: Zone = {}
    for line in head.decode().splitlines():
        name, _, text = line.partition(" ")
        zone.setdefault(name.lower(), []).append({"TXT": text})
    message = raw.read_bytes().replace(b"\r\n", b"\n") if path.suffix == ".msg" else body
    return zone, message.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("path", sorted(DATA.iterdir()), ids=lambda path: path.name)
def test_vectors_over_dns_packets(path: Path) -> None:
    zone, raw = vector(path)
    auth, server = ask(mail(raw, received_at=VECTORS_AT), zone)
    assert auth.dkim
    assert set(results(auth)) == {PASS}
    assert server.count(next(iter(zone)), "TXT") == 1


@pytest.mark.parametrize("path", sorted(DATA.glob("*.txt")), ids=lambda path: path.name)
def test_vectors_changed_are_no_pass(path: Path) -> None:
    zone, raw = vector(path)
    records = {name: [record["TXT"] for record in found] for name, found in zone.items()}
    end = len(raw.rstrip()) - 1
    changed = raw[:end] + bytes((raw[end] ^ 1,)) + raw[end + 1 :]
    assert PASS not in results(authenticate(mail(changed, received_at=VECTORS_AT), answered(records)))


@pytest.mark.parametrize("canonical", [(h, b) for h in ("simple", "relaxed") for b in ("simple", "relaxed")])
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_what_dkimpy_signs_passes(canonical: tuple[str, str], kind: str) -> None:
    raw = sign(PLAIN, canonical=canonical, algorithm=f"{kind}-sha256")
    result = judge(raw, {"s._domainkey.example.org": key_record(kind=kind)})
    assert (result.result, result.reason, result.domain, result.selector) == (PASS, None, "example.org", "s")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b" \r\n", b"=20"]), max_size=30).map(b"".join),
    st.lists(st.sampled_from([b"x", b"  y", b"\r\n z", b"\t"]), max_size=6).map(b"".join),
    st.sampled_from(["simple", "relaxed"]),
    st.integers(0, 400),
)
def test_we_agree_with_dkimpy(body: bytes, subject: bytes, canonical: str, flip: int) -> None:
    raw = b"From: a@example.org\r\nSubject: s" + subject.rstrip() + b"\r\n\r\n" + body
    signed = sign(raw, canonical=(canonical, canonical))
    changed = bytearray(signed)
    if flip < len(changed) and chr(changed[flip]).isalpha():
        changed[flip] ^= 0x20
    for one in (signed, bytes(changed)):
        theirs = dkim.verify(one, dnsfunc=lambda name, timeout=5: key_record().encode())
        found = authenticate(mail(one), answered(KEY)).dkim
        assert (PASS in [result.result for result in found]) == theirs


def test_line_ends_of_a_file_do_not_matter() -> None:
    assert judge(sign(PLAIN).replace(b"\r\n", b"\n")).result is PASS


@pytest.mark.parametrize(
    ("records", "result", "reason"),
    [
        ({}, PERMERROR, "no key"),
        ({"s._domainkey.example.org": DnsStatus.NODATA}, PERMERROR, "no key"),
        ({"s._domainkey.example.org": DnsStatus.TEMPERROR}, TEMPERROR, "key not available: test"),
        ({"s._domainkey.example.org": key_record(p="")}, PERMERROR, "key revoked"),
        ({"s._domainkey.example.org": "v=DKIM1"}, PERMERROR, "key record without a key"),
        ({"s._domainkey.example.org": "v=DKIM2; p=x"}, PERMERROR, "key record of an unknown version"),
        ({"s._domainkey.example.org": "p=\0;;=x"}, PERMERROR, "key record unreadable"),
        ({"s._domainkey.example.org": key_record(p="AAAA")}, PERMERROR, "key unreadable"),
        ({"s._domainkey.example.org": key_record(p="!")}, PERMERROR, "key unreadable"),
        ({"s._domainkey.example.org": key_record(kind="dsa")}, PERMERROR, "key of an unknown type"),
        (
            {"s._domainkey.example.org": key_record(kind="ed25519")},
            PERMERROR,
            "key of another type than the signature",
        ),
        ({"s._domainkey.example.org": key_record(tags="h=sha1")}, PERMERROR, "key does not allow SHA-256"),
        ({"s._domainkey.example.org": key_record(tags="h=sha1:sha256")}, PASS, None),
        ({"s._domainkey.example.org": key_record(tags="s=tlsrpt")}, PERMERROR, "key is not for mail"),
        ({"s._domainkey.example.org": key_record(tags="s=email")}, PASS, None),
        ({"s._domainkey.example.org": ["unrelated", key_record()]}, PASS, None),
        ({"s._domainkey.example.org": key_record(rsa_key(3072)[1])}, FAIL, "signature mismatch"),
    ],
)
def test_what_the_key_record_decides(records: dict[str, Any], result: AuthResult, reason: str | None) -> None:
    found = judge(sign(PLAIN), records)
    assert (found.result, found.reason) == (result, reason)


def test_servfail_and_no_name_are_told_apart_over_dns() -> None:
    raw = sign(PLAIN)
    assert results(ask(mail(raw), {"s._domainkey.example.org": ["SERVFAIL"]})[0]) == [TEMPERROR]
    assert results(ask(mail(raw), {"s._domainkey.example.org": ["TIMEOUT"]})[0]) == [TEMPERROR]
    assert results(ask(mail(raw), {})[0]) == [PERMERROR]


def test_a_test_key_is_never_a_pass_nor_a_fail() -> None:
    records = {"s._domainkey.example.org": key_record(tags="t=y")}
    good, bad = judge(sign(PLAIN), records), judge(sign(PLAIN) + b"x", records)
    assert (good.result, good.testing, good.reason) == (POLICY, True, "test key (t=y); verifies")
    assert (bad.result, bad.testing) == (POLICY, True)


def test_a_strict_key_wants_the_very_domain() -> None:
    records = {"s._domainkey.example.org": key_record(tags="t=s")}
    assert judge(sign(PLAIN, identity="ann@example.org"), records).result is PASS
    assert judge(sign(PLAIN, identity="ann@sub.example.org"), records).result is PERMERROR
    assert judge(sign(PLAIN, identity="ann@sub.example.org"), KEY).result is PASS


def test_text_appended_to_a_part_signature_is_not_covered() -> None:
    raw = sign(PLAIN, length=True)
    assert judge(raw).result is PASS
    appended = judge(raw + b"Buy pills!\r\n")
    assert (appended.result, appended.reason) == (POLICY, "l= leaves 12 bytes of the body unsigned")
    assert judge(raw[:-9]).reason == "l= is longer than the body"


@pytest.mark.parametrize(("bits", "result"), [(512, POLICY), (768, POLICY), (1024, PASS), (4096, PASS)])
def test_short_keys_are_not_believed(bits: int, result: AuthResult) -> None:
    private, public = rsa_key(bits)
    found = judge(sign(PLAIN, key=private), {"s._domainkey.example.org": key_record(public)})
    assert (found.result, found.key_bits) == (result, bits)


def test_sha1_is_history() -> None:
    found = judge(sign(PLAIN, algorithm="rsa-sha1"))
    assert (found.result, found.reason) == (PERMERROR, "rsa-sha1 is historic (RFC 8301)")


@pytest.mark.parametrize(
    ("seconds", "result", "reason"),
    [
        (-1, FAIL, "signature expired"),
        (0, PASS, None),
        (3600, PASS, None),
        (-864000, FAIL, "signature expired"),
    ],
)
def test_signatures_expire_by_the_time_of_arrival(seconds: int, result: AuthResult, reason: str | None) -> None:
    at = int(NOW.timestamp())
    found = judge(sign(PLAIN, tags=[("t", str(at - 900_000)), ("x", str(at + seconds))]))
    assert (found.result, found.reason) == (result, reason)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ([("t", "200"), ("x", "100")], "expires before it was signed"),
        ([("t", "9" * 15)], "signed in the future"),
        ([("x", "soon")], "t=, x= or l= is not a number"),
        ([("l", "-1")], "t=, x= or l= is not a number"),
        ([("l", "9" * 5_000)], "t=, x= or l= is not a number"),
        ([("v", "2")], "unknown version"),
        ([("q", "http")], "unknown query method"),
        ([("c", "nofws")], "unknown canonicalization"),
        ([("a", "rsa-md5")], "unknown algorithm"),
        ([("i", "ann@example.com")], "i= is outside d="),
        ([("i", "ann@evilexample.org")], "i= is outside d="),
        ([("i", "example.org")], None),
        ([("i", "")], None),
        ([("h", "to:subject")], "From not signed"),
        ([("b", "")], "b= is not base64"),
        ([("bh", "!")], "body hash mismatch"),
        ([("s", "")], "s= is not a selector"),
        ([("s", "a b")], "s= is not a selector"),
    ],
)
def test_odd_tags_have_their_reason(tags: list[tuple[str, str]], reason: str | None) -> None:
    raw = sign(PLAIN)
    field, _, rest = raw.partition(b"\r\nFrom:")
    parts = field.partition(b":")[2].split(b";")
    for tag, value in tags:
        parts = [part for part in parts if part.partition(b"=")[0].strip() != tag.encode()]
        parts.insert(0, f" {tag}={value}".encode())
    found = judge(b"DKIM-Signature:" + b";".join(parts) + b"\r\nFrom:" + rest)
    assert found.result in (PERMERROR, FAIL)
    assert reason in (None, found.reason)


@pytest.mark.parametrize(
    "domain",
    [
        b"'(;x",
        b"a b",
        b"example.org.",
        b"exa\r\n mple.org",
        b"",
        b".",
        b"a..b",
        b"\xff\xfe",
        b"x" * 300,
        b'"example.org"',
        b"*",
        b"a\0b",
    ],
)
def test_odd_domains_are_a_permerror_and_are_never_asked(domain: bytes) -> None:
    raw = sign(PLAIN).replace(b"d=example.org", b"d=" + domain, 1)
    one = mail(raw)
    assert judge(raw).result is PERMERROR
    assert not [name for name in questions(one).txt if "_domainkey" in name]


def test_a_domain_in_its_own_script_is_asked_in_a_labels() -> None:
    raw = sign(PLAIN, domain="bücher.example")
    assert questions(mail(raw)).txt[0] == "s._domainkey.xn--bcher-kva.example"
    found = judge(raw, {"s._domainkey.xn--bcher-kva.example": key_record()})
    assert (found.result, found.domain) == (PASS, "xn--bcher-kva.example")


@pytest.mark.parametrize("field", [b"", b"\r\n", b"; ; ;", b"v=1; v=1", b"=", b"\0", b"v=1" * 9_000, b"a" * 100_000])
def test_garbage_is_a_permerror(field: bytes) -> None:
    assert judge(b"DKIM-Signature: " + field + b"\r\n" + PLAIN).result is PERMERROR


def test_a_second_from_field_breaks_the_signature() -> None:
    for raw in (
        b"From: evil@evil.example\r\n" + sign(PLAIN),
        sign(PLAIN).replace(b"\r\nTo:", b"\r\nfrom : x@y.example\r\nTo:"),
    ):
        assert judge(raw).result is not PASS


def test_signatures_are_capped_and_the_rest_is_said() -> None:
    raw = sign(PLAIN)
    field = raw[: raw.index(b"From:")]
    one = mail(field * 1_000 + PLAIN)
    start = time.process_time()
    auth = authenticate(one, answered(KEY))
    assert time.process_time() - start < 1
    assert results(auth) == [PASS] * 10 + [POLICY]
    assert auth.dkim[-1].reason == "990 more signatures not looked at"
    assert len([name for name in questions(one).txt if "_domainkey" in name]) == 1


def test_many_keys_are_asked_at_most_ten_times() -> None:
    raw = sign(PLAIN)
    field = raw[: raw.index(b"From:")]
    many = b"".join(field.replace(b"s=s;", b"s=s%d;" % n) for n in range(200))
    assert len([name for name in questions(mail(many + PLAIN)).txt if "_domainkey" in name]) == 10


@pytest.mark.parametrize(
    "raw",
    [
        b" " * 60_000,
        b"\r\n".join([b" " * 990] * 2_000),
        b"DKIM-Signature: v=1; b=" + b"\r\n " * 20_000,
        b"DKIM-Signature: v=1; h=" + b"from:" * 3_000,
        b"".join(b"X-%d: y\r\n" % n for n in range(100_000)),
    ],
    ids=["line", "lines", "fold", "names", "headers"],
)
def test_bombs_take_linear_time(raw: bytes) -> None:
    header = raw if b":" in raw[:20] else b""
    one = mail((header + b"\r\n" if header else b"") + sign(PLAIN) + (b"" if header else raw))
    start = time.process_time()
    authenticate(one, answered(KEY))
    questions(one)
    assert time.process_time() - start < 1


def test_the_body_is_hashed_once_for_all_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    from filterd.auth import canonical

    real = canonical.relaxed_body
    monkeypatch.setattr(canonical, "relaxed_body", lambda body: hashed.append(1) or real(body))
    raw = sign(sign(sign(PLAIN)), selector="t")
    assert results(authenticate(mail(raw), answered(KEY | {"t._domainkey.example.org": key_record()}))) == [PASS] * 3
    assert len(hashed) == 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=200))
def test_any_bytes_are_survived(field: bytes, record: bytes) -> None:
    class Everything(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            return record

    one = mail(b"DKIM-Signature: " + field + b"\r\n" + sign(PLAIN))
    authenticate(one, answered(Everything()))
    questions(one)
    assert isinstance(one.message, Message)


def test_without_answers_all_is_temporary() -> None:
    assert results(authenticate(mail(sign(PLAIN)), Facts())) == [TEMPERROR]
