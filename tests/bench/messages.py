"""The messages that the benches run on: of the corpus, or generated the same every time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

_WORDS = (
    *("the", "invoice", "for", "your", "order", "has", "been", "sent", "with", "tracking", "please", "find"),
    *("attached", "meeting", "tomorrow", "about", "our", "project", "account", "update", "offer", "click"),
    *("price", "world", "system", "kernel", "patch", "driver", "list", "regards", "thanks", "question", "answer"),
)


def from_corpus(folder: Path, count: int) -> list[bytes]:
    """Evenly over the index, in wire form."""
    names = [line.partition(" ")[2] for line in (folder / "index").read_text().splitlines()]
    step = max(1, len(names) // count)
    return [_wire((folder / name).read_bytes()) for name in names[::step][:count]]


def generated(count: int, size: int | None, seed: int = 1) -> list[bytes]:
    """Plain and HTML messages of about `size` bytes; None is 1 to 60 KB."""
    chance = random.Random(seed)
    return [_message(chance, number, size or int(1000 * 60 ** chance.random())) for number in range(count)]


def _message(chance: random.Random, number: int, size: int) -> bytes:
    head = [
        f"Received: from mail{number % 50}.example.net (mail{number % 50}.example.net [192.0.2.{number % 250}])",
        "\tby mx.example.org with ESMTPS; Sun, 22 Nov 2026 10:00:00 +0000",
        f"From: Sender {number} <sender{number}@example{number % 100}.net>",
        "To: user@example.org",
        f"Subject: {' '.join(chance.choices(_WORDS, k=6))}",
        "Date: Sun, 22 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{number}@example{number % 100}.net>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/alternative; boundary="b"',
    ]
    half = (size - 700) // 2
    plain, html = _lines(chance, half), _html(chance, half)
    parts = ["--b", "Content-Type: text/plain; charset=utf-8", "", *plain,
             "--b", "Content-Type: text/html; charset=utf-8", "", *html, "--b--", ""]  # fmt: skip
    return "\r\n".join([*head, "", *parts]).encode()


def _lines(chance: random.Random, size: int) -> Sequence[str]:
    return [" ".join(chance.choices(_WORDS, k=11)) for _ in range(max(1, size // 70))]


def _html(chance: random.Random, size: int) -> Sequence[str]:
    link = "<p>{}<a href='https://www.example{}.net/path?x={}'>{}</a></p>"
    return [
        link.format(" ".join(chance.choices(_WORDS, k=8)), chance.randrange(100), at, chance.choice(_WORDS))
        for at in range(max(1, size // 120))
    ]


def _wire(raw: bytes) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n").replace(b"\0", b"?")
