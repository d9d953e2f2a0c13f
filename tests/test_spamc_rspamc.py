"""Debian's spamc and rspamc, unchanged, against the running service."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from filterd.learning.link import answers
from tests.nameserver import NameServer
from tests.peers import require
from tests.serving import Serving, free_port

HAM = b"From: a@example.net\nTo: b@example.org\nSubject: lunch\nMessage-ID: <1@example.net>\n\nOne o'clock?\n"
GTUBE = HAM + b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\n"
EICAR = base64.b64encode(rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
PART = b"MIME-Version: 1.0\nContent-Type: application/octet-stream; name=eicar.com\nContent-Transfer-Encoding: base64"
VIRUS = HAM.replace(b"\n\n", b"\n" + PART + b"\n\n").replace(b"One o'clock?", EICAR)


class Doors(Serving):
    """A service with these doors open too."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, **settings)
        self.spamd, self.scanner, self.controller = (free_port()[1] for _ in range(3))
        self.config["listeners"] += [
            {"protocol": "spamd", "listen": f"127.0.0.1:{self.spamd}"},
            {"protocol": "http", "listen": [f"127.0.0.1:{self.scanner}", f"127.0.0.1:{self.controller}"]},
        ]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("service")
    with NameServer() as names, Doors(folder, dns={"servers": [names.address]}) as running:
        running.until(lambda: answers(running.state), "the learning process to answer")
        yield running


def spamc(service: Doors, *arguments: str, message: bytes = HAM) -> tuple[int, bytes]:
    program = require("spamc", package="spamc")
    command = [program, "-d", "127.0.0.1", "-p", str(service.spamd), *arguments]
    done = subprocess.run(command, input=message, capture_output=True, timeout=60)
    return done.returncode, done.stdout


