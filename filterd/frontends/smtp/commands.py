"""SMTP commands taken apart: lines, paths and parameters, strictly by RFC 5321 (and 3461, 4954, 6531 for
parameters).

In: one line without its CRLF. Out: a value, or the Reply that refuses it. Nothing here raises, waits or
remembers. Two mercies, because real senders need them: space after the colon, and dots anywhere in a local
part. Parameters are kept verbatim, for the next hop is to see what the client said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container

from filterd.frontends.smtp import replies
from filterd.reply import Reply
from filterd.value import Value

_ATEXT = r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]"
_QUOTED = r'"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*"'
_LABEL = r"[A-Za-z0-9_\x80-\U0010ffff](?:[A-Za-z0-9_\x80-\U0010ffff-]*[A-Za-z0-9_\x80-\U0010ffff])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[A-Za-z0-9.:-]+\])"
# RFC 5321 section 4.1.2: Path, with the source route that must be understood and may be ignored
_PATH = re.compile(
    rf"<(?:(?P<route>@{_DOMAIN}(?:,@{_DOMAIN})*):)?"
    rf"(?P<address>(?P<local>(?:{_ATEXT}|\.)+|{_QUOTED})(?:@(?P<domain>{_DOMAIN}))?)?>"
)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_HELLO = re.compile(r"[!-~]{1,255}")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")  # RFC 3461 section 4
_ESCAPED = re.compile(r"\+([0-9A-Fa-f]{2})")
_TYPED_ADDRESS = re.compile(r"[A-Za-z0-9-]{1,50};[^\x00-\x20\x7f]{1,500}")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE)
_LONGEST_PATH = 600  # RFC 5321 section 4.5.3.1.3 has 256; SRS and VERP senders go beyond


_Known = dict[str, tuple[str, Callable[[str], bool]]]


class Command(Value):
    verb: str  # upper case
    argument: str = ""


class Chunk(Value):
    """What BDAT announces (RFC 3030 section 2)."""

    size: int
    last: bool


class Path(Value):
    """A reverse-path or forward-path and its parameters."""

    address: str  # without brackets and source route; "" is the null path
    local: str = ""  # unquoted
    domain: str = ""  # lower case; "" for a bare local part
    routed: bool = False  # had a source route, or asks for further routing in its local part
    parameters: tuple[str, ...] = ()  # as they came

    def value(self, keyword: str) -> str | None:
        """The value of a parameter, "" when it has none, None when it was not given."""
        for parameter in self.parameters:
            name, _, value = parameter.partition("=")
            if name.upper() == keyword:
                return value
        return None


def parse_line(line: bytes) -> Command | Reply:
    """A command from a line without its CRLF. 8-bit text must be UTF-8; control characters are refused."""
    if _CONTROL.search(line):
        return replies.UNPRINTABLE
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return replies.NOT_ASCII
    verb, _, argument = text.partition(" ")
    if not verb.isascii():
        return replies.UNKNOWN_COMMAND
    return Command(verb.upper(), argument.strip(" "))


def parse_hello(argument: str) -> str | Reply:
    """The name in HELO, EHLO or LHLO: anything printable in one word, for real clients say odd things."""
    return argument if _HELLO.fullmatch(argument) else replies.BAD_HELLO


def parse_mail(argument: str, announced: Container[str]) -> Path | Reply:
    """MAIL's argument; a parameter whose extension (RFC 1869) is not in `announced` is refused."""
    path = _parse_path(argument, "FROM:", replies.BAD_SENDER)
    if isinstance(path, Reply):
        return path
    refusal = _check(path, _MAIL_PARAMETERS, announced)
    if refusal is not None:
        return refusal
    if path.value("SMTPUTF8") is None and not argument.isascii():
        return replies.ADDRESS_NOT_ASCII
    return path


def parse_bdat(argument: str) -> Chunk | Reply:
    """BDAT's argument: a size, and perhaps LAST."""
    size, _, end = argument.partition(" ")
    if not _is_size(size) or end.upper() not in ("", "LAST"):
        return replies.BAD_CHUNK
    return Chunk(int(size), bool(end))


def parse_rcpt(argument: str, announced: Container[str], *, utf8: bool) -> Path | Reply:
    """RCPT's argument. `utf8`: MAIL had SMTPUTF8."""
    path = _parse_path(argument, "TO:", replies.BAD_RECIPIENT)
    if isinstance(path, Reply):
        return path
    if not path.address:
        return replies.BAD_RECIPIENT
    if not utf8 and not argument.isascii():
        return replies.ADDRESS_NOT_ASCII
    refusal = _check(path, _RCPT_PARAMETERS, announced)
    return path if refusal is None else refusal


def decode_xtext(text: str) -> str | None:
    """What xtext (RFC 3461 section 4) says, as UTF-8; None when it is none or hides a control character."""
    try:
        raw = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text).encode("latin-1")
        decoded = raw.decode()
    except UnicodeError:
        return None
    return decoded if decoded.isprintable() else None


def _parse_path(argument: str, keyword: str, refusal: Reply) -> Path | Reply:
    if argument[: len(keyword)].upper() != keyword:
        return refusal
    match = _PATH.match(rest := argument[len(keyword) :].lstrip(" "))
    if match is None or match.end() > _LONGEST_PATH:
        return refusal
    rest = rest[match.end() :]
    if (rest and not rest.startswith(" ")) or (match["route"] and not match["domain"]):
        return refusal
    local = match["local"] or ""
    if local.startswith('"'):
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    routed = bool(match["route"]) or any(sign in local for sign in "@%!")
    return Path(match["address"] or "", local, (match["domain"] or "").lower(), routed, tuple(rest.split()))


def _check(path: Path, known: _Known, announced: Container[str]) -> Reply | None:
    seen: set[str] = set()
    for parameter in path.parameters:
        name, equals, value = parameter.partition("=")
        keyword = name.upper()
        if not _KEYWORD.fullmatch(name) or keyword in seen or (equals and not value):
            return replies.BAD_PARAMETER
        seen.add(keyword)
        extension, is_good = known.get(keyword, ("", str.isascii))
        if not extension or extension not in announced:
            return replies.UNKNOWN_PARAMETER
        if not is_good(value):
            return replies.BAD_PARAMETER
    return None


def _is_xtext(value: str) -> bool:
    return 0 < len(value) <= 500 and _XTEXT.fullmatch(value) is not None


def _is_size(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 20  # RFC 1870 section 5


# parameter: (the EHLO keyword that announces it, whether a value is right)
_MAIL_PARAMETERS: _Known = {
    "SIZE": ("SIZE", _is_size),
    "BODY": ("8BITMIME", lambda value: value.upper() in ("7BIT", "8BITMIME")),  # RFC 6152
    "SMTPUTF8": ("SMTPUTF8", lambda value: not value),  # RFC 6531
    "RET": ("DSN", lambda value: value.upper() in ("FULL", "HDRS")),  # RFC 3461 section 4.3
    "ENVID": ("DSN", lambda value: len(value) <= 100 and _is_xtext(value)),  # section 4.4
    "AUTH": ("AUTH", _is_xtext),  # RFC 4954 section 5
}
_RCPT_PARAMETERS: _Known = {
    "NOTIFY": ("DSN", lambda value: _NOTIFY.fullmatch(value) is not None),  # RFC 3461 section 4.1
    "ORCPT": ("DSN", lambda value: _TYPED_ADDRESS.fullmatch(value) is not None),  # section 4.2
}
