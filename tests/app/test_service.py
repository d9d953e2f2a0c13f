"""`filterd serve` as a postmaster meets it: a process, signals, its log, its health."""

from __future__ import annotations

import json
import re
import resource
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nameserver import NameServer
from tests.serving import Serving, free_port

MAIL = b"From: a@example.net\r\nTo: b@example.org\r\nSubject: hello\r\nMessage-ID: <1@example.net>\r\n\r\nHello.\r\n"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with (
        NameServer({}) as names,
        Serving(tmp_path_factory.mktemp("service"), dns={"servers": [names.address]}) as running,
    ):
        yield running


def send(service: Serving, raw: bytes = MAIL, sender: str = "a@example.net", to: str = "b@example.org") -> bytes:
    with smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30) as client:
        client.ehlo()
        client.mail(sender)
        client.rcpt(to)
        code, text = client.data(raw)
        assert code == 250, text
        return text


def message_lines(service: Serving) -> list[str]:
    return [line for line in service.log if " info message " in line]


def test_mail_is_delivered_and_leaves_one_line(service: Serving) -> None:
    before = len(message_lines(service))
    reply = send(service).decode()
    (line,) = message_lines(service)[before:]
    fields = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))
    assert fields["id"] in reply
    assert fields["from"] == "<a@example.net>"
    assert fields["to"] == "b@example.org"
    assert fields["message_id"] == "<1@example.net>"
    assert (fields["action"], fields["reason"], fields["fate"]) == ("accept", "clean", "delivered")
    assert {"client", "score", "model", "ruleset", "size", "ms"} <= fields.keys()
    assert any(b"Hello." in path.read_bytes() for path in (service.maildir / "new").iterdir())


def test_gtube_is_quarantined(service: Serving) -> None:
    before = len(list((service.maildir / "new").iterdir()))
    send(service, MAIL + GTUBE + b"\r\n")
    assert "action=quarantine" in message_lines(service)[-1]
    assert len(list((service.maildir / "new").iterdir())) == before


def test_what_strangers_write_stays_in_one_escaped_line(service: Serving) -> None:
    before = len(service.log)
    subject = "=?utf-8?q?x=0D=0Ainfo_message_id=3Dforged=1B[2J?="
    send(service, MAIL.replace(b"Subject: hello", f"Subject: {subject}".encode()))
    (line,) = service.log[before:]
    assert "\x1b" not in line
    assert 'subject="x' in line


def test_healthy_and_metrics(service: Serving) -> None:
    send(service)
    code, body = service.get("/healthy")
    assert (code, json.loads(body)["status"]) == (200, "ok")
    code, metrics = service.get("/metrics")
    assert code == 200
    assert re.search(r'filterd_messages_total\{action="accept",.*reason="clean"\} [1-9]', metrics)
    assert "filterd_workers_alive 1.0" in metrics
    assert service.get("/nothing")[0] == 404


def test_status_speaks_json_and_exit_codes(service: Serving, tmp_path: Path) -> None:
    done = _filterd("status", "--json", "-c", str(service.config_file))
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "ok")
    nobody = tmp_path / "filterd.yaml"
    nobody.write_text(json.dumps({"state": str(tmp_path / "none")}))
    done = _filterd("status", "-c", str(nobody))
    assert done.returncode == 2
    assert done.stdout.startswith("down")


def test_bypass_passes_everything_loudly(service: Serving) -> None:
    assert _filterd("bypass", "on", "-c", str(service.config_file)).returncode == 0
    service.until(lambda: service.status()["status"] == "degraded", "bypass to be seen")
    try:
        service.until(lambda: any("bypass-on" in line for line in service.log), "the log to say so")
        send(service, MAIL + GTUBE + b"\r\n")
        assert "action=accept reason=bypass would=quarantine" in message_lines(service)[-1]
        newest = max((service.maildir / "new").iterdir(), key=lambda path: path.stat().st_mtime_ns)
        assert b"X-Filterd-Bypass:" in newest.read_bytes()
    finally:
        assert _filterd("bypass", "off", "-c", str(service.config_file)).stdout == "bypass is off\n"
    service.until(lambda: service.status()["status"] == "ok", "bypass to be off")


def test_reload_takes_new_settings_and_refuses_broken_ones(service: Serving) -> None:
    first = service.status()["generation"]["config"]
    old = dict(service.config)
    with smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30) as open_session:
        open_session.ehlo()
        service.config = {**old, "thresholds": {"tag": -100, "quarantine": 100}}
        service.write_config()
        service.signal(signal.SIGHUP)
        service.until(lambda: service.status()["generation"]["config"] != first, "the new generation")
        open_session.mail("a@example.net")
        open_session.rcpt("b@example.org")
        assert open_session.data(MAIL)[0] == 250
    assert "action=tag" in message_lines(service)[-1]

    service.config_file.write_text("thresholds: {tag: 9, quarantine: 5}\n")
    service.signal(signal.SIGHUP)
    service.until(lambda: service.status()["status"] == "degraded", "the refusal")
    assert "filterd.yaml:1: thresholds" in service.status()["degraded"][0]
    assert "action=tag" in _after_sending(service)

    service.config = old
    service.write_config()
    service.signal(signal.SIGHUP)
    service.until(lambda: service.status()["generation"]["config"] == first, "the first generation")
    service.until(lambda: service.status()["status"] == "ok", "the failure to be forgotten")
    assert "action=accept" in _after_sending(service)


def test_a_next_hop_that_is_gone_makes_it_unhealthy(tmp_path: Path) -> None:
    host, port = free_port()
    with Serving(tmp_path, relay=f"smtp://{host}:{port}") as service:
        assert service.get("/healthy")[0] == 503
        assert _filterd("status", "-c", str(service.config_file)).returncode == 2


def test_sigterm_lets_the_mail_in_hand_come_to_its_end(tmp_path: Path) -> None:
    service = Serving(tmp_path)
    service.start()
    client = smtplib.SMTP(*service.smtp, local_hostname="client.example.net", timeout=30)
    client.ehlo()
    client.mail("a@example.net")
    client.rcpt("b@example.org")
    client.putcmd("DATA")
    assert client.getreply()[0] == 354
    service.signal(signal.SIGTERM)
    service.until(lambda: any("stopping" in line for line in service.log), "the drain to begin")
    client.send(MAIL + b".\r\n")
    assert client.getreply()[0] == 250
    client.close()
    assert service.process is not None
    assert service.process.wait(40) == 0
    assert len(list((service.maildir / "new").iterdir())) == 1


def test_it_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        service = Serving(tmp_path)
        service.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert service.process is not None
    assert resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    service.stop()


def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path) -> None:
    taken = Serving(tmp_path / "a")
    taken.folder.mkdir()
    with taken:
        second = Serving(tmp_path / "b")
        second.folder.mkdir()
        second.smtp = taken.smtp
        second.config["listeners"][0]["listen"] = "{}:{}".format(*taken.smtp)
        second.start(wait=False)
        assert second.process is not None
        assert second.process.wait(60) == 2
        assert second.log == ["cannot listen on {}:{}: another program has it".format(*taken.smtp)]


def _after_sending(service: Serving) -> str:
    send(service)
    return message_lines(service)[-1]


def _filterd(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "filterd", *arguments], capture_output=True, text=True, timeout=120)
