"""Transfer encodings and charsets: read as mail clients read them, whatever the bytes."""

from __future__ import annotations

import pytest

from filterd.mail import charsets
from filterd.mail.encodings import decode, uu_files


@pytest.mark.parametrize(
    ("raw", "content", "defect"),
    [
        (b"aGVsbG8=\r\n", b"hello", None),
        (b"aGVs\r\nbG8", b"hello", None),
        (b"aGV*s b!G8=", b"hello", "base64-junk"),
        (b"aGVs=bG8=", b"hello", "base64-after-padding"),
        (b"aGU=bGxv", b"hello", "base64-after-padding"),
        (b"aA==ZQ==bA==bA==bw==", b"hello", "base64-after-padding"),
        (b"aGVsbG8====", b"hello", None),
        (b"aGVsbG8=\n-- \nlist footer\n", b"hello", "base64-after-padding"),
        (b"aGVsb", b"hel", "base64-truncated"),
        (b"====", b"", None),
        (b"", b"", None),
    ],
)
def test_base64(raw: bytes, content: bytes, defect: str | None) -> None:
    decoded, defects = decode(raw, "base64")
    assert decoded.startswith(content)
    assert defect in defects if defect else not defects


@pytest.mark.parametrize(
    ("raw", "content", "defect"),
    [
        (b"a=3Db=\r\nc", b"a=bc", None),
        (b"a=3db=\nc", b"a=bc", None),
        (b"a= \t\r\nb", b"ab", "qp-junk"),
        (b"a=\rb\nc", b"ab\nc", "qp-junk"),
        (b"a=ZZb=", b"a=ZZb", "qp-junk"),
        (b"plain", b"plain", None),
    ],
)
def test_quoted_printable(raw: bytes, content: bytes, defect: str | None) -> None:
    decoded, defects = decode(raw, "quoted-printable")
    assert decoded == content
    assert defects == ({defect} if defect else set())


def test_uuencode() -> None:
    raw = b"text\nbegin 644 a b.txt\n%:&5L;&\\\n`\nend\nbegin-base64 644 c\naGk=\n====\n"
    assert uu_files(raw, 9) == [("a b.txt", b"hello"), ("c", b"hi")]
    assert decode(raw, "uuencode")[0] == b"hello"
    assert uu_files(raw, 1) == [("a b.txt", b"hello")]


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        (b"plain", "", "plain"),
        ("ü".encode(), "", "ü"),
        ("ü".encode("latin-1"), "iso-8859-1", "ü"),
        (b"\x93quoted\x94", "iso-8859-1", "“quoted”"),
        ("ü".encode(), "us-ascii", "ü"),
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        ("日本".encode("iso-2022-jp"), "iso-2022-jp", "日本"),
        ("日本".encode("shift_jis"), "x-sjis", "日本"),
        ("汉字".encode("gb18030"), "gb2312", "汉字"),
        ("한국".encode("euc-kr"), "ks_c_5601-1987", "한국"),
        ("ü".encode("utf-16"), "utf-16", "ü"),
        ("ü".encode("utf-16"), "", "ü"),
        ("ü€".encode("utf-7"), "utf-7", "ü€"),
        (b"+2AA-", "utf-7", "\ufffd"),
        ("ü".encode(), '"utf-8"', "ü"),
        ("ü".encode(), "no such charset", "ü"),
        ("ü".encode(), "idna", "ü"),
        ("ü".encode(), "unicode_escape", "ü"),
        ("ü".encode(), "base64", "ü"),
        ("ü".encode(), "\0" * 99, "ü"),
        (b"a\0b", "", "ab"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
    ],
)
def test_charsets(content: bytes, declared: str, text: str) -> None:
    assert charsets.decode(content, declared)[0] == text


def test_an_undeclared_charset_is_guessed() -> None:
    russian = "Сегодня хорошая погода, и мы идём гулять в парк всей семьёй. " * 5
    assert charsets.decode(russian.encode("cp1251"), guess=True)[0] == russian


def test_html_may_declare_its_charset_itself() -> None:
    page = '<meta http-equiv="content-type" content="text/html; charset=koi8-r">Привет'.encode("koi8-r")
    assert charsets.decode(page, html=True)[0].endswith("Привет")
