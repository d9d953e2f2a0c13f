"""Whatever the bytes: no exception, bounded output, the raw message untouched. Seeded, so that a failure repeats."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.mail import Message
from filterd.mail.address import parse_addresses
from filterd.mail.dates import parse_date
from filterd.mail.domains import registrable, to_ascii
from filterd.mail.html import read_html
from filterd.mail.links import make_link, text_urls
from filterd.mail.parameters import parse_parameters
from filterd.mail.received import parse_received
from filterd.mail.words import decode_words

CASES = sorted((Path(__file__).parents[1] / "cases" / "mail").glob("*.eml"))
PIECES = (
    b"From: ", b"Subject: ", b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: text/html; charset=utf-7",
    b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64",
    b"Content-Disposition: attachment; filename*0*=",
    b"\n", b"\r\n", b"\n\n", b"\r", b"\0", b"--b\n", b"--b--\n", b"\n--b", b" ", b"\t", b":", b";", b"=", b'"', b"\\",
    b"=?utf-8?b?w7w=?=", b"=?", b"?=", b"<a href=http://", b"<p style='color:#fff'>", b"</", b"<!--", b"&#", b"http://",
    b"@", b"<", b">", b"(", b")", b"[", b"]", b"YQ==", b"=3D", b"begin 644 a\n", b"PK\x03\x04", b"PK\x05\x06", b"%PDF-",
    b"\xff\xfe", b"\xe2\x80\xae", b"+ADw-", b"example.com", b"a", b"1",
)  # fmt: skip
EXAMPLES = settings(
    max_examples=200,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@EXAMPLES
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12)), max_size=60))
def test_any_bytes(read_all: Callable[[bytes], Message], pieces: list[bytes]) -> None:
    read_all(b"".join(pieces))


@EXAMPLES
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    parse_addresses(text)
    parse_date(text)
    parse_received(text)
    decode_words(text)
    parse_parameters(text)
    to_ascii(text)
    registrable(text)
    list(text_urls(text))
    make_link(text, "text")
    make_link("http://" + text, "html", text)
    read_html(text)


@pytest.mark.parametrize("seed", range(300))
def test_mutations_of_the_cases(seed: int, read_all: Callable[[bytes], Message]) -> None:
    chance = random.Random(seed)
    raw = bytearray(chance.choice(CASES).read_bytes())
    other = chance.choice(CASES).read_bytes()
    for _ in range(chance.randint(1, 12)):
        _mutate(raw, other, chance)
    read_all(bytes(raw))


def _mutate(raw: bytearray, other: bytes, chance: random.Random) -> None:
    at = chance.randrange(len(raw) + 1)
    length = chance.choice((1, 1, 4, 30, 200))
    match chance.randrange(6):
        case 0:
            raw[at:at] = chance.choice(PIECES)
        case 1:
            del raw[at : at + length]
        case 2:
            raw[at : at + 1] = bytes([chance.randrange(256)])
        case 3:
            raw[at:at] = raw[at : at + length] * chance.choice((1, 2, 50))
        case 4:
            start = chance.randrange(len(other))
            raw[at:at] = other[start : start + length]
        case _:
            raw[at : at + length] = raw[at : at + length].replace(b"\n", chance.choice((b"\r\n", b"\r", b"", b"\n\n")))
