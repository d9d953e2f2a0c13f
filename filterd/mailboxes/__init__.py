"""Mailboxes on servers, read and never changed: IMAP (RFC 9051) and POP3 (RFC 1939). The door to imaplib and poplib.

A mailbox is named by a URL without a password: `imaps://ann@mail.example.org/Junk`, `pop3s://ann@mail.example.org`.
Folders are opened to be read only, so nothing is marked as seen and nothing is deleted. Without TLS no password leaves
this machine. Failures are `MailboxError`, with one sentence that never holds a password.
"""

from filterd.mailboxes.fetching import read_mailbox
from filterd.mailboxes.imap import ImapSession
from filterd.mailboxes.settings import ImapSettings
from filterd.mailboxes.url import MailboxError, MailboxUrl, is_mailbox, parse_mailbox, password_from

__all__ = [
    "ImapSession",
    "ImapSettings",
    "MailboxError",
    "MailboxUrl",
    "is_mailbox",
    "parse_mailbox",
    "password_from",
    "read_mailbox",
]
