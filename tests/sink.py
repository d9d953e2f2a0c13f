"""smtp-sink, the C program that Postfix has for volume, as a next hop that writes each mail to a file.

with Sink(tmp_path) as sink:
    ...                                            # deliver to sink.url
for mail in sink.mails():
    mail.recipients, mail.content                  # content with LF, as smtp-sink writes it
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.peers import require
from tests.serving import free_port


@dataclass(frozen=True, slots=True)
class Sunk:
    """One mail as the sink has it."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes  # lines end in LF


class Sink:
    def __init__(self, folder: Path) -> None:
        self._program = require("smtp-sink", package="postfix")
        self._folder = folder / "sink"
        self._address = free_port()
        self.url = "smtp://{}:{}".format(*self._address)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._folder.chmod(0o777)
        for parent in self._folder.parents[:3]:
            with contextlib.suppress(PermissionError):
                parent.chmod(parent.stat().st_mode | 0o011)  # pytest's folders are closed to nobody
        user = ("-u", "nobody") if os.getuid() == 0 else ()
        command = [str(self._program), *user, "-d", "mail.", "{}:{}".format(*self._address), "200"]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(self._address, 1):
                return self
            time.sleep(0.05)
        raise AssertionError("smtp-sink does not listen")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def mails(self) -> Iterator[Sunk]:
        for path in sorted(self._folder.glob("mail.*")):
            yield _read(path.read_bytes())


def _read(data: bytes) -> Sunk:
    """smtp-sink writes the session's arguments as headers before the message."""
    head, content = _split(data)
    sender = re.findall(rb"^X-Mail-Args: <([^>]*)>", head, re.MULTILINE)[0]
    recipients = re.findall(rb"^X-Rcpt-Args: <([^>]*)>", head, re.MULTILINE)
    return Sunk(sender.decode(), tuple(one.decode() for one in recipients), content)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Its own headers end with the Received line that it makes."""
    found = re.search(rb"^Received: from .*\n(?:[ \t].*\n)*", data, re.MULTILINE)
    assert found is not None, data[:300]
    return data[: found.start()], data[found.end() :].removesuffix(b"\n")  # which it adds
