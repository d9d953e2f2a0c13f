"""Submission before real Postfix and Dovecot, as docs/examples/submission sets them up, with swaks as the client."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cable import Cable
from tests.dovecot import SECRET, USER, Dovecot
from tests.frontends.test_smtp_tls import make_certificate
from tests.peers import require
from tests.postfix import Postfix
from tests.serving import Serving, free_port

pytestmark = [pytest.mark.peer("postfix"), pytest.mark.peer("dovecot"), pytest.mark.peer("swaks")]

EXAMPLE = Path(__file__).parents[1] / "docs" / "examples" / "submission"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
NEIGHBOUR = "127.0.0.7"


@dataclass(slots=True)
class Office:
    """Where the users of the site send their mail."""

    postfix: Postfix
    dovecot: Dovecot
    service: Serving
    submission: int
    submissions: int
    certificate: Path

    def swaks(self, *arguments: str, password: str = SECRET, port: int = 0, user: str = USER) -> tuple[int, str]:
        """Exit code and dialogue; see EXIT CODES in swaks(1)."""
        command = [str(require("swaks", package="swaks")), "--server", f"127.0.0.1:{port or self.submission}",
                   "--from", USER, "--to", USER, "--helo", "laptop.example.org", "--local-interface", NEIGHBOUR,
                   "--auth-user", user, "--auth-password", password, *arguments]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with opened(tmp_path_factory.mktemp("office")) as here:
        yield here


@contextmanager
def opened(folder: Path, cable: Cable | None = None, **more: Any) -> Iterator[Office]:
    """The files of the example, with nothing changed but ports, folders and certificate.

    `cable`: between filterd and the mail server. `more`: further keys of the configuration.
    """
    certificate, key = make_certificate(folder, "mx.example.org")
    behind, starttls, implicit = (free_port()[1] for _ in range(3))

    def placed(name: str, port: int = behind) -> str:
        return (EXAMPLE / name).read_text().replace("10587", str(port))

    settings = yaml.safe_load(placed("filterd.yaml", cable.to(behind) if cable else behind)) | more
    first, second = settings["listeners"]
    first["listen"], second["listen"] = f"127.0.0.1:{starttls}", f"127.0.0.1:{implicit}"
    mechanisms = "auth_mechanisms = plain login cram-md5 scram-sha-256\n"
    with Dovecot(conf=mechanisms) as dovecot:
        main = placed("main.cf").replace("private/auth", dovecot.sasl)
        with Postfix(master=placed("master.cf"), main=main) as postfix:
            service = Serving(folder)
            listeners = [first, second, *service.config["listeners"][1:]]
            service.config |= settings | {
                "listeners": listeners,
                "tls": {"certificate": str(certificate), "key": str(key)},
                "release": {"relay": f"smtp://127.0.0.1:{postfix.port}"},
            }
            with service:
                yield Office(postfix, dovecot, service, starttls, implicit, certificate)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_a_user_logs_in_and_sends(office: Office, mechanism: str) -> None:
    before = len(office.postfix.mails())
    code, dialogue = office.swaks("--tls", "--auth", mechanism, "--header", f"Subject: by {mechanism}")
    assert code == 0, dialogue
    (mail,) = [one for one in office.postfix.wait_for(before + 1) if f"Subject: by {mechanism}".encode() in one]
    assert b" with ESMTPSA id " in mail
    line = next(line for line in reversed(office.service.log) if " info message " in line)
    assert f"client={NEIGHBOUR} " in line
    assert re.search(rf"sasl_method={mechanism}, sasl_username={USER}", office.postfix.log)
    assert f"[{NEIGHBOUR}]" in office.postfix.log, "XCLIENT says who the client is"


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for `smtplib.SMTP.auth`."""

    def __init__(self, user: str, password: str) -> None:
        self._password = password
        self._first = f"n={user},r=client-nonce"
        self._signature = b""

    def __call__(self, challenge: bytes | None = None) -> str:
        if challenge is None:
            return f"n,,{self._first}"
        said = dict(part.split("=", 1) for part in challenge.decode().split(","))
        if "v" in said:
            assert base64.b64decode(said["v"]) == self._signature, "the server knows the password, too"
            return ""
        salted = hashlib.pbkdf2_hmac("sha256", self._password.encode(), base64.b64decode(said["s"]), int(said["i"]))
        final = f"c=biws,r={said['r']}"
        message = ",".join((self._first, challenge.decode(), final)).encode()
        client = hmac.digest(salted, b"Client Key", "sha256")
        proof = hmac.digest(hashlib.sha256(client).digest(), message, "sha256")
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return f"{final},p={base64.b64encode(bytes(map(int.__xor__, client, proof))).decode()}"


