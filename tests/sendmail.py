"""A Sendmail of our own: its folders, port and queue in a temporary folder, each mail in a file there.

    with Sendmail(mc=...) as server:
        server.port                                # where the world comes in
        server.mails("user")                       # what came to user@example.org

`mc` is what a site adds to its sendmail.mc. The program and its m4 files are those of Debian's packages sendmail-bin
and sendmail-cf, unpacked where FILTERD_SENDMAIL says, for they conflict with Postfix as packages. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.peers import require
from tests.serving import free_port

_MC = """divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `mx.example.org')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `')dnl
define(`LOCAL_MAILER_PATH', `{folder}/deliver')dnl
define(`LOCAL_MAILER_FLAGS', `9')dnl
MODIFY_MAILER_FLAGS(`LOCAL', `-Aw5')dnl
define(`LOCAL_MAILER_ARGS', `deliver $u')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port={port}')dnl
{site}MAILER(local)dnl
MAILER(smtp)dnl
LOCAL_CONFIG
Cwexample.org
"""
_DELIVER = """#!/bin/sh
mail=$(mktemp {folder}/mail/coming.XXXXXX)
cat > "$mail"
mv "$mail" {folder}/mail/"$1.${{mail##*.}}"
"""


class Sendmail:
    """Starts on entering; ends, and takes its folder with it, on leaving."""

    def __init__(self, *, mc: str) -> None:
        root = Path(os.environ.get("FILTERD_SENDMAIL", "/"))
        folders = [str(root / "usr" / name) for name in ("libexec/sendmail", "lib/sm.bin")]
        self._program = require("sendmail", package="sendmail-bin", only=folders)
        self._macros = root / "usr" / "share" / "sendmail" / "cf"
        self._m4 = require("m4", package="m4")
        if os.geteuid() != 0:
            pytest.skip("Sendmail starts as root only")
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-sendmail-"))
        self.port = free_port()[1]
        self._mc = _MC.format(folder=self.folder, port=self.port, site=mc)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What was said on its connections."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def mails(self, user: str) -> list[bytes]:
        return [path.read_bytes() for path in (self.folder / "mail").glob(f"{user}.*")]

    def __enter__(self) -> Self:
        self.folder.chmod(0o755)
        for name in ("queue", "mail"):
            (self.folder / name).mkdir()
        (self.folder / "mail").chmod(0o1777)
        deliver = self.folder / "deliver"
        deliver.write_text(_DELIVER.format(folder=self.folder))
        deliver.chmod(0o755)
        (self.folder / "switch").write_text("hosts files\naliases files\n")
        command = [self._m4, f"-D_CF_DIR_={self._macros}/", self._macros / "m4" / "cf.m4", "-"]
        made = subprocess.run(command, input=self._mc, capture_output=True, text=True, check=True, timeout=60)
        configuration = self.folder / "sendmail.cf"
        configuration.write_text(made.stdout)
        self._process = subprocess.Popen(
            [*_named(), self._program, "-bD", "-C", configuration, "-X", self.folder / "log"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 90
        while time.monotonic() < ends:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert self._process.poll() is None, f"Sendmail ended:\n{made.stderr}{self.log}"
            time.sleep(0.05)
        raise AssertionError(f"Sendmail does not listen:\n{self.log}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def _named() -> Sequence[str]:
    """What gives the program a host name with a dot: without one Sendmail sleeps for a minute before it serves."""
    if subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode != 0:
        return ()
    return ("unshare", "--uts", "sh", "-c", 'hostname mx.example.org; exec "$@"', "sh")
