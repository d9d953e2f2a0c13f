"""Real Postfix with filterd as its milter, with the files of docs/examples/milter, and swaks as the client.

What Postfix queues, refuses and drops is what filterd said; while filterd is down or dies, the sender tries again.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
import sys
import threading
import time
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
from tests.auth.mails import rsa_key
from tests.cable import Cable
from tests.nameserver import NameServer
from tests.peers import require
from tests.postfix import STRICT, USER, Postfix
from tests.serving import Serving, free_port
from tests.test_postfix import GTUBE, KEYS, SIGNED

pytestmark = [pytest.mark.peer("postfix"), pytest.mark.peer("swaks")]

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "milter"
CLIENT = "198.51.100.7"
MASTER = "smtp inet n - y - - smtpd\npickup unix n - n 60 1 pickup\n"
TAGGED, HELD, REFUSED = "tagged@example.org", "held@example.org", "refused@example.org"
POLICIES = [
    {"name": "tagged", "recipients": [TAGGED], "thresholds": {"tag": -1000}},
    {"name": "held", "recipients": [HELD], "thresholds": {"tag": -1000, "quarantine": -1000}},
    {"name": "refused", "recipients": [REFUSED], "thresholds": {"tag": -1000, "quarantine": -1000, "reject": -1000}},
]
BOXES = " ".join(f"{{{name}={name.partition('@')[0]}/}}" for name in (USER, STRICT, TAGGED, HELD, REFUSED))
PRIVATE, PUBLIC = rsa_key(1024)
RECORDS = {**KEYS, "s._domainkey.signed.example": f"v=DKIM1; k=rsa; p={PUBLIC}"}


@dataclass(slots=True)
class Site:
    postfix: Postfix
    service: Serving
    dns: NameServer

    def swaks(self, subject: str, *arguments: str, to: str = USER, sender: str = "a@example.net") -> tuple[int, str]:
        """Exit code and dialogue; see EXIT CODES in swaks(1)."""
        program = require("swaks", package="swaks")
        command = [str(program), "--server", f"127.0.0.1:{self.postfix.port}", "--from", sender, "--to", to,
                   "--helo", "client.example.net", "--xclient", f"ADDR={CLIENT} NAME=client.example.net",
                   *(("--header", f"Subject: {subject}") if subject else ()), *arguments]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=90)
        return done.returncode, done.stdout + done.stderr

    def sent(self, subject: str, *arguments: str, **how: str) -> None:
        code, dialogue = self.swaks(subject, *arguments, **how)
        assert code == 0, dialogue

    def held(self, subject: str) -> list[QuarantineItem]:
        store = Store.open(self.service.state)
        try:
            return [item for item in store.quarantine.each() if item.subject == subject]
        finally:
            store.close()

    def has(self, text: str, user: str = USER) -> list[bytes]:
        """The mails in somebody's box that hold `text`."""
        box = self.postfix.folder / "box" / user.partition("@")[0] / "new"
        return [mail for path in sorted(box.glob("*")) if text.encode() in (mail := path.read_bytes())]

    def mail(self, text: str, user: str = USER) -> bytes:
        """The one mail that holds `text`, when it has come."""
        self.service.until(lambda: bool(self.has(text, user)), f"mail: {self.postfix.log}", 30)
        (mail,) = self.has(text, user)
        return mail

    def line(self, text: str) -> str:
        """The last line of the log about such a message."""
        return [line for line in self.service.log if " info message " in line and text in line][-1]


