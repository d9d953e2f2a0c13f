"""Mailboxes of a real Dovecot: read over IMAP and POP3, followed with IDLE and without, and never changed."""

from __future__ import annotations

import imaplib
import json
import os
import smtplib
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from filterd.app import imap as following
from filterd.app.imap import Watcher, Watching
from filterd.learning import LearningLimits
from filterd.learning.learner import SiteLearner, open_learner
from filterd.mailboxes import ImapSession, ImapSettings, MailboxError, parse_mailbox, password_from, read_mailbox
from filterd.mailboxes.imap import quoted
from filterd.sources import Found
from filterd.store import Store, SuggestionFilter, SuggestionState
from tests.dovecot import SECRET, USER, Dovecot
from tests.learning.letters import letter
from tests.serving import Serving

pytestmark = pytest.mark.peer("dovecot")

ALL = SuggestionFilter(states=tuple(SuggestionState))


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as server:
        yield server


@pytest.fixture(autouse=True)
def empty(dovecot: Dovecot) -> None:
    with dovecot.reader() as session:
        for folder in ("INBOX", "Junk", "Trash"):
            if session.select(folder)[1] != [b"0"]:
                session.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
                session.expunge()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "state")
    yield opened
    opened.close()


@pytest.fixture
def learner(store: Store, tmp_path: Path) -> Iterator[SiteLearner]:
    with open_learner(tmp_path / "state", store, None, LearningLimits()) as opened:
        yield opened


@pytest.fixture
def watcher(
    dovecot: Dovecot, store: Store, learner: SiteLearner, secret: Path, tmp_path: Path
) -> Callable[[], Watcher]:
    """A watcher that knows what stands on disk, as after a restart."""
    settings = ImapSettings(url=url(dovecot), password_file=secret)
    return lambda: Watcher(settings, tmp_path / "state", store, learner.handle, following.threading.Event())


def url(dovecot: Dovecot, scheme: str = "imap", folder: str = "") -> str:
    port = {"imap": dovecot.imap, "imaps": dovecot.imaps, "pop3": dovecot.pop3, "pop3s": dovecot.pop3s}[scheme]
    return f"{scheme}://{USER.replace('@', '%40')}@127.0.0.1:{port}/{folder}".rstrip("/")


def put(dovecot: Dovecot, folder: str, *raws: bytes) -> None:
    with dovecot.reader() as session:
        for raw in raws:
            session.append(folder, "", imaplib.Time2Internaldate(time.time()), raw)


def move(dovecot: Dovecot, source: str, target: str, message_id: str) -> None:
    with dovecot.reader() as session:
        session.select(source)
        _, (found,) = session.uid("SEARCH", "HEADER", "Message-ID", message_id)
        assert session.uid("MOVE", found.decode(), target)[0] == "OK"


def untouched(dovecot: Dovecot, folder: str) -> list[str]:
    """The flags of the messages in a folder, but for \\Recent, which comes and goes by itself."""
    with dovecot.reader() as session:
        session.select(folder, readonly=True)
        _, found = session.fetch("1:*", "(FLAGS)")
        lines = [one.decode() for one in found if isinstance(one, bytes)]
        return [line.partition("FLAGS (")[2].partition(")")[0].replace("\\Recent", "") for line in lines]


def learnt(store: Store) -> list[tuple[str, bool]]:
    return [(one.message_id, one.spam) for one in reversed(store.suggestions.find(ALL).rows)]


def test_moves_are_learnt_and_nothing_is_touched(
    dovecot: Dovecot, watcher: Callable[[], Watcher], store: Store, tmp_path: Path
) -> None:
    put(dovecot, "Junk", letter(1, spam=True))
    put(dovecot, "INBOX", letter(2, spam=True), letter(3, spam=False))
    assert watcher().once() == 0
    move(dovecot, "INBOX", "Junk", "<2.1@example.net>")
    assert watcher().once() == 1
    assert watcher().once() == 0
    assert learnt(store) == [("<2.1@example.net>", True)]
    move(dovecot, "Junk", "INBOX", "<1.1@example.net>")
    move(dovecot, "INBOX", "Trash", "<3.0@example.net>")
    assert watcher().once() == 1
    assert learnt(store)[1:] == [("<1.1@example.net>", False)]
    one = store.suggestions.find(ALL).rows[0]
    assert (one.way, one.reporter, one.address) == ("imap", USER, USER)
    assert store.suggestions.raw(one.id) == letter(1, spam=True)
    for folder, count in (("Junk", 1), ("INBOX", 1), ("Trash", 1)):
        assert untouched(dovecot, folder) == [""] * count
    (file,) = (tmp_path / "state" / "imap").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET not in file.read_text()


