"""A judge that does what the message says, to see from inside a worker what hostile bytes could do there."""

from __future__ import annotations

import os
import socket
import sys
import time
from types import SimpleNamespace
from typing import Any

import filterd.engine.loading
import filterd.engine.warmup
from filterd.facts import Facts, Questions
from filterd.judge import Inspection, Judgement
from filterd.mail import Envelope
from filterd.record import Outline


class StrangeJudge:
    model = None
    ruleset = SimpleNamespace(hash="strange")

    def inspect(self, envelope: Envelope, raw: bytes) -> tuple[Any, Inspection]:
        word = raw.partition(b"\n")[0].decode()
        if word == "die":
            os._exit(9)
        if word == "spin":
            while True:
                pass
        if word == "eat":
            bytearray(8_000_000_000)
        if word == "raise":
            raise ValueError("as asked")
        if word == "slow":
            time.sleep(0.3)
        subject = _tried() if word == "try" else word
        return raw, Inspection(questions=Questions(origin=envelope.client), outline=Outline(subject=subject))

    def judge(self, mail: bytes, facts: Facts, done: Any) -> Judgement:
        if mail.startswith(b"die-late"):
            os._exit(9)
        done("rules")
        return Judgement()


def _tried() -> str:
    """What could be done that must not be: names of the attempts that succeeded."""
    attempts = {
        "read": lambda: open("/etc/hostname").read(),  # noqa: SIM115
        "write": lambda: open("/tmp/filterd-was-here", "w"),  # noqa: SIM115
        "list": lambda: os.listdir("/"),
        "socket": lambda: socket.socket(),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "pair": lambda: socket.socketpair(),
        "pipe": lambda: os.pipe(),
        "dup": lambda: os.dup(int(sys.argv[2])),
        "fork": lambda: os.fork(),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "kill": lambda: os.kill(os.getppid(), 0),
        "unlink": lambda: os.unlink("/tmp/filterd-was-here"),
        "environment": lambda: {}[0] if set(os.environ) - {"OPENBLAS_NUM_THREADS", "LC_CTYPE"} == set() else None,
    }
    done = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, KeyError):
            continue
        done.append(name)
    return ",".join(done) or "nothing"


filterd.engine.loading.load_judge = lambda setup: StrangeJudge()  # type: ignore[assignment, return-value]
filterd.engine.warmup.rehearse = lambda judge: None