@contextmanager
def site(folder: Path, *, unix: bool = False, cable: Cable | None = None, **settings: Any) -> Iterator[Site]:
    """The files of the example, with nothing changed but ports, folders and the name server.

    `cable` is laid between Postfix and filterd.
    """
    listed = yaml.safe_load((EXAMPLE / "filterd.yaml").read_text())
    (listener,) = listed.pop("listeners")
    port = free_port()[1]
    asked = "unix:../filterd/milter.sock" if unix else f"inet:127.0.0.1:{cable.to(port) if cable else port}"
    main = (EXAMPLE / "main.cf").read_text().replace("inet:127.0.0.1:11332", asked)
    zone: dict[str, list[Any]] = {
        name: [{"TXT": [text[at : at + 200] for at in range(0, len(text), 200)]}] for name, text in RECORDS.items()
    }
    with NameServer(zone) as dns:
        postfix = Postfix(master=MASTER, main=f"{main}virtual_mailbox_maps = inline:{{ {BOXES} }}\n")
        where = f"unix:{_room(postfix)}/milter.sock" if unix else f"127.0.0.1:{port}"
        listed |= {
            "listeners": [{**listener, "listen": where}],
            "dns": {"servers": [dns.address]},
            "release": {"relay": f"smtp://127.0.0.1:{postfix.port}"},
        }
        service = Serving(folder, **listed, **settings)
        service.start()
        try:
            with postfix:
                yield Site(postfix, service, dns)
        finally:
            service.stop()