def test_a_junk_folder_that_is_made_anew(dovecot: Dovecot, watcher: Callable[[], Watcher], store: Store) -> None:
    put(dovecot, "Junk", letter(1, spam=True))
    watcher().once()
    with dovecot.reader() as session:
        session.delete("Junk")
        time.sleep(1.1)  # Dovecot's UIDVALIDITY is a time
        session.create("Junk")
    put(dovecot, "Junk", letter(1, spam=True), letter(2, spam=True))
    assert watcher().once() == 0
    put(dovecot, "Junk", letter(3, spam=True))
    assert watcher().once() == 1
    assert learnt(store) == [("<3.1@example.net>", True)]


def test_a_state_that_cannot_be_read_is_begun_anew(
    dovecot: Dovecot, watcher: Callable[[], Watcher], store: Store, tmp_path: Path
) -> None:
    put(dovecot, "Junk", letter(1, spam=True))
    watcher().once()
    (file,) = (tmp_path / "state" / "imap").iterdir()
    file.write_bytes(b'{"folders": {"Junk": ')
    put(dovecot, "Junk", letter(2, spam=True))
    assert watcher().once() == 0
    assert learnt(store) == []


@contextmanager
def watching(dovecot: Dovecot, scheme: str, secret: Path, state: Path, learner: SiteLearner) -> Iterator[None]:
    settings = ImapSettings(url=url(dovecot, scheme), password_file=secret, ca=dovecot.ca, every="1s")
    running = Watching((settings,), state, learner.store, learner.handle)
    yield
    running.close()
    assert not any(thread.is_alive() for thread in running._threads)


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.parametrize("idles", [True, False])
@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_a_folder_is_followed(
    dovecot: Dovecot,
    store: Store,
    learner: SiteLearner,
    secret: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    idles: bool,
) -> None:
    monkeypatch.setattr(following, "BACKOFF", (0.2,))
    if not idles:
        monkeypatch.setattr(ImapSession, "idles", False)
    secret.write_text("wrong\n")
    put(dovecot, "INBOX", letter(5, spam=True))
    with watching(dovecot, scheme, secret, tmp_path / "state", learner):
        time.sleep(0.5)
        secret.write_text(f"{SECRET}\n")
        until(lambda: any((tmp_path / "state" / "imap").glob("*.json")))
        move(dovecot, "INBOX", "Junk", "<5.1@example.net>")
        until(lambda: learnt(store) == [("<5.1@example.net>", True)])
    assert untouched(dovecot, "Junk") == [""]


@pytest.mark.parametrize("scheme", ["imap", "imaps", "pop3", "pop3s"])
def test_a_mailbox_is_read(dovecot: Dovecot, scheme: str) -> None:
    raws = [letter(number, spam=False) for number in range(3)]
    put(dovecot, "INBOX", *raws)
    found = list(read_mailbox(parse_mailbox(url(dovecot, scheme)), SECRET, dovecot.ca))
    assert [one.raw for one in found if isinstance(one, Found)] == raws
    assert found[0].path == f"{url(dovecot, scheme).replace('%40', '@')}#1" or scheme.startswith("imap")
    assert untouched(dovecot, "INBOX") == [""] * 3
    (large, *_) = read_mailbox(parse_mailbox(url(dovecot, scheme)), SECRET, dovecot.ca, limit=10)
    assert not isinstance(large, Found)
    assert large.why == "larger than 10 bytes"


@pytest.mark.parametrize("scheme", ["imap", "imaps", "pop3", "pop3s"])
def test_why_a_mailbox_is_not_read(dovecot: Dovecot, scheme: str) -> None:
    mailbox = parse_mailbox(url(dovecot, scheme))
    with pytest.raises(MailboxError, match=f"127.0.0.1 does not let {USER} in") as error:
        list(read_mailbox(mailbox, "geheim", dovecot.ca))
    assert "geheim" not in repr(error.value)
    if scheme.endswith("s"):
        with pytest.raises(MailboxError, match="certificate"):
            list(read_mailbox(mailbox, SECRET))
    if scheme.startswith("imap"):
        with pytest.raises(MailboxError, match="there is no folder Nowhere"):
            list(read_mailbox(mailbox.at("Nowhere"), SECRET, dovecot.ca))


