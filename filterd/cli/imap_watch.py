"""`filterd imap-watch`: follow Junk folders, and learn what their owners move. The service does the same by itself."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from filterd.cli.common import ConfigOption, Fail, read_config
from filterd.cli.learn import learning
from filterd.cli.mailbox_sources import CaOption, ImapOption, PasswordOption
from filterd.cli.storing import opened
from filterd.learning import LearningError, Request, Result
from filterd.mailboxes import ImapSettings, MailboxError


def command(
    url: ImapOption = None,
    password_file: PasswordOption = None,
    ca: CaOption = None,
    junk: Annotated[str, typer.Option("--junk", metavar="F", help="What is moved here is spam.")] = "Junk",
    folders: Annotated[
        list[str] | None, typer.Option("--folder", metavar="F", help="What comes back here is ham. Default: INBOX.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    config: ConfigOption = None,
) -> None:
    """Without --imap: the mailboxes of `learn.imap`. The first look takes stock and learns nothing; what is known
    stands in the state folder, so that a restart learns nothing again. Nothing is marked, moved or deleted."""
    from filterd.app.imap import Watcher, Watching
    from filterd.app.logs import set_up

    settings = read_config(config)
    mailboxes = (_named(url, password_file, ca, junk, folders),) if url else settings.learn.imap
    if not mailboxes:
        raise Fail("there is no mailbox to follow: give --imap, or set learn.imap")
    set_up(settings.log)
    with opened(settings) as store, learning(settings) as handle:
        if once:
            for one in mailboxes:
                try:
                    Watcher(one, settings.state, store, handle, threading.Event()).once()
                except (MailboxError, LearningError) as error:
                    raise Fail(str(error)) from error
            return
        turn = threading.Lock()

        def in_turn(request: Request) -> Result:
            with turn:
                return handle(request)

        watching = Watching(mailboxes, settings.state, store, in_turn)
        with contextlib.suppress(KeyboardInterrupt):
            watching.wait()
        watching.close()


def _named(url: str, password_file: Path | None, ca: Path | None, junk: str, folders: list[str] | None) -> ImapSettings:
    if password_file is None:
        raise Fail("give --password-file: what follows a mailbox asks for it again and again")
    try:
        return ImapSettings(url=url, password_file=password_file, ca=ca, junk=junk, folders=tuple(folders or ["INBOX"]))
    except ValidationError as error:
        raise Fail(f"--imap: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
