"""ARC: the whole validation suite, over real DNS packets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filterd.auth import authenticate, questions
from filterd.authentication import AuthResult
from filterd.facts import DnsStatus
from tests.auth.mails import PLAIN, answered, ask, mail

SUITE = Path(__file__).parents[1] / "data" / "arc.jsonl"
CASES = [json.loads(line) for line in SUITE.read_text("utf-8").splitlines()]


def raw_of(case: dict[str, Any]) -> bytes:
    return case["message"].replace("\n", "\r\n").encode()  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_validation_suite(case: dict[str, Any]) -> None:
    zone = {name.lower(): [{"TXT": text}] for name, text in case["txt"].items()}
    auth, _ = ask(mail(raw_of(case)), zone)
    assert auth.arc is not None
    assert auth.arc.result.value == case["cv"].lower(), auth.arc.reason


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 105


def test_a_key_that_could_not_be_fetched_is_temporary() -> None:
    case = next(case for case in CASES if case["id"] == "cv_pass_i1_1" or case["cv"] == "Pass")
    arc = authenticate(mail(raw_of(case)), answered(dict.fromkeys(case["txt"], DnsStatus.TEMPERROR))).arc
    assert arc is not None
    assert arc.result is AuthResult.TEMPERROR


def test_a_hostile_chain_asks_little_and_ends() -> None:
    sets = b"".join(
        b"ARC-Seal: i=%d; a=rsa-sha256; cv=pass; d=d%d.example; s=s; b=aaaa\r\n"
        b"ARC-Message-Signature: i=%d; a=rsa-sha256; d=d%d.example; s=s; h=from; bh=aaaa; b=aaaa\r\n"
        b"ARC-Authentication-Results: i=%d; x\r\n" % (n, n, n, n, n)
        for n in range(1, 200)
    )
    one = mail(sets + PLAIN)
    assert not [name for name in questions(one).txt if "_domainkey" in name]
    arc = authenticate(one, answered({})).arc
    assert arc is not None
    assert (arc.result, arc.reason) == (AuthResult.FAIL, "too many ARC sets")
