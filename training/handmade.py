"""Wanted mail that the corpus lacks, made from texts written by hand: Catalan, Portuguese, Italian, Spanish.

`training/ham/*.yaml` holds the texts, each with an author, a domain, a subject and a shape (plain, reply,
html, receipt, newsletter). Here each becomes the message that such a sender's program would have made.
Every fourth is held out: it is measured and never trained on. Deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "ham"
HELD_OUT = 4  # every fourth

_START = datetime(2024, 9, 2, 8, 30, tzinfo=UTC)
_LINK = "https://"


@dataclass(frozen=True, slots=True)
class Text:
    """One text as it was written."""

    language: str
    place: int
    author: str
    domain: str
    subject: str
    body: str
    shape: str

    @property
    def held_out(self) -> bool:
        return self.place % HELD_OUT == HELD_OUT - 1


def texts() -> list[Text]:
    """Every text, by language."""
    return [
        Text(
            path.stem,
            place,
            one["from"],
            one["domain"],
            one["subject"],
            one["body"],
            one.get("shape", "plain"),
        )
        for path in sorted(FOLDER.glob("*.yaml"))
        for place, one in enumerate(yaml.safe_load(path.read_text()))
    ]


def message(text: Text) -> bytes:
    """The message that `text` makes."""
    mail = EmailMessage(policy=SMTP)
    user = text.author.split()[0].lower().encode("ascii", "ignore").decode() or "info"
    mail["From"] = Address(text.author, user, text.domain)
    mail["To"] = "info@example.org"
    mail["Subject"] = text.subject
    mail["Date"] = _START + timedelta(days=3 * text.place, hours=len(text.subject) % 9)
    mail["Message-ID"] = f"<{text.place:04d}.{len(text.body):04d}.{len(text.subject):02d}@{text.domain}>"
    if text.shape == "reply":
        mail["In-Reply-To"] = f"<{text.place:04d}.question@example.org>"
        mail["References"] = mail["In-Reply-To"]
        quoted = "".join(f"> {line}\n" for line in text.body.splitlines()[:2])
        mail.set_content(f"{text.body}\n\n{quoted}")
        return mail.as_bytes()
    mail.set_content(text.body + "\n")
    if text.shape != "plain":
        mail.add_alternative(_page(text), subtype="html")
    return mail.as_bytes()


def _page(text: Text) -> str:
    body = {"receipt": _receipt, "newsletter": _newsletter}.get(text.shape, _letter)(text)
    return (
        f"<!DOCTYPE html>\n<html lang={text.language[:2]}><head><meta charset=utf-8>"
        '<meta name="viewport" content="width=device-width">'
        "<style>body{margin:0;font-family:Arial} .box{max-width:600px;margin:auto}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _letter(text: Text) -> str:
    return f'<div class="box">{"".join(_paragraphs(text))}</div>'


def _receipt(text: Text) -> str:
    rows = "".join(f"<tr><td>{paragraph}</td></tr>\n" for paragraph in _paragraphs(text))
    logo = f'<img src="https://www.{text.domain}/logo.png" width="120" alt="{escape(text.author)}">'
    return (
        '<table role="presentation" width="100%" bgcolor="#f4f4f4"><tr><td align="center">'
        f'<table role="presentation" width="600" bgcolor="#ffffff"><tr><td>{logo}</td></tr>\n{rows}'
        f'<tr><td><a href="https://www.{text.domain}/">{text.domain}</a></td></tr></table></td></tr></table>'
    )


def _newsletter(text: Text) -> str:
    preview = escape(text.body.splitlines()[-1])
    return (
        f'<div style="display:none;max-height:0;overflow:hidden">{preview}</div>'
        f'<h1 style="font-size:22px">{escape(text.subject)}</h1>{_receipt(text)}'
        f'<p style="font-size:11px;color:#777777"><a href="https://www.{text.domain}/unsubscribe?u={text.place}">'
        f"{escape(text.author)}</a></p>"
    )


def _paragraphs(text: Text) -> list[str]:
    return [f"<p>{_linked(part)}</p>" for part in text.body.split("\n\n")]


def _linked(paragraph: str) -> str:
    words = escape(paragraph).replace("\n", "<br>\n").split(" ")
    return " ".join(_anchor(word) if word.startswith(_LINK) else word for word in words)


def _anchor(word: str) -> str:
    url = word.rstrip(".,")
    return f'<a href="{url}">{url}</a>{word[len(url) :]}'
