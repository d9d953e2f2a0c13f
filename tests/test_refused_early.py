"""Early refusals from outside: over real sockets, found again by who asks why a mail did not come."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filterd.access import parse_entry
from filterd.store import Store
from tests.cable import Cable
from tests.serving import Serving

BAD, ANN = "x@bad.example", "ann@example.org"
SPAM = b"Subject: offer\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
HELD = {"tag": 1.0, "quarantine": 2.0}


@contextmanager
def client(service: Serving, address: str = "198.51.100.7") -> Iterator[smtplib.SMTP]:
    """A client at that address, as a trusted proxy tells."""
    with smtplib.SMTP(*service.smtp, timeout=60) as smtp:
        smtp.ehlo("proxy.example.org")
        assert smtp.docmd("XCLIENT", f"ADDR={address} NAME=mx.bad.example")[0] == 220
        smtp.ehlo("mx.bad.example")
        yield smtp


def filterd(service: Serving, *arguments: str) -> Any:
    command = [sys.executable, "-m", "filterd", *arguments, "-c", str(service.config_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def found(service: Serving, *how: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = filterd(service, "history", "find", *how, "--json")
    return rows


def test_a_refusal_is_found_by_whoever_asks_why_the_mail_did_not_come(tmp_path: Path) -> None:
    access = ["deny bad.example for example.org  # the flood of May"]
    with Serving(tmp_path, access=access) as service:
        with client(service) as smtp:
            assert smtp.mail(BAD)[0] == 250
            refused = [smtp.rcpt(ANN) for _ in range(12)]
            assert smtp.rcpt("postmaster@example.org")[0] == 250
            assert smtp.data(b"Subject: help\r\n\r\nWhy am I refused?\r\n")[0] == 250
        assert len(set(refused)) == 1
        code, text = refused[0]
        assert (code, text[:6]) == (550, b"5.7.1 ")
        id_ = text.decode().partition("(")[2].removesuffix(")")
        service.until(lambda: bool(found(service, "--recipient", ANN)), "the record")
        (row,) = found(service, "--recipient", ANN)
        assert (row["id"], row["action"], row["reason"], row["client"]) == (id_, "reject", "policy", "198.51.100.7")
        assert {one["action"] for one in found(service, "--sender", BAD)} == {"reject", "quarantine"}
        assert found(service, "bad.example")
        said = filterd(service, "history", "explain", id_)
        assert "the flood of May" in said
        assert "refused at RCPT" in said
        assert "said 10 times or more" in said
        assert filterd(service, "history", "show", id_, "--json")[0]["moment"] == "rcpt"
        (first, again) = [line for line in service.log if " refused-early " in line]
        assert f"id={id_}" in first
        assert f"to={ANN}" in first
        assert "times=10" in again
        metrics = service.get("/metrics")[1]
        words = 'action="reject",listener="smtp {}:{}",moment="rcpt",reason="policy"'.format(*service.smtp)
        assert f"filterd_early_refusals_total{{{words}}} 12.0" in metrics


def test_a_client_may_be_refused_as_it_connects(tmp_path: Path) -> None:
    with Serving(tmp_path, access=["deny 198.51.100.0/24"], refuse_at="connect") as service:
        with smtplib.SMTP(*service.smtp, timeout=60) as smtp:
            smtp.ehlo("proxy.example.org")
            assert smtp.docmd("XCLIENT", "ADDR=198.51.100.7")[0] == 554
            said = ("EHLO x", "MAIL FROM:<a@b.example>", "NOOP", "STARTTLS", "AUTH PLAIN")
            assert [smtp.docmd(one)[0] for one in said] == [503] * 5
            assert smtp.docmd("QUIT")[0] == 221
        with client(service, "192.0.2.1") as smtp:
            assert smtp.mail(BAD)[0] == 250
        service.until(lambda: bool(found(service, "--client", "198.51.100.7")), "the record")
        (row,) = found(service, "--client", "198.51.100.7")
        assert (row["action"], row["reason"], row["sender"], row["recipients"]) == ("reject", "policy", "", [])
        assert "everybody: reject" in filterd(service, "history", "explain", row["id"])


def test_bypass_lets_it_in_and_observing_records_it(tmp_path: Path) -> None:
    with Serving(tmp_path, access=["deny bad.example"], rates=[{"by": "recipient", "limit": 1}]) as service:

        def codes() -> list[int]:
            with client(service) as smtp:
                smtp.mail(BAD)
                return [smtp.rcpt(ANN)[0] for _ in range(3)]

        assert codes() == [550] * 3
        filterd(service, "bypass", "on")
        service.until(lambda: codes() == [250] * 3, "the bypass")
        filterd(service, "bypass", "off")
        service.until(lambda: codes() == [550] * 3, "the filter")
        service.config["enforce"] = False
        service.write_config()
        assert service.process is not None
        service.process.send_signal(1)
        service.until(lambda: codes() == [250] * 3, "the reload")


def test_released_mail_comes_back_through_the_door_that_refuses_its_sender(tmp_path: Path) -> None:
    with Cable() as cable:
        relay = f"smtp://127.0.0.1:{cable.to(0)}"
        cable.mend()
        settings = {"release": {"relay": relay}, "thresholds": HELD, "listener": {"trusted": []}}
        with Serving(tmp_path, **settings) as service:  # type: ignore[arg-type]
            cable.to(service.smtp[1])

            def send(to: str) -> tuple[int, bytes]:
                with smtplib.SMTP(*service.smtp, timeout=60) as smtp:
                    smtp.ehlo("mx.bad.example")
                    smtp.mail(BAD)
                    answer = smtp.rcpt(to)
                    return smtp.data(SPAM) if answer[0] == 250 else answer

            assert send(ANN)[0] == 250
            store = Store.open(service.state)
            try:
                (item,) = store.quarantine.find()
                store.access.add(parse_entry("deny bad.example"), "postmaster")
                service.until(lambda: send("ben@example.org")[0] == 550, "the entry")
                filterd(service, "quarantine", "release", item.id)
                (mail,) = (service.maildir / "new").iterdir()
            finally:
                store.close()
            assert b"GTUBE" in mail.read_bytes()
            assert b"X-Filterd-Release" not in mail.read_bytes()
