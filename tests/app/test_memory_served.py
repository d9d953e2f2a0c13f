"""The running service remembers: whom our users wrote to, and which text came before as spam."""

from __future__ import annotations

import smtplib
from pathlib import Path

from filterd.store import Store
from tests.nameserver import NameServer
from tests.serving import Serving

TEXT = " ".join(
    f"Wonderful offers number {word} await those who answer soon" for word in ("one", "two", "three", "four")
)


def test_serve_remembers_senders_and_texts(tmp_path: Path) -> None:
    zone = {"partner.example": [{"TXT": "v=spf1 ip4:203.0.113.0/24 -all"}], "2.0.0.127.bl.test": [{"A": "127.0.0.2"}],
            "9.113.0.203.bl.test": [{"A": "127.0.0.2"}]}  # fmt: skip
    lists = [{"name": "bl", "zone": "bl.test", "score": 9.0}]
    networks = {"internal": ["198.51.100.0/24"]}
    with NameServer(zone) as server:  # noqa: SIM117
        with Serving(tmp_path, dns={"servers": [server.address]}, lists=lists, networks=networks) as service:

            def send(address: str, sender: str, recipient: str, text: str) -> str:
                with smtplib.SMTP(*service.smtp) as client:
                    client.ehlo("client.example")
                    client.docmd("XFORWARD", f"ADDR={address} NAME=client.example HELO=client.example")
                    head = f"From: {sender}\r\nTo: {recipient}\r\nSubject: hi\r\n\r\n"
                    before = len(service.log)
                    client.sendmail(sender, [recipient], head + text + "\r\n")
                service.until(lambda: any(" message " in line for line in service.log[before:]), "the line")
                return next(line for line in service.log[before:] if " message " in line)

            for n in range(3):
                send("203.0.113.9", f"s{n}@spam.example", "bob@example.org", f"Dear {n},\r\n{TEXT}")
            store = Store.open(service.state)
            try:
                service.until(lambda: any(one.spam >= 3 for one in store.memory.campaigns(3)), "the texts")
                assert "TEXT_SEEN_AS_SPAM" in send("192.0.2.77", "x@other.example", "bob@example.org", f"Hi,\r\n{TEXT}")
                send("198.51.100.4", "bob@example.org", "ann@partner.example", "Hello Ann, how are you?")
                service.until(lambda: bool(store.memory.look(["w:ann@partner.example"])), "the recipient")
                line = send("203.0.113.20", "ann@partner.example", "bob@example.org", "Hello Bob, I am well.")
                assert "SENDER_WRITTEN_TO" in line
            finally:
                store.close()
