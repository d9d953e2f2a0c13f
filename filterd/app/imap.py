"""Mailboxes that are followed: a thread for each, which tells the learning process what its owner moves.

`Watching` is started and ended by the jobs process, and by `filterd imap-watch`. What is known of a mailbox stands in
the state folder, so that a restart learns nothing again. A mailbox that cannot be reached is tried again ever less
often. Nothing here marks, moves or deletes mail.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import structlog

from filterd.learning import Klass, LearningError, Request, Result
from filterd.learning.following import Following, Seen
from filterd.learning.link import ask
from filterd.learning.originals import Originals
from filterd.mailboxes import ImapSession, ImapSettings, MailboxError, password_from
from filterd.sources import wire_form
from filterd.store import Store, StoreError, Way

log = structlog.get_logger("filterd.imap")

FOLDER = "imap"  # in the state folder
PATIENCE = 5.0  # seconds that a thread has to end
FRESH = 600.0  # seconds after which a folder is looked at even without news
BACKOFF = (5.0, 15.0, 60.0, 300.0)

Learn = Callable[[Request], Result]


class Watching:
    """All the mailboxes of a configuration, followed until `close`."""

    def __init__(
        self, mailboxes: Sequence[ImapSettings], state: Path, store: Store, learn: Learn | None = None
    ) -> None:
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(
                target=Watcher(one, state, store, learn, self._ended).run, name=f"imap-{place}", daemon=True
            )
            for place, one in enumerate(mailboxes)
        ]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Until it is closed, by whoever interrupts this."""
        self._ended.wait()

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(PATIENCE)


class Watcher:
    """One mailbox. `learn` is who learns; None: the learning process of the service."""

    def __init__(
        self, mailbox: ImapSettings, state: Path, store: Store, learn: Learn | None, ended: threading.Event
    ) -> None:
        self._mailbox = mailbox
        self._state = state
        self._originals = Originals(store)
        self._learn = learn or self._ask
        self._ended = ended
        self._failures = 0
        self._trouble = ""
        name = hashlib.sha256(f"{mailbox.mailbox} {mailbox.junk}".encode()).hexdigest()[:16]
        self._file = state / FOLDER / f"{name}.json"

    def run(self) -> None:
        """Follow it until the end; trouble is told once, and again when it is another."""
        while not self._ended.is_set():
            try:
                self.follow()
            except (MailboxError, LearningError, StoreError, OSError) as error:
                if str(error) != self._trouble:
                    log.error("mailbox-not-followed", mailbox=str(self._mailbox.mailbox), why=str(error))
                self._trouble = str(error)
                self._ended.wait(BACKOFF[min(self._failures, len(BACKOFF) - 1)])
                self._failures += 1

    def follow(self) -> None:
        """One connection: look, wait for news, look again."""
        with self._session() as session:
            while not self._ended.is_set():
                self.look(session)
                self._failures, self._trouble = 0, ""
                if session.idles:
                    session.wait(FRESH, self._ended.is_set)
                else:
                    self._ended.wait(self._mailbox.every)

    def once(self) -> int:
        """One look; how many messages were moved."""
        with self._session() as session:
            return self.look(session)

    def look(self, session: ImapSession) -> int:
        """Learn what was moved since the last look, and remember the mailbox as it is now."""
        before = self._read()
        following = Following(session, self._mailbox.junk, self._mailbox.folders, before)
        count = 0
        for moved in following.moves():
            self._tell(moved.raw, Klass.SPAM if moved.spam else Klass.HAM)
            count += 1
        if following.seen != before:
            self._write(following.seen)
        return count

    def _session(self) -> ImapSession:
        return ImapSession(self._mailbox.mailbox, password_from(self._mailbox.password_file), self._mailbox.ca)

    def _tell(self, copy: bytes, klass: Klass) -> None:
        owner = self._mailbox.owner
        original = self._originals.of_copy(wire_form(copy), (owner,))
        request = Request(
            klass=klass,
            raw=original.raw,
            record=original.record,
            reporter=owner,
            address=owner,
            by=f"imap:{owner}",
            way=Way.IMAP,
        )
        result = self._learn(request)
        log.info("moved", owner=owner, klass=klass.value, learnt=result.counted, queued=result.queued, why=result.why)

    def _ask(self, request: Request) -> Result:
        result = ask(self._state, request)
        if result is None:
            raise LearningError("the learning process does not answer")
        return result

    def _read(self) -> Seen:
        try:
            return msgspec.convert(json.loads(self._file.read_bytes()), Seen, strict=False)
        except FileNotFoundError:
            return Seen()
        except (ValueError, msgspec.ValidationError):
            log.warning("mailbox-state-lost", file=str(self._file))
            return Seen()

    def _write(self, seen: Seen) -> None:
        """Whole or not at all."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".fresh")
        with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(seen))
        os.replace(fresh, self._file)