def rspamc(service: Doors, *arguments: str, message: bytes = HAM, port: str = "scanner") -> tuple[int, str]:
    program = require("rspamc", package="rspamd")
    command = [program, "-h", f"127.0.0.1:{getattr(service, port)}", *arguments]
    done = subprocess.run(command, input=message, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode()


@pytest.mark.peer("spamc")
class TestSpamc:
    def test_check(self, service: Doors) -> None:
        code, text = spamc(service, "-c")
        assert (code, text.endswith(b"/5.0\n")) == (0, True)
        assert spamc(service, "-c", message=GTUBE)[0] == 1
        assert spamc(service, "-c", message=VIRUS)[0] == 1

    def test_filter(self, service: Doors) -> None:
        code, marked = spamc(service, message=GTUBE)
        assert code == 0
        assert b"\nX-Spam-Flag: YES\n" in marked
        assert marked.endswith(GTUBE)
        _, marked = spamc(service, message=HAM.replace(b"Subject", b"X-Spam-Flag: YES\nSubject"))
        assert b"X-Spam-Flag" not in marked
        assert marked.endswith(HAM)

    def test_words(self, service: Doors) -> None:
        assert b"GTUBE" in spamc(service, "-y", message=GTUBE)[1].split(b",")
        assert b"Content analysis details:" in spamc(service, "-R")[1]
        assert spamc(service, "-r")[1] == b""
        assert b"X-Spam-Status: No" in spamc(service, "--headers")[1]
        assert b"SPAMD/1.5 0" in spamc(service, "-K")[1]

    def test_learning(self, service: Doors) -> None:
        message = HAM.replace(b"<1@", b"<spamc@").replace(b"One o'clock?", b"The words that spamc tells of.")
        learnt, known = b"Message successfully un/learned\n", b"Message was already un/learned\n"
        assert spamc(service, "-L", "spam", message=message)[1] == learnt
        assert spamc(service, "-L", "spam", message=message)[1] == known
        assert spamc(service, "-L", "ham", message=message)[1] == learnt
        assert spamc(service, "-L", "forget", message=message)[1] == learnt

    def test_a_big_message(self, service: Doors) -> None:
        big = HAM + b"line\n" * 2_000_000
        code, marked = spamc(service, "-s", "50000000", message=big)
        assert (code, marked.endswith(big)) == (0, True)


@pytest.mark.peer("rspamc")
class TestRspamc:
    def test_scan(self, service: Doors) -> None:
        code, text = rspamc(service, "-i", "192.0.2.1", "-F", "a@example.net", "-r", "b@example.org", message=GTUBE)
        assert code == 0
        assert "Action: add header\nSpam: true\n" in text
        assert "Symbol: GTUBE (20.00)" in text
        line = [line for line in service.log if " info message " in line][-1]
        assert "client=192.0.2.1 " in line
        assert "from=<a@example.net> to=b@example.org" in line

    @pytest.mark.parametrize("port", ["scanner", "controller"])
    def test_both_addresses_scan(self, service: Doors, port: str) -> None:
        assert "Action: no action" in rspamc(service, port=port)[1]

    def test_json_is_what_scan_finds(self, service: Doors) -> None:
        reply = json.loads(rspamc(service, "--json", message=VIRUS)[1])
        assert "EICAR" in reply["symbols"]
        assert sum(one["score"] for one in reply["symbols"].values()) == pytest.approx(reply["score"])

    def test_compressed(self, service: Doors) -> None:
        assert "Symbol: GTUBE" in rspamc(service, "-z", message=GTUBE)[1]

    def test_as_a_filter(self, service: Doors) -> None:
        _, text = rspamc(service, "-m", message=GTUBE)
        assert "\nX-Spam: yes\n" in text
        assert text.endswith(GTUBE.decode().partition("\n\n")[2])

    def test_stat_counters_uptime(self, service: Doors) -> None:
        rspamc(service)
        code, text = rspamc(service, "stat", port="controller")
        assert (code, "Messages scanned: 0" in text, "with action no action:" in text) == (0, False, True)
        assert "| GTUBE " in rspamc(service, "counters", port="controller")[1]
        assert "Uptime:" in rspamc(service, "uptime", port="controller")[1]

    def test_learning(self, service: Doors) -> None:
        message = HAM.replace(b"<1@", b"<rspamc@").replace(b"One o'clock?", b"The words that rspamc tells of.")
        for command in ("learn_spam", "learn_ham"):
            code, text = rspamc(service, command, message=message, port="controller")
            assert (code, "success = true" in text) == (0, True)
        text = rspamc(service, "stat", port="controller")[1]
        assert "Messages learned: 0" not in text

    def test_only_the_second_address_learns(self, service: Doors) -> None:
        code, text = rspamc(service, "learn_spam")
        assert (code, "403" in text) == (1, True)


@pytest.mark.peer("rspamc")
def test_a_reload_changes_what_open_doors_say(tmp_path: Path) -> None:
    with Doors(tmp_path) as service:
        assert "Action: add header" in rspamc(service, message=GTUBE)[1]
        service.config["listeners"][-1] |= {"quarantine_as": "reject", "password": "secret"}
        service.write_config()
        service.signal(signal.SIGHUP)
        service.until(lambda: any(" info reloaded " in line for line in service.log), "the reload")
        assert "Action: reject" in rspamc(service, message=GTUBE)[1]
        assert "403" in rspamc(service, "learn_spam", port="controller")[1]
        service.until(lambda: answers(service.state), "the learning process to answer")
        assert "success = true" in rspamc(service, "-P", "secret", "learn_spam", port="controller")[1]


def test_routes(service: Doors) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.controller}/symbols", timeout=20) as answer:
        (group,) = json.load(answer)
    assert {"GTUBE", "LEARNT_SPAM"} <= {rule["symbol"] for rule in group["rules"]}
    with urllib.request.urlopen(f"http://127.0.0.1:{service.scanner}/healthy", timeout=20) as answer:
        assert json.load(answer)["status"] == "ok"
