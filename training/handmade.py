"""Wanted mail that the corpus lacks, made from texts written by hand: Catalan, Portuguese, Italian, Spanish.

`training/ham/*.yaml` holds the texts, each with an author, a domain, a subject and a shape (plain, reply,
html, receipt, newsletter). Here each becomes the message that such a sender's program would have made.
Every fourth is held out: it is measured and never trained on. Deterministic.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from html import escape
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent / "ham"
HELD_OUT = 4  # every fourth
ROMANCE = ("catalan", "italian", "portuguese", "spanish")
SHELLS = ("cerberus", "default", "neopolitan", "salted")
HELD_OUT_SHELL = "salted"

_START = datetime(2024, 9, 2, 8, 30, tzinfo=UTC)
_LINK = "https://"


@dataclass(frozen=True, slots=True)
class Letter:
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


@dataclass(frozen=True, slots=True)
class Notice:
    """One content of a shell, and the shell."""

    place: int
    shell: str
    content: Mapping[str, str]

    @property
    def held_out(self) -> bool:
        return self.place % HELD_OUT == HELD_OUT - 1 or self.shell == HELD_OUT_SHELL


def letters() -> list[Letter]:
    """Every letter, by language."""
    return [
        Letter(
            language,
            place,
            one["from"],
            one["domain"],
            one["subject"],
            one["body"],
            one.get("shape", "plain"),
        )
        for language in ROMANCE
        for place, one in enumerate(_load(language))
    ]


def notices() -> list[Notice]:
    """Every content in every shell."""
    return [Notice(place, shell, content) for place, content in enumerate(_load("english")) for shell in SHELLS]


def notice_message(notice: Notice) -> bytes:
    """The message that `notice` makes; a third of the shells' senders write no plain part."""
    content = notice.content
    mail = _head(content["name"], "hello", content["domain"], content["subject"], notice.place)
    fill = {
        "NAME": content["name"],
        "DOMAIN": content["domain"],
        "TITLE": content["subject"],
        "INTRO": content["body"],
        "KEY": content["key"],
        "VALUE": content["value"],
        "ASK": content["ask"],
        "BUTTON": content["button"],
        "PATH": f"a/{len(content['body']):03d}{notice.place:03d}",
        "OUTRO": content["outro"],
        "FOOTER": f"{content['name']}, 1 Main Street",
    }
    page = re.sub("@@([A-Z]+)@@", lambda match: escape(fill[match[1]]), _shell(notice.shell))
    if len(content["name"] + notice.shell) % 3:
        lines = ("body", "key", "value", "ask", "outro")
        mail.set_content("\n\n".join(content[line] for line in lines) + "\n")
        mail.add_alternative(page, subtype="html")
    else:
        mail.set_content(page, subtype="html")
    return mail.as_bytes()


def _load(name: str) -> list[dict[str, str]]:
    loaded: list[dict[str, str]] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return loaded


@cache
def _shell(name: str) -> str:
    return (FOLDER / "templates" / f"{name}.html").read_text()


def _head(author: str, user: str, domain: str, subject: str, place: int) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(author, user, domain)
    mail["To"] = "info@example.org"
    mail["Subject"] = subject
    mail["Date"] = _START + timedelta(days=3 * place, hours=len(subject) % 9)
    mail["Message-ID"] = f"<{place:04d}.{len(author):02d}.{len(subject):03d}@{domain}>"
    return mail


def letter_message(letter: Letter) -> bytes:
    """The message that `letter` makes."""
    user = letter.author.split()[0].lower().encode("ascii", "ignore").decode() or "info"
    mail = _head(letter.author, user, letter.domain, letter.subject, letter.place)
    if letter.shape == "reply":
        mail["In-Reply-To"] = f"<{letter.place:04d}.question@example.org>"
        mail["References"] = mail["In-Reply-To"]
        quoted = "".join(f"> {line}\n" for line in letter.body.splitlines()[:2])
        mail.set_content(f"{letter.body}\n\n{quoted}")
        return mail.as_bytes()
    mail.set_content(letter.body + "\n")
    if letter.shape != "plain":
        mail.add_alternative(_page(letter), subtype="html")
    return mail.as_bytes()


def _page(letter: Letter) -> str:
    body = {"receipt": _receipt, "newsletter": _newsletter}.get(letter.shape, _letter)(letter)
    return (
        f"<!DOCTYPE html>\n<html lang={letter.language[:2]}><head><meta charset=utf-8>"
        '<meta name="viewport" content="width=device-width">'
        "<style>body{margin:0;font-family:Arial} .box{max-width:600px;margin:auto}</style></head>\n"
        f"<body>{body}</body></html>\n"
    )


def _letter(letter: Letter) -> str:
    return f'<div class="box">{"".join(_paragraphs(letter))}</div>'


def _receipt(letter: Letter) -> str:
    rows = "".join(f"<tr><td>{paragraph}</td></tr>\n" for paragraph in _paragraphs(letter))
    logo = f'<img src="https://www.{letter.domain}/logo.png" width="120" alt="{escape(letter.author)}">'
    return (
        '<table role="presentation" width="100%" bgcolor="#f4f4f4"><tr><td align="center">'
        f'<table role="presentation" width="600" bgcolor="#ffffff"><tr><td>{logo}</td></tr>\n{rows}'
        f'<tr><td><a href="https://www.{letter.domain}/">{letter.domain}</a></td></tr></table></td></tr></table>'
    )


def _newsletter(letter: Letter) -> str:
    preview = escape(letter.body.splitlines()[-1])
    return (
        f'<div style="display:none;max-height:0;overflow:hidden">{preview}</div>'
        f'<h1 style="font-size:22px">{escape(letter.subject)}</h1>{_receipt(letter)}'
        f'<p style="font-size:11px;color:#777777"><a href="https://www.{letter.domain}/unsubscribe?u={letter.place}">'
        f"{escape(letter.author)}</a></p>"
    )


def _paragraphs(letter: Letter) -> list[str]:
    return [f"<p>{_linked(part)}</p>" for part in letter.body.split("\n\n")]


def _linked(paragraph: str) -> str:
    words = escape(paragraph).replace("\n", "<br>\n").split(" ")
    return " ".join(_anchor(word) if word.startswith(_LINK) else word for word in words)


def _anchor(word: str) -> str:
    url = word.rstrip(".,")
    return f'<a href="{url}">{url}</a>{word[len(url) :]}'
