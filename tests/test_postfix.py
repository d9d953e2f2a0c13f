"""Real Postfix before and behind the running service, with the files of docs/examples, and swaks as the client.

Each position of docs/postfix.md: GTUBE is quarantined, other mail arrives with its body as it was, refusals are what
the position may say, and the real client is seen by both.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dkim
import pytest
import yaml

from filterd.store import Store
from filterd.store.words import QuarantineItem
from tests.cable import Cable
from tests.nameserver import NameServer
from tests.peers import require
from tests.postfix import USER, Postfix
from tests.serving import Serving, free_port

pytestmark = [pytest.mark.peer("postfix"), pytest.mark.peer("swaks")]

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
SIGNED = (ROOT / "tests" / "data" / "dkim" / "rfc8463-example.msg").read_bytes()
KEYS = {  # RFC 8463, appendix A.2
    "brisbane._domainkey.football.example.com": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test._domainkey.football.example.com": "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6"
    "NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9"
    "PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}
CLIENT = "192.0.2.7"
NEIGHBOUR = "127.0.0.2"


@dataclass(slots=True)
class Site:
    """A Postfix and a filterd that stand together; `port` is where the world comes in."""

    postfix: Postfix
    service: Serving
    port: int

    def swaks(self, *arguments: str, sender: str = "a@example.net", recipient: str = USER) -> tuple[int, str]:
        """Exit code and dialogue; see EXIT CODES in swaks(1)."""
        program = require("swaks", package="swaks")
        command = [str(program), "--server", f"127.0.0.1:{self.port}", "--from", sender, "--to", recipient,
                   "--helo", "client.example.net", *arguments]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    @property
    def held(self) -> list[QuarantineItem]:
        store = Store.open(self.service.state)
        try:
            return list(store.quarantine.each())
        finally:
            store.close()


@contextmanager
def site(position: str, folder: Path, cable: Cable | None = None, **settings: Any) -> Iterator[Site]:
    """The files of an example, with nothing changed but ports, folders and the name server.

    `cable` is laid between filterd and the Postfix behind it.
    """
    listed = yaml.safe_load((EXAMPLES / position / "filterd.yaml").read_text())
    main = EXAMPLES / position / "main.cf"
    behind = free_port()[1]
    zone = {name: [{"TXT": [text[:200], text[200:]] if len(text) > 200 else text}] for name, text in KEYS.items()}
    listed.pop("tls", None)  # names files of a real site
    (listener,) = listed.pop("listeners")
    listener = {**listener, "relay": f"smtp://127.0.0.1:{cable.to(behind) if cable else behind}"}
    listener.pop("listen")
    with NameServer(zone) as dns:
        service = Serving(
            folder,
            listener=listener,
            **{"domains": ["example.org"], **listed, "dns": {"servers": [dns.address]}, **settings},
        )

        def placed(text: str) -> str:
            return text.replace("127.0.0.1:10025", "{}:{}".format(*service.smtp)).replace(
                "127.0.0.1:10026", f"127.0.0.1:{behind}"
            )

        master = placed((EXAMPLES / position / "master.cf").read_text())
        with Postfix(master=master, main=placed(main.read_text()) if main.exists() else "") as postfix:
            service.start()
            try:
                yield Site(postfix, service, service.smtp[1] if position == "in-front" else postfix.port)
            finally:
                service.stop()


@pytest.mark.parametrize("position", ["before-queue", "after-queue", "in-front"])
def test_what_passes_and_what_is_held(position: str, tmp_path: Path) -> None:
    with site(position, tmp_path) as here:
        seen_as = ("--xclient", f"ADDR={CLIENT} NAME=client.example.net")
        if position == "in-front":
            seen_as = ("--local-interface", NEIGHBOUR)
        code, dialogue = here.swaks("--body", GTUBE, *seen_as)
        assert code == 0, dialogue
        code, dialogue = here.swaks("--header", "Subject: dinner", "--body", ".dot\n..\nsee you\n", *seen_as)
        assert code == 0, dialogue
        code, dialogue = here.swaks("--data", _file(tmp_path, SIGNED), *seen_as, sender="joe@football.example.com")
        assert code == 0, dialogue
        plain, signed = sorted(here.postfix.wait_for(2), key=lambda one: b"football" in one)
        here.service.until(lambda: len(here.held) == 1, "GTUBE to be held")
        postfix_log = here.postfix.log
    (item,) = here.held
    assert item.recipient == USER
    assert "GTUBE" in item.findings
    assert b"Subject: dinner" in plain
    assert b"\n.dot\n..\nsee you\n" in plain
    assert b"X-Filterd-Id:" in plain
    assert re.search(rb"^Authentication-Results: mx\.example\.org;", signed, re.MULTILINE)
    assert len(re.findall(rb"dkim=pass[^;]*header\.d=football\.example\.com", signed)) == 2
    assert _verify(signed, 0)
    assert _verify(signed, 1)
    lines = [line for line in here.service.log if " info message " in line]
    assert len(lines) == 3
    client = NEIGHBOUR if position == "in-front" else CLIENT
    assert all(f"client={client} " in line for line in lines), lines
    told = "orig_client=client.example.net" if client == CLIENT else "client=unknown"
    assert f"{told}[{client}]" in postfix_log, postfix_log  # by XFORWARD, or by XCLIENT
    assert "status=bounced" not in postfix_log


def test_before_the_queue_spam_is_refused_while_the_sender_listens(tmp_path: Path) -> None:
    with site("before-queue", tmp_path, thresholds={"tag": -1000, "quarantine": -1000, "reject": -1000}) as here:
        code, dialogue = here.swaks()
    assert code == 26, dialogue  # refused after the final dot
    assert "<** 550 5.7.1" in dialogue


def test_after_the_queue_nothing_is_refused_and_nothing_bounces(tmp_path: Path) -> None:
    with site("after-queue", tmp_path, thresholds={"tag": -1000, "quarantine": -1000, "reject": -1000}) as here:
        code, dialogue = here.swaks()
        assert code == 0, dialogue
        here.service.until(lambda: bool(here.held), "the message to be held")
        (item,) = here.held
        assert item.reason == "after-queue"
        assert here.postfix.mails() == []
        assert "status=bounced" not in here.postfix.log


def test_in_front_the_server_behind_says_who_has_no_mailbox(tmp_path: Path) -> None:
    with site("in-front", tmp_path) as here:
        code, dialogue = here.swaks(recipient="nobody@example.org")
        assert code == 24, dialogue  # no recipient was accepted
        assert re.search(r"<\*\* 550 5\.1\.1 .*nobody@example\.org", dialogue), dialogue
        code, dialogue = here.swaks(recipient="someone@example.com")
        assert code == 24, dialogue
        assert "<** 550 5.7.1" in dialogue  # ours: no open relay


def test_while_filterd_is_down_mail_waits(tmp_path: Path) -> None:
    """Postfix's own queue holds it, after the queue; before it, the sender's."""
    with site("after-queue", tmp_path) as here:
        here.service.stop()
        code, dialogue = here.swaks()
        assert code == 0, dialogue
        here.service.start()
        subprocess.run(["postqueue", "-c", str(here.postfix.folder / "etc"), "-f"], check=True, timeout=30)
        here.postfix.wait_for(1, 60)
    second = tmp_path / "second"
    second.mkdir()
    with site("before-queue", second) as here:
        here.service.stop()
        code, dialogue = here.swaks()
        assert code in (23, 24, 25, 26), dialogue
        assert re.search(r"<\*\* 4\d\d", dialogue), dialogue
        here.service.start()


@pytest.mark.parametrize("position", ["before-queue", "after-queue", "in-front"])
def test_the_page_shows_these_files(position: str) -> None:
    page = (ROOT / "docs" / "postfix.md").read_text()
    files = list((EXAMPLES / position).iterdir())
    assert files
    assert not [path.name for path in files if f"\n{path.read_text()}```" not in page]


def _file(folder: Path, raw: bytes) -> str:
    path = folder / "message.eml"
    path.write_bytes(raw)
    return f"@{path}"


def _verify(stored: bytes, index: int) -> bool:
    """By dkimpy alone, on what the next hop stored."""
    message = stored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    checker = dkim.DKIM(message)
    return bool(checker.verify(idx=index, dnsfunc=lambda name, **_: KEYS[name.decode().rstrip(".")].encode()))
