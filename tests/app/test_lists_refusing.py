"""A block list that refuses at RCPT: asked once, and believed only while it is well."""

from __future__ import annotations

import smtplib
from pathlib import Path
from typing import Any

import pytest

from filterd.config import ConfigError, load
from tests.nameserver import NameServer
from tests.serving import Serving

ZONE: dict[str, list[Any]] = {
    "2.0.0.127.bl.test": [{"A": "127.0.0.2"}],
    "9.113.0.203.bl.test": [{"A": "127.0.0.2"}],
    "10.113.0.203.bl.test": [{"A": "127.0.0.9"}],
    "2.0.0.127.soft.test": [{"A": "127.0.0.2"}],
    "11.113.0.203.soft.test": [{"A": "127.0.0.2"}],
}
LISTS = [
    {"name": "spam", "zone": "bl.test", "codes": {"127.0.0.2": 4.0, "127.0.0.9": -1.0}, "at_rcpt": True},
    {"name": "soft", "zone": "soft.test"},
]


def codes(service: Serving, address: str, sender: str = "ann@sender.example", *to: str) -> list[int]:
    with smtplib.SMTP(*service.smtp, timeout=60) as client:
        client.ehlo("mx.example.net")
        client.docmd("XCLIENT", f"ADDR={address}")
        client.ehlo("mx.example.net")
        client.mail(sender)
        return [client.rcpt(one)[0] for one in to or ("bob@example.org",)]


def test_whom_it_lists_it_refuses_and_nobody_else(tmp_path: Path) -> None:
    with NameServer(dict(ZONE)) as server:
        dns = {"servers": [server.address], "timeout": 1}
        access = ["allow 203.0.113.9 for friend@example.org", "allow known@sender.example"]
        with Serving(tmp_path, dns=dns, lists=LISTS, access=access) as service:
            service.until(lambda: service.status()["lists"]["spam"]["well"], "the lists to be tested")
            to = ("bob@example.org", "postmaster@example.org", "friend@example.org", "bob@example.org")
            assert codes(service, "203.0.113.9", "ann@sender.example", *to) == [550, 250, 250, 550]
            assert server.count("9.113.0.203.bl.test", "A") == 1
            assert server.count("9.113.0.203.soft.test", "A") == 0  # it may not refuse, and waits for the message
            assert codes(service, "203.0.113.9", "known@sender.example") == [250]
            assert codes(service, "203.0.113.10") == [250]  # its weight is under nought
            assert codes(service, "203.0.113.11") == [250]
            assert codes(service, "203.0.113.12") == [250]
            (line,) = [line for line in service.log if " refused-early " in line]
            assert "reason=listed" in line
            assert "203.0.113.9 is listed by bl.test" in line


@pytest.mark.parametrize("trouble", ["wildcard", "refuses", "silent"])
def test_a_list_that_is_not_well_refuses_nobody(tmp_path: Path, trouble: str) -> None:
    zone = dict(ZONE)
    with NameServer(zone, negative_ttl=None) as server:
        dns = {"servers": [server.address], "timeout": 0.5}
        with Serving(tmp_path, dns=dns, lists=LISTS[:1]) as service:
            service.until(lambda: service.status()["lists"]["spam"]["well"], "the lists to be tested")
            if trouble == "wildcard":
                zone["1.0.0.127.bl.test"] = zone["2.113.0.203.bl.test"] = [{"A": "127.0.0.2"}]
            elif trouble == "refuses":
                zone["2.113.0.203.bl.test"] = [{"A": "127.255.255.254"}]
            else:
                zone["2.113.0.203.bl.test"] = ["TIMEOUT"]
            server.zone = zone
            assert codes(service, "203.0.113.2") == [250]
            if trouble != "silent":
                assert codes(service, "203.0.113.9") == [250]  # it is off now
                assert any("list-off" in line for line in service.log)


def test_only_a_list_of_addresses_can_refuse(tmp_path: Path) -> None:
    path = tmp_path / "filterd.yaml"
    path.write_text("hostname: mx.example.org\nlists:\n  - {name: uri, zone: uri.test, asks: [link], at_rcpt: true}\n")
    with pytest.raises(ConfigError, match="at_rcpt needs a list that is asked about the address"):
        load(path)
