"""`filterd serve` as a process of its own, on free loopback ports, for tests that send it mail and signals.

    with Serving(tmp_path, relay=hop.url) as service:
        smtplib.SMTP(*service.smtp)
        service.signal(signal.SIGHUP)
    service.log                                    # the lines it wrote

`settings` are further keys of the configuration; `listener` further keys of its smtp listener; `program` what
Python runs instead of `-m filterd`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filterd.app.control import ask

NOWHERE = "127.0.0.1:9"  # a name server that refuses at once


class Serving:
    """One running service."""

    def __init__(
        self,
        folder: Path,
        *,
        relay: str | None = None,
        listener: dict[str, Any] | None = None,
        program: Sequence[str] = ("-m", "filterd"),
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.program = program
        self.state = folder / "state"
        self.maildir = folder / "Maildir"
        self.config_file = folder / "filterd.yaml"
        self.smtp, self.http = free_port(), free_port()
        self.config: dict[str, Any] = {
            "hostname": "mx.example.org",
            "domains": ["example.org"],
            "state": str(self.state),
            "listeners": [
                {
                    "protocol": "smtp",
                    "listen": "{}:{}".format(*self.smtp),
                    "relay": relay or f"maildir:{self.maildir}",
                    **(listener or {}),
                },
                {"protocol": "http", "listen": "{}:{}".format(*self.http)},
            ],
            "dns": {"servers": [NOWHERE]},
            "workers": 1,
            "rules": {"paths": []},
            "retention": {"min_free": 0},
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder / "log"

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def write_config(self) -> None:
        self.config_file.write_text(json.dumps(self.config))  # JSON is YAML

    def start(self, *, wait: bool = True) -> None:
        self.write_config()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "serve", "-c", str(self.config_file)],
                stderr=log,
                stdout=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        if wait:
            self.until(lambda: ask(self.state) is not None, "the service to answer")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self, seconds: float = 40.0) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def status(self) -> dict[str, Any]:
        report = ask(self.state)
        assert report is not None, "\n".join(self.log[-20:])
        return report

    def get(self, path: str) -> tuple[int, str]:
        """The answer of the http listener: status and body."""
        try:
            with urllib.request.urlopen("http://{}:{}".format(*self.http) + path, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def until(self, true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Wait until something holds; fail with the log when it does not."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"the service ended, waiting for {what}:\n" + "\n".join(self.log[-20:]))
            if true():
                return
            time.sleep(0.05)
        raise AssertionError(f"no end of waiting for {what}:\n" + "\n".join(self.log[-20:]))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()


def free_port() -> tuple[str, int]:
    """An address on loopback that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return "127.0.0.1", opened.getsockname()[1]
