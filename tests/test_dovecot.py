"""Real Dovecot as the place where mail is delivered and read, and where its readers teach filterd.

The whole way of a message, with the files of docs/examples/dovecot: from a client on port 25 or on submission to
Postfix, which asks filterd, to Dovecot's mailbox, and to a reader by IMAP and POP3.
"""

from __future__ import annotations

import imaplib
import poplib
import re
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from filterd.learning.link import answers
from filterd.store import Store
from tests.dovecot import OTHER, SECRET, USER, Dovecot
from tests.peers import require
from tests.postfix import Postfix
from tests.relay.test_relay_tls import certificate
from tests.serving import Serving, free_port

pytestmark = pytest.mark.peer("dovecot")

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "dovecot"
FILES = ("file-spam.sieve", "into-junk.sieve", "out-of-junk.sieve", "learn")
SPAM = Path(__file__).parent / "cases" / "peers" / "spam.eml"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
CLIENT = "198.51.100.7"
POLICIES = [{"name": "tagged only", "recipients": [OTHER], "thresholds": {"quarantine": None}}]


def letter(subject: str, body: bytes = b"Shall we say one o'clock?\r\n.dot\r\n..\r\n", to: str = USER) -> bytes:
    head = f"From: Ann <ann@example.net>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.net>\r\n"
    return head.encode() + b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n\r\n" + body


def test_filterd_delivers_by_lmtp_and_both_protocols_read_it(tmp_path: Path) -> None:
    with Dovecot() as dovecot, Serving(tmp_path, relay=dovecot.lmtp_url) as service:
        with smtplib.SMTP(*service.smtp) as client:
            client.sendmail("ann@example.net", [USER, OTHER], letter("lunch"))
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                client.sendmail("ann@example.net", ["nobody@example.org"], letter("lunch"))
        assert refused.value.recipients["nobody@example.org"][0] == 550  # Dovecot's own word, in step
        for user in (USER, OTHER):
            (mail,) = dovecot.wait_for(1, user=user)
            assert mail.endswith(letter("lunch").partition(b"\r\n\r\n")[2])
            assert b"\r\nX-Filterd-Id: " in mail
            assert dovecot.fetched(user) == [mail]
        _log_in_with_tls(dovecot)


def _log_in_with_tls(dovecot: Dovecot) -> None:
    context = ssl.create_default_context(cafile=dovecot.ca)
    with imaplib.IMAP4_SSL("127.0.0.1", dovecot.imaps, ssl_context=context, timeout=30) as session:
        assert session.login(USER, SECRET)[0] == "OK"
    other = poplib.POP3_SSL("127.0.0.1", dovecot.pop3s, context=context, timeout=30)
    other.user(USER)
    assert other.pass_(SECRET).startswith(b"+OK")
    other.quit()


