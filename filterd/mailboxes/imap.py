"""ImapSession: one mailbox over IMAP, read and never changed; and word of news in a folder, by IDLE (RFC 2177)."""

from __future__ import annotations

import base64
import contextlib
import imaplib
import re
import select
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filterd.mailboxes.url import MailboxError, MailboxUrl, tls_context

TIMEOUT = 60.0  # seconds
TURN = 1.0  # seconds of waiting after which it is asked whether to end
AT_ONCE = 500  # messages whose header fields are asked for together
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]+|&")
_UID = re.compile(rb"UID (\d+)")
_NUMBER = re.compile(rb"\d+")


class ImapSession:
    """Logged in on entering. Raises MailboxError."""

    def __init__(self, url: MailboxUrl, password: str, ca: Path | None = None) -> None:
        self.url = url
        self._password = password
        self._ca = ca
        self._imap: imaplib.IMAP4

    def __enter__(self) -> Self:
        with self._told():
            self._imap = self._connected()
            try:
                self._log_in()
            except imaplib.IMAP4.error as error:
                self._imap.shutdown()
                raise MailboxError(f"{self.url.host} does not let {self.url.user} in") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            if kind is None:
                self._imap.logout()
            else:
                self._imap.shutdown()

    @property
    def idles(self) -> bool:
        """Does the server tell of news by itself?"""
        return "IDLE" in self._imap.capabilities

    def open(self, folder: str) -> int:
        """Open a folder to read it; its UIDVALIDITY (RFC 9051 section 2.3.1.1)."""
        with self._told():
            self._checked(self._imap.select(quoted(folder), readonly=True), f"there is no folder {folder}")
            _, found = self._imap.response("UIDVALIDITY")
            numbers = _NUMBER.findall(found[0]) if found and isinstance(found[0], bytes) else []
            return int(numbers[0]) if numbers else 0

    def uids(self, since: int = 0) -> list[int]:
        """The messages of the open folder with a UID above `since`, in order."""
        with self._told():
            asked = f"{since + 1}:*" if since else "ALL"
            criteria = ("UID", asked) if since else (asked,)
            found = self._checked(self._imap.uid("SEARCH", *criteria), "the folder cannot be searched")
            return sorted(uid for uid in map(int, (found[0] or b"").split()) if uid > since)

    def fields(self, uids: Sequence[int], names: Sequence[str]) -> dict[int, bytes]:
        """These header fields of these messages, as a header block each; messages that are gone are left out."""
        found: dict[int, bytes] = {}
        for start in range(0, len(uids), AT_ONCE):
            some = ",".join(map(str, uids[start : start + AT_ONCE]))
            asked = f"(UID BODY.PEEK[HEADER.FIELDS ({' '.join(names)})])"
            found |= self._fetched(some, asked)
        return found

    def message(self, uid: int, limit: int | None = None) -> bytes | None:
        """A message; None when it is gone, or larger than that."""
        if limit is not None and self.size(uid) > limit:
            return None
        return self._fetched(str(uid), "(UID BODY.PEEK[])").get(uid)

    def size(self, uid: int) -> int:
        """What the server says of its size, in bytes; 0 when it is gone."""
        with self._told():
            found = self._checked(self._imap.uid("FETCH", str(uid), "(UID RFC822.SIZE)"), "a size cannot be read")
            sizes = re.findall(rb"RFC822\.SIZE (\d+)", b" ".join(one for one in found if isinstance(one, bytes)))
            return int(sizes[0]) if sizes else 0

    def wait(self, seconds: float, ended: Callable[[], bool] = lambda: False) -> bool:
        """Wait for news of the open folder, or until `ended`; False when there was none. Needs `idles`."""
        with self._told():
            tag = self._imap._new_tag()
            self._imap.send(tag + b" IDLE\r\n")
            line = self._imap.readline()
            while line.startswith(b"*"):
                line = self._imap.readline()
            if not line.startswith(b"+"):
                raise MailboxError(f"{self.url.host} does not wait for news")
            news = self._readable(seconds, ended)
            self._imap.send(b"DONE\r\n")
            while not (line := self._imap.readline()).startswith(tag):
                if not line:
                    raise MailboxError(f"{self.url.host} hung up")
            return news

    def _log_in(self) -> None:
        """By AUTHENTICATE PLAIN where there is one, for LOGIN is ASCII."""
        user, password = self.url.user, self._password
        if "AUTH=PLAIN" in self._imap.capabilities:
            self._imap.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())  # RFC 4616
        else:
            self._imap.login(user, password)

    def _readable(self, seconds: float, ended: Callable[[], bool]) -> bool:
        sock, ends = self._imap.sock, time.monotonic() + seconds
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        while not ended() and (left := ends - time.monotonic()) > 0:
            if select.select([sock], [], [], min(left, TURN))[0]:
                return True
        return False

    def _connected(self) -> imaplib.IMAP4:
        url = self.url
        if url.implicit_tls:
            return imaplib.IMAP4_SSL(url.host, url.port, ssl_context=tls_context(self._ca), timeout=TIMEOUT)
        found = imaplib.IMAP4(url.host, url.port, timeout=TIMEOUT)
        if "STARTTLS" in found.capabilities and (self._ca or not url.loopback):
            found.starttls(tls_context(self._ca))
        elif not url.loopback:
            found.shutdown()
            raise MailboxError(f"{url.host} offers no TLS, and no password goes there without it")
        return found

    def _fetched(self, uids: str, what: str) -> dict[int, bytes]:
        """The literal of each message, by UID. The UID may stand before the literal or after it."""
        with self._told():
            found: dict[int, bytes] = {}
            data = self._checked(self._imap.uid("FETCH", uids, what), "a message cannot be read")
            for place, one in enumerate(data):
                if isinstance(one, tuple):
                    rest = data[place + 1] if place + 1 < len(data) and isinstance(data[place + 1], bytes) else b""
                    if match := _UID.search(one[0]) or _UID.search(rest):
                        found[int(match[1])] = one[1]
            return found

    def _checked(self, answer: tuple[str, list[Any]], why: str) -> list[Any]:
        status, data = answer
        if status != "OK":
            raise MailboxError(f"{self.url.user} at {self.url.host}: {why}")
        return [one for one in data if one is not None]

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (imaplib.IMAP4.error, OSError, ValueError) as error:
            why = (getattr(error, "strerror", None) or str(error)).splitlines()
            raise MailboxError(f"{self.url.host}: {why[0][:200] if why else 'it hung up'}") from error


def quoted(folder: str) -> str:
    """A folder's name as an argument: quoted, and in modified UTF-7 (RFC 3501 section 5.1.3)."""

    def shifted(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        packed = base64.b64encode(match[0].encode("utf-16-be")).decode().rstrip("=")
        return f"&{packed.replace('/', ',')}-"

    name = _NOT_PLAIN.sub(shifted, folder).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{name}"'
