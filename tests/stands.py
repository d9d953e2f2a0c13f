"""filterd beside real mail servers and programs, as docs/ shows it, for tests that ask what becomes of a message.

    with STANDS["before-queue"]("before-queue", tmp_path, cable) as stand:
        stand.outcome("<1@example.net>", raw, "user@example.org")   # ["clean"], ["marked"], ["held"], ...

A stand is one position with the files of docs/examples; its cable lies between filterd and the program that stands on
its other side. `PROGRAMS` are those that only ask: each is given a port of filterd's, a file and the recipients.
"""

from __future__ import annotations

import re
import signal
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from filterd.store import Store
from tests import test_exim, test_postfix, test_postfix_milter, test_submission
from tests.cable import Cable
from tests.dovecot import Dovecot
from tests.peers import require
from tests.sendmail import Sendmail
from tests.serving import Serving, free_port

CASES = Path(__file__).parent / "cases" / "peers"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


class Stand(Protocol):
    """A message goes in, and a word for each recipient says what became of it."""

    def outcome(self, key: str, raw: bytes, *recipients: str, seconds: float = 30.0) -> list[str]:
        """`key` is in the message and in no other; `seconds`: after these what did not arrive is queued."""
        ...

    def retried(self, key: str, raw: bytes, *recipients: str) -> list[str]:
        """The same after whoever has the message tried it again: the client, or a queue."""
        ...


@dataclass(slots=True)
class MailServer:
    """A mail server that the world comes to, or filterd that hands on to one."""

    service: Serving
    port: int  # where the world comes in
    mails: Callable[[str], list[bytes]]  # the mailbox of a user, by the part before the @
    flush: Sequence[str | Path] = ()  # the command that has its queue tried again, where a message is queued

    def outcome(self, key: str, raw: bytes, *recipients: str, seconds: float = 30.0) -> list[str]:
        with smtplib.SMTP("127.0.0.1", self.port, "client.example.net", 60, ("127.0.0.2", 0)) as client:
            client.ehlo()
            client.mail("ann@example.net")
            assert all(client.rcpt(recipient)[0] == 250 for recipient in recipients)
            code = client.data(raw)[0]
        return [self.fate(code, key, recipient, seconds) for recipient in recipients]

    def retried(self, key: str, raw: bytes, *recipients: str) -> list[str]:
        if not self.flush:
            return self.outcome(key, raw, *recipients)
        subprocess.run(self.flush, check=True, timeout=30)
        return [self.fate(250, key, recipient, 60.0) for recipient in recipients]

    def fate(self, code: int, key: str, recipient: str, seconds: float) -> str:
        """refused, later; else, when it has come so far: held, or in the mailbox clean or marked."""
        if code >= 400:
            assert not self.held_for(key)
            assert not self.found(key, recipient)
            return "refused" if code >= 500 else "later"
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if recipient in self.held_for(key):
                assert not self.found(key, recipient)
                return "held"
            if mails := self.found(key, recipient):
                (mail,) = mails
                return "marked" if b"\nX-Spam-Flag: YES" in mail else "clean"
            time.sleep(0.1)
        return "queued"

    def held_for(self, key: str) -> list[str]:
        store = Store.open(self.service.state)
        try:
            return [item.recipient for item in store.quarantine.each() if key in item.message_id]
        finally:
            store.close()

    def found(self, key: str, recipient: str) -> list[bytes]:
        return [mail for mail in self.mails(recipient.partition("@")[0]) if key.encode() in mail]


@contextmanager
def proxy(position: str, folder: Path, cable: Cable, **settings: Any) -> Iterator[MailServer]:
    """filterd takes the mail and hands it on, to Postfix."""
    with test_postfix.site(position, folder, cable, **settings) as here:
        flush = ("postqueue", "-c", here.postfix.folder / "etc", "-f") if position == "after-queue" else ()
        yield MailServer(here.service, here.port, here.postfix.mails, flush)


@contextmanager
def milter(position: str, folder: Path, cable: Cable, **settings: Any) -> Iterator[MailServer]:
    with test_postfix_milter.site(folder, cable=cable, **settings) as here:
        yield MailServer(here.service, here.postfix.port, here.postfix.mails)


@contextmanager
def sendmail(position: str, folder: Path, cable: Cable, **settings: Any) -> Iterator[MailServer]:
    port = free_port()[1]
    listed = yaml.safe_load((EXAMPLES / "sendmail" / "filterd.yaml").read_text().replace("11332", str(port)))
    mc = (EXAMPLES / "sendmail" / "sendmail.mc").read_text().replace("11332", str(cable.to(port)))
    with Serving(folder, **listed, **settings) as service, Sendmail(mc=mc) as server:
        yield MailServer(service, server.port, server.mails)