@dataclass(slots=True)
class House:
    """Postfix, filterd and Dovecot, as docs/dovecot.md sets them up."""

    postfix: Postfix
    service: Serving
    dovecot: Dovecot
    submission: int

    def receive(self, subject: str, body: bytes = b"Hello.\r\n", to: str = USER, raw: bytes = b"") -> None:
        """Somebody of the world sends a message to port 25."""
        with smtplib.SMTP("127.0.0.1", self.postfix.port, "client.example.net", timeout=60) as client:
            client.ehlo()
            client.docmd("XCLIENT", f"ADDR={CLIENT} NAME=client.example.net")
            client.sendmail("ann@example.net", [to], raw or letter(subject, body, to))

    def inbox(self, subject: str, folder: str = "INBOX", user: str = USER) -> bytes:
        """The mail with that subject, when it is there."""
        found: list[bytes] = []

        def arrived() -> bool:
            found[:] = [mail for mail in self.dovecot.mails(folder, user) if f"\nSubject: {subject}\r".encode() in mail]
            return bool(found)

        self.service.until(arrived, f"{subject} in {folder}", 30)
        (mail,) = found
        return mail

    def move(self, subject: str, origin: str, target: str, user: str = USER) -> None:
        with self.dovecot.reader(user) as session:
            session.select(origin)
            _, (found,) = session.uid("SEARCH", "SUBJECT", f'"{subject}"')
            assert session.uid("MOVE", found.decode(), target)[0] == "OK"

    @property
    def labels(self) -> dict[bytes, tuple[bool, str]]:
        """By subject what was learnt: whether as spam, and who said so."""
        store = Store.open(self.service.state)
        try:
            said = {label.digest: (label.spam, label.reporter) for _, label in store.labels.read()}
            bodies = dict(store.labels.bodies(said))
        finally:
            store.close()
        return {bodies[digest].partition(b"\nSubject: ")[2].split()[0]: one for digest, one in said.items()}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The files of the example, with nothing changed but ports and folders."""
    folder = tmp_path_factory.mktemp("house")
    certificate(folder, "127.0.0.1")
    milter, submission, scanner, controller = (free_port()[1] for _ in range(4))
    ports = {"11332": milter, "11333": scanner, "11334": controller}

    def placed(name: str, **changes: str) -> str:
        text = (EXAMPLE / name).read_text()
        for old, new in {**{old: str(new) for old, new in ports.items()}, **changes}.items():
            text = text.replace(old, new)
        return text

    site = (
        f"smtpd_tls_cert_file = {folder}/server.pem\nsmtpd_tls_key_file = {folder}/server.pem\n"
        f"virtual_mailbox_maps = inline:{{ {USER}=there {OTHER}=there }}\n"
    )
    master = placed("master.cf").replace("submission inet", f"127.0.0.1:{submission} inet")
    with Postfix(master=master, main=placed("main.cf") + site) as postfix:
        settings = yaml.safe_load(placed("filterd.yaml")) | {"release": {"relay": f"smtp://127.0.0.1:{postfix.port}"}}
        places = {"/etc/dovecot/filterd": "{folder}/site", "/var/spool/postfix": f"{postfix.folder}/queue"}
        conf = placed("dovecot.conf")
        for old, new in places.items():
            conf = conf.replace(old, new)
        with (
            Dovecot(conf=conf, files={name: placed(name) for name in FILES}) as dovecot,
            Serving(folder, policies=POLICIES, **settings) as service,
        ):
            sievec = require("sievec", package="dovecot-sieve")
            for script in (dovecot.folder / "site").glob("*.sieve"):
                subprocess.run([sievec, "-c", dovecot.configuration, script], check=True, timeout=30)
            service.until(lambda: answers(service.state), "the learning process to answer")
            yield House(postfix, service, dovecot, submission)


def test_from_port_25_to_a_reader(house: House) -> None:
    house.receive("lunch")
    mail = house.inbox("lunch")
    assert b"\r\nX-Filterd-Id: " in mail
    assert b"\r\nAuthentication-Results: mx.example.org; " in mail
    assert mail.endswith(b"\r\nHello.\r\n")
    assert mail in house.dovecot.fetched()


def test_from_submission_to_a_reader(house: House) -> None:
    swaks = require("swaks", package="swaks")
    command = [swaks, "--server", f"127.0.0.1:{house.submission}", "--from", OTHER, "--to", USER, "--tls",
               "--auth", "PLAIN", "--auth-user", OTHER, "--auth-password", SECRET,
               "--header", "Subject: submitted", "--body", "hello"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"\r\nX-Filterd-Id: " in house.inbox("submitted")
    (line,) = [line for line in house.service.log if " info message " in line and "subject=submitted" in line]
    assert "direction=internal" in line


def test_spam_is_held_and_what_is_released_is_read(house: House) -> None:
    house.receive("held", GTUBE + b"\r\n")
    store = Store.open(house.service.state)
    try:
        (item,) = [item for item in store.quarantine.each() if item.subject == "held"]
    finally:
        store.close()
    command = [sys.executable, "-m", "filterd", "quarantine", "release", "-c", str(house.service.config_file), item.id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert GTUBE in house.inbox("held")


def test_what_users_move_is_learnt(house: House) -> None:
    house.receive("moved")
    assert b"\r\nX-Filterd-Id: " in house.inbox("moved")
    for origin, target, spam in (("INBOX", "Junk", True), ("Junk", "INBOX", False), ("INBOX", "Junk", True)):
        house.move("moved", origin, target)
        house.service.until(lambda: house.labels.get(b"moved") == (spam, USER), f"{target} to be learnt", 30)  # noqa: B023


def test_what_comes_from_another_account_into_junk_is_spam(house: House) -> None:
    large = b"Many words.\r\n" * 100_000
    with house.dovecot.reader(OTHER) as session:
        assert session.append("Junk", "", "", letter("appended", large))[0] == "OK"
    house.service.until(lambda: house.labels.get(b"appended") == (True, OTHER), "what was appended to be learnt", 30)


def test_nothing_is_learnt_from_the_trash_or_from_what_filterd_filed_itself(house: House) -> None:
    raw = re.sub(rb"(?<=\nSubject: ).*", b"tagged", SPAM.read_bytes())
    house.receive("tagged", raw=raw, to=OTHER)
    assert b"\r\nX-Spam-Flag: YES\r\n" in house.inbox("tagged", "Junk", OTHER)  # by file-spam.sieve
    for subject in ("binned", "last"):
        house.receive(subject, to=OTHER)
        house.inbox(subject, user=OTHER)
    house.move("binned", "INBOX", "Trash", OTHER)
    house.move("tagged", "Junk", "Trash", OTHER)
    house.move("tagged", "Trash", "INBOX", OTHER)
    house.move("last", "INBOX", "Junk", OTHER)
    house.service.until(lambda: b"last" in house.labels, "the last to be learnt", 30)
    assert not {b"binned", b"tagged"} & set(house.labels)


def test_while_filterd_is_down_readers_notice_nothing(house: House) -> None:
    house.receive("unheard")
    house.inbox("unheard")
    house.service.stop()
    house.move("unheard", "INBOX", "Junk")
    assert any(b"\nSubject: unheard\r" in mail for mail in house.dovecot.mails("Junk"))
    assert "`learn'" in house.dovecot.log
    house.service.start()


def test_the_page_shows_these_files() -> None:
    page = (EXAMPLE.parents[1] / "dovecot.md").read_text()
    assert not [path.name for path in EXAMPLE.iterdir() if f"\n{path.read_text()}```" not in page]
