"""rspamd's protocol on the HTTP door: request headers, reply fields, learning and who may."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
import zstandard

from filterd.decision import Action, HeaderSpan, Reason
from filterd.findings import Finding
from filterd.frontends.learner import Klass
from filterd.frontends.words import QuarantineAs
from filterd.mail.envelope import Origin, Source
from filterd.record import Outline
from filterd.reply import Reply
from tests.frontends.advising import MAIL, Pupil, Verdicts, ask, http, opened


def post(path: str, body: bytes = MAIL, *headers: str, **how: Any) -> tuple[int, Any]:
    """Status and the JSON of the answer."""

    async def run() -> bytes:
        async with opened(http(**how)) as port:
            lines = (f"POST {path} HTTP/1.0", f"Content-Length: {len(body)}", *headers, "", "")
            return await ask(port, "\r\n".join(lines).encode() + body)

    head, _, content = asyncio.run(run()).partition(b"\r\n\r\n")
    assert b"Content-Type: application/json" in head
    return int(head.split(b" ")[1]), json.loads(content)


def test_request_headers() -> None:
    filter = Verdicts()
    post("/checkv2", MAIL, "From: <a@example.net>", "Rcpt: <b@example.org>", "Rcpt: c@example.org", "IP: 192.0.2.1",
         "Helo: helo.example.net", "Hostname: mail.example.net", "User: ann", "Queue-Id: 4ABC", "Deliver-To: d",
         "Pass: all", "Flags: pass_all,body_block", "Subject: x", "MTA-Tag: y", "TLS-Version: TLSv1.3",
         "TLS-Cipher: TLS_AES_256_GCM_SHA384", filter=filter)  # fmt: skip
    ((envelope, raw),) = filter.seen
    assert raw == MAIL
    assert envelope.client == Origin("192.0.2.1", "mail.example.net", "helo.example.net", Source.REQUEST)
    assert envelope.sender == "a@example.net"
    assert [one.address for one in envelope.recipients] == ["b@example.org", "c@example.org"]
    assert (envelope.user, envelope.queue_id) == ("ann", "4ABC")
    assert envelope.tls == "TLSv1.3 TLS_AES_256_GCM_SHA384"


def test_who_it_is_delivered_to_is_a_recipient() -> None:
    filter = Verdicts()
    post("/checkv2", MAIL, "Deliver-To: d@example.org", "Hostname: unknown", filter=filter)
    assert [one.address for one in filter.seen[0][0].recipients] == ["d@example.org"]
    assert filter.seen[0][0].client == Origin()


@pytest.mark.parametrize(
    ("said", "recipients"),
    [
        ("b@example.org,c@example.org", ["b@example.org", "c@example.org"]),
        ("<b@example.org> , <c@example.org>,", ["b@example.org", "c@example.org"]),
        ('"b, or \\"c"@example.org, d@example.org', ['"b, or \\"c"@example.org', "d@example.org"]),
        ('"b@example.org, c@example.org', ['"b@example.org, c@example.org']),
    ],
)
def test_one_header_may_name_several_recipients(said: str, recipients: list[str]) -> None:
    """As rspamd's protocol.c reads it; two of them taken for one would be nobody, with nobody's policy."""
    filter = Verdicts()
    post("/checkv2", MAIL, f"Rcpt: {said}", filter=filter)
    assert [one.address for one in filter.seen[0][0].recipients] == recipients


def test_reply_fields() -> None:
    findings = (
        Finding("TWICE", 300, "About it.", "one"),
        Finding("TWICE", -50, "About it.", "two"),
        Finding("OTHER", 10),
    )
    filter = Verdicts(
        action=lambda recipient: Action.TAG,
        findings=findings,
        outline=Outline(
            message_id="<1@example.net>",
            urls=("http://x.example.com/a", "https://x.example.com/b", "mailto:who@example.com?subject=x", "http://["),
        ),
        strip=(HeaderSpan("X-Spam-Flag", 1, 0, 1), HeaderSpan("X-Spam-Flag", 2, 1, 2),
               HeaderSpan("Authentication-Results", 1, 2, 3), HeaderSpan("Authentication-Results", 3, 4, 5)),
    )  # fmt: skip
    status, reply = post("/checkv2", MAIL, "Queue-Id: 4ABC", filter=filter)
    assert status == 200
    assert (reply["score"], reply["required_score"], reply["action"]) == (2.6, 2.6, "add header")
    assert reply["symbols"] == {
        "TWICE": {
            "name": "TWICE",
            "score": 2.5,
            "metric_score": 2.5,
            "description": "About it.",
            "options": ["one", "two"],
        },
        "OTHER": {"name": "OTHER", "score": 0.1, "metric_score": 0.1},
    }
    assert sum(symbol["score"] for symbol in reply["symbols"].values()) == pytest.approx(reply["score"])
    assert reply["thresholds"] == {"add header": 5.0, "quarantine": 8.0}
    assert (reply["message-id"], reply["queue-id"], reply["is_skipped"]) == ("1@example.net", "4ABC", False)
    assert (reply["urls"], reply["emails"]) == (["x.example.com"], ["who@example.com"])
    assert reply["milter"]["add_headers"]["X-Spam-Flag"] == {"value": "YES", "order": 0}
    assert reply["milter"]["remove_headers"] == {"X-Spam-Flag": 0, "Authentication-Results": [3, 1]}
    assert reply["filterd"]["action"] == "tag"
    _, extended = post("/checkv2", MAIL, "URL-Format: extended", filter=filter)
    assert extended["urls"][0] == {"url": "http://x.example.com/a", "host": "x.example.com"}


@pytest.mark.parametrize(
    ("action", "word"),
    [
        (Action.ACCEPT, "no action"),
        (Action.TAG, "add header"),
        (Action.QUARANTINE, "add header"),
        (Action.DEFER, "soft reject"),
        (Action.REJECT, "reject"),
        (Action.DISCARD, "discard"),
    ],
)
def test_action_words(action: Action, word: str) -> None:
    _, reply = post("/checkv2", filter=Verdicts(action=lambda recipient: action))
    assert (reply["action"], reply["filterd"]["action"]) == (word, action.value)


@pytest.mark.parametrize("word", list(QuarantineAs))
def test_what_quarantine_is_called_is_a_setting(word: QuarantineAs) -> None:
    filter = Verdicts(action=lambda recipient: Action.QUARANTINE)
    assert post("/checkv2", filter=filter, quarantine=word)[1]["action"] == word.value


def test_the_bypass_shows_as_skipped() -> None:
    _, reply = post("/checkv2", filter=Verdicts(reason=Reason.BYPASS, would=Action.REJECT))
    assert (reply["is_skipped"], reply["action"], reply["filterd"]["would"]) == (True, "no action", "reject")


@pytest.mark.parametrize("path", ["/check", "/symbols"])
def test_the_old_form(path: str) -> None:
    _, reply = post(path)
    assert reply["default"]["is_spam"] is False
    assert reply["default"]["SYMBOL"]["score"] == 0.4
    assert "symbols" not in reply


def test_zstd_that_is_cut_off_is_not_judged_as_if_it_were_whole() -> None:
    packed = zstandard.compress(MAIL + random.Random(1).randbytes(400_000))
    for broken in (packed[: len(packed) // 2], packed[:-1], packed + b"more", packed + packed):
        assert post("/checkv2", broken, "Compression: zstd")[0] == 400


def test_zstd() -> None:
    filter = Verdicts()
    packed = zstandard.ZstdCompressor().compress(MAIL)
    assert post("/checkv2", packed, "Compression: zstd", filter=filter)[0] == 200
    assert filter.seen[0][1] == MAIL
    assert post("/checkv2", b"junk", "Compression: zstd")[0] == 400
    assert post("/checkv2", MAIL, "Content-Encoding: gzip")[0] == 415
    bomb = zstandard.ZstdCompressor().compress(bytes(10_000_000))
    assert post("/checkv2", bomb, "Compression: zstd", settings={"body_size": 1_000_000})[0] == 413


def test_no_file_is_read_for_a_client() -> None:
    filter = Verdicts()
    status, reply = post("/checkv2", b"", "File: /etc/hostname", filter=filter)
    assert (status, "file" in reply["error"]) == (400, True)
    assert not filter.seen


def test_trouble_is_said_as_trouble() -> None:
    assert post("/checkv2", filter=Verdicts(early=Reply(451, "Too much mail"))) == (503, {"error": "Too much mail"})
    assert post("/checkv2", filter=Verdicts(raises=RuntimeError("secret")))[0] == 500


def test_learning() -> None:
    pupil = Pupil()
    assert post("/learnspam", MAIL.replace(b"\r\n", b"\n"), "User: bob", learner=pupil) == (200, {"success": True})
    assert pupil.told == [(MAIL, Klass.SPAM, "bob", "test")]
    assert post("/learnspam", learner=pupil)[0] == 208
    assert post("/learnham", learner=pupil)[0] == 200


def test_learning_that_is_not_there_is_no_success() -> None:
    status, reply = post("/learnspam", learner=Pupil(broken="The learning process is gone"))
    assert (status, reply) == (503, {"error": "The learning process is gone"})


@pytest.mark.parametrize(
    ("how", "headers", "status"),
    [
        ({}, (), 200),
        ({"controller": False}, (), 403),
        ({"settings": {"password": "secret"}}, (), 403),
        ({"settings": {"password": "secret"}}, ("Password: wrong",), 403),
        ({"settings": {"password": "secret"}}, ("Password: secret",), 200),
        ({}, ("Origin: http://evil.example",), 403),  # a web page in a browser on this machine
        ({}, ("Sec-Fetch-Site: cross-site",), 403),
    ],
)
def test_who_may_teach(how: dict[str, Any], headers: tuple[str, ...], status: int) -> None:
    pupil = Pupil()
    assert post("/learnspam", MAIL, *headers, learner=pupil, **how)[0] == status
    assert bool(pupil.told) is (status == 200)


def test_the_password_is_not_asked_for_scanning() -> None:
    assert post("/checkv2", settings={"password": "secret"}, controller=False)[0] == 200


def test_exim_finds_its_line_protocol_here_too() -> None:
    async def run() -> bytes:
        async with opened(http()) as port:
            return await ask(port, b"CHECK RSPAMC/1.3\r\nContent-length: %d\r\n\r\n" % len(MAIL) + MAIL)

    found = asyncio.run(run())
    assert found.startswith(
        b"RSPAMD/1.3 0 EX_OK\r\nMetric: default; False; 0.40 / 5.00 / 0.00\r\nAction: no action\r\n"
    )


def test_the_line_protocol_cannot_teach_here() -> None:
    async def run() -> bytes:
        async with opened(http(learner=pupil)) as port:
            asked = b"TELL SPAMC/1.5\r\nMessage-class: spam\r\nSet: local\r\nContent-length: 0\r\n\r\n"
            return await ask(port, asked)

    pupil = Pupil()
    assert b" 69 EX_UNAVAILABLE" in asyncio.run(run())
    assert not pupil.told
