"""Relay addresses."""

import pytest

from filterd.relay import HopAddress, HopProtocol, RelaySettings, next_hop, parse_url


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("smtp://127.0.0.1:10026", HopAddress(HopProtocol.SMTP, "127.0.0.1", 10026)),
        ("smtp://mx.example", HopAddress(HopProtocol.SMTP, "mx.example", 25)),
        ("SMTP://[::1]:2525/", HopAddress(HopProtocol.SMTP, "::1", 2525)),
        ("lmtp://127.0.0.1:24", HopAddress(HopProtocol.LMTP, "127.0.0.1", 24)),
        ("lmtp+unix:/run/dovecot/lmtp", HopAddress(HopProtocol.LMTP, path="/run/dovecot/lmtp")),
        ("lmtp+unix:///run/dovecot/lmtp", HopAddress(HopProtocol.LMTP, path="/run/dovecot/lmtp")),
        ("maildir:/var/mail/in", HopAddress(HopProtocol.MAILDIR, path="/var/mail/in")),
    ],
)
def test_addresses(url: str, address: HopAddress) -> None:
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "smtp", "smtp://", "smtp://:25", "smtp://a:b", "smtp://a:99999", "smtp://u:p@a:25", "smtp://a/b",
     "http://a", "maildir:relative", "lmtp+unix:", "smtp://a b:25", "smtp://a:25\r\n", "smtp://[::1:25"],
)  # fmt: skip
def test_wrong_addresses_say_so_in_one_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        next_hop(url, RelaySettings())
    assert "\n" not in str(caught.value)
