"""Real mail servers with filterd as their milter say our words to whom it refuses early, and go on for the others."""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

import pytest

from tests import stands
from tests.cable import Cable
from tests.postfix import STRICT, USER
from tests.test_postfix_milter import site

BAD = "x@bad.example"
WORDS = r"550 5\.7\.1 Refused: mail from this sender is not accepted here \([0-9A-Z]{26}\)"
ACCESS = [f"deny bad.example for {STRICT}", "deny 203.0.113.0/24", "deny worse.example"]


@pytest.mark.peer("postfix")
@pytest.mark.peer("swaks")
def test_postfix_says_it_and_delivers_to_the_others(tmp_path: Path) -> None:
    with site(tmp_path, access=ACCESS, refuse_at="connect") as here:
        here.sent("both", to=f"{STRICT},{USER}", sender=BAD)
        _, said = here.swaks("alone", to=STRICT, sender=BAD)
        assert re.search(rf"^<\*\* {WORDS}", said, re.MULTILINE), said
        assert here.has("Subject: both")
        _, said = here.swaks("sender", sender="y@worse.example")
        assert re.search(rf"MAIL FROM.*\n.*{WORDS}", said), said
        with smtplib.SMTP("127.0.0.1", here.postfix.port) as client:
            client.ehlo("mx.bad.example")
            greeting = client.docmd("XCLIENT", "ADDR=203.0.113.9 NAME=mx.bad.example")
            assert greeting == (554, b"mx.example.org ESMTP not accepting connections")
            assert client.docmd("EHLO", "mx.bad.example")[0] == 250
            code, text = client.mail("a@b.example")
            assert re.fullmatch(WORDS.replace("550", "554"), f"{code} {text.decode()}")
        refused = [line for line in here.service.log if " refused-early " in line]
        assert re.findall(r"moment=(\w+)", " ".join(refused)) == ["rcpt", "mail", "connect"]  # one was said twice


@pytest.mark.peer("sendmail-bin")
def test_sendmail_says_it_and_delivers_to_the_others(tmp_path: Path) -> None:
    access = ["deny bad.example for strict@example.org"]
    with Cable() as cable, stands.sendmail("sendmail", tmp_path, cable, access=access) as here:
        cable.mend()
        with smtplib.SMTP("127.0.0.1", here.port, "mx.bad.example", 60) as client:
            client.ehlo()
            client.mail(BAD)
            code, text = client.rcpt("strict@example.org")
            assert re.fullmatch(WORDS, f"{code} {text.decode().replace('<strict@example.org>... ', '')}")
            assert client.rcpt("user@example.org")[0] == 250
            assert client.data(b"Subject: both\r\n\r\nhi\r\n")[0] == 250
        here.service.until(lambda: bool(here.mails("user")), "the mail")
        assert not here.mails("strict")
