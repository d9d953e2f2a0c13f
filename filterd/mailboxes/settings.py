"""The settings of a mailbox whose Junk folder is followed."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from filterd.mailboxes.url import MailboxUrl, parse_mailbox
from filterd.settings import Duration, Settings

_TRASH = frozenset({"trash", "bin", "deleted items", "deleted messages"})


class ImapSettings(Settings):
    url: str = Field(description="Whose mailbox, and where: `imaps://ann@mail.example.org`. Never with a password.")
    password_file: Path = Field(description="A file whose first line is the password.")
    ca: Path | None = Field(None, description="PEM file of the authorities to believe; null: the system's.")
    junk: str = Field("Junk", min_length=1, description="What is moved into this folder is learnt as spam.")
    folders: tuple[str, ...] = Field(
        ("INBOX",), description="What is moved from `junk` into one of these is learnt as ham. Never name Trash."
    )
    address: str = Field("", description="Whose mail it is; empty: the user of `url`.")
    every: Duration = Field(60.0, ge=1, description="How often it is looked at, where the server has no IDLE.")

    @field_validator("url")
    @classmethod
    def _is_imap(cls, url: str) -> str:
        if not parse_mailbox(url).imap:
            raise ValueError("only IMAP has folders to follow: write imaps://user@host")
        return url

    @field_validator("folders")
    @classmethod
    def _no_trash(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := next((one for one in folders if one.rpartition("/")[2].lower() in _TRASH), None):
            raise ValueError(f"{wrong}: what is thrown away is not ham")
        return folders

    @property
    def mailbox(self) -> MailboxUrl:
        return parse_mailbox(self.url)

    @property
    def owner(self) -> str:
        """Who is said to have moved what is moved."""
        return self.address or self.mailbox.user
