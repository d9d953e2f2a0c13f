"""The running service: lists are asked and weighed, and one that is not well says so in status, log and metrics."""

from __future__ import annotations

import json
import smtplib
import subprocess
import sys
from pathlib import Path

from tests.nameserver import NameServer
from tests.serving import Serving

LISTS = [
    {"name": "good-one", "zone": "bl.test", "codes": {"127.0.0.2": 9.5}},
    {"name": "gone", "zone": "gone.test"},
    {"name": "links", "zone": "uribl.test", "asks": ["link"], "codes": {"&8": 1.25}},
]
ZONE = {
    "2.0.0.127.bl.test": [{"A": "127.0.0.2"}],
    "9.113.0.203.bl.test": [{"A": "127.0.0.2"}],
    "test.uribl.test": [{"A": "127.0.0.8"}],
    "evil.example.uribl.test": [{"A": "127.0.0.24"}],
}
MAIL = "From: ann@sender.example\r\nTo: bob@example.org\r\nSubject: hi\r\n\r\nSee http://www.evil.example/\r\n"


def test_serve_asks_lists_and_tells_which_are_off(tmp_path: Path) -> None:
    with NameServer(dict(ZONE)) as server:
        with Serving(tmp_path, dns={"servers": [server.address], "timeout": 1}, lists=LISTS) as service:
            service.until(lambda: "list-off" in "\n".join(service.log), "the lists to be tested")
            with smtplib.SMTP(*service.smtp) as client:
                client.ehlo("client.example")
                client.docmd("XFORWARD", "ADDR=203.0.113.9 NAME=client.example HELO=client.example")
                client.sendmail("ann@sender.example", ["bob@example.org"], MAIL)
            service.until(lambda: any(" message " in line for line in service.log), "the message's line")
            line = next(line for line in service.log if " message " in line)
            assert "action=quarantine" in line
            assert "LIST_GOOD_ONE" in line
            assert "LIST_LINKS" in line
            assert "LIST_GONE" not in line
            status = service.status()
            assert status["lists"]["good-one"]["well"]
            assert any("the list gone is switched off: lists nothing" in said for said in status["degraded"])
            _, metrics = service.get("/metrics")
            assert 'filterd_list_well{name="gone"} 0.0' in metrics
            assert 'filterd_list_well{name="good-one"} 1.0' in metrics
        path = tmp_path / "mail.eml"
        path.write_text(MAIL)
        scanned = subprocess.run(
            [sys.executable, "-m", "filterd", "scan", "-c", str(service.config_file), "--json", "--ip", "203.0.113.9",
             str(path)],
            capture_output=True, text=True,
        )  # fmt: skip
        found = {one["name"]: one for one in json.loads(scanned.stdout)["findings"]}
        assert found["LIST_GOOD_ONE"]["score"] == 9.5
        assert found["LIST_LINKS"]["detail"] == "evil.example 127.0.0.24"