def _room(postfix: Postfix) -> Path:
    """The folder of a Unix socket that Postfix's user may open: docs/postfix.md, `install -d -m 2750 -g postfix`."""
    room = postfix.folder / "filterd"
    room.mkdir()
    shutil.chown(room, group="postfix")
    room.chmod(0o2750)
    return room


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("milter")) as running:
        yield running


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With policies for some recipients, and over a Unix socket."""
    with site(tmp_path_factory.mktemp("strict"), unix=True, policies=POLICIES) as running:
        yield running


def test_what_passes_and_what_is_held(here: Site) -> None:
    here.sent("gtube", "--body", GTUBE)
    (item,) = here.held("gtube")
    assert item.recipient == USER
    assert "milter-discard: END-OF-MESSAGE" in here.postfix.log
    forged = ("--header", "X-Spam-Flag: NO", "--header", "X-Spam-Score: -5")
    here.sent("dinner", *forged, "--body", ".dot\n..\nsee you\n")
    plain = here.mail("\nSubject: dinner\n")
    assert b"\n.dot\n..\nsee you\n" in plain
    assert b"X-Spam-Flag" not in plain
    assert len(re.findall(rb"^X-Spam-Score:", plain, re.MULTILINE)) == 1
    assert re.search(rb"^X-Filterd-Id: \S+$", plain, re.MULTILINE)
    assert re.search(rb"^Authentication-Results: mx\.example\.org;", plain, re.MULTILINE)
    for subject in ("gtube", "dinner"):
        assert f"client={CLIENT} " in here.line(f"subject={subject}")
        assert re.search(r" queue_id=[0-9A-F]{6,} ", here.line(f"subject={subject}"))
    assert not here.has(GTUBE)


def test_signatures_hold_before_and_after(here: Site, tmp_path: Path) -> None:
    path = tmp_path / "signed.eml"
    path.write_bytes(SIGNED)
    here.sent("", "--data", f"@{path}", sender="joe@football.example.com")
    signed = here.mail("football.example.com")
    assert len(re.findall(rb"dkim=pass[^;]*header\.d=football\.example\.com", signed)) == 2
    assert _verifies(signed, 0)
    assert _verifies(signed, 1)


def test_a_header_signed_with_simple_canonicalization_is_read_as_it_was_signed(here: Site, tmp_path: Path) -> None:
    """SMFIP_HDR_LEADSPC: white space after the colon and in folds is part of what was signed."""
    raw = (
        b"From:a@signed.example\r\nTo: \tuser@example.org\r\nSubject:  odd\r\n\t folds  \r\n  here\r\n"
        b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@signed.example>\r\n\r\nbody  with  spaces \r\n"
    )
    names = [b"from", b"to", b"subject", b"date", b"message-id"]
    simple = (b"simple", b"simple")
    path = tmp_path / "signed.eml"
    path.write_bytes(dkim.sign(raw, b"s", b"signed.example", PRIVATE, canonicalize=simple, include_headers=names) + raw)
    here.sent("", "--data", f"@{path}", sender="a@signed.example")
    mail = here.mail("<1@signed.example>")
    assert re.search(rb"dkim=pass[^;]*header\.d=signed\.example", mail), mail
    assert _verifies(mail, 0)


def test_what_is_released_comes_back_through_the_milter(here: Site) -> None:
    here.sent("released", "--body", GTUBE)
    (item,) = here.held("released")
    command = [sys.executable, "-m", "filterd", "quarantine", "release", "-c", str(here.service.config_file), item.id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    mail = here.mail("\nSubject: released\n")
    assert GTUBE.encode() in mail
    assert b"X-Filterd-Release" not in mail
    assert "reason=released" in here.line("subject=released")


def test_several_messages_in_one_session(here: Site) -> None:
    """With a RSET after each, which Postfix tells as ABORT."""
    with smtplib.SMTP("127.0.0.1", here.postfix.port) as client:
        for number in range(5):
            client.sendmail("a@example.net", [USER], f"Subject: number {number}\r\n\r\nbody\r\n")
            client.mail("gone@example.net")
            client.rcpt(USER)
            client.rset()
    for number in range(5):
        assert b"X-Filterd-Id" in here.mail(f"\nSubject: number {number}\n")
    assert "gone@example.net" not in "".join(line for line in here.service.log if " info message " in line)


def test_mail_of_programs_on_the_machine_has_no_client(here: Site) -> None:
    config = str(here.postfix.folder / "etc")
    where = {"MAIL_CONFIG": config, "PATH": "/usr/sbin:/usr/bin:/bin"}
    text = f"To: {USER}\nSubject: cron\n\nhi\n".encode()
    subprocess.run(["/usr/sbin/sendmail", "-C", config, "-t"], input=text, env=where, check=True, timeout=30)
    assert b"X-Filterd-Id" in here.mail("\nSubject: cron\n")
    assert "client=unknown" in here.line("subject=cron")
    assert "spf=none" in here.line("subject=cron")


def test_no_session_of_postfix_was_abuse(here: Site) -> None:
    assert not [line for line in here.service.log if " abuse " in line or "failed" in line]


def test_a_refusal_is_in_the_senders_face(strict: Site) -> None:
    code, dialogue = strict.swaks("refused", to=REFUSED)
    assert code == 26, dialogue  # refused after the final dot
    assert re.search(r"<\*\* 550 5\.7\.1 Refused as unwanted mail", dialogue), dialogue
    assert strict.held("refused") == []


@pytest.mark.parametrize(("other", "reason"), [(HELD, "spam-score"), (REFUSED, "split")])
def test_two_recipients_of_different_policy(strict: Site, other: str, reason: str) -> None:
    """One gets the mail; what is quarantined for the other, or would be refused, is held for him."""
    strict.sent(f"two-{reason}", to=f"{USER},{other}")
    strict.mail(f"\nSubject: two-{reason}\n")
    (item,) = strict.held(f"two-{reason}")
    assert (item.recipient, item.reason) == (other, reason)
    assert strict.has("Subject", other) == []


def test_tag_wins_over_accept(strict: Site) -> None:
    strict.sent("both", to=f"{USER},{TAGGED}")
    for user in (USER, TAGGED):
        assert b"\nX-Spam-Flag: YES\n" in strict.mail("\nSubject: both\n", user)


def test_while_filterd_is_down_or_dies_the_sender_tries_again(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        here.dns.silent = True  # so that judging takes its time, and the service dies in the middle of it
        process = here.service.process
        assert process is not None

        def kill_when_asked() -> None:
            ends = time.monotonic() + 60
            while not here.dns.queries and time.monotonic() < ends:
                time.sleep(0.02)
            process.kill()

        killer = threading.Thread(target=kill_when_asked)
        killer.start()
        code, dialogue = here.swaks("killed")
        killer.join()
        assert code == 26, dialogue  # after the final dot
        assert re.search(r"<\*\* 451 ", dialogue), dialogue
        process.wait(10)
        code, dialogue = here.swaks("down")
        assert code != 0
        assert re.search(r"<\*\* 4\d\d", dialogue), dialogue
        here.dns.silent = False
        here.service.start()
        here.sent("killed")
        assert len(here.has("Subject: ")) <= 1
        here.mail("\nSubject: killed\n")


def _verifies(stored: bytes, index: int) -> bool:
    """By dkimpy alone, on what Postfix stored."""
    checker = dkim.DKIM(stored.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    return bool(checker.verify(idx=index, dnsfunc=lambda name, **_: RECORDS[name.decode().rstrip(".")].encode()))
