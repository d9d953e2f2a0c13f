"""All messages of one mailbox, one at a time, as `sources` gives those of a folder."""

from __future__ import annotations

import poplib
from collections.abc import Iterator
from pathlib import Path

from filterd.mailboxes.imap import TIMEOUT, ImapSession
from filterd.mailboxes.url import MailboxError, MailboxUrl, tls_context
from filterd.sources import LIMIT, Found, Item, Unreadable, wire_form

_ALL = 1_000_000_000  # lines


def read_mailbox(url: MailboxUrl, password: str, ca: Path | None = None, limit: int = LIMIT) -> Iterator[Item]:
    """Every message there. Raises MailboxError."""
    return _read_imap(url, password, ca, limit) if url.imap else _read_pop3(url, password, ca, limit)


def _read_imap(url: MailboxUrl, password: str, ca: Path | None, limit: int) -> Iterator[Item]:
    with ImapSession(url, password, ca) as session:
        session.open(url.folder or "INBOX")
        for uid in session.uids():
            name = f"{url}#{uid}"
            if session.size(uid) > limit:
                yield Unreadable(name, f"larger than {limit} bytes")
            elif (raw := session.message(uid)) is not None:
                yield Found(name, wire_form(raw))


def _read_pop3(url: MailboxUrl, password: str, ca: Path | None, limit: int) -> Iterator[Item]:
    try:
        session = _connected(url, ca)
        try:
            session.user(url.user)
            session.pass_(password)
        except poplib.error_proto as error:
            session.close()
            raise MailboxError(f"{url.host} does not let {url.user} in") from error
        try:
            top = "TOP" in session.capa()  # RETR would mark the message as seen at servers that have IMAP too
            for line in session.list()[1]:
                number, size = map(int, line.split()[:2])
                if size > limit:
                    yield Unreadable(f"{url}#{number}", f"larger than {limit} bytes")
                else:
                    lines = (session.top(number, _ALL) if top else session.retr(number))[1]
                    yield Found(f"{url}#{number}", b"\r\n".join(lines) + b"\r\n")
        finally:
            session.close()  # no QUIT: nothing is updated (RFC 1939 section 6)
    except (poplib.error_proto, OSError, ValueError) as error:
        raise MailboxError(f"{url.host}: {getattr(error, 'strerror', None) or error}") from error


def _connected(url: MailboxUrl, ca: Path | None) -> poplib.POP3:
    if url.implicit_tls:
        return poplib.POP3_SSL(url.host, url.port, context=tls_context(ca), timeout=TIMEOUT)
    session = poplib.POP3(url.host, url.port, timeout=TIMEOUT)
    if "STLS" in session.capa() and (ca or not url.loopback):
        session.stls(tls_context(ca))  # RFC 2595 section 4
    elif not url.loopback:
        session.close()
        raise MailboxError(f"{url.host} offers no TLS, and no password goes there without it")
    return session
