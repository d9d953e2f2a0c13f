"""A Postfix of our own: its folders, ports and log in a temporary folder, its mail delivered into a Maildir there.

    with Postfix(master=master_cf, main=main_cf) as server:
        server.port                                # where the world comes in
        server.mails()                             # what came to user@example.org, as files of its Maildir
        server.mails("strict")                     # and to strict@example.org

`master` is what a site adds to its master.cf or changes there, `main` what it adds to its main.cf. The `smtp inet`
service is on a free port on loopback, and no service is chrooted, for the chroot is Debian's to fill. Needs
root, as Postfix does.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.peers import require
from tests.serving import free_port

USER, STRICT = "user@example.org", "strict@example.org"

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/log
maillog_file_prefixes = /
alias_maps =
alias_database =
mydestination =
local_recipient_maps =
myhostname = mx.example.org
mynetworks = 127.0.0.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_authorized_xclient_hosts = 127.0.0.1
local_header_rewrite_clients =
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}/box
virtual_mailbox_maps = inline:{{ {{{user}=user/}} {{{strict}=strict/}} }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = reject_unlisted_recipient
"""
_SMTPD = "smtp inet n - n - - smtpd\n"
_MASTER = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, *, master: str, main: str = "") -> None:
        self._program = require("postfix", package="postfix")
        if os.getuid() != 0:
            pytest.skip("Postfix starts as root only")
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-postfix-"))  # pytest's own are closed to Postfix's user
        self.port = free_port()[1]
        if not re.search("^smtp +inet", master, re.MULTILINE):
            master = _SMTPD + master
        master = re.sub(r"^smtp +inet", f"127.0.0.1:{self.port} inet", master, flags=re.MULTILINE)
        master = re.sub(r"^(\S+ +(?:inet|unix) +\S+ +\S+ +)y", r"\1n", master, flags=re.MULTILINE)
        self._main = _MAIN.format(folder=self.folder, user=USER, strict=STRICT) + main
        self._master = master + _MASTER

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def mails(self, user: str = "user") -> list[bytes]:
        new = self.folder / "box" / user / "new"
        return [path.read_bytes() for path in sorted(new.glob("*"), key=lambda path: path.stat().st_mtime_ns)]

    def wait_for(self, count: int, seconds: float = 30.0) -> list[bytes]:
        """The mails, when there are so many."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if len(mails := self.mails()) >= count:
                return mails
            time.sleep(0.05)
        raise AssertionError(f"{len(self.mails())} of {count} mails came:\n{self.log}")

    def __enter__(self) -> Self:
        for name in ("etc", "queue", "data", "box"):
            (self.folder / name).mkdir()
        self.folder.chmod(0o755)
        shutil.chown(self.folder / "data", "postfix")
        os.chown(self.folder / "box", 65534, 65534)
        (self.folder / "etc" / "main.cf").write_text(self._main)
        (self.folder / "etc" / "master.cf").write_text(self._master)
        try:
            self._run("start")
            self._until_it_listens()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run("stop")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, verb: str) -> None:
        command = [str(self._program), "-c", str(self.folder / "etc"), verb]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def _kill(self) -> None:
        """End the master that would not stop, and with it its children."""
        for pid_file in self.folder.glob("**/pid/master.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.killpg(os.getpgid(int(pid_file.read_text())), signal.SIGKILL)

    def _until_it_listens(self) -> None:
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        raise AssertionError(f"Postfix does not listen:\n{self.log}")