@contextmanager
def exim(position: str, folder: Path, cable: Cable, **settings: Any) -> Iterator[MailServer]:
    with test_exim.pair(position.removeprefix("exim-"), folder, cable=cable, **settings) as both:
        yield MailServer(both.service, both.exim.port, both.exim.mails)


@contextmanager
def dovecot(position: str, folder: Path, cable: Cable, **settings: Any) -> Iterator[MailServer]:
    with Dovecot(conf="protocol lmtp {\n  ssl = no\n}\n") as server:  # for the wire to see BREAK
        relay = f"lmtp://127.0.0.1:{cable.to(server.lmtp[1])}"
        with Serving(folder, relay=relay, **settings) as service:
            yield MailServer(service, service.smtp[1], lambda user: server.mails(user=f"{user}@example.org"))


@dataclass(slots=True)
class Office(MailServer):
    """A mail server that users log in to, by TLS."""

    swaks: Callable[..., tuple[int, str]] = field(kw_only=True)

    def outcome(self, key: str, raw: bytes, *recipients: str, seconds: float = 30.0) -> list[str]:
        with tempfile.NamedTemporaryFile() as file:
            file.write(raw)
            file.flush()
            arguments = ("--tls", "--auth", "PLAIN", "--to", ",".join(recipients), "--data", f"@{file.name}")
            code, dialogue = self.swaks(*arguments)
        said = re.findall(r"^<~\S* +(\d{3}) ", dialogue, re.MULTILINE)
        assert "250" in said, dialogue
        return [self.fate(int(said[-2]) if code else 250, key, recipient, seconds) for recipient in recipients]


@contextmanager
def submission(position: str, folder: Path, cable: Cable, **settings: Any) -> Iterator[Office]:
    with test_submission.opened(folder, cable, **settings) as office:
        yield Office(office.service, office.submission, office.postfix.mails, swaks=office.swaks)


@dataclass(slots=True)
class Program:
    """A program that asks filterd about a message."""

    service: Serving
    ask: Callable[[Path, Sequence[str]], list[str]]

    def outcome(self, key: str, raw: bytes, *recipients: str, seconds: float = 30.0) -> list[str]:
        path = self.service.folder / "message.eml"
        path.write_bytes(raw)
        return self.ask(path, recipients)

    retried = outcome


def miltertest(port: int, path: Path, recipients: Sequence[str]) -> list[str]:
    command: list[str | Path] = [require("miltertest", package="miltertest"), "-s", CASES / "ask.lua"]
    for name, value in {"socket": f"inet:{port}@127.0.0.1", "file": path, "recipients": " ".join(recipients)}.items():
        command += ["-D", f"{name}={value}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return ["later"] * len(recipients) if done.returncode == -signal.SIGPIPE else done.stdout.split()


def spamc(port: int, path: Path, recipients: Sequence[str]) -> list[str]:
    """Each recipient asks, as programs that deliver mail do."""
    words = {0: "clean", 1: "marked", 74: "later"}  # 74: EX_IOERR of sysexits.h
    command: list[str | Path] = [
        require("spamc", package="spamc"),
        "-x",
        "-d",
        "127.0.0.1",
        "-p",
        str(port),
        "-c",
        "-u",
    ]
    raw = path.read_bytes()
    said = [subprocess.run([*command, one], input=raw, capture_output=True, timeout=60) for one in recipients]
    return [words[one.returncode] for one in said]


def rspamc(port: int, path: Path, recipients: Sequence[str]) -> list[str]:
    """One request for all."""
    command: list[str | Path] = [
        require("rspamc", package="rspamd"),
        "-h",
        f"127.0.0.1:{port}",
        "-F",
        "ann@example.net",
    ]
    for recipient in recipients:
        command += ["-r", recipient]
    done = subprocess.run([*command, path], capture_output=True, text=True, timeout=60)
    words = {"no action": "clean", "add header": "marked"}
    found = re.search("^Action: (.*)$", done.stdout, re.MULTILINE)
    return [words[found[1]] if found else "later"] * len(recipients)


PROGRAMS = {"miltertest": ("milter", miltertest), "spamc": ("spamd", spamc), "rspamc": ("http", rspamc)}
STANDS: dict[str, Callable[..., AbstractContextManager[MailServer]]] = {
    "milter": milter,
    **dict.fromkeys(("before-queue", "after-queue", "in-front"), proxy),
    "sendmail": sendmail,
    **dict.fromkeys(("exim-rspamd", "exim-spamd"), exim),
    "dovecot": dovecot,
    "submission": submission,
}
