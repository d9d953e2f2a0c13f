"""The header block: which fields, where exactly, and what is ambiguous."""

from __future__ import annotations

import pytest

from filterd.mail import Message
from filterd.mail.headers import Headers

BLOCK = b"Received: by a\r\n\tid 1;\r\n now\r\nSubject : one\r\nX-Spam-Flag:NO\r\nsubject:\r\n two\r\n\r\nbody\r\n"


@pytest.mark.parametrize("raw", [BLOCK, BLOCK.replace(b"\r\n", b"\n")], ids=["crlf", "lf"])
def test_spans_cover_the_block_and_a_field_can_be_cut_out(raw: bytes) -> None:
    headers = Headers(raw)
    assert b"".join(raw[field.start : field.end] for field in headers) == raw[: headers[-1].end]
    flag = headers.first("x-spam-flag")
    assert flag is not None
    cut = raw[: flag.start] + raw[flag.end :]
    assert [field.name for field in Headers(cut)] == ["Received", "Subject", "subject"]
    assert Message(raw).body == Message(cut).body == raw[headers.body_start :]


def test_names_are_compared_without_case_and_counted_from_the_top() -> None:
    headers = Headers(BLOCK)
    assert [(field.name, field.occurrence) for field in headers.all("SUBJECT")] == [("Subject", 1), ("subject", 2)]
    assert headers.first("subject") is headers.all("Subject")[0]
    assert headers.first("To") is None
    assert headers.all("To") == ()


def test_values_are_raw_and_texts_are_unfolded() -> None:
    received = Headers(BLOCK).first("received")
    assert received is not None
    assert received.value == b" by a\r\n\tid 1;\r\n now"
    assert received.raw_text == "by a\tid 1; now"


def test_a_field_with_nothing_in_it() -> None:
    headers = Headers(b"A:\nB: \n\n")
    assert [(field.name, field.text) for field in headers] == [("A", ""), ("B", "")]


@pytest.mark.parametrize(
    ("raw", "start", "defect"),
    [
        (b"A: b\n\nx", 6, None),
        (b"\nx", 1, None),
        (b"\r\nx", 2, None),
        (b"A: b\r\n\nx", 7, None),
        (b"A: b", 4, "no-body"),
        (b"", 0, "no-body"),
        (b"no colon\nA: b\n\nx", 15, "no-colon"),
        (b" folded first\nA: b\n\nx", 20, "no-colon"),
        (b"From x@y Tue\nA: b\n\nx", 19, "mbox-from"),
        (b"A: b\n \nC: d\n\nx", 13, "blank-fold"),
        (b"A: \0\n\nx", 6, "nul"),
        (b"A: b\rc\n\nx", 8, "bare-cr"),
        (b"A : b\n\nx", 7, "space-before-colon"),
        (b"A: " + b"b" * 1_000 + b"\n\nx", 1_005, "long-line"),
        (b"A: \xff\n\nx", 6, "8bit-header"),
        ("A: ü\n\nx".encode(), 7, None),
        (b"To: a\nTo: b\n\nx", 13, "duplicate-header"),
    ],
)
def test_where_the_body_starts_and_what_is_odd(raw: bytes, start: int, defect: str | None) -> None:
    headers = Headers(raw)
    assert headers.body_start == start
    assert headers.defects == ({defect} if defect else set())


def test_a_bare_cr_ends_no_field() -> None:
    headers = Headers(b"A: b\rC: d\n\n")
    assert [field.name for field in headers] == ["A"]


def test_encoded_words() -> None:
    (field,) = Headers(b"Subject: =?utf-8?B?w7w=?= =?utf-8?Q?=C3=BC_?=x =?nonsense?b?w7w=?= =?utf-8?b?!?=\n\n")
    assert field.text.startswith("üü x ")
    assert field.raw_text.startswith("=?utf-8?B?")


def test_characters_cut_between_two_words_are_joined() -> None:
    (field,) = Headers(b"Subject: =?utf-8?b?4oI=?= =?utf-8?b?rA==?=\n\n")
    assert field.text == "€"
