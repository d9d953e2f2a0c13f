"""The running service says how each name server does, which one it asks, and when none answers."""

from __future__ import annotations

import smtplib
import subprocess
import sys
from pathlib import Path

from tests.nameserver import NameServer
from tests.serving import Serving

MAIL = "From: ann@sender.example\r\nTo: bob@example.org\r\nSubject: hi\r\n\r\nHello.\r\n"


def send(service: Serving, number: int) -> None:
    with smtplib.SMTP(*service.smtp) as client:
        client.ehlo("client.example")
        client.docmd("XFORWARD", f"ADDR=203.0.113.{number} NAME=client.example HELO=h{number}.example")
        client.sendmail(f"ann@s{number}.example", ["bob@example.org"], MAIL.replace("sender", f"a{number}"))


def test_status_and_metrics_name_the_servers(tmp_path: Path) -> None:
    with NameServer({}) as dead, NameServer({"a2.example": ["SERVFAIL"]}) as good:
        dead.silent = True
        servers = [dead.address, good.address]
        with Serving(tmp_path, dns={"servers": servers, "timeout": 2}) as service:
            for number in range(4):
                send(service, number)
            service.until(lambda: not service.status()["dns"][dead.address]["alive"], "the dead server to be noticed")
            status = service.status()
            assert f"the name server {dead.address} does not answer" in status["degraded"]
            first, second = (status["dns"][server] for server in servers)
            assert (first["in_use"], second["in_use"]) == (False, True)
            assert first["silent"] == first["asked"] >= 3
            assert second["asked"] > second["silent"] == 0
            assert second["milliseconds"] > 0
            _, metrics = service.get("/metrics")
            assert f'filterd_dns_server_alive{{name="{dead.address}"}} 0.0' in metrics
            assert f'filterd_dns_server_in_use{{name="{good.address}"}} 1.0' in metrics
            told = subprocess.run(
                [sys.executable, "-m", "filterd", "status", "-c", str(service.config_file)],
                capture_output=True, text=True,
            )  # fmt: skip
            assert told.returncode == 1
            assert f"{good.address} in use" in told.stdout
            good.silent = True
            service.until(lambda: _asked_in_vain(service), "the other to be noticed")
            dead.silent = False
            service.until(lambda: service.status()["dns"][dead.address]["in_use"], "the first one to be back")


def _asked_in_vain(service: Serving) -> bool:
    send(service, 100 + len(service.log) % 100)
    return "no name server answers: nothing is known of who sent a mail" in service.status()["degraded"]
