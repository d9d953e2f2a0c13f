"""Real Dovecot as the place where mail is delivered and read."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dovecot import OTHER, SECRET, USER, Dovecot
from tests.serving import Serving

pytestmark = pytest.mark.peer("dovecot")

HAM = (
    b"From: Ann <ann@example.net>\r\nTo: user@example.org\r\nSubject: lunch\r\nMessage-ID: <1@example.net>\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\nShall we say one o'clock?\r\n.dot\r\n..\r\n"
)


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as running:
        yield running


def test_filterd_delivers_by_lmtp_and_both_protocols_read_it(dovecot: Dovecot, tmp_path: Path) -> None:
    with Serving(tmp_path, relay=dovecot.lmtp_url) as service, smtplib.SMTP(*service.smtp) as client:
        client.sendmail("ann@example.net", [USER, OTHER], HAM)
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("ann@example.net", ["nobody@example.org"], HAM)
    assert refused.value.recipients["nobody@example.org"][0] == 550  # Dovecot's own word, in step
    for user in (USER, OTHER):
        (mail,) = dovecot.wait_for(1, user=user)
        assert mail.endswith(HAM.partition(b"\r\n\r\n")[2])
        assert b"\r\nX-Filterd-Id: " in mail
        assert dovecot.fetched(user) == [mail]


def test_readers_may_come_with_tls(dovecot: Dovecot) -> None:
    context = ssl.create_default_context(cafile=dovecot.ca)
    with imaplib.IMAP4_SSL("127.0.0.1", dovecot.imaps, ssl_context=context, timeout=30) as session:
        assert session.login(USER, SECRET)[0] == "OK"
    other = poplib.POP3_SSL("127.0.0.1", dovecot.pop3s, context=context, timeout=30)
    other.user(USER)
    assert other.pass_(SECRET).startswith(b"+OK")
    other.quit()
