"""What our relays found counts where ours cannot be had, and what anybody else wrote in their name never does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.auth import authenticate, questions
from filterd.auth.hearsay import parse_results
from filterd.authentication import Authentication, AuthResult
from filterd.cli import main
from filterd.mail import Mail, Message, Origin, Source
from filterd.mail.received import follow, relays_end
from filterd.settings import Networks, parse_network
from filterd.value import replace
from tests.auth.mails import PLAIN, answered, key_record, mail, results, sign

RELAYS = Networks([parse_network("10.0.0.0/8")])
NAMES = ("mx.relay.example", "xn--bcher-kva.example")
OUTSIDE = "Received: from h.example (mail.example.org [203.0.113.9]) by in.relay.example (Postfix) with ESMTPS id 1"
HIDDEN = "Received: by in.relay.example (Postfix, from userid 7) id 1"
INSIDE = "Received: from in.relay.example (in.relay.example [10.0.0.2]) by out.relay.example with ESMTP id 2"
SPF = "Authentication-Results: mx.relay.example; spf=pass smtp.mailfrom=example.org"
ZONE: dict[str, Any] = {"_dmarc.example.org": "v=DMARC1; p=reject", "s._domainkey.example.org": key_record()}


def relayed(*lines: str, raw: bytes = PLAIN, peer: str = "10.0.0.1") -> Mail:
    """`raw` as it comes to us from `peer`, which has put `lines` on top."""
    whole = "".join(f"{line}\r\n" for line in lines).encode() + raw
    envelope = replace(mail(raw).envelope, peer=peer, client=Origin(peer, source=Source.PEER))
    message = Message(whole)
    origin, hops = follow(envelope, message, RELAYS)
    return Mail(envelope, message, origin, relays_end(message, hops))


def judged(one: Mail, **records: Any) -> Authentication:
    return authenticate(one, answered({**ZONE, **records}), believed=NAMES)


def spf_of(*lines: str, **more: Any) -> tuple[str, str]:
    found = judged(relayed(*lines, **more)).spf
    return found.result.value, found.domain


def test_spf_where_the_relay_does_not_name_its_client() -> None:
    auth = judged(relayed(SPF, HIDDEN))
    assert (auth.spf.result, auth.spf.domain, auth.spf.reason) == (
        AuthResult.PASS,
        "example.org",
        "as mx.relay.example found",
    )
    assert (auth.dmarc.result, auth.dmarc.spf_aligned) == (AuthResult.PASS, True)


def test_spf_of_a_client_that_we_know_is_our_own_business() -> None:
    one = relayed(SPF, OUTSIDE)
    assert one.origin.address == "203.0.113.9"
    known = authenticate(one, replace(answered(ZONE), failed={}), believed=NAMES).spf
    assert known.reason == "as mx.relay.example found"  # ours was a temporary error
    assert authenticate(relayed(SPF, OUTSIDE), answered(ZONE)).spf.result is AuthResult.TEMPERROR


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param((HIDDEN, SPF), id="below the line of the relay"),
        pytest.param((HIDDEN, "X-A: b", SPF), id="further below"),
        pytest.param((INSIDE, HIDDEN, SPF), id="below the line of the first relay"),
        pytest.param((SPF,), id="no Received line at all"),
        pytest.param((SPF.replace("mx.relay", "mx.evil"), HIDDEN), id="of somebody else"),
        pytest.param((SPF.replace("; spf", " 2; spf"), HIDDEN), id="of another version"),
        pytest.param((SPF.replace("mx.", "(x) mx.").replace("spf", "x y; spf"), HIDDEN), id="not the grammar"),
        pytest.param((SPF + '; dkim=pass header.d="x', HIDDEN), id="a quote that never closes"),
        pytest.param((SPF.replace("Results", "Results-Original"), HIDDEN), id="of another field"),
        pytest.param((f"X-Old: {SPF}", HIDDEN), id="inside of another field"),
        pytest.param((SPF.replace("mx.relay.example", "(mx.relay.example) evil.example"), HIDDEN), id="in a comment"),
        pytest.param((SPF.replace("mx.relay.example", "mx.relay.example.evil.example"), HIDDEN), id="a longer name"),
        pytest.param((SPF.replace("mx.relay.example", "evil.example;mx.relay.example"), HIDDEN), id="second name"),
        pytest.param((SPF.replace("spf=pass", "spf=bestguesspass"), HIDDEN), id="no word of the RFC"),
        pytest.param((SPF.replace("spf=pass", "x-spf=pass"), HIDDEN), id="another method"),
    ],
)
def test_what_may_be_anybodys_is_not_believed(lines: tuple[str, ...]) -> None:
    assert spf_of(*lines) == ("none", "")


def test_nobody_but_a_relay_is_believed() -> None:
    one = relayed(SPF, HIDDEN, peer="203.0.113.7")
    assert one.relayed == 0
    assert judged(one).spf.result is AuthResult.TEMPERROR
    assert authenticate(relayed(SPF, HIDDEN), answered(ZONE)).spf.result is AuthResult.NONE  # no name is believed


@pytest.mark.parametrize(
    "value",
    [
        "MX.Relay.EXAMPLE; spf=PASS smtp.mailfrom=example.org",
        "mx.relay.example 1; spf=pass smtp.mailfrom=example.org",
        '"mx.relay.example"; spf=pass smtp.mailfrom="ann@example.org"',
        '(a (b)) mx.relay.example (c);\r\n\tspf=pass (d; e) reason="f; g=h"\r\n smtp.mailfrom=ann@EXAMPLE.org; none',
        "mx.relay.example; dkim=fail header.d=x.example; spf/1 = pass smtp.mailfrom = example.org",
        "bücher.example; spf=pass smtp.mailfrom=example.org",
    ],
)
def test_spellings_that_the_grammar_allows(value: str) -> None:
    assert spf_of(f"Authentication-Results: {value}", HIDDEN) == ("pass", "example.org")


def test_of_two_fields_the_topmost_counts() -> None:
    fails = SPF.replace("spf=pass", "spf=fail")
    assert spf_of(fails, INSIDE, SPF, HIDDEN) == ("fail", "example.org")
    assert spf_of(SPF, INSIDE, HIDDEN, fails) == ("pass", "example.org")


def test_the_null_sender_is_its_helo() -> None:
    assert spf_of("Authentication-Results: mx.relay.example; spf=pass smtp.helo=h.example", HIDDEN) == (
        "pass",
        "h.example",
    )


DKIM = "Authentication-Results: mx.relay.example; dkim=pass header.d=example.org header.s=s"


def test_a_signature_that_the_relay_broke() -> None:
    signed = sign(PLAIN)
    assert results(judged(relayed(OUTSIDE, raw=signed))) == [AuthResult.PASS]
    broken = signed + b"-- \r\nA footer of the relay\r\n"
    assert results(judged(relayed(OUTSIDE, raw=broken))) == [AuthResult.FAIL]
    auth = judged(relayed(DKIM, OUTSIDE, raw=broken))
    assert [(one.result, one.reason) for one in auth.dkim] == [(AuthResult.PASS, "as mx.relay.example found")]
    assert (auth.dmarc.result, auth.dmarc.dkim_aligned) == (AuthResult.PASS, True)
    forged = judged(relayed(OUTSIDE, DKIM, raw=broken))
    assert (results(forged), forged.dmarc.result) == ([AuthResult.FAIL], AuthResult.TEMPERROR)


def test_a_signature_that_the_relay_took_away() -> None:
    assert results(judged(relayed(DKIM, OUTSIDE))) == [AuthResult.PASS]
    other = judged(relayed(DKIM.replace("s=s", "s=t"), OUTSIDE, raw=sign(PLAIN) + b"x\r\n"))
    assert results(other) == [AuthResult.FAIL, AuthResult.PASS]


def test_a_signature_that_is_not_believed_for_its_form_stays_so() -> None:
    signed = sign(PLAIN, length=True) + b"appended\r\n"
    assert results(judged(relayed(DKIM, OUTSIDE, raw=signed))) == [AuthResult.POLICY]


def test_a_dmarc_pass_is_for_the_author_that_it_names() -> None:
    said = "Authentication-Results: mx.relay.example; spf=fail smtp.mailfrom=a.example; dmarc=pass header.from="
    assert judged(relayed(said + "example.org", HIDDEN)).dmarc.result is AuthResult.PASS
    assert judged(relayed(said + "example.net", HIDDEN)).dmarc.result is AuthResult.FAIL
    two = PLAIN.replace(b"To:", b"From: bob@example.com\r\nTo:")
    assert judged(relayed(said + "example.org", HIDDEN, raw=two)).dmarc.result is AuthResult.NONE


def test_who_is_said_to_have_passed_is_asked_about() -> None:
    said = "Authentication-Results: mx.relay.example; spf=pass smtp.mailfrom=a@sub.bounces.example.org"
    asked = questions(relayed(said, HIDDEN), believed=NAMES).txt
    assert "_dmarc.sub.bounces.example.org" in asked
    assert judged(relayed(said, HIDDEN)).dmarc.result is AuthResult.PASS


@given(st.text(alphabet=st.sampled_from('mx.relay.example;spf=pas "\\()/1\r\n\t\0é')))
def test_any_text_is_survived(value: str) -> None:
    for one in parse_results(value, NAMES):
        assert one.by in NAMES


@pytest.mark.parametrize("text", ["(" * 8_000, '"' * 8_000, "a=b " * 2_000, "\\" * 8_000, "a/1" * 2_700, ";" * 8_000])
def test_long_text_is_read_at_once(text: str) -> None:
    assert [one.method for one in parse_results(f"mx.relay.example; spf=pass {text}", NAMES)] in ([], ["spf"])


def test_it_is_believed_where_the_configuration_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "one.eml"
    path.write_bytes(f"{SPF}\r\n{HIDDEN}\r\n".encode() + PLAIN)

    def scanned(**networks: Any) -> str:
        config = tmp_path / "filterd.yaml"
        written = {"hostname": "mx.example.net", "state": str(tmp_path), "networks": networks}
        config.write_text(json.dumps(written))
        with pytest.raises(SystemExit):
            main(["scan", "-c", str(config), "--offline", "--json", "--ip", "10.0.0.1", str(path)])
        return str(json.loads(capsys.readouterr().out)["auth"]["spf"]["result"])

    assert scanned(relays=["10.0.0.0/8"], authserv_ids=["MX.relay.example"]) == "pass"
    assert scanned(relays=["10.0.0.0/8"]) == "none"
    assert scanned(authserv_ids=["mx.relay.example"]) == "none"
