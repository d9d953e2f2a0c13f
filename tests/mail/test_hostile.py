"""Messages built to be slow, deep, many or large: read in linear time, capped, marked (facts 2 and 3)."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable

import pytest

from filterd.mail import Message

LIMIT = 2.0  # seconds of CPU; what is linear takes a fraction of it, what is quadratic many times it

HEAD = b"From: a@example.org\nSubject: x\n"
HTML = HEAD + b"Content-Type: text/html\n\n"
TEXT = HEAD + b"\n"


def _multipart(depth: int) -> bytes:
    opening = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (level, level) for level in range(depth)
    )
    return HEAD + opening + b"\ndeep\n"


def _rfc822(depth: int) -> bytes:
    return HEAD + b"Content-Type: message/rfc822\n\n" * depth + b"\ndeep\n"


def _parts(count: int) -> bytes:
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * count + b"--b--\n"


def _zip(count: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.js", b"")
    body = base64.encodebytes(buffer.getvalue())
    return HEAD + b"Content-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n" + body


HOSTILE: dict[str, tuple[bytes, str | None]] = {
    "nested-comments": (b"From: " + b"(" * 5_000 + b"x" + b")" * 5_000 + b" a@example.org\n\n", None),
    "open-comments": (b"From: " + b"(" * 60_000 + b"\n\n", None),
    "multipart-depth": (_multipart(10_000), "too-deep"),
    "rfc822-depth": (_rfc822(1_000), "too-deep"),
    "headers": (b"X: y\n" * 100_000 + b"\nbody", "too-many-headers"),
    "from-headers": (b"From: a@b.example\n" * 100_000 + b"\nbody", "too-many-headers"),
    "verdict-headers": (b"X-Spam-Flag: NO\n" * 100_000 + b"\nbody", "too-many-headers"),
    "received-headers": (
        b"Received: from a (b [1.2.3.4]) by c; x\n" * 100_000 + b"\nbody",
        "too-many-headers",
    ),
    "parts": (_parts(10_000), "too-many-parts"),
    "parameters": (
        HEAD + b"Content-Type: text/plain" + b"".join(b"; a%d=b" % n for n in range(20_000)) + b"\n\nx",
        "too-many-parameters",
    ),
    "continuations": (
        HEAD + b"Content-Type: text/plain" + b"".join(b"; name*%d=b" % n for n in range(20_000)) + b"\n\nx",
        "too-many-parameters",
    ),
    "urls": (TEXT + b" ".join(b"http://a%d.example.com/" % n for n in range(50_000)), "too-many-links"),
    "html-urls": (HTML + b"".join(b"<a href=http://a%d.com>x</a>" % n for n in range(50_000)), "html-cut"),
    "same-url": (TEXT + b"http://a.example.com/ " * 50_000, "too-many-links"),
    "url-starts": (TEXT + b"http://" * 100_000, None),
    "www": (TEXT + b"www." * 100_000, None),
    "dots": (TEXT + b"http://a" + b"." * 500_000, None),
    "disarmed": (TEXT + b"a[.]" * 100_000, None),
    "brackets": (TEXT + b"http://a" + b")]" * 100_000, None),
    "line-of-spaces": (TEXT + b" " * 60_000 + b"x\r\n", None),
    "lines-of-spaces": (TEXT + (b" " * 990 + b"x\r\n") * 2_000, None),
    "spaces-in-header": (b"Subject: " + b" " * 1_000_000 + b"x\n\n", "long-header"),
    "folds": (b"Subject: a\n" + b" \n" * 200_000 + b"\n", "long-header"),
    "tabs-in-parameters": (HEAD + b"Content-Type: text/plain;" + b"\t " * 30_000 + b"a=b\n\nx", None),
    "quotes": (HEAD + b'Content-Type: text/plain; name="' + b'\\"' * 30_000 + b"\n\nx", None),
    "encoded-words": (b"Subject: " + b"=?utf-8?q?a?= " * 7_000 + b"\n\n", None),
    "open-encoded-words": (b"Subject: " + b"=?utf-8?q?" * 10_000 + b"\n\n", None),
    "unknown-charsets-in-words": (
        b"".join(b"X%d: " % n + b"=?x?q?=FF?= =?y?q?=FE?= " * 500 + b"\n" for n in range(40)) + b"\n",
        None,
    ),
    "unknown-charsets-in-parts": (
        HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n\xcf\xf0\xe8\xe2\xe5\xf2 \n" * 900,
        "unknown-charset",
    ),
    "qp-spaces": (
        HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n=" + b" " * 500_000 + b"x",
        "qp-junk",
    ),
    "qp-equals": (HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * 500_000, "qp-junk"),
    "base64-paddings": (
        HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"YQ==" * 200_000,
        "base64-after-padding",
    ),
    "boundary-lines": (
        HEAD + b"Content-Type: multipart/mixed; boundary=a\n\n" + b"".join(b"--%s\n" % (b"a" * n) for n in range(900)),
        "boundary-prefix",
    ),
    "boundary-mentions": (
        HEAD + b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--aa\n" * 100_000,
        "boundary-prefix",
    ),
    "boundaries": (
        HEAD
        + b"Content-Type: multipart/mixed"
        + b"".join(b"; boundary=a%d" % n for n in range(400))
        + b"\n\n"
        + b"--a399\n\nx\n" * 20_000,
        "duplicate-boundary",
    ),
    "bare-cr-in-from": (b"From: " + b"\r" * 500_000 + b"\n\nx", "bare-cr"),
    "bare-cr": (b"Subject: a\r" * 50_000 + b"\n\nx", "bare-cr"),
    "colons": (b"a " * 300_000 + b"\n\nx", "no-colon"),
    "uu": (TEXT + b"begin 644 a\n" * 20_000, None),
    "html-open-tags": (HTML + b"<a " * 20_000, None),
    "html-marked-sections": (HTML + b"<![" * 200_000, None),
    "html-comments": (HTML + b"<!--" * 100_000, None),
    "html-depth": (HTML + b"<div>" * 50_000, "html-cut"),
    "html-formatting": (HTML + b"<b><i><font>" * 10_000 + b"<p>" * 10_000, "html-cut"),
    "html-tables": (HTML + b"<table><tr><td>" * 10_000, "html-cut"),
    "html-attributes": (HTML + b"<p " + b" ".join(b"a%d=b" % n for n in range(50_000)) + b">x", "html-cut"),
    "html-attributes-many": (HTML + (b"<p " + b" ".join(b"a%d" % n for n in range(190)) + b">") * 400, None),
    "html-hidden": (HTML + b'<p style="display:none">x' * 15_000, None),
    "html-hidden-nested": (
        HTML + b'<div style="color:#fff">' * 500 + b'<b style="color:#fff">x</b>' * 15_000,
        None,
    ),
    "html-sheet": (
        HTML
        + b"<style>"
        + b"".join(b".a%d{display:none}" % n for n in range(3_000))
        + b"</style>"
        + b"<p class=a1>x" * 15_000,
        None,
    ),
    "html-braces": (HTML + b"<style>" + b"{" * 200_000 + b"</style>x", None),
    "html-style": (HTML + b'<p style="' + b"color:" * 1_000 + b'">x', None),
    "html-refresh": (HTML + b'<meta http-equiv=refresh content="url' + b" " * 7_000 + b'">', None),
    "html-entities": (HTML + b"&" * 400_000, None),
    "html-nested-anchors": (HTML + b"<a href=http://a.example><object>" * 250 + b"word " * 90_000, None),
    "html-large": (HTML + b"<p>hello world" * 200_000, "html-cut"),
    "text-large": (TEXT + b"hello world\n" * 500_000, "too-much-text"),
    "zip-entries": (_zip(5_000), None),
    "zip-lies": (
        HEAD + b"Content-Type: application/zip\n\nPK\x03\x04" + b"PK\x01\x02" * 50_000 + b"PK\x05\x06" + b"\xff" * 18,
        None,
    ),
    "nul": (b"\0" * 500_000, None),
    "lf": (b"\n" * 500_000, None),
    "cr": (b"\r" * 200_000, None),
    "high-bytes": (TEXT + b"\xff\xfe\x80" * 200_000, None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, seconds: Callable[[bytes], tuple[float, Message]]) -> None:
    raw, defect = HOSTILE[name]
    spent, message = seconds(raw)
    assert spent < LIMIT
    if defect is not None:
        assert defect in message.defects


@pytest.mark.parametrize("fragment", [b"<a ", b"<![", b"(", b" ", b"\t\r\n", b"=?", b"--b\n", b'"\\', b"<p>&", b"@,<"])
def test_time_grows_with_size(fragment: bytes, seconds: Callable[[bytes], tuple[float, Message]]) -> None:
    """Ten times the bytes take at most some twenty times as long, wherever they stand."""
    for place in (
        b"From: %s\n\n",
        b"Content-Type: multipart/mixed; boundary=b; x=%s\n\n",
        HTML + b"%s",
        TEXT + b"%s",
    ):
        small, _ = seconds(place.replace(b"%s", fragment * 3_000))
        large, _ = seconds(place.replace(b"%s", fragment * 30_000))
        assert large < 20 * max(small, 0.02)


def test_what_is_deeper_than_we_look_is_ambiguous(read_all: Callable[[bytes], Message]) -> None:
    for raw in (_multipart(200), _rfc822(200)):
        message = read_all(raw)
        assert message.ambiguous
        assert max(part.depth for part in message.parts) == 50


def test_every_forged_verdict_is_found_however_many_fields_there_are() -> None:
    message = Message(b"A: b\n" * 5_000 + b"X-Spam-Flag: NO\nX-Spam-Flag: NO\n\n")
    assert [header.occurrence for header in message.foreign_verdicts] == [1, 2]
    assert len(message.headers) == 2_000


def test_dmarc_cannot_be_had_by_hiding_a_from_behind_many_fields() -> None:
    message = Message(b"From: a@example.org\n" + b"A: b\n" * 5_000 + b"From: b@bank.example\n\n")
    assert len(message.author_domains) > 1
