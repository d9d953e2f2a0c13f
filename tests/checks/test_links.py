"""Links whose text names another site than their target, and links that hide it behind a user name."""

from __future__ import annotations

import pytest

from filterd.authentication import UNAUTHENTICATED, Authentication, AuthResult, DkimResult
from filterd.checks.identity import identity
from filterd.checks.links import links
from filterd.facts import NOTHING
from tests.auth.mails import mail


def found(text: str, url: str, auth: Authentication = UNAUTHENTICATED) -> set[str]:
    page = f"<html><body>Look: <a href='{url}'>{text}</a></body></html>"
    raw = f"From: a@shop.example\r\nContent-Type: text/html\r\n\r\n{page}\r\n".encode()
    return {finding.name for finding in links(mail(raw), NOTHING, auth)}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("paypal.com", "https://evil.net/"),
        ("www.PayPal.com", "https://evil.net/"),
        ("https://www.paypal.com/login", "https://evil.net/www.paypal.com/login"),
        (" paypal.com/login ", "https://paypal.com.evil.net/"),
        ("my-bank.co.uk", "https://bank-my.co.uk/"),
        ("paypal.com", "https://urldefense.com/v3/__https://evil.net/__;!!x"),  # protects another site
        ("bücher.de", "https://xn--bcher-kva.com/"),
        ("http://paypal.com:443", "http://evil.net:443"),
    ],
)
def test_a_text_that_names_another_site(text: str, url: str) -> None:
    assert found(text, url) == {"LINK_TEXT_OTHER_SITE"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("paypal.com", "https://www.paypal.com/x"),
        ("www.paypal.com", "https://login.paypal.com/"),
        ("Click here", "https://evil.net/"),
        ("See paypal.com for more", "https://evil.net/"),  # a sentence, no address
        ("Walmart.com", "https://news.example.net/"),  # a name
        ("setup.py", "https://github.com/a/b/setup.py"),
        ("x440_200_image.yml", "https://github.com/a/b"),
        ("report.draft", "https://evil.net/"),  # no such ending
        ("https://kb.example.net/a", "https://urldefense.com/v3/__https://kb.example.net/a__;!!x"),
        (
            "https://github.com/a",
            "https://eur03.safelinks.protection.outlook.com/?url=https%3A%2F%2Fgithub.com%2Fa&x=1",
        ),
        ("https://bücher.de/", "https://www.xn--bcher-kva.de/"),
        ("", "https://evil.net/"),
        ("192.0.2.1", "https://evil.net/"),
    ],
)
def test_a_text_that_does_not(text: str, url: str) -> None:
    assert found(text, url) == set()


def test_the_click_counter_of_who_signed_is_his_own() -> None:
    signed = Authentication(dkim=(DkimResult(AuthResult.PASS, "shop.example.net"),))
    assert found("www.shop.com", "https://click.example.net/1", signed) == set()
    assert found("www.shop.com", "https://click.evil.net/1", signed) == {"LINK_TEXT_OTHER_SITE"}


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("https://www.bank.example@evil.net/", {"LINK_USERINFO"}),
        ("https://www.bank.example%40login@evil.net/", {"LINK_USERINFO"}),
        ("https://ann@git.example.net/x", set()),
        ("https://evil.net/@bank.example", set()),
        ("mailto:ann@bank.example", set()),
    ],
)
def test_links_with_a_user_name(url: str, names: set[str]) -> None:
    assert found("here", url) == names


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ('From: "ceo@bank.example" <x@evil.net>', {"FROM_NAME_OTHER_ADDRESS"}),
        ('From: "ceo@mail.bank.example" <ceo@bank.example>', set()),
        ('From: "ann@bank.example via List" <list@lists.example>\r\nList-Id: <l.lists.example>', set()),
        ('From: "ann@bank.example (Calendar)" <c@google.com>\r\nSender: c@google.com', set()),
        ("From: Ann Bee <ann@bank.example>\r\nReply-To: Ann Bee <ann.bee@evil.net>", {"REPLYTO_SAME_NAME_ELSEWHERE"}),
        ("From: Ann Bee <ann@bank.example>\r\nReply-To: Ann Bee <ann@mail.bank.example>", set()),
        ("From: Ann Bee <ann@bank.example>\r\nReply-To: Support <help@evil.net>", set()),
        ("From: x@evil.net\r\nReply-To: y@other.net", set()),
    ],
)
def test_names_that_are_other_peoples_addresses(headers: str, names: set[str]) -> None:
    raw = f"{headers}\r\n\r\nHello.\r\n".encode()
    assert {finding.name for finding in identity(mail(raw), NOTHING, UNAUTHENTICATED)} == names


@pytest.mark.parametrize(
    "text", ["a." * 5_000, "-" * 10_000, "http://" * 1_000, ("a" * 63 + ".") * 100, "\u0130.com" * 50]
)
def test_long_texts_are_read_at_once(text: str) -> None:
    assert found(text, "https://evil.net/") == set()
