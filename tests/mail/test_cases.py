"""Each file in tests/cases/mail is a message, with what must be found in it beside it: add a file, gain a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filterd.mail import Message

CASES = Path(__file__).parents[1] / "cases" / "mail"


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("case", sorted(CASES.glob("*.eml")), ids=lambda path: path.stem)
def test_case(case: Path, line_end: bytes) -> None:
    expected: dict[str, Any] = json.loads(case.with_suffix(".json").read_text("utf-8"))
    message = Message(case.read_bytes().replace(b"\n", line_end))
    for question, answer in expected.items():
        CHECKS[question](message, answer)


def _contains(text: str, wanted: list[str]) -> None:
    for piece in wanted:
        assert piece in text, f"{piece!r} is not in {text!r}"


def _not_text(message: Message, unwanted: list[str]) -> None:
    words = message.text.split()
    assert not [word for word in unwanted if word in words]


def _defects(message: Message, wanted: list[str]) -> None:
    assert set(wanted) <= set(message.defects), message.defects
    if not wanted:
        assert message.defects == ()


def _attachments(message: Message, wanted: list[tuple[str, str, list[str]]]) -> None:
    found = message.attachments
    assert [(item.name, item.type) for item in found] == [(name, kind) for name, kind, _ in wanted]
    for item, (_, _, flags) in zip(found, wanted, strict=True):
        assert set(flags) <= set(item.flags), item.flags


def _hosts(message: Message, wanted: list[str]) -> None:
    assert {link.host for link in message.links} == set(wanted)


def _equal(name: str) -> Any:
    def check(message: Message, wanted: Any) -> None:
        assert getattr(message, name) == wanted, message.defects

    return check


def _types(message: Message, wanted: list[str]) -> None:
    types = [part.type for part in message.parts]
    assert types == wanted if not message.ambiguous else set(wanted) <= set(types)


def _same(found: Any, wanted: Any) -> None:
    assert found == wanted


CHECKS: dict[str, Any] = {
    "subject": _equal("subject"),
    "ambiguous": _equal("ambiguous"),
    "text": lambda message, wanted: _contains(message.text, wanted),
    "not_text": _not_text,
    "hidden": lambda message, wanted: _contains(message.hidden_text, wanted),
    "links": lambda message, wanted: _contains(" ".join(link.url for link in message.links), wanted),
    "hosts": _hosts,
    "domains": lambda message, wanted: _same([link.domain for link in message.links], wanted),
    "obfuscated": lambda message, wanted: _same(
        [link.host for link in message.links if "obfuscated" in link.flags], wanted
    ),
    "attachments": _attachments,
    "paths": lambda message, wanted: _same([list(item.path) for item in message.attachments], wanted),
    "types": _types,
    "defects": _defects,
    "authors": lambda message, wanted: _same(set(message.author_domains), set(wanted)),
    "html_flags": lambda message, wanted: _same(
        set(wanted) - {flag for document in message.html for flag in document.flags}, set()
    ),
    "foreign": lambda message, wanted: _same(
        [[header.name, header.occurrence] for header in message.foreign_verdicts], wanted
    ),
}
