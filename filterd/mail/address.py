"""Mailboxes of an address field (RFC 5322 section 3.4), read in one pass: no recursion, linear, capped.

In: the unfolded text of a field, not decoded. Out: the mailboxes, display names decoded, groups dissolved;
and whether the field follows the grammar, for readers differ over what does not. Never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from filterd.mail.domains import to_ascii
from filterd.mail.words import decode_words
from filterd.value import Value

MAX_MAILBOXES = 1_000
MAX_FIELD = 65_536

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]++)
      | (?P<quoted>"(?:[^"\\]++|\\.)*+")
      | (?P<literal>\[[^\[\]\\]*+\])
      | (?P<atom>[^\x00-\x20()<>\[\]:;@\\,"\x7f]++)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_PIECE = re.compile(r"[^()\\]++|\\.|[()\\]", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Mailbox(Value):
    """One mailbox. `domain` is in lower-case A-labels; "" when it is none."""

    name: str  # display name, decoded
    address: str  # as it stands between the angle brackets, without comments and spaces
    local: str
    domain: str


@dataclass(slots=True)
class AddressList:
    """What an address field holds."""

    mailboxes: list[Mailbox] = field(default_factory=list)
    regular: bool = True  # follows the grammar of RFC 5322 section 3.4 without its obsolete forms
    comments: list[str] = field(default_factory=list)  # the first few


def parse_addresses(text: str) -> AddressList:
    """The mailboxes of a field's text."""
    return _Parser(text).parse()


class _Parser:
    """A list is words up to a separator; within angle brackets stands the address, before them the name."""

    def __init__(self, text: str) -> None:
        self.result = AddressList()
        if len(text) > MAX_FIELD:
            self.result.regular = False
        self.text = text[:MAX_FIELD]
        self.in_group = False
        self.unclosed = False  # a quotation mark was met that nothing closes
        self._clear()

    def _clear(self) -> None:
        self.words: list[tuple[str, str]] = []  # (kind, text) of the mailbox under way, spaces included
        self.angle: list[tuple[str, str]] | None = None  # those between the angle brackets
        self.open = False

    def parse(self) -> AddressList:
        text, position = self.text, 0
        while position < len(text):
            if text[position] == "(":
                position = self._comment(position)
                continue
            position = self._next_token(position)
        self._finish()
        if self.in_group:
            self.result.regular = False
        return self.result

    def _next_token(self, position: int) -> int:
        if self.text[position] == '"' and self.unclosed:
            self._token("other", '"')
            return position + 1
        match = _TOKEN.match(self.text, position)
        kind, token = (match.lastgroup or "other", match[0]) if match else ("other", self.text[position])
        # To look for the end of every quote once more would be quadratic.
        self.unclosed = self.unclosed or (kind == "other" and token == '"')
        self._token(kind, token)
        return position + len(token)

    def _comment(self, start: int) -> int:
        """Skip a comment, however deeply nested (RFC 5322 section 3.2.2)."""
        depth = 0
        for piece in _COMMENT_PIECE.finditer(self.text, start):
            depth += {"(": 1, ")": -1}.get(piece[0], 0)
            if depth == 0:
                if len(self.result.comments) < 16:
                    self.result.comments.append(self.text[start + 1 : piece.start()])
                return piece.end()
        self.result.regular = False
        return len(self.text)

    def _token(self, kind: str, token: str) -> None:
        if kind == "other" and token in ",;:<>":
            self._special(token)
        else:
            if kind == "other" and token not in "@.":
                self.result.regular = False
            (self.words if not self.open or self.angle is None else self.angle).append((kind, token))

    def _special(self, token: str) -> None:
        if token == "<":
            if self.angle is not None:
                self.result.regular = False
                self._finish()
            self.angle, self.open = [], True
        elif token == ">":
            if not self.open:
                self.result.regular = False
            self.open = False
        elif self.open and self.angle is not None and token in ",:":
            # The obsolete source route, `<@a,@b:user@c>` (section 4.4): readers differ.
            self.result.regular = False
            self.angle = [] if token == ":" else [*self.angle, ("other", token)]
        elif token == ":":
            if self.in_group or self.angle is not None:
                self.result.regular = False
            self._clear()
            self.in_group = True
        else:
            if token == ";" and not self.in_group:
                self.result.regular = False
            self._finish()
            self.in_group = self.in_group and token == ","

    def _finish(self) -> None:
        """Close the mailbox under way."""
        words, angle = self.words, self.angle
        if self.open or (angle is not None and _has_at_sign(words)):
            self.result.regular = False
        self._clear()
        if len(self.result.mailboxes) >= MAX_MAILBOXES:
            self.result.regular = False
            return
        if angle is not None:
            mailbox = _mailbox(_phrase(words), angle)
        elif any(kind != "space" for kind, _ in words):
            mailbox = _mailbox("", words)
        else:
            return
        if mailbox.address.count("@") != 1 or not mailbox.domain or _has_inner_space(words if angle is None else angle):
            self.result.regular = False
        self.result.mailboxes.append(mailbox)


def _has_at_sign(words: list[tuple[str, str]]) -> bool:
    return ("other", "@") in words


def _has_inner_space(words: list[tuple[str, str]]) -> bool:
    text = "".join(word if kind != "space" else " " for kind, word in words).strip()
    return " " in text


def _phrase(words: list[tuple[str, str]]) -> str:
    """A display name: quotes taken off, encoded words decoded, runs of space made one."""
    text = "".join(_ESCAPE.sub(r"\1", word[1:-1]) if kind == "quoted" else word for kind, word in words)
    return " ".join((decode_words(text) if "=?" in text else text).split())


def _mailbox(name: str, words: list[tuple[str, str]]) -> Mailbox:
    address = "".join(word for kind, word in words if kind != "space")
    local, _, domain = address.rpartition("@")
    if not local and "@" not in address:
        local, domain = address, ""
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = _ESCAPE.sub(r"\1", local[1:-1])
    return Mailbox(name, address, local, domain_of(domain))


def domain_of(text: str) -> str:
    """The domain after an at sign, in lower-case A-labels; an address literal as it is; "" for others."""
    if text.startswith("[") and text.endswith("]"):
        return text.lower()
    return to_ascii(text) or ""
