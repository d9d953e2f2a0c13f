"""An Exim of our own: its folders, port and log in a temporary folder, each recipient's mail in a file there.

    with Exim(main=..., acl=...) as server:
        server.port                                # where the world comes in
        server.mail("user")                        # what came to user@example.org

`main` is what a site adds to Exim's main configuration, `acl` what it adds to its ACL for DATA, `routers` and
`transports` what comes before the others. There are the users
user, junk and strict. Needs root, as Exim does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.peers import require
from tests.serving import free_port

_CONFIGURATION = """
exim_path = {program}
exim_user = Debian-exim
exim_group = Debian-exim
primary_hostname = mx.example.org
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
pid_file_path = {folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
domainlist local_domains = example.org
keep_environment =
tls_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
{main}
begin acl
check_rcpt:
  accept domains = +local_domains
  deny   message = no relaying
check_data:
{acl}
  accept
begin routers
{routers}
local:
  driver = accept
  local_parts = user : junk : strict
  transport = file
begin transports
{transports}
file:
  driver = appendfile
  file = {folder}/mail/$local_part_data
  user = Debian-exim
  delivery_date_add
begin retry
* * F,1h,10m
"""


class Exim:
    """Starts on entering; ends, and takes its folder with it, on leaving."""

    def __init__(self, *, main: str = "", acl: str = "", routers: str = "", transports: str = "") -> None:
        self._program = require(os.environ.get("FILTERD_EXIM", "exim4"), package="exim4-daemon-heavy")
        if os.geteuid() != 0:
            pytest.skip("Exim needs root")
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-exim-"))
        self.port = free_port()[1]
        self._file = self.folder / "exim.conf"
        places = {"program": self._program, "folder": self.folder, "port": self.port}
        added = {"main": main, "acl": acl, "routers": routers, "transports": transports}
        self._file.write_text(_CONFIGURATION.format(**places, **added))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.folder / "log").iterdir()))

    def mails(self, user: str) -> list[bytes]:
        """Each mail that came to a user."""
        path = self.folder / "mail" / user
        return re.split(rb"^(?=From \S+ .*\n)", path.read_bytes(), flags=re.MULTILINE)[1:] if path.exists() else []

    def mail(self, user: str, seconds: float = 20.0) -> str:
        """All mail that came to a user; waits for the first."""
        path = self.folder / "mail" / user
        ends = time.monotonic() + seconds
        while not (path.exists() and path.stat().st_size):
            assert time.monotonic() < ends, f"no mail for {user}:\n{self.log}"
            time.sleep(0.05)
        return path.read_text(encoding="latin-1")

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, "Debian-exim", "Debian-exim")
        self._process = subprocess.Popen(
            [self._program, "-bdf", "-odf", "-C", self._file],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 20
        while not (self.folder / "pid").exists():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < ends, self.log
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
