"""What people say about senders on the pages holds in the running service, and no longer when it is taken back."""

from __future__ import annotations

import smtplib
from pathlib import Path

from filterd.access import parse_entry
from filterd.decision import Action
from filterd.store import HistoryFilter, Store
from tests.serving import Serving

MAIL = "From: Ann <ann@sender.example>\r\nTo: bob@example.org\r\nSubject: hi\r\nMessage-ID: <1@x>\r\n\r\nHello.\r\n"


def reply(service: Serving, *recipients: str) -> int:
    """How the service answers a mail to these."""
    with smtplib.SMTP(*service.smtp, timeout=60) as client:
        try:
            client.sendmail("ann@sender.example", recipients, MAIL)
        except smtplib.SMTPRecipientsRefused as error:
            return max(code for code, _ in error.recipients.values())
        return 250


def test_an_entry_holds_at_once_for_whom_it_was_made(tmp_path: Path) -> None:
    with Serving(tmp_path) as service:
        store = Store.open(service.state, min_free=0)
        try:
            assert reply(service, "bob@example.org") == 250
            entry = store.access.add(parse_entry("deny sender.example for bob@example.org"), "web:bob")
            service.until(lambda: reply(service, "bob@example.org") == 550, "the entry to hold")
            assert reply(service, "zoe@example.org") == 250
            assert reply(service, "bob@example.org", "zoe@example.org") == 250, "one refuses, the other has it"
            refused = HistoryFilter(recipient="bob@example.org", action=Action.REJECT)
            service.until(lambda: bool(store.history.find(refused).rows), "the record")
            record = store.history.show(store.history.find(refused).rows[0].id)
            assert record is not None
            assert "deny sender.example" in record.decisions[0].text
            assert not store.quarantine.find().rows
            store.access.remove([entry.id], "web:bob")
            service.until(lambda: reply(service, "bob@example.org") == 250, "the entry to be gone")
        finally:
            store.close()
