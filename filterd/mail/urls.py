"""One URL, read as a browser would follow it: scheme, user, host in A-labels, port, registrable domain.

In: a URL as it stands in a message. Out: a `Url`, or None when there is no such thing in it. What was done
to hide or disarm it is a flag, never silently mended: `hxxp` and `[.]` keep their scheme and spelling.
Never raises.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from filterd.mail.domains import is_ip, registrable, to_ascii
from filterd.value import Value

MAX_URL = 2_048

_SCHEME = re.compile(r"([a-z][a-z0-9+.*-]{0,20}):", re.IGNORECASE)
_IGNORED = re.compile(r"[\t\r\n\x00]")  # browsers drop these anywhere in a URL (WHATWG URL section 4.4)
_AUTHORITY = re.compile(r"[/\\]*([^/\\?#]*)")
_PORT = re.compile(r":(\d{0,5})$")
_DISARMED_DOT = re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)|\{dot\}", re.IGNORECASE)
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_LIVE = frozenset({"http", "https", "ftp"})
_DISARMED = frozenset({"hxxp", "hxxps", "hxtp", "hxtps", "h**p", "h**ps", "hxxx", "fxp", "meow"})
_DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21"}


class Url(Value):
    """What a URL points at."""

    url: str  # as it stood, without the characters that browsers drop
    scheme: str  # lower case
    host: str = ""  # lower-case A-labels, or an address
    domain: str = ""  # registrable; "" for an address or a host that nobody can register
    user: str = ""  # userinfo, as it stood
    port: str = ""  # when it is not the scheme's own
    flags: tuple[str, ...] = ()


def parse_url(text: str) -> Url | None:
    """Read a URL."""
    return _parse(text.strip("\x00\t\n\r\x0b\x0c ")[: MAX_URL + 1])


@lru_cache(maxsize=2_048)
def _parse(text: str) -> Url | None:
    cut = len(text) > MAX_URL
    text = text[:MAX_URL]
    if _IGNORED.search(text):
        text = _IGNORED.sub("", text)
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme = match[1].lower()
    flags = ["cut"] if cut else []
    if scheme == "mailto":
        return _mailto(text, match.end(), flags)
    if scheme in _LIVE or scheme in _DISARMED:
        return _hierarchical(text, scheme, match.end(), flags)
    return Url(text, scheme, flags=tuple(flags))


def _hierarchical(text: str, scheme: str, position: int, flags: list[str]) -> Url:
    authority = _AUTHORITY.match(text, position)
    rest = authority[1] if authority else ""
    if scheme in _DISARMED or _DISARMED_DOT.search(rest):
        flags.append("obfuscated")
        rest = _DISARMED_DOT.sub(".", rest)
    if "\\" in text[: position + 3]:
        flags.append("backslash")
    user, at, host = rest.rpartition("@")
    if at:
        flags.append("userinfo")
    port = _PORT.search(host)
    if port:
        host = host[: port.start()]
    number = port[1] if port and port[1] != _DEFAULT_PORTS.get(scheme) else ""
    if number:
        flags.append("port")
    name, domain = _host(host, flags)
    return Url(text, scheme, name, domain, user, number, tuple(flags))


def _mailto(text: str, position: int, flags: list[str]) -> Url:
    address = unquote(text[position:].partition("?")[0])
    local, at, host = address.partition(",")[0].rpartition("@")
    name, domain = _host(host, flags) if at else ("", "")
    return Url(text, "mailto", name, domain, local, "", tuple(flags))


def _host(host: str, flags: list[str]) -> tuple[str, str]:
    """The host as it is looked up, and its registrable domain."""
    if "%" in host:
        flags.append("encoded-host")
        host = unquote(host)
    host = host.strip()
    if host.startswith("["):
        flags.append("ip")
        return host.strip("[]").lower()[:64], ""
    address = _ipv4(host)
    if address is not None:
        flags.append("ip")
        if address != host:
            flags.append("odd-ip")
        return address, ""
    name = to_ascii(host)
    if name is None:
        flags.append("bad-host")
        return host.lower()[:255], ""
    if "xn--" in name:
        flags.append("idn")
    return name, "" if is_ip(name) else registrable(name) or ""


def _ipv4(host: str) -> str | None:
    """An IPv4 address in any spelling that browsers take (WHATWG URL section 3.5): octal, hex, short."""
    pieces = host.removesuffix(".").split(".")
    if not 1 <= len(pieces) <= 4 or len(host) > 64 or not all(map(_NUMBER.fullmatch, pieces)):
        return None
    if not host.isascii():
        return None
    numbers = [_number(piece) for piece in pieces]
    last = numbers.pop()
    if any(number > 255 for number in numbers) or last >= 256 ** (4 - len(numbers)):
        return None
    value = last + sum(number << (24 - 8 * index) for index, number in enumerate(numbers))
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _number(text: str) -> int:
    if text[:2] in ("0x", "0X"):
        return int(text[2:] or "0", 16)
    if text[0] == "0" and all(digit in "01234567" for digit in text):
        return int(text, 8)
    return int(text)