def test_what_may_not_stand_in_a_url(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a password does not belong") as error:
        parse_mailbox("imaps://ann:geheim@mail.example.org")
    assert "geheim" not in str(error.value)
    for wrong in ("imaps://mail.example.org", "http://ann@x", "imaps://ann@", "pop3s://a@x/F", "imap://a@x/%0a", "x"):
        with pytest.raises(ValueError, match=r"mailbox|folders"):
            parse_mailbox(wrong)
    with pytest.raises(MailboxError, match="FILTERD_MAILBOX_PASSWORD"):
        password_from(None)
    with pytest.raises(MailboxError, match="No such file"):
        password_from(tmp_path / "none")


def test_folder_names_in_other_scripts() -> None:
    assert quoted("Entwürfe & Co/日本") == '"Entw&APw-rfe &- Co/&ZeVnLA-"'  # RFC 3501 section 5.1.3
    assert quoted('a"b\\') == '"a\\"b\\\\"'


def test_the_commands_learn_and_train_from_mailboxes(dovecot: Dovecot, secret: Path, tmp_path: Path) -> None:
    put(dovecot, "INBOX", *(letter(number, spam=False) for number in range(12)))
    put(dovecot, "Junk", *(b"X-Spam-Score: 3\r\n" + letter(number, spam=True) for number in range(10)))
    config = tmp_path / "filterd.yaml"
    config.write_text(f"state: {tmp_path}/trained\n")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "filterd", *arguments, "-c", str(config)]
        env = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)

    ca = ["--ca", str(dovecot.ca)]
    folders = ["--ham-folder", "INBOX", "--spam-folder", "Junk"]
    done = run(
        "train", "--imap", url(dovecot, "imaps"), *folders, *ca, "--force", "--json", FILTERD_MAILBOX_PASSWORD=SECRET
    )
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["ham"], json.loads(done.stdout)["spam"]) == (12, 10)
    assert "X-Spam-Score" not in done.stderr  # what we put there is no leak, for it was taken off
    done = run("learn", "spam", url(dovecot, "imap", "Junk"), "--password-file", str(secret), *ca)
    assert done.stdout == "10 known already; labels now: 12 ham, 10 spam\n", done.stderr
    pop3 = ["--pop3", url(dovecot, "pop3s"), "--pop3-class", "ham", "--password-file", str(secret), *ca]
    done = run("evaluate", *pop3, "--spam", url(dovecot, "imaps", "Junk"), "--json")
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["ham"], json.loads(done.stdout)["spam"]) == (12, 10)
    done = run("train", "--imap", url(dovecot), *folders)
    assert (done.returncode, SECRET in done.stderr) == (2, False)
    done = run("imap-watch", "--imap", url(dovecot), "--password-file", str(secret), "--once")
    assert done.returncode == 0, done.stderr
    assert [one.name for one in (tmp_path / "trained" / "imap").iterdir() if one.suffix == ".json"]


def test_the_service_learns_the_message_as_it_was_received(dovecot: Dovecot, secret: Path, tmp_path: Path) -> None:
    followed = {"url": url(dovecot, "imaps"), "password_file": str(secret), "ca": str(dovecot.ca)}
    with Serving(
        tmp_path,
        relay=dovecot.lmtp_url,
        learn={"imap": [followed]},
        retention={"min_free": 0, "keep": "message"},
    ) as service:
        service.until(lambda: any((service.state / "imap").glob("*.json")), "the first look")
        with smtplib.SMTP(*service.smtp) as client:
            client.sendmail("x@example.net", [USER], letter(7, spam=True))
        dovecot.wait_for(1)
        store = Store.open(service.state)
        service.until(lambda: bool(store.history.find().rows), "the record")
        move(dovecot, "INBOX", "Junk", "<7.1@example.net>")
        service.until(lambda: learnt(store) == [("<7.1@example.net>", True)], "the move to be learnt")
        (one,) = store.suggestions.find(ALL).rows
        assert store.history.show(one.record) is not None
        assert store.suggestions.raw(one.id) == letter(7, spam=True)
        store.close()
        assert service.status()["suggestions"] == {"pending": 0, "doubtful": 0}
        assert not any(SECRET in line for line in service.log)
