"""A Dovecot of our own: LMTP, IMAP, POP3 and SASL on free loopback ports, its mail and log in a temporary folder.

    with Dovecot(conf=...) as server:
        server.lmtp_url                            # lmtp://127.0.0.1:port, where mail is delivered
        server.imap, server.imaps, server.pop3, server.pop3s   # ports; with TLS by the certificate server.ca
        server.sasl                                # "inet:127.0.0.1:port" for Postfix's smtpd_sasl_path
        with server.reader() as imap:              # an imaplib session of USER, logged in
            imap.select("INBOX")
        server.mails("Junk")                       # what lies in a folder of USER, as it was delivered

`conf` is what a site adds to dovecot.conf, with the folder of the server for `{folder}`, and `files` what it puts into
`{folder}/site`. USERS have the password SECRET; everybody has INBOX, Junk, Trash and Sent. Needs root, as Dovecot does.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import poplib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.peers import require
from tests.relay.test_relay_tls import certificate
from tests.serving import free_port

USER, OTHER, STRICT = "user@example.org", "other@example.org", "strict@example.org"
USERS = (USER, OTHER, STRICT)
SECRET = "a-secret-of-the-tests"

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
protocols = imap pop3 lmtp
mail_location = maildir:{folder}/mail/%u
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{folder}/server.pem
ssl_key = <{folder}/server.pem
ssl_dh =
auth_mechanisms = plain login
lda_mailbox_autocreate = yes
postmaster_address = postmaster@example.org
hostname = mx.example.org
mail_plugin_dir = /usr/lib/dovecot/modules
namespace inbox {{
  inbox = yes
  mailbox Junk {{
    auto = subscribe
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = subscribe
    special_use = \\Trash
  }}
  mailbox Sent {{
    auto = subscribe
    special_use = \\Sent
  }}
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/home/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {auth}
  }}
}}
"""


class Dovecot:
    """Starts on entering; ends, and takes its folder with it, on leaving."""

    def __init__(self, *, conf: str = "", files: Mapping[str, str] | None = None) -> None:
        self._program = require("dovecot", package="dovecot-core")
        for module, package in (("imap", "imapd"), ("pop3", "pop3d"), ("lmtp", "lmtpd")):
            require(module, package=f"dovecot-{package}", only=("/usr/lib/dovecot",))
        if os.geteuid() != 0:
            pytest.skip("Dovecot starts as root only")
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-dovecot-"))  # pytest's own are closed to Dovecot's users
        names = ("imap", "imaps", "pop3", "pop3s", "lmtp", "auth")
        ports = {name: free_port()[1] for name in names}
        self.imap, self.imaps, self.pop3, self.pop3s = (ports[name] for name in names[:4])
        self.lmtp = ("127.0.0.1", ports["lmtp"])
        self.lmtp_url = "lmtp://{}:{}".format(*self.lmtp)
        self.sasl = f"inet:127.0.0.1:{ports['auth']}"
        self.ca = self.folder / "ca.pem"
        self.configuration = self.folder / "dovecot.conf"
        self._files = files or {}
        self._settings = _CONFIGURATION.format(folder=self.folder, **ports) + conf.replace("{folder}", str(self.folder))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    @contextlib.contextmanager
    def reader(self, user: str = USER) -> Iterator[imaplib.IMAP4]:
        """An IMAP session of somebody who has logged in."""
        with imaplib.IMAP4("127.0.0.1", self.imap, timeout=30) as session:
            session.login(user, SECRET)
            yield session

    def fetched(self, user: str = USER) -> list[bytes]:
        """The mails in somebody's INBOX as POP3 gives them."""
        session = poplib.POP3("127.0.0.1", self.pop3, timeout=30)
        try:
            session.user(user)
            session.pass_(SECRET)
            count, _ = session.stat()
            return [b"\r\n".join(session.retr(number)[1]) + b"\r\n" for number in range(1, count + 1)]
        finally:
            session.quit()

    def mails(self, folder: str = "INBOX", user: str = USER) -> list[bytes]:
        """The mails in a folder as IMAP gives them."""
        with self.reader(user) as session:
            session.select(folder, readonly=True)
            _, (found,) = session.search(None, "ALL")
            got = (session.fetch(number, "(BODY.PEEK[])")[1][0] for number in found.decode().split())
            return [one[1] for one in got if isinstance(one, tuple)]

    def wait_for(self, count: int, folder: str = "INBOX", user: str = USER, seconds: float = 30.0) -> list[bytes]:
        """The mails, when there are so many."""
        ends = time.monotonic() + seconds
        while len(mails := self.mails(folder, user)) < count:
            assert time.monotonic() < ends, f"{len(mails)} of {count} mails came:\n{self.log}"
            time.sleep(0.05)
        return mails

    def __enter__(self) -> Self:
        certificate(self.folder, "127.0.0.1")
        for name in ("run", "state", "mail", "home", "site"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        for name in ("mail", "home"):
            shutil.chown(self.folder / name, "nobody", "nogroup")
        (self.folder / "users").write_text("".join(f"{user}:{{PLAIN}}{SECRET}::::::\n" for user in USERS))
        for name, text in self._files.items():
            (self.folder / "site" / name).write_text(text)
            (self.folder / "site" / name).chmod(0o755)
        self.configuration.write_text(self._settings)
        self._process = subprocess.Popen([self._program, "-F", "-c", self.configuration], stderr=subprocess.DEVNULL)
        try:
            self._until_it_serves()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _until_it_serves(self) -> None:
        """The master listens for all its services at once; that LMTP greets shows that they start, too."""
        assert self._process is not None
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            assert self._process.poll() is None, f"Dovecot ended:\n{self.log}"
            with contextlib.suppress(OSError), socket.create_connection(self.lmtp, 10) as opened:
                opened.settimeout(10)
                if opened.recv(100).startswith(b"220 "):
                    return
            time.sleep(0.05)
        raise AssertionError(f"Dovecot does not serve:\n{self.log}")
