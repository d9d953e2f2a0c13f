"""URLs as browsers and text programs take them, and what was done to hide where they lead."""

from __future__ import annotations

import pytest

from filterd.mail import Message
from filterd.mail.links import make_link, text_urls


@pytest.mark.parametrize(
    ("url", "host", "domain", "flags"),
    [
        ("http://www.example.co.uk/a?b#c", "www.example.co.uk", "example.co.uk", ()),
        ("HTTPS://Example.COM:443/", "example.com", "example.com", ()),
        ("https://example.com:8443/", "example.com", "example.com", ("port",)),
        ("http:/example.com", "example.com", "example.com", ()),
        ("http:example.com", "example.com", "example.com", ()),
        ("http:\\\\example.com\\x", "example.com", "example.com", ("backslash",)),
        ("ht\ttp://exa\r\nmple.com", "example.com", "example.com", ()),
        ("http://good.com@evil.example.org/", "evil.example.org", "example.org", ("userinfo",)),
        ("http://good.com:80@evil.example.org@x.example/", "x.example", "x.example", ("userinfo",)),
        ("http://192.0.2.7/", "192.0.2.7", "", ("ip",)),
        ("http://3221225991/", "192.0.2.7", "", ("ip", "odd-ip")),
        ("http://0xC0.0.0x2.07/", "192.0.2.7", "", ("ip", "odd-ip")),
        ("http://192.519/", "192.0.2.7", "", ("ip", "odd-ip")),
        ("http://[2001:db8::1]/", "2001:db8::1", "", ("ip",)),
        ("http://bücher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example", ("idn",)),
        ("http://exam%70le.com/", "example.com", "example.com", ("encoded-host",)),
        ("http://a..b/", "a..b", "", ("bad-host",)),
        ("hxxp://example[.]com/", "example.com", "example.com", ("obfuscated",)),
        ("http://example(dot)com/", "example.com", "example.com", ("obfuscated",)),
        ("mailto:joe@lists.example.com?subject=x", "lists.example.com", "example.com", ()),
        ("javascript:alert(1)", "", "", ()),
        ("data:text/html;base64,AAAA", "", "", ()),
    ],
)
def test_urls(url: str, host: str, domain: str, flags: tuple[str, ...]) -> None:
    link = make_link(url, "html")
    assert link is not None
    assert (link.host, link.domain, link.flags) == (host, domain, flags)


@pytest.mark.parametrize("url", ["", "http://", "http:///", "nothing", "//", "://x", "hxxp://a[.]zzzz"])
def test_what_is_no_link(url: str) -> None:
    assert make_link(url, "text") is None


def test_a_disarmed_link_stays_as_it_was_written() -> None:
    link = make_link("hxxps://evil[.]example[.]com/x", "text")
    assert link is not None
    assert (link.url, link.scheme) == ("hxxps://evil[.]example[.]com/x", "hxxps")


def test_userinfo_and_port_are_kept() -> None:
    link = make_link("http://user:secret@example.com:8080/", "text")
    assert link is not None
    assert (link.user, link.port) == ("user:secret", "8080")


def test_a_long_url_is_cut() -> None:
    link = make_link("http://example.com/" + "a" * 10_000, "text")
    assert link is not None
    assert len(link.url) == 2_048
    assert link.flags == ("cut",)


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("see http://a.example/x.", ["http://a.example/x"]),
        ("(http://a.example/(x))", ["http://a.example/(x)"]),
        ("<http://a.example/x>http://b.example", ["http://a.example/x", "http://b.example"]),
        ("www.a.example, and WWW.b.example!", ["http://www.a.example", "http://WWW.b.example"]),
        ("awww.example joe@www.example", []),
        ("ftp://a.example mailto:joe@b.example", ["ftp://a.example", "mailto:joe@b.example"]),
        ("gopher://a.example", []),
        ("evil[.]example.com/x", ["hxxp://evil[.]example.com/x"]),
        ("http://a.example/ü?x=“y”", ["http://a.example/ü?x=“y"]),
        ("http://a.example\u200b/x", ["http://a.example"]),
    ],
)
def test_urls_in_text(text: str, urls: list[str]) -> None:
    assert list(text_urls(text)) == urls


def test_links_say_where_they_come_from() -> None:
    message = Message(
        b"List-Unsubscribe: <https://u.example/1>,\r\n <mailto:leave@l.example>\r\n"
        b"Subject: buy at http://s.example\r\nContent-Type: text/html\r\n\r\n"
        b"<a href='http://h.example'>http://t.example</a>"
    )
    assert [(link.source, link.host, link.text) for link in message.links] == [
        ("html", "h.example", "http://t.example"),
        ("text", "t.example", ""),
        ("header", "u.example", ""),
        ("header", "l.example", ""),
        ("header", "s.example", ""),
    ]
