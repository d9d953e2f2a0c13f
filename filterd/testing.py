"""Testing: what filterd asks of a plugin, as functions that its author calls in his own tests.

    from filterd.testing import check_check, check_probe

    def test_my_check():
        check_check(loud)

In: a check, or a probe. Out: nothing, or an AssertionError that says what is wrong. A check is shown honest, broken and
hostile mail; it must find only what it declares, twice the same, in whole hundredths, without asking anybody and
without raising. A probe is asked about the same mail with a world that answers nothing.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from filterd.authentication import UNAUTHENTICATED
from filterd.engine.loading import builtin_symbols
from filterd.facts import NOTHING, DnsStatus, Questions
from filterd.findings import Check, Finding
from filterd.ids import new_id
from filterd.mail import Envelope, Mail, Message, Origin, Recipient, Source
from filterd.mail.preload import preload
from filterd.net.dns import Answer, Asks
from filterd.net.wire import Kind
from filterd.plugins import Asking, troubles
from filterd.probes import MOST, Net
from filterd.resources import shipped

SLOW = 2.0  # seconds that a check may take for one mail, however hostile
_EVENTS = ("open", "os.", "socket.", "subprocess.", "shutil.", "sqlite3.", "urllib.")

_ODD = (
    b"",
    b"\r\n",
    b"no header at all",
    b"From: \xff\xfe@\x00\r\nSubject: =?utf-8?q?=FF?=\r\nDate: never\r\n\r\n\xff\xff",
    b"From: a@a.example\r\nFrom: b@b.example\r\nTo: " + b"(" * 5_000 + b"\r\n\r\nx",
    b"X: y\r\n" * 20_000 + b"\r\n",
    b"Content-Type: text/html\r\n\r\n" + b"<a " * 20_000,
    b"Content-Type: text/plain\r\n\r\n" + b" " * 300_000 + b"a" * 300_000,
    b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" * 500,
    b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==" * 3,
)


def check_check(check: Check) -> None:
    """See the module."""
    for trouble in troubles(check):
        raise AssertionError(trouble)
    preload()
    theirs = [one for one in builtin_symbols() if one.source.startswith("filterd.") or not one.source]
    if taken := sorted({one.name for one in check.symbols} & {one.name for one in theirs}):
        raise AssertionError(f"{', '.join(taken)}: filterd has a symbol of that name")
    for mail in mails():
        first = _found(check, mail)
        if _found(check, mail) != first:
            raise AssertionError(f"{check.name} does not find the same twice in {_named(mail)}")
        for finding in first:
            if type(finding.points) is not int:
                raise AssertionError(f"{finding.name}: points are whole hundredths, not {finding.points!r}")
            if not finding.detail.isprintable():
                raise AssertionError(f"{finding.name}: the detail is one printable line, not {finding.detail!r}")


def check_probe(probe: Asking) -> None:
    """See the module."""
    if not inspect.iscoroutinefunction(probe):
        raise AssertionError("a probe is `async def (questions, net)`")
    for mail in mails():
        answer = asyncio.run(_asked(probe, Questions(origin=mail.origin)))
        try:
            text = json.dumps(answer)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"a probe answers what JSON can say: {error}") from error
        if len(text) > MOST:
            raise AssertionError(f"a probe answers with at most {MOST} characters, not {len(text)}")


def mails() -> Iterator[Mail]:
    """Honest, broken and hostile mail."""
    honest = sorted((shipped("rules") / "cases").glob("*.eml"))
    for raw in (*_ODD, *(path.read_bytes() for path in honest)):
        client = Origin("192.0.2.1", "mx.example.net", "mx.example.net", Source.PEER)
        envelope = Envelope(
            id=new_id(),
            received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            listener="smtp 127.0.0.1:10025",
            peer="192.0.2.1",
            client=client,
            sender="somebody@example.net",
            recipients=(Recipient("ann@example.org"),),
        )
        yield Mail(envelope, Message(raw), client)


class SilentDns(Asks):
    """A name server that does not answer."""

    async def lookup(self, name: str, kind: Kind) -> Answer:
        return Answer(DnsStatus.TEMPERROR, reason="nobody answers")

    def known(self, name: str, kind: Kind) -> Answer | None:
        return None


async def _asked(probe: Asking, questions: Questions) -> Any:
    return await asyncio.wait_for(probe(questions, Net(SilentDns())), SLOW)


def _found(check: Check, mail: Mail) -> list[Finding]:
    started = time.monotonic()
    try:
        with _alone(check):
            found = check(mail, NOTHING, UNAUTHENTICATED)
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{check.name} raises {type(error).__name__}: {error}, on {_named(mail)}") from error
    if time.monotonic() - started > SLOW:
        raise AssertionError(f"{check.name} takes more than {SLOW:g} seconds for {_named(mail)}")
    return found


_watched: list[str] = []  # the name of the check that is looking
_listening = False


@contextmanager
def _alone(check: Check) -> Iterator[None]:
    """Let it look, and let it do nothing else."""
    global _listening
    if not _listening:
        sys.addaudithook(_heard)  # it cannot be taken away again, so it stays silent at other times
        _listening = True
    _watched.append(check.name)
    try:
        yield
    finally:
        _watched.clear()


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event.startswith(_EVENTS):
        raise AssertionError(f"{_watched[0]} asks the outside world ({event}); that is what a probe is for")


def _named(mail: Mail) -> str:
    return f"a mail of {len(mail.message.raw)} bytes that starts with {mail.message.raw[:40]!r}"
