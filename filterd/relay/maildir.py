"""MaildirHop: deliver into a Maildir, one file per recipient.

A copy is written to tmp/, synced, linked into new/, and new/ is synced before there is a 250. It begins
with `Return-Path:` and `Delivered-To:`, and its lines end in LF: that is what Postfix's virtual(8) and
Dovecot's LDA store, and what mutt expects. A full disk is 452 4.3.1, any other trouble 451 4.3.0, and no
half-written file stays. All file work is done in a thread.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from filterd.mail.envelope import Recipient
from filterd.relay import admission
from filterd.relay.hop import Capabilities, Handover
from filterd.relay.own import OwnHop
from filterd.relay.settings import RelaySettings
from filterd.relay.standing import Standing
from filterd.relay.wire import BareNewline, pieces
from filterd.reply import Reply

log = logging.getLogger(__name__)

CAPABILITIES = Capabilities(dict.fromkeys(("SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"), ""))
DELIVERED = Reply(250, "Delivered", "2.0.0")
FULL = Reply(452, "The mail store is full", "4.3.1")
BROKEN = Reply(451, "The mail store has trouble", "4.3.0")
OUR_BUG = Reply(451, "The message is not in wire form", "4.3.0")
OUT_OF_ORDER = Reply(503, "Send MAIL first", "5.5.1")

_HOST = socket.gethostname().replace("/", "\\057").replace(":", "\\072")


class MaildirHop:
    """A Maildir as the next hop; the folders are made when they are needed."""

    def __init__(self, url: str, path: str, settings: RelaySettings, standing: Standing) -> None:
        self.url = url
        self.standing = standing
        self.path = Path(path)
        self.settings = settings

    async def capabilities(self) -> Capabilities | None:
        return CAPABILITIES

    def transaction(self, handover: Handover) -> MaildirTransaction:
        return MaildirTransaction(self.path, self.standing)

    async def reserve(self, handover: Handover) -> OwnHop | None:
        return None

    async def healthy(self) -> str | None:
        trouble = await asyncio.to_thread(self._trouble)
        if trouble is None:
            self.standing.answered()
        else:
            self.standing.unreachable(trouble)
        return trouble

    def renew(self) -> None:
        """There is nothing that could be."""

    async def aclose(self) -> None:
        pass

    def _trouble(self) -> str | None:
        try:
            _make(self.path)
            if os.statvfs(self.path).f_bavail == 0:
                return f"The Maildir {self.path} is on a full disk."
            if not all(os.access(self.path / folder, os.W_OK | os.X_OK) for folder in ("tmp", "new")):
                return f"The Maildir {self.path} is not writable for filterd."
        except OSError as error:
            return f"The Maildir {self.path} cannot be used: {error.strerror or error}."
        return None


class MaildirTransaction:
    """One mail for a Maildir."""

    def __init__(self, path: Path, standing: Standing) -> None:
        self._path = path
        self._standing = standing
        self._sender: str | None = None
        self._recipients: list[Recipient] = []

    async def mail(self, sender: str, parameters: Sequence[str]) -> Reply:
        await self.reset()
        command = admission.mail_command(sender, parameters, CAPABILITIES, just_send_8bit=True)
        if isinstance(command, Reply):
            return command
        self._sender = sender
        return Reply(250, "Ok", "2.1.0")

    async def rcpt(self, recipient: Recipient) -> Reply:
        if self._sender is None:
            return OUT_OF_ORDER
        command = admission.rcpt_command(recipient, CAPABILITIES)
        if isinstance(command, Reply):
            return command
        self._recipients.append(recipient)
        return Reply(250, "Ok", "2.1.5")

    async def data(self, chunks: Iterable[bytes | memoryview]) -> tuple[Reply, ...]:
        """As NextHop says. Cancelled before the copies are complete, it leaves none."""
        sender, recipients = self._sender, tuple(self._recipients)
        await self.reset()
        if sender is None or not recipients:
            return ()
        heads = [f"Return-Path: <{sender}>\nDelivered-To: {recipient.address}\n" for recipient in recipients]
        withdrawn = threading.Event()
        try:
            replies = await asyncio.to_thread(
                _deliver,
                self._path,
                [head.encode("utf-8", "surrogateescape") for head in heads],
                tuple(chunks),
                withdrawn,
            )
            self._standing.said(replies)
            return replies
        except asyncio.CancelledError:
            withdrawn.set()
            raise

    async def reset(self) -> None:
        self._sender = None
        self._recipients = []

    async def close(self) -> None:
        await self.reset()

    def another(self) -> MaildirTransaction:
        return MaildirTransaction(self._path, self._standing)


def _deliver(
    maildir: Path, heads: Sequence[bytes], chunks: Sequence[bytes | memoryview], withdrawn: threading.Event
) -> tuple[Reply, ...]:
    """Write one copy per head, then make all that were written appear; a reply for each."""
    temporary: list[Path | Reply] = []
    try:
        _make(maildir)
        for head in heads:
            if not withdrawn.is_set():
                temporary.append(_write(maildir / "tmp" / _unique(), head, chunks))
        if withdrawn.is_set():
            return (BROKEN,) * len(heads)
        return _publish(maildir / "new", temporary)
    except OSError as error:
        return (_trouble(maildir, error),) * len(heads)
    finally:
        for path in temporary:
            if isinstance(path, Path):
                path.unlink(missing_ok=True)


def _write(path: Path, head: bytes, chunks: Sequence[bytes | memoryview]) -> Path | Reply:
    """A complete, synced file in tmp/; or why there is none."""
    try:
        with open(path, "xb", opener=_private) as file:
            file.write(head)
            for piece in pieces(chunks):
                file.write(piece.replace(b"\r\n", b"\n"))
            file.flush()
            os.fsync(file.fileno())
        return path
    except OSError as error:
        path.unlink(missing_ok=True)
        return _trouble(path, error)
    except BareNewline:
        path.unlink(missing_ok=True)
        log.error("a message with a bare CR or LF reached the relay leg; it was not delivered")
        return OUR_BUG


def _publish(new: Path, temporary: Sequence[Path | Reply]) -> tuple[Reply, ...]:
    """Link what was written into new/, and sync the folder once for all."""
    linked: list[Path] = []
    try:
        replies = [path if isinstance(path, Reply) else _link(path, new / path.name, linked) for path in temporary]
        _sync(new)
        return tuple(replies)
    except OSError as error:
        for path in linked:
            path.unlink(missing_ok=True)
        trouble = _trouble(new, error)
        return tuple(path if isinstance(path, Reply) else trouble for path in temporary)


def _link(path: Path, target: Path, linked: list[Path]) -> Reply:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):  # a file system without links
            raise
        os.rename(path, target)
    linked.append(target)
    return DELIVERED


def _make(maildir: Path) -> None:
    """The three folders, for filterd's user alone; their names are on disk when this returns."""
    if all((maildir / folder).is_dir() for folder in ("tmp", "new", "cur")):
        return
    maildir.parent.mkdir(parents=True, exist_ok=True)
    for folder in (maildir, maildir / "cur", maildir / "new", maildir / "tmp"):
        folder.mkdir(mode=0o700, exist_ok=True)
    _sync(maildir)
    _sync(maildir.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unique() -> str:
    """time.MmicrosecondsPpidRrandom.host, as the Maildir specification wants names."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{seconds}.M{nanoseconds // 1000}P{os.getpid()}R{secrets.token_hex(8)}.{_HOST}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _trouble(path: Path, error: OSError) -> Reply:
    log.error("cannot deliver to %s: %s", path, error.strerror or error)
    return FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else BROKEN
