"""Mailbox URLs: where a mailbox is and whose, and what opens it."""

from __future__ import annotations

import os
import ssl
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from filterd.told import Told
from filterd.value import Value, replace

VARIABLE = "FILTERD_MAILBOX_PASSWORD"
PORTS = {"imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}
LONGEST_PASSWORD = 1_000


class MailboxError(Told):
    """The mailbox cannot be read; the text says why, in a sentence."""


class MailboxUrl(Value):
    """One mailbox; `folder` is "" where the URL names none."""

    scheme: str
    user: str
    host: str
    port: int
    folder: str = ""

    def __str__(self) -> str:
        return f"{self.scheme}://{self.user}@{self.host}:{self.port}{f'/{self.folder}' if self.folder else ''}"

    @property
    def imap(self) -> bool:
        return self.scheme.startswith("imap")

    @property
    def implicit_tls(self) -> bool:
        return self.scheme.endswith("s")

    @property
    def loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def at(self, folder: str) -> MailboxUrl:
        """Another folder of the same mailbox."""
        return replace(self, folder=folder)


def is_mailbox(path: str) -> bool:
    """Is this a mailbox on a server, rather than a path?"""
    scheme, found, _ = path.partition("://")
    return bool(found) and scheme.lower() in PORTS


def parse_mailbox(url: str) -> MailboxUrl:
    """Raises ValueError; never with a password in its text."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("not the address of a mailbox: write imaps://user@host/folder") from None
    if parts.password is not None:
        raise ValueError(f"a password does not belong into a URL: use a file, or the variable {VARIABLE}")
    if parts.scheme not in PORTS or not parts.hostname or not parts.username or parts.query or parts.fragment:
        raise ValueError("not the address of a mailbox: write imaps://user@host/folder, imap:, pop3s: or pop3:")
    folder, user = unquote(parts.path.removeprefix("/")), unquote(parts.username)
    if not (folder + user).isprintable():
        raise ValueError("a control character in the address of a mailbox")
    if folder and parts.scheme.startswith("pop3"):
        raise ValueError("POP3 knows no folders")
    return MailboxUrl(parts.scheme, user, parts.hostname, port or PORTS[parts.scheme], folder)


def password_from(file: Path | None, variable: str = VARIABLE) -> str:
    """The first line of the file, else what the variable holds. Raises MailboxError."""
    if file is None:
        password = os.environ.get(variable, "")
        if not password:
            raise MailboxError(f"no password: name a file that holds it, or set {variable}")
        return password
    try:
        with file.open(encoding="utf-8") as opened:
            password = opened.readline(LONGEST_PASSWORD).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise MailboxError(f"{file}: {why}") from error
    if not password:
        raise MailboxError(f"{file}: its first line, the password, is empty")
    return password


def tls_context(ca: Path | None) -> ssl.SSLContext:
    """Verifies the server's name and certificate, by the system's authorities or those in a file."""
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise MailboxError(f"{ca}: {error.strerror or error}") from error
