"""A rehearsal: one message of every shape goes through a new judge before it takes mail.

It makes libraries load what they load late, while files can still be opened, and it finds a generation that cannot
judge at all before that generation takes over. An exception here keeps the old generation running.
"""

from __future__ import annotations

import base64
import datetime
import io
import zipfile

from filterd.facts import NOTHING
from filterd.judge import CHECK_FAILED, Judge
from filterd.mail import Envelope, Origin, Recipient, Source

_TEXT = (
    "Grüße aus Köln, à bientôt, até já, ciao! Visit https://www.example.org/path?x=1 or write to someone@example.org. "
) * 20
_HTML = (
    "<html><head><style>p{color:#fff}</style></head><body bgcolor=white><p style='display:none'>hidden</p>"
    "<a href='http://user@xn--bcher-kva.example/'>www.example.com</a><img src='cid:1' width=1 height=1>"
    "<form action='https://example.net/'><input type=password></form></body></html>"
)


def rehearse(judge: Judge) -> None:
    """Judge the rehearsal mail; raises RuntimeError when a check fails on it."""
    for raw in _messages():
        mail, _ = judge.inspect(_ENVELOPE, raw)
        judgement = judge.judge(mail, NOTHING)
        broken = [one.detail for one in judgement.verdict.findings if one.name == CHECK_FAILED.name]
        if broken:
            raise RuntimeError(f"the rehearsal failed: {broken[0]}")


_ENVELOPE = Envelope(
    id="00000000000000000000000000",
    received_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    listener="rehearsal",
    peer=None,
    client=Origin("192.0.2.1", "mail.example.org", "mail.example.org", Source.REQUEST),
    sender="sender@example.org",
    recipients=(Recipient("rcpt@example.net"),),
)


def _messages() -> list[bytes]:
    charsets = ("utf-8", "iso-8859-1", "utf-16", "utf-7", "gb18030", "koi8-r", "no-such-charset")
    plain = [
        _head(f'text/plain; charset="{name}"', "base64")
        + base64.encodebytes(_TEXT.encode(name if name != "no-such-charset" else "cp1252", "replace"))
        for name in charsets
        if name != "koi8-r"
    ]
    undeclared = [_head("text/plain", "8bit") + text for text in _odd_bytes()]
    return [*plain, *undeclared, _mixed(), b"", b"\r\n\r\n"]


def _odd_bytes() -> list[bytes]:
    return [
        "Привет, как дела? Это письмо без указания кодировки. ".encode("koi8-r") * 10,
        "これは文字コードの宣言がないメールです。".encode("shift_jis") * 10,
        "这封邮件没有声明字符集。".encode("gb18030") * 10,
        _TEXT.encode("latin-1"),
    ]


def _head(kind: str, encoding: str) -> bytes:
    return (
        "Received: from mail.example.org (mail.example.org [192.0.2.1]) by mx.example.net with ESMTP id 1;"
        " Thu, 1 Jan 2026 00:00:00 +0000\r\n"
        "From: =?utf-8?q?J=C3=B6rg?= <sender@example.org>\r\nTo: rcpt@example.net\r\nSubject: =?utf-8?b?w6k=?= test\r\n"
        "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=s; h=from:to:subject;"
        " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode()


def _mixed() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inner.js", "alert(1)")
    zipped = base64.encodebytes(archive.getvalue()).decode()
    return (
        _head('multipart/mixed; boundary="b"', "7bit")
        + (
            f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{_HTML}\r\n"
            f"--b\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{zipped}\r\n"
            "--b\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n"
            "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@example.org\r\nSubject: inner\r\n\r\ninner\r\n--b--\r\n"
        ).encode()
    )
