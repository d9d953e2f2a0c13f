"""What commands that read mailboxes on servers share: their options, and the messages there as those of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from filterd.cli.common import Fail
from filterd.learning.originals import as_received
from filterd.mail import Message
from filterd.mailboxes import MailboxUrl, is_mailbox, parse_mailbox, password_from, read_mailbox
from filterd.sources import Found, Item, read_sources

ImapOption = Annotated[
    str | None, typer.Option("--imap", metavar="URL", help="A mailbox: imaps://user@host, without a password.")
]
Pop3Option = Annotated[str | None, typer.Option("--pop3", metavar="URL", help="A mailbox: pop3s://user@host.")]
Pop3ClassOption = Annotated[str, typer.Option("--pop3-class", metavar="C", help="What lies in it: spam or ham.")]
HamFolderOption = Annotated[
    list[str] | None, typer.Option("--ham-folder", metavar="F", help="With --imap: wanted mail. Repeatable.")
]
SpamFolderOption = Annotated[
    list[str] | None, typer.Option("--spam-folder", metavar="F", help="With --imap: spam. Repeatable.")
]
PasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--password-file", metavar="FILE", help="Its first line is the password; else $FILTERD_MAILBOX_PASSWORD."
    ),
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="The authorities to believe, PEM; else the system's.")
]


class Mailboxes:
    """What opens mailboxes, and those that options name, each with whether it holds spam."""

    def __init__(
        self,
        password_file: Path | None = None,
        ca: Path | None = None,
        named: Sequence[tuple[bool, MailboxUrl]] = (),
    ) -> None:
        self.named = list(named)
        self._password_file = password_file
        self._ca = ca

    def read(self, mailbox: MailboxUrl) -> Iterator[Item]:
        """The messages there, without what we had put above them. Raises MailboxError."""
        for item in read_mailbox(mailbox, password_from(self._password_file), self._ca):
            yield Found(item.path, as_received(Message(item.raw))) if isinstance(item, Found) else item

    def read_all(self, paths: Iterable[str]) -> Iterator[Item]:
        """The messages of paths, and of mailboxes among them."""
        for path in paths:
            yield from self.read(mailbox_of(path)) if is_mailbox(path) else read_sources([path])


def mailbox_of(url: str) -> MailboxUrl:
    try:
        return parse_mailbox(url)
    except ValueError as error:
        raise Fail(str(error)) from error


def folders_of(
    imap: str | None,
    ham_folders: list[str] | None,
    spam_folders: list[str] | None,
    pop3: str | None,
    pop3_class: str,
) -> list[tuple[bool, MailboxUrl]]:
    """The mailboxes that the options name, each with whether it holds spam. Raises Fail."""
    found: list[tuple[bool, MailboxUrl]] = []
    if imap is not None:
        mailbox = mailbox_of(imap)
        if not (mailbox.imap and (ham_folders or spam_folders)):
            raise Fail("--imap needs imaps://user@host, and --ham-folder or --spam-folder")
        found += [(False, mailbox.at(folder)) for folder in ham_folders or ()]
        found += [(True, mailbox.at(folder)) for folder in spam_folders or ()]
    elif ham_folders or spam_folders:
        raise Fail("--ham-folder and --spam-folder go with --imap")
    if pop3 is not None:
        if pop3_class not in ("spam", "ham"):
            raise Fail("--pop3 needs --pop3-class spam or --pop3-class ham")
        found.append((pop3_class == "spam", mailbox_of(pop3)))
    return found
