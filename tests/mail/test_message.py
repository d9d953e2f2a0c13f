"""Message: the view as a whole, and that a worker that can open no file sees the same."""

from __future__ import annotations

import datetime
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.mail import Message
from filterd.mail.dates import parse_date

CASES = Path(__file__).parents[1] / "cases" / "mail"


def test_the_raw_bytes_are_never_changed() -> None:
    raw = b"Subject: a\rb\n\nx\0y\r\n.\r\n"
    message = Message(raw)
    assert message.defects
    assert message.raw is raw
    assert message.digest == hashlib.sha256(raw).hexdigest()
    assert bytes(message.body) == b"x\0y\r\n.\r\n"


def test_asking_twice_gives_the_same_object() -> None:
    message = Message((CASES / "zip.eml").read_bytes())
    for name in ("headers", "parts", "links", "attachments", "from_", "html", "text"):
        assert getattr(message, name) is getattr(message, name)


def test_paths_and_depths_of_parts() -> None:
    message = Message((CASES / "digest.eml").read_bytes())
    assert [(part.path, part.depth, part.children) for part in message.parts] == [
        ("1", 0, 2),
        ("1.1", 1, 1),
        ("1.1.1", 2, 0),
        ("1.2", 1, 1),
        ("1.2.1", 2, 0),
    ]


def test_an_attached_page_is_not_what_a_reader_sees() -> None:
    message = Message(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nseen\n--b\nContent-Type: application/x-y\n"
        b"Content-Disposition: attachment; filename=a.html\n\n<a href='http://evil.example/'>unseen</a>\n--b--\n"
    )
    assert message.text == "seen"
    assert [link.host for link in message.links] == ["evil.example"]
    assert [item.type for item in message.attachments] == ["text/plain"]


def test_a_preamble_and_an_epilogue_are_not_seen() -> None:
    message = Message(b"Content-Type: multipart/mixed; boundary=b\n\nbefore\n--b\n\nseen\n--b--\nafter\n")
    assert message.text == "seen"
    assert not message.ambiguous


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Tue, 3 Mar 2026 10:00:00 +0100 (CET)", "2026-03-03T10:00:00+01:00"),
        ("3 Mar 26 10:00 GMT", "2026-03-03T10:00:00+00:00"),
        ("Tue Mar  3 10:00:00 2026", "2026-03-03T10:00:00+00:00"),
        ("Tue, 03 Mar 2026 10:00:60 -0000", "2026-03-03T10:00:59+00:00"),
        ("2026-03-03T10:00:00Z", "2026-03-03T10:00:00+00:00"),
        ("Tue, 31 Feb 2026 10:00:00 +0100", None),
        ("Tue, 3 Mar 2026 10:00:00 +9999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2300", None),
        ("soon", None),
        ("", None),
        ("1" * 10_000, None),
    ],
)
def test_dates(text: str, moment: str | None) -> None:
    assert parse_date(text) == (datetime.datetime.fromisoformat(moment) if moment else None)


BLIND = """
import sys
from filterd.mail import Message, preload
raws = [open(path, "rb").read() for path in sys.argv[1:]]
names = [name for name in dir(Message) if not name.startswith("_")]
preload()
def hook(event, arguments):
    if event in ("open", "import", "socket.__new__", "subprocess.Popen"):
        raise SystemExit(f"{event} {arguments}")
sys.addaudithook(hook)
for raw in raws:
    for message in (Message(raw), Message(raw.replace(b"\\n", b"\\r\\n")), Message(raw + b"\\xe9\\xa4\\xff" * 99)):
        for name in names:
            getattr(message, name)
"""


def test_reading_opens_nothing_once_preloaded() -> None:
    paths = [str(path) for path in sorted(CASES.glob("*.eml"))]
    done = subprocess.run([sys.executable, "-c", BLIND, *paths], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