def test_a_mechanism_in_three_steps(office: Office) -> None:
    context = ssl.create_default_context(cafile=office.certificate)
    context.check_hostname = False
    before = len(office.postfix.mails())
    with smtplib.SMTP("127.0.0.1", office.submission, "laptop.example.org", timeout=30) as client:
        client.starttls(context=context)
        client.ehlo()
        with pytest.raises(smtplib.SMTPAuthenticationError, match="535"):
            client.auth("SCRAM-SHA-256", Scram(USER, "not the secret"))
        assert client.auth("SCRAM-SHA-256", Scram(USER, SECRET))[0] == 235
        client.sendmail(USER, [USER], b"Subject: hi\r\n\r\nhi\r\n")
        client.sendmail(USER, [USER], b"Subject: hi again\r\n\r\nhi\r\n")
    office.postfix.wait_for(before + 2)


def test_implicit_tls(office: Office) -> None:
    before = len(office.postfix.mails())
    code, dialogue = office.swaks("--tls-on-connect", "--auth", "PLAIN", port=office.submissions)
    assert code == 0, dialogue
    office.postfix.wait_for(before + 1)


def test_before_tls_there_is_no_auth_and_no_mail(office: Office) -> None:
    code, dialogue = office.swaks("--auth", "PLAIN")
    assert code == 28, dialogue  # no authentication was offered
    assert "STARTTLS\n" in dialogue
    assert "250-AUTH" not in dialogue
    assert "250 AUTH" not in dialogue


def test_a_wrong_password_is_the_hops_own_535(office: Office) -> None:
    code, dialogue = office.swaks("--tls", "--auth", "PLAIN", password="not-the-secret")
    assert code == 28, dialogue
    assert "<~* 535 5.7.8 Error: authentication failed" in dialogue
    assert any("login-failed" in line and f"client={NEIGHBOUR}" in line for line in office.service.log)
    assert "not-the-secret" not in "\n".join(office.service.log)


def test_without_a_login_nothing_goes(office: Office) -> None:
    command = [str(require("swaks", package="swaks")), "--server", f"127.0.0.1:{office.submission}", "--tls",
               "--from", USER, "--to", USER]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 23, done.stdout  # MAIL
    assert "<~* 530 5.7.0 Authentication required" in done.stdout


def test_spam_of_a_user_is_held_and_never_discarded(office: Office) -> None:
    code, dialogue = office.swaks("--tls", "--auth", "PLAIN", "--body", GTUBE)
    assert code == 0, dialogue
    line = next(line for line in reversed(office.service.log) if " info message " in line)
    assert "action=quarantine" in line
    assert "direction=outbound" in line or "direction=internal" in line
    assert "GTUBE" not in "".join(mail.decode("latin-1") for mail in office.postfix.mails())


def test_no_secret_is_written_anywhere(office: Office) -> None:
    """Not in the log, and not in the state folder."""
    office.swaks("--tls", "--auth", "PLAIN")
    words = [SECRET.encode(), base64.b64encode(f"\0{USER}\0{SECRET}".encode()), base64.b64encode(SECRET.encode())]
    files = [path for path in office.service.folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if any(word in path.read_bytes() for word in words)]
