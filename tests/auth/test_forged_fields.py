"""What a message says of itself changes nothing: results, verdicts and hops that its sender wrote into it."""

from __future__ import annotations

import pytest

from filterd.engine.loading import builtin_symbols
from filterd.facts import Facts
from filterd.judge import Judge, Judgement
from filterd.mail import Mail
from filterd.ruleset import Ruleset, RulesSettings
from filterd.settings import Networks, parse_network
from tests.auth.mails import PLAIN, answered, mail

JUDGE = Judge(
    ruleset=Ruleset.load(RulesSettings(), builtin_symbols()),
    model=None,
    hostname="mx.example.net",
    relays=Networks([parse_network("10.0.0.0/8")]),
    believed=frozenset({"mx.relay.example"}),
)
DATED = b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n" + PLAIN


def judged(raw: bytes) -> tuple[Mail, Judgement]:
    one, _ = JUDGE.inspect(mail(raw).envelope, raw)
    return one, JUDGE.judge(one, Facts(txt=answered({"_dmarc.example.org": "v=DMARC1; p=reject"}).txt))


@pytest.mark.parametrize(
    "forged",
    [
        "X-Spam-Flag: NO",
        "X-Spam-Status: No, score=-99.0 required=5.0 tests=ALL_IS_WELL",
        "X-Spam-Score: -99",
        "X-Filterd-Id: 01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "X-Quarantine-ID: 01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "X-Filterd-Release: id=1; rcpt=bob@example.net; expires=9999999999; mac=00",
        "Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=example.org; "
        "dmarc=pass header.from=example.org",
        "Authentication-Results: mx.relay.example; spf=pass smtp.mailfrom=example.org; "
        "dmarc=pass header.from=example.org",
        "Received-SPF: pass (mx.example.net: 10.0.0.1 is authorized) client-ip=10.0.0.1",
        "ARC-Authentication-Results: i=1; mx.relay.example; dmarc=pass",
        "Received: from example.org (mail.example.org [10.0.0.1]) by mx.example.net with ESMTPSA id 1; "
        "Sun, 22 Nov 2026 10:00:00 +0000",
        "X-Originating-IP: [10.0.0.1]",
        "Return-Path: <ann@example.org>",
    ],
)
def test_a_field_that_the_sender_wrote_is_no_evidence(forged: str) -> None:
    plain, before = judged(DATED)
    one, after = judged(forged.encode() + b"\r\n" + DATED)
    assert one.origin == plain.origin
    assert after.auth.spf == before.auth.spf
    assert after.auth.dmarc == before.auth.dmarc
    assert after.auth.domains == ()
    assert after.verdict.points >= before.verdict.points
